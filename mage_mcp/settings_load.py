"""Put the settings together: flags over environment over file over defaults, save that safety only tightens."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mage_mcp.base_url import mage_url, refuse_login_in
from mage_mcp.errors import MageNotConfigured
from mage_mcp.settings import (
    DEFAULT_CLUSTER,
    DEFAULT_TOOLSETS,
    PUBLIC_API_KEY,
    PUBLIC_CLOUD_API_KEY,
    TOOLSETS,
    Cluster,
    Settings,
    setting_of,
)
from mage_mcp.text import one_line, remember_secret

_SECRETS = ("password", "token", "api_key", "cloud_password", "cloud_api_key")
_OF_A_CLUSTER = (
    "url",
    "email",
    "password",
    "token",
    "api_key",
    "team_id",
    "cluster_id",
    "cloud_url",
    "cloud_email",
    "cloud_password",
    "cloud_api_key",
    "ca_bundle",
)
_FROM_ENVIRONMENT = {name: f"MAGE_{name.upper()}" for name in _OF_A_CLUSTER}
_OF_THE_SERVER = ("toolsets", "confirm", "log_level", "audit")
_TIGHTENING = ("read_only", "protected")
_CHOICES = {"confirm": ("ask", "person", "never"), "log_level": ("DEBUG", "INFO", "WARNING", "ERROR")}
_LEFT_BLANK = re.compile(r"\$\{[\w.:-]+\}")
"""What some hosts pass for a field without a value: `${user_config.token}`. A password may begin like it."""
_IN_THE_FILE = "the config file"
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def load_settings(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    `flags` holds what was given on the command line (None means not given); `config` among them, or MAGE_CONFIG, names
    the file, else the user's own is read where there is one. Empty values and a literal `${user_config.…}`, which some
    hosts pass for a field left blank, count as unset. `read_only` and `protected` hold when they are set anywhere.

    Raises MageNotConfigured with the name of the setting that cannot be understood.
    """
    given = dict(flags or {})
    environment = _Environment(os.environ if environ is None else environ)
    file, path = _read_file(given.pop("config", None) or environment.get("MAGE_CONFIG"), required_by=given)
    sources: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name in (*_OF_THE_SERVER, *_OF_A_CLUSTER):
        flag, variable = given.get(name), environment.get(f"MAGE_{name.upper()}")
        if flag is not None:
            values[name], sources[name] = flag, f"--{name.replace('_', '-')}"
        elif variable:
            values[name], sources[name] = variable, f"MAGE_{name.upper()}"
        elif name in _OF_THE_SERVER and name in file:
            values[name], sources[name] = file[name], str(path)
    tight = {name: _tightened(name, given, environment, file, sources) for name in _TIGHTENING}
    clusters = _clusters(values, file, tight, environment, sources, path)
    return Settings(
        clusters=clusters,
        toolsets=_toolsets(values.get("toolsets", ""), sources.get("toolsets", "")),
        confirm=_choice("confirm", values, sources, "ask"),
        log_level=_choice("log_level", values, sources, "WARNING"),
        audit=str(values.get("audit", "")),
        read_only=tight["read_only"],
        demo=bool(given.get("demo")),
        demo_pace=given.get("demo_pace"),
        sources=sources,
    )


class _Environment:
    """The variables that are set: neither empty nor a placeholder that the host left in."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def get(self, name: str) -> str:
        text = self._environ.get(name, "").strip()
        return "" if _LEFT_BLANK.fullmatch(text) else text


def _clusters(
    values: dict[str, Any],
    file: dict[str, Any],
    tight: dict[str, bool],
    environment: _Environment,
    sources: dict[str, str],
    path: Path | None,
) -> tuple[Cluster, ...]:
    """The one that environment and flags describe, if any, then those of the file by name."""
    tables = file.get("clusters", {})
    if not isinstance(tables, dict):
        raise MageNotConfigured(f"clusters in {path} is no table.", next_step="Write one [clusters.NAME] for each.")
    shared = {name: values[name] for name in _OF_A_CLUSTER if name in values and name.startswith("cloud_")}
    clusters = []
    own = {name: values[name] for name in _OF_A_CLUSTER if name in values}
    if not tables or any(name in own for name in ("url", "cluster_id")):
        own["url"] = mage_url(own.get("url", ""), source=sources.get("url", "MAGE_URL"))
        clusters.append(_cluster(DEFAULT_CLUSTER, own, tight))
    for name, table in tables.items():
        where = f"[clusters.{name}] in {path}"
        known, told = _resolved(table, environment, where)
        told = {key: sources[key] for key in shared if key in sources} | told
        cluster_tight: dict[str, bool] = {}
        for key in _TIGHTENING:
            own_tight = _boolean(known.pop(key, False), f"{key} of {where}")
            cluster_tight[key] = own_tight or tight[key]
            told[key] = where if own_tight else sources.get(key, "")
        if isinstance(known.setdefault("url", ""), str):  # else it is told with all that is no text
            known["url"] = mage_url(known["url"], source=f"url of {where}")
        clusters.append(_cluster(name, {**shared, **known, "file": _unless_own(path)}, cluster_tight))
        sources.update({f"clusters.{name}.{key}": source for key, source in told.items() if source})
    return tuple(clusters)


def _unless_own(path: Path | None) -> str:
    """The file, as a person has to name it from elsewhere: not at all where it is the user's own."""
    return "" if path is None or path == default_config_file() else str(path.absolute())


def _cluster(name: str, values: dict[str, Any], tight: Mapping[str, Any]) -> Cluster:
    try:
        cluster = Cluster(name=name, **values, **tight)
    except ValidationError as error:  # whose text would show the value, which may be a password
        keys = sorted({str(problem["loc"][0]) for problem in error.errors(include_input=False)})
        raise MageNotConfigured(
            f"Cluster {one_line(name, 40)!r} has a value that is no text: {', '.join(keys)}.",
            next_step='Put it in quotes; headers are a table: {NAME = "value"}.',
        ) from None
    instead = " and ".join(setting_of(cluster, key) for key in ("cloud_email", "cloud_password"))
    refuse_login_in(cluster.cloud_url, setting_of(cluster, "cloud_url"), instead)
    secrets = [value for key in _SECRETS if (value := getattr(cluster, key)) is not None]
    for secret in (*secrets, *cluster.headers.values()):
        if secret.get_secret_value() not in {PUBLIC_API_KEY, PUBLIC_CLOUD_API_KEY}:
            remember_secret(secret.get_secret_value())
    return cluster


def _resolved(table: Any, environment: _Environment, where: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A cluster's table with `password_env = "NAME"` and the like replaced by what the variable holds; and the source
    of each value. Of a variable that is not set the name is not told: it may be the password itself.
    """
    if not isinstance(table, dict):
        raise MageNotConfigured(f"{where} is no table.", next_step='It looks like: url = "https://host/workspace".')
    known = {*_OF_A_CLUSTER, *_TIGHTENING, "headers"}
    resolved: dict[str, Any] = {}
    told: dict[str, str] = {}
    for key, value in table.items():
        base = key.removesuffix("_env")
        if key.endswith("_env") and base in _SECRETS:
            if held := environment.get(str(value)):
                resolved[base], told[base] = held, f"{value}, which {where} names"
            else:
                told[key] = where
        elif key in known:
            resolved[key], told[key] = value, where
        else:
            near = difflib.get_close_matches(key, known, n=1)
            raise MageNotConfigured(
                f"{where} has an unknown key {one_line(key, 40)!r}.",
                next_step=f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(known))}.",
            )
    return resolved, told


def _read_file(named: str | None, *, required_by: Mapping[str, Any]) -> tuple[dict[str, Any], Path | None]:
    """The config file as a table: the named one, which must exist, or the user's own, which need not."""
    import tomllib

    path = Path(named).expanduser() if named else default_config_file()
    if required_by.get("demo") or (not named and not path.is_file()):
        return {}, None
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MageNotConfigured(
            f"The config file {path} cannot be read ({error.strerror or type(error).__name__}).",
            next_step="Correct --config or MAGE_CONFIG." if named else "Make it readable, or take it away.",
        ) from None
    except ValueError as error:
        raise MageNotConfigured(
            f"The config file {path} is no valid TOML: {one_line(str(error))}.", next_step="Correct it there."
        ) from None
    known = {*_OF_THE_SERVER, *_TIGHTENING, "clusters"}
    if unknown := sorted(set(table) - known):
        near = difflib.get_close_matches(unknown[0], known, n=1)
        raise MageNotConfigured(
            f"The config file {path} has an unknown key {one_line(unknown[0], 40)!r}.",
            next_step=f"Did you mean {near[0]!r}?" if near else f"Known at the top: {', '.join(sorted(known))}.",
        )
    return table, path


def default_config_file() -> Path:
    """`config.toml` in the user's config folder, wherever the platform keeps that."""
    import platformdirs

    return platformdirs.user_config_path("mage-mcp", appauthor=False) / "config.toml"


def _toolsets(value: Any, source: str) -> tuple[str, ...]:
    names = [str(name) for name in value] if isinstance(value, list | tuple) else str(value).split(",")
    wanted = {name.strip() for name in names if name.strip()}
    if not wanted:
        return DEFAULT_TOOLSETS
    if wanted == {"all"}:
        return TOOLSETS
    if unknown := sorted(wanted - set(TOOLSETS)):
        raise MageNotConfigured(
            f"{source} names unknown toolsets: {', '.join(unknown)}.",
            next_step=f"Known: {', '.join(TOOLSETS)}, or all.",
        )
    return tuple(name for name in TOOLSETS if name in wanted)


def _choice(name: str, values: dict[str, Any], sources: dict[str, str], default: str) -> Any:
    choices = _CHOICES[name]
    value = str(values.get(name, default))
    value = value.upper() if choices[0].isupper() else value.lower()
    if value not in choices:
        source = sources.get(name, name)
        raise MageNotConfigured(
            f"{source if source.startswith(('--', 'MAGE_')) else f'{name} in {source}'} is {one_line(value, 40)!r}.",
            next_step=f"It takes one of: {', '.join(choices)}.",
        )
    return value


def _tightened(
    name: str, given: Mapping[str, Any], environment: _Environment, file: Mapping[str, Any], sources: dict[str, str]
) -> bool:
    """Whether it is set in any of the three places."""
    variable = f"MAGE_{name.upper()}"
    places = {
        f"--{name.replace('_', '-')}": given.get(name),
        variable: environment.get(variable),
        _IN_THE_FILE: file.get(name),
    }
    for place, value in places.items():
        if value not in (None, "") and _boolean(value, f"{name} in {place}" if place == _IN_THE_FILE else place):
            sources[name] = place
            return True
    return False


def _boolean(value: Any, source: str) -> bool:
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise MageNotConfigured(f"{source} is {one_line(str(value), 40)!r}.", next_step="It takes true or false.")
    return text in _TRUE

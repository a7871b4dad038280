"""What the present settings become in a host's entry: arguments, environment, and which secrets were left out."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mage_mcp import settings_load
from mage_mcp.hosts.installation import Installation
from mage_mcp.hosts.table import Host
from mage_mcp.settings import DEFAULT_CLUSTER, PUBLIC_API_KEY, PUBLIC_CLOUD_API_KEY, Settings

_SECRETS = ("password", "token", "api_key", "cloud_password", "cloud_api_key")
_OF_A_CLUSTER = ("url", "email", "team_id", "cluster_id", "cloud_url", "cloud_email", "ca_bundle")
_OF_THE_SERVER = ("toolsets", "confirm", "log_level", "audit", "read_only", "protected")
_FILES = ("audit", "ca_bundle")
_VALUES = ("toolsets", "confirm", "audit", "log_level", "demo_pace")
_SWITCHES = ("read_only", "protected", "demo")
_FOLDERS = {"XDG_CONFIG_HOME": ".config", "XDG_STATE_HOME": ".local/state", "MAGE_MCP_STATE_DIR": ""}
"""Variables that say where config, state and kept logins are, with what they are by default, below HOME."""
WRITTEN = {f"MAGE_{name.upper()}" for name in (*_OF_A_CLUSTER, *_OF_THE_SERVER, "config")} | set(_FOLDERS)
"""The variables that an entry may be given here. Others in an entry are a person's, and stay."""


@dataclass(frozen=True)
class Launch:
    """`secrets` are the names of variables that are set here and whose values no entry gets."""

    args: tuple[str, ...]
    env: Mapping[str, str]
    secrets: tuple[str, ...] = ()


def launch(settings: Settings, flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Launch:
    """What stands behind the command, and around it.

    `flags` are the options given on the command line, `folder` is what relative paths are relative to. A flag stays a
    flag and a variable a variable, save that the URL is always MAGE_URL, where people look for it.
    """
    args = [_flag(name) for name in _SWITCHES if flags.get(name)]
    for name in ("config", *_VALUES):
        if (value := flags.get(name)) is not None:
            args += [_flag(name), str((folder / Path(value).expanduser()) if name in ("config", *_FILES) else value)]
    env = {}
    for name in (*(() if settings.demo else _OF_A_CLUSTER), *_OF_THE_SERVER):
        variable = f"MAGE_{name.upper()}"
        if settings.sources.get(name) == variable:
            value = environ[variable].strip()
            env[variable] = str(folder / Path(value).expanduser()) if name in _FILES else value
    if not settings.demo:
        if settings.cluster.name == DEFAULT_CLUSTER and settings.cluster.url:
            env = {"MAGE_URL": settings.cluster.url, **{key: env[key] for key in env if key != "MAGE_URL"}}
        if not flags.get("config") and (file := config_of(settings, {}, environ, folder)):
            env["MAGE_CONFIG"] = str(file)
        env |= _folders(environ)
    return Launch(tuple(args), env, () if settings.demo else secrets_of(settings, flags, environ, folder))


def secrets_of(
    settings: Settings, flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path
) -> tuple[str, ...]:
    """Names of the variables with secrets that this process uses: our own, and those that the config file names."""
    public = {PUBLIC_API_KEY, PUBLIC_CLOUD_API_KEY}
    own = [f"MAGE_{name.upper()}" for name in _SECRETS if settings.sources.get(name) == f"MAGE_{name.upper()}"]
    names = [name for name in own if environ.get(name, "").strip() not in public]
    file = config_of(settings, flags, environ, folder)
    if file is None and not settings.demo:
        file = settings_load.default_config_file()
    if file is not None:
        try:
            tables = tomllib.loads(file.read_text(encoding="utf-8")).get("clusters", {})
        except (OSError, ValueError):  # there is none, or who loads the settings has said so
            tables = {}
        for table in tables.values():
            names += [str(value) for key, value in table.items() if key.endswith("_env")]
    return tuple(dict.fromkeys(name for name in names if environ.get(name)))


def config_of(settings: Settings, flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Path | None:
    """The config file that was named, by a flag or by MAGE_CONFIG."""
    named = flags.get("config") or environ.get("MAGE_CONFIG", "").strip()
    return None if settings.demo or not named or named.startswith("${") else folder / Path(named).expanduser()


def _folders(environ: Mapping[str, str]) -> dict[str, str]:
    """Those that are set and not as by default: hosts pass few variables on, and these are not among them.

    Source: getDefaultEnvironment of the MCP SDKs (HOME, LOGNAME, PATH, SHELL, TERM, USER), which most hosts use.
    """
    home = environ.get("HOME", "")
    given = {name: environ.get(name, "") for name in _FOLDERS}
    return {name: value for name, value in given.items() if value and value != f"{home}/{_FOLDERS[name]}"}


def entry(host: Host, start: Installation, what: Launch, *, shared: bool) -> dict[str, Any]:
    """The host's entry. Of a secret it has at most the name, where the host is started from a shell that has it.

    `shared` says that it goes into a project's file, in which a name alone is for everybody.
    """
    made: dict[str, Any] = {**host.first, "command": start.command}
    args = [*start.args, *what.args]
    if args or host.always_args:
        made["args"] = args
    env = dict(what.env)
    if host.forwarding == "expand" and shared:
        env |= {name: f"${{{name}:-}}" for name in what.secrets}
    if env:
        made["env"] = env
    if host.forwarding == "env_vars" and what.secrets:
        made["env_vars"] = list(what.secrets)
    return made


def is_ours(existing: Any) -> bool:
    """Whether an entry starts mage-mcp, in whichever way."""
    if not isinstance(existing, dict) or not isinstance(existing.get("command"), str):
        return False
    args = existing.get("args", [])
    words = [existing["command"], *(args if isinstance(args, list) else [])]
    names = {str(word).replace("\\", "/").rpartition("/")[2].removesuffix(".exe") for word in words}
    return bool(names & {"mage-mcp", "mage_mcp"})


def updated(existing: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Our entry as it should be now: what is written here is replaced, what a person added to it stays."""
    written = {"command", "args", "env", "env_vars"}
    env = existing.get("env")
    kept = {key: value for key, value in env.items() if key not in WRITTEN} if isinstance(env, dict) else {}
    merged = {key: value for key, value in existing.items() if key not in written}
    result = {**{key: new[key] for key in new if key != "env"}, **merged}
    if env_now := {**new.get("env", {}), **kept}:
        result["env"] = env_now
    forwarded = existing.get("env_vars")
    if isinstance(forwarded, list):
        own = new.get("env_vars", [])
        result["env_vars"] = [*own, *(name for name in forwarded if name not in own)]
    return result


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"

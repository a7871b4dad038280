"""What the server was told: flags over environment over defaults, frozen, each value with its source."""

import os
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from mage_mcp.errors import MageNotConfigured
from mage_mcp.text import remember_secret

PUBLIC_API_KEY = "zkWlN0PkIKSN0C11CfUHUj84OT5XOJ6tDZ6bDRO2"
"""Mage's own key: fixed in its source and the same on every installation, so no secret."""

TOOLSETS = ("pipelines", "runs", "triggers")
"""Every toolset there is, in the order in which they are listed."""
DEFAULT_TOOLSETS = TOOLSETS

Confirm = Literal["ask", "person", "never"]

# First path segments of Mage's web pages and API: a URL pasted from the browser ends before them.
_PAGES = frozenset(
    {
        "api",
        "block-layout",
        "compute",
        "dashboard",
        "files",
        "global-data-products",
        "global-hooks",
        "manage",
        "oauth",
        "overview",
        "pipeline-runs",
        "pipelines",
        "platform",
        "settings",
        "sign-in",
        "templates",
        "terminal",
        "triggers",
        "version-control",
    }
)


class Cluster(BaseModel):
    """One Mage server and how to get in."""

    model_config = ConfigDict(frozen=True)

    name: str = "default"
    url: str = ""
    email: str = ""
    password: SecretStr | None = None
    token: SecretStr | None = None
    api_key: SecretStr = SecretStr(PUBLIC_API_KEY)
    read_only: bool = False

    @property
    def label(self) -> str:
        """How sentences name it: its host, since a single cluster has no name that a person gave."""
        return f"Mage at {urlsplit(self.url).netloc}" if self.url else "Mage"


class Settings(BaseModel):
    """The whole configuration. `sources` tells where each value that is not a default came from."""

    model_config = ConfigDict(frozen=True)

    cluster: Cluster = Cluster()
    toolsets: tuple[str, ...] = DEFAULT_TOOLSETS
    read_only: bool = False
    confirm: Confirm = "ask"
    demo: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    sources: Mapping[str, str] = Field(default={}, repr=False)


_ENVIRONMENT = {
    "url": "MAGE_URL",
    "email": "MAGE_EMAIL",
    "password": "MAGE_PASSWORD",
    "token": "MAGE_TOKEN",
    "api_key": "MAGE_API_KEY",
    "toolsets": "MAGE_TOOLSETS",
    "read_only": "MAGE_READ_ONLY",
    "confirm": "MAGE_CONFIRM",
    "log_level": "MAGE_LOG_LEVEL",
}
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def load_settings(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Put the settings together.

    `flags` holds what was given on the command line (None means not given). Empty values and a literal
    `${user_config.…}`, which some hosts pass for a field left blank, count as unset. `read_only` only tightens: set in
    either place, it holds.

    Raises MageNotConfigured with the name of the setting that cannot be understood.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, variable in _ENVIRONMENT.items():
        text = (os.environ if environ is None else environ).get(variable, "").strip()
        if text and not text.startswith("${"):
            values[name], sources[name] = text, variable
    tightened = "read_only" in values and _boolean(values["read_only"], sources["read_only"])
    for name, value in (flags or {}).items():
        if value is not None:
            values[name], sources[name] = value, f"--{name.replace('_', '-')}"
    values["read_only"] = tightened or bool(values.get("read_only") is True)

    for name in ("password", "token", "api_key"):
        if name in values and values[name] != PUBLIC_API_KEY:
            remember_secret(values[name])
    cluster: dict[str, Any] = {k: values.pop(k) for k in ("email", "password", "token", "api_key") if k in values}
    cluster["url"] = mage_url(values.pop("url", ""), source=sources.get("url", "MAGE_URL"))
    return Settings(
        cluster=Cluster(**cluster, read_only=values["read_only"]),
        toolsets=_toolsets(values.pop("toolsets", ""), sources.get("toolsets", "")),
        confirm=_choice(values.pop("confirm", "ask"), ("ask", "person", "never"), sources.get("confirm", "")),
        log_level=_choice(
            values.pop("log_level", "WARNING").upper(),
            ("DEBUG", "INFO", "WARNING", "ERROR"),
            sources.get("log_level", ""),
        ),
        sources=sources,
        **values,
    )


def mage_url(text: str, *, source: str = "MAGE_URL") -> str:
    """The base URL of a Mage server, from what people paste: with a page's path, without a scheme, with a slash."""
    if not text:
        return ""
    if "://" not in text:
        text = ("http://" if text.startswith(("localhost", "127.", "[::1]")) else "https://") + text
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"}:
        raise MageNotConfigured(
            f"{source} is not a URL of a Mage server.", next_step="It looks like http://localhost:6789."
        )
    if "@" in parts.netloc:
        raise MageNotConfigured(
            f"{source} holds a user name or password.", next_step="Use MAGE_EMAIL and MAGE_PASSWORD for these."
        )
    kept: list[str] = []
    for segment in parts.path.split("/"):
        if segment in _PAGES:
            break
        if segment:
            kept.append(segment)
    return f"{parts.scheme}://{parts.netloc}/{'/'.join(kept)}".rstrip("/")


def is_open_to_eavesdroppers(url: str) -> bool:
    """Plain http to another machine."""
    host = urlsplit(url).hostname or ""
    return url.startswith("http://") and not (host in {"localhost", "::1"} or host.startswith("127."))


def _toolsets(value: str, source: str) -> tuple[str, ...]:
    wanted = {name.strip() for name in value.split(",") if name.strip()}
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


def _choice(value: str, choices: tuple[str, ...], source: str) -> Any:
    if value not in choices:
        raise MageNotConfigured(f"{source} is {value!r}.", next_step=f"It takes one of: {', '.join(choices)}.")
    return value


def _boolean(value: str, source: str) -> bool:
    if value.lower() not in _TRUE | _FALSE:
        raise MageNotConfigured(f"{source} is {value!r}.", next_step="It takes true or false.")
    return value.lower() in _TRUE

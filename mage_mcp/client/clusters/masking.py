"""Which texts of a cluster's config are secrets: remembered, so that they are masked wherever they turn up again."""

from typing import Any
from urllib.parse import urlsplit

from mage_mcp.text import MASK, is_secret_name, remember_secret, show

ENVS = "extraEnvs"
_REFERENCE = "valueFrom"
_SHORTEST_SECRET = 4
_SHORTEST_VALUE = 12
_ORDINARY = frozenset({"azure_container_instance", "databricks", "gcp_cloud_run", "local_python", "spark_connect"})
"""Long words that Mage's settings are made of; masking them would cut holes into other answers."""


def remember_secrets(config: Any) -> None:
    """Remember what must not be shown: values of environment variables, and what has a telling name elsewhere.

    Short ordinary values are not, unless their name tells: they would be masked wherever a pipeline is called so.
    """
    if not isinstance(config, dict):
        return
    for item in config.get(ENVS) or () if isinstance(config.get(ENVS), list) else ():
        if isinstance(item, dict) and isinstance(item.get("value"), str):
            remember_value(str(item.get("name", "")), item["value"])
    _remember_named({key: value for key, value in config.items() if key != ENVS}, named=False)


def remember_value(name: str, value: str) -> None:
    """Remember one environment variable's value if it may be a secret."""
    _remember_password(value)
    if value in _ORDINARY:
        return
    if (is_secret_name(name) and len(value) >= _SHORTEST_SECRET) or len(value) >= _SHORTEST_VALUE or "://" in value:
        remember_secret(value)


def masked_config(config: Any) -> Any:
    """The config with every variable's value masked, and whatever else has a telling name or looks like a secret."""
    if not isinstance(config, dict):
        return masked(config)
    envs = config.get(ENVS)
    shown = {show(key): masked(value, name=key) for key, value in config.items()}
    if isinstance(envs, list):
        shown[ENVS] = [_masked_variable(item) for item in envs]
    return shown


def masked(value: Any, *, name: str = "") -> Any:
    """A JSON value as it may be shown. A telling `name` masks all of it, but not that there is nothing."""
    if value is None or isinstance(value, bool) or value in ("", [], {}):
        return value
    if name and is_secret_name(name):
        return MASK
    if isinstance(value, dict):
        return {show(key): masked(item, name=key) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return show(value) if isinstance(value, str) else value


def _masked_variable(item: Any) -> Any:
    """Its name and what it refers to; nothing else of it is known to be harmless."""
    if not isinstance(item, dict):
        return MASK
    shown: dict[str, Any] = {}
    for key, value in item.items():
        if key == "name" and isinstance(value, str):
            shown[key] = show(value)
        elif key == _REFERENCE:
            shown[key] = _shown(value)
        else:
            shown[show(key)] = MASK if value not in (None, "") else value
    return shown


def _shown(value: Any) -> Any:
    """`secretKeyRef` is the name of a reference, not of a secret."""
    if isinstance(value, dict):
        return {show(key): _shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return show(value) if isinstance(value, str) else value


def _remember_named(value: Any, *, named: bool) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _remember_named(item, named=named or is_secret_name(key))
    elif isinstance(value, list):
        for item in value:
            _remember_named(item, named=named)
    elif isinstance(value, str):
        _remember_password(value)
        if named and len(value) >= _SHORTEST_SECRET and value not in _ORDINARY:
            remember_secret(value)


def _remember_password(value: str) -> None:
    """The password inside a connection string is a secret wherever else it stands."""
    if "://" not in value or "@" not in value:
        return
    try:
        password = urlsplit(value).password
    except ValueError:
        return
    if password:
        remember_secret(password)

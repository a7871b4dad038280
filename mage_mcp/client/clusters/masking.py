"""Which texts of a cluster's config are secrets: remembered, so that they are masked wherever they turn up again."""

from typing import Any

from mage_mcp.client.secrets import remember_named, remember_value
from mage_mcp.text import MASK, is_secret_name, show

ENVS = "extraEnvs"
_REFERENCE = "valueFrom"


def remember_secrets(config: Any) -> None:
    """Remember what must not be shown: values of environment variables, and what has a telling name elsewhere.

    Short ordinary values are not, unless their name tells: they would be masked wherever a pipeline is called so.
    """
    if not isinstance(config, dict):
        return
    for item in config.get(ENVS) or () if isinstance(config.get(ENVS), list) else ():
        if isinstance(item, dict) and isinstance(item.get("value"), str):
            remember_value(str(item.get("name", "")), item["value"])
    remember_named("", {key: value for key, value in config.items() if key != ENVS})


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

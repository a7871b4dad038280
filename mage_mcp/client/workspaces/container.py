"""A workspace's container config, a YAML text that Mage replaces whole: read, merged, told. Pure functions."""

from collections.abc import Mapping, Sequence
from typing import Any

from mage_mcp.client.clusters.config_patch import check_patch, diff_lines, merged
from mage_mcp.client.clusters.env_vars import apply, names
from mage_mcp.client.secrets import remember_named, remember_value
from mage_mcp.errors import MageInvalid, MageReplyInvalid
from mage_mcp.text import quoted

_ENV = "env"


def parsed(text: Any) -> dict[str, Any]:
    """The config as an object; what is not there is an empty one. Secrets in it are remembered.

    Raises MageReplyInvalid for what is no YAML object: it would be lost by a change.
    """
    import yaml  # 30 ms that only this toolset needs

    if text in (None, ""):
        return {}
    try:
        value = yaml.safe_load(text) if isinstance(text, str) else text
    except yaml.YAMLError:
        value = None
    if not isinstance(value, dict):
        raise MageReplyInvalid(
            "The workspace's container_config is no YAML object; nothing was changed.",
            next_step="Look at it on Mage's own page of workspaces.",
        )
    for item in value.get(_ENV) or () if isinstance(value.get(_ENV), list) else ():
        if isinstance(item, dict) and isinstance(item.get("value"), str):
            remember_value(str(item.get("name", "")), item["value"])
    remember_named("", {key: item for key, item in value.items() if key != _ENV})
    return value


def written(config: Mapping[str, Any]) -> str:
    """The config as Mage takes it."""
    import yaml

    return str(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def env_names(config: Mapping[str, Any]) -> list[str]:
    return names(config.get(_ENV))


def changed(
    config: Mapping[str, Any],
    *,
    patch: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    unset_env: Sequence[str] = (),
) -> tuple[dict[str, Any], list[str]]:
    """The config after the change, and what that changes, a line each, values of variables not among it.

    Raises MageInvalid for a patch that holds `env` (it would replace the list), a mask, or nothing that can be sent.
    """
    after = dict(config)
    if patch:
        if _ENV in patch:
            raise MageInvalid(
                "container_config does not change env, which it would replace; nothing was changed.",
                next_step="Use set_env, set_env_from and unset_env.",
            )
        after = merged(after, check_patch(dict(patch)))
    lines = diff_lines({**config, _ENV: None}, {**after, _ENV: None})
    if env or unset_env:
        diff = apply(after.get(_ENV), set_=env or {}, unset=unset_env)
        after[_ENV] = diff.envs
        lines += [f"env: add {quoted(name)}" for name in sorted(diff.added)]
        lines += [f"env: overwrite {quoted(name)}" for name in sorted(diff.overwritten)]
        lines += [f"env: remove {quoted(name)}" for name in sorted(diff.removed)]
    return after, lines

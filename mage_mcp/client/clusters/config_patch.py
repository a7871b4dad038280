"""Changing the rest of a Cloud config by a JSON merge patch (RFC 7396), and telling what changed. Pure functions."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mage_mcp.client.clusters.masking import ENVS, masked
from mage_mcp.client.clusters.same import same_json
from mage_mcp.errors import MageInvalid
from mage_mcp.text import MASK, is_secret_name, one_line, show

_ELSEWHERE = {
    ENVS: "update_cluster_env_vars changes environment variables.",
    "status": "start_cluster and stop_cluster change the status.",
    "replicaCount": "start_cluster(replicas=…) and stop_cluster change the number of replicas.",
}
_LONGEST_PATCH = 50_000
_DEEPEST = 20
_LONGEST_SHOWN = 120
_MOST_LINES = 40
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ABSENT: Any = object()
_NOTHING_DONE = "nothing was changed"


def check_patch(patch: Any) -> dict[str, Any]:
    """The patch, or MageInvalid: for what another tool changes, for masked texts, and for what is no JSON object."""
    if not isinstance(patch, dict) or not patch:
        raise MageInvalid(
            f"The patch is no object with something in it; {_NOTHING_DONE}.",
            next_step='It looks like {"image": {"tag": "0.9.81"}}; null removes a key.',
        )
    for key, hint in _ELSEWHERE.items():
        if key in patch:
            raise MageInvalid(f"{key} is not changed by a patch; {_NOTHING_DONE}.", next_step=hint)
    if _depth(patch) > _DEEPEST:
        raise MageInvalid(f"The patch is too deep; {_NOTHING_DONE}.", next_step="Give less at once.")
    try:
        text = json.dumps(patch, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, TypeError):
        raise MageInvalid(
            f"The patch cannot be sent as JSON (half a character, or NaN); {_NOTHING_DONE}.",
            next_step="Give plain texts, numbers, lists and objects.",
        ) from None
    if MASK in text:
        raise MageInvalid(f"The patch holds the mask {MASK}; {_NOTHING_DONE}.", next_step="Give the real value.")
    if len(text) > _LONGEST_PATCH:
        raise MageInvalid(f"The patch is over {_LONGEST_PATCH} characters; {_NOTHING_DONE}.", next_step="Give less.")
    return patch


def merged(stored: Any, patch: Any) -> Any:
    """RFC 7396: null removes, objects are merged, all else is replaced. What is kept keeps its place."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(stored) if isinstance(stored, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def paths(before: Any, after: Any) -> list[str]:
    """Where two configs differ, variables left out."""
    return [_path(where) for where, _, _ in _differences(before, after, ()) if where[:1] != (ENVS,)]


def diff_lines(before: Any, after: Any) -> list[str]:
    """`image.tag: "0.9.80" → "0.9.81"`, one a difference, secrets masked."""
    lines = [
        f"{_path(where)}: {_told(old, where)} → {_told(new, where)}"
        for where, old, new in _differences(before, after, ())
        if where[:1] != (ENVS,)
    ]
    cut = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], f"… and {cut} more"] if cut > 0 else lines


def _differences(before: Any, after: Any, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from _differences(before.get(key, _ABSENT), after.get(key, _ABSENT), (*where, key))
    elif before is _ABSENT or after is _ABSENT or not same_json(before, after):
        yield where, before, after


def _path(where: tuple[str, ...]) -> str:
    parts = [f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{json.dumps(one_line(key, 60))}]" for key in where]
    return show("".join(parts)).removeprefix(".") or "the whole config"


def _told(value: Any, where: tuple[str, ...]) -> str:
    if value is _ABSENT:
        return "nothing"
    if any(is_secret_name(key) for key in where) and value not in (None, "", [], {}):
        return MASK
    return one_line(json.dumps(masked(value), ensure_ascii=False), _LONGEST_SHOWN)


def _depth(value: Any, level: int = 0) -> int:
    if level > _DEEPEST or not isinstance(value, dict | list):
        return level
    items = value.values() if isinstance(value, dict) else value
    return max((_depth(item, level + 1) for item in items), default=level)

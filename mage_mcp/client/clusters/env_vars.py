"""Environment variables in a Cloud config: `config.extraEnvs`, a list of Kubernetes' EnvVar objects. Pure functions.

What is not asked for stays as it is: order, references (`valueFrom`), keys and items that nobody here knows.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mage_mcp.client.clusters.masking import ENVS
from mage_mcp.client.clusters.same import same_json
from mage_mcp.errors import MageInvalid
from mage_mcp.text import MASK, one_line

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_LONGEST_VALUE = 32_000
"""Bytes; all of a cluster's variables share one object of Kubernetes, which takes a megabyte."""
_MOST_AT_ONCE = 100
_NOTHING_DONE = "nothing was changed"


@dataclass(frozen=True)
class EnvDiff:
    """Names only: values are in the list, and nowhere else."""

    envs: list[Any] = field(repr=False)
    added: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        return bool(self.added or self.overwritten or self.removed)


def check_request(set_: Mapping[str, str], unset: Sequence[str]) -> None:
    """Refuse what is wrong whatever the cluster has.

    Raises MageInvalid; no value is ever in its text.
    """
    if not set_ and not unset:
        raise MageInvalid("No variable is named to set or to unset.", next_step="Give set or unset.")
    if len(set_) + len(unset) > _MOST_AT_ONCE:
        raise MageInvalid(f"Over {_MOST_AT_ONCE} variables at once; {_NOTHING_DONE}.", next_step="Give them in parts.")
    for name, value in set_.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise MageInvalid(
                f"{_quoted(name)} cannot be a variable's name; {_NOTHING_DONE}.",
                next_step="Names are made of letters, digits and underscores, and begin with no digit.",
            )
        _check_value(name, value)
    if both := sorted(set(set_) & set(unset)):
        raise MageInvalid(f"{both[0]} is to be set and unset at once; {_NOTHING_DONE}.", next_step="Decide for one.")


def apply(
    envs: Any, *, set_: Mapping[str, str], unset: Sequence[str] = (), replace_references: bool = False
) -> EnvDiff:
    """The list after the change, and which names that changes. `envs` may be null.

    Of a name that occurs twice, Kubernetes uses the last one, and so does this; unsetting removes all of them.

    Raises MageInvalid: for what `check_request` refuses, a list that is none, names that cannot be, and references that
    would become plain values without `replace_references`.
    """
    check_request(set_, unset)
    if not isinstance(envs, list | None):
        raise MageInvalid(
            f"The cluster's {ENVS} is no list, so {_NOTHING_DONE}.", next_step="Look at it in Mage's portal."
        )
    now: list[Any] = list(envs or ())
    diff = EnvDiff(now)
    times = Counter(name for item in now if (name := name_of(item)) is not None)
    for name, value in set_.items():
        _set(diff, name, value, times[name], replace_references=replace_references)
    for name in dict.fromkeys(unset):
        _unset(diff, name, times)
    return diff


def _set(diff: EnvDiff, name: str, value: str, times: int, *, replace_references: bool) -> None:
    place = next((i for i in reversed(range(len(diff.envs))) if name_of(diff.envs[i]) == name), None)
    if place is None:
        diff.envs.append({"name": name, "value": value})
        diff.added.append(name)
        return
    item = diff.envs[place]
    if is_reference(item):
        if not replace_references:
            raise MageInvalid(
                f"{name} refers to a secret kept elsewhere (valueFrom); a plain value would replace the reference. "
                f"{_NOTHING_DONE.capitalize()}.",
                next_step="Change the secret where it is kept, or, if a person wants that, set replace_references.",
            )
        diff.notes.append(f"{name} was a reference to a secret (valueFrom) and is a plain value now.")
    elif item.get("value") == value:
        diff.unchanged.append(name)
        return
    if times > 1:
        diff.notes.append(f"{name} stands in the list {times} times; the last one counts and was changed.")
    diff.envs[place] = _with_value(item, value)
    diff.overwritten.append(name)


def _with_value(item: dict[str, Any], value: str) -> dict[str, Any]:
    """The item with a plain value, in the place of the old one."""
    changed: dict[str, Any] = {}
    for key, kept in item.items():
        if key in {"value", "valueFrom"}:
            changed["value"] = value
        else:
            changed[key] = kept
    return changed | {"value": value}


def _unset(diff: EnvDiff, name: str, times: Counter[str]) -> None:
    if not times[name]:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise MageInvalid(
                f"The cluster has no variable {_quoted(name)}; {_NOTHING_DONE}.", next_step="get_cluster lists them."
            )
        diff.unchanged.append(name)
        return
    if times[name] > 1:
        diff.notes.append(f"{name} stood in the list {times[name]} times; all of them were removed.")
    diff.envs[:] = [item for item in diff.envs if name_of(item) != name]
    diff.removed.append(name)


def name_of(item: Any) -> str | None:
    """None for what is no variable."""
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


def is_reference(item: Any) -> bool:
    return isinstance(item, dict) and item.get("valueFrom") is not None


def names(envs: Any) -> list[str]:
    """Every name once, in order."""
    return list(dict.fromkeys(name for item in _list(envs) if (name := name_of(item)) is not None))


def references(envs: Any) -> list[str]:
    """The names whose value is kept elsewhere."""
    return list(
        dict.fromkeys(name for item in _list(envs) if is_reference(item) and (name := name_of(item)) is not None)
    )


def differing(before: Any, after: Any) -> list[str]:
    """Names whose items are not the same in both lists, `(order)` where only that differs."""
    old, new = _by_name(before), _by_name(after)
    found = [name for name in dict.fromkeys((*old, *new)) if not same_json(old.get(name), new.get(name))]
    if not found and not same_json(_list(before), _list(after)):
        return ["(order)"]
    return found


def _by_name(envs: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in _list(envs):
        found.setdefault(name_of(item) or "(no name)", []).append(item)
    return found


def _list(envs: Any) -> list[Any]:
    return envs if isinstance(envs, list) else []


def _check_value(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise MageInvalid(
            f"The value of {name} is no text; {_NOTHING_DONE}.", next_step="Give it in quotes, as it shall stand there."
        )
    if MASK in value:
        raise MageInvalid(
            f"The value of {name} holds the mask {MASK}; {_NOTHING_DONE}.", next_step="Give the real value."
        )
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        size = -1
    if "\x00" in value or size < 0:
        raise MageInvalid(
            f"The value of {name} holds a character that no environment variable can have; {_NOTHING_DONE}.",
            next_step="Leave out NUL and half characters.",
        )
    if size > _LONGEST_VALUE:
        raise MageInvalid(
            f"The value of {name} is over {_LONGEST_VALUE // 1000} kB; {_NOTHING_DONE}.",
            next_step="Keep it in a file or a secret store, and set where that is.",
        )


def _quoted(name: Any) -> str:
    """A name for a sentence; of `NAME=value` only the name."""
    return repr(one_line(str(name).partition("=")[0], 40))

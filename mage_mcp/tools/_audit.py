"""One JSON line before and one after everything that changes something, also for what was declined or refused."""

import json
import math
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mage_mcp.client.models import iso
from mage_mcp.text import MASK, beginning, is_secret_name, shorten
from mage_mcp.tools._caller import caller_name

NEVER_SHOWN = frozenset({"set", "set_env", "env", "extraEnvs"})
"""Arguments, and parts of them, whose values may be secrets under whatever name."""
_ONLY_NAMES = frozenset({"unset", "unset_env", "set_from", "set_env_from"})
_LONGEST_VALUE = 200
_LONGEST_OUTCOME = 1_000
_MOST_PARTS = 200
_DEEPEST = 6
_LONGEST_LINE = 6_000
"""Of the arguments as JSON: a caller over HTTP may send megabytes."""


@dataclass(frozen=True)
class Audit:
    """Writes to a file, or to stderr where none is named."""

    file: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def begin(self, tool: str, *, cluster: str, arguments: dict[str, Any]) -> str:
        """Write the line before; returns the id that the line after bears too."""
        call = secrets.token_hex(4)
        shown = masked_arguments(arguments)
        self._write({"phase": "before", "call": call, "tool": tool, "cluster": _name(cluster), "arguments": shown})
        return call

    def end(self, call: str, tool: str, *, cluster: str, outcome: str) -> None:
        told = beginning(outcome, _LONGEST_OUTCOME)
        self._write({"phase": "after", "call": call, "tool": tool, "cluster": _name(cluster), "outcome": told})

    def refused(self, tool: str, *, cluster: str, arguments: dict[str, Any], why: object) -> None:
        """Both lines of a call that was refused before it could do anything."""
        call = self.begin(tool, cluster=cluster, arguments=arguments)
        self.end(call, tool, cluster=cluster, outcome=f"refused: {why}")

    def _write(self, line: dict[str, Any]) -> None:
        who = {"caller": caller} if (caller := caller_name()) else {}
        text = json.dumps({"audit": "mage-mcp", "time": iso(self.now()), **who, **line}, ensure_ascii=False) + "\n"
        if not self.file:
            sys.stderr.write(text)
            sys.stderr.flush()
            return
        with open(self.file, "a", encoding="utf-8", opener=_private) as file:
            file.write(text)


def _private(path: str, flags: int) -> int:
    """A new file is readable by its owner only; the mode of one that exists is its owner's business."""
    return os.open(path, flags, 0o600)


def masked_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call as they may be shown and kept: masked, and no longer than a few screens."""
    shown = _Masking().of_object(arguments, 0)
    if len(json.dumps(shown)) <= _LONGEST_LINE:
        return shown
    # What is masked already is cut after, never before.
    return {name: shorten(json.dumps(value, ensure_ascii=False), _LONGEST_VALUE // 2) for name, value in shown.items()}


class _Masking:
    """Of one call's arguments, as many parts as there is room for."""

    def __init__(self) -> None:
        self._room = _MOST_PARTS

    def of_object(self, values: dict[str, Any], depth: int, *, names_only: str = "") -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for name, value in values.items():
            if not self._room:
                return shown | {"…": f"{len(values) - len(shown)} more"}
            self._room -= 1
            shown[_name(name)] = names_only or self._of(str(name), value, depth)
        return shown

    def _of_list(self, name: str, values: list[Any], depth: int) -> list[Any]:
        shown: list[Any] = []
        for value in values:
            if not self._room:
                return [*shown, f"… {len(values) - len(shown)} more"]
            self._room -= 1
            shown.append(_name(value) if name in _ONLY_NAMES else self._of(name, value, depth))
        return shown

    def _of(self, name: str, value: Any, depth: int) -> Any:
        """Values that are set keep their names only; others lose what looks secret."""
        if value is None:
            return None
        if name in NEVER_SHOWN or is_secret_name(name):
            return self.of_object(value, depth, names_only=MASK) if isinstance(value, dict) else MASK
        if isinstance(value, dict | list) and depth >= _DEEPEST:
            return "…"
        if name in _ONLY_NAMES and not isinstance(value, dict | list):
            return MASK
        if isinstance(value, dict):
            return self.of_object(
                {key: _name(item) for key, item in value.items()} if name in _ONLY_NAMES else value, depth + 1
            )
        if isinstance(value, list):
            return self._of_list(name, value, depth + 1)
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)  # which JSON has no word for
        return beginning(value, _LONGEST_VALUE) if isinstance(value, str) else value


def _name(given: Any) -> str:
    """The name in what should be one, and may be `NAME=value`."""
    return beginning(str(given).partition("=")[0], _LONGEST_VALUE)

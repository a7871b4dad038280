"""One JSON line before and one after everything that changes something, also for what was declined or refused."""

import json
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mage_mcp.client.models import iso
from mage_mcp.text import MASK, is_secret_name, shorten, show
from mage_mcp.tools._caller import caller_name

NEVER_SHOWN = frozenset({"set", "extraEnvs"})
"""Arguments, and parts of them, whose values may be secrets under whatever name."""
_ONLY_NAMES = frozenset({"unset", "set_from"})
_LONGEST_VALUE = 200


@dataclass(frozen=True)
class Audit:
    """Writes to a file, or to stderr where none is named."""

    file: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def begin(self, tool: str, *, cluster: str, arguments: dict[str, Any]) -> str:
        """Write the line before; returns the id that the line after bears too."""
        call = secrets.token_hex(4)
        shown = masked_arguments(arguments)
        self._write({"phase": "before", "call": call, "tool": tool, "cluster": show(cluster), "arguments": shown})
        return call

    def end(self, call: str, tool: str, *, cluster: str, outcome: str) -> None:
        self._write({"phase": "after", "call": call, "tool": tool, "cluster": show(cluster), "outcome": show(outcome)})

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
        with Path(self.file).open("a", encoding="utf-8") as file:
            file.write(text)


def masked_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call as they may be shown and kept."""
    return {show(str(name)): _masked(name, value) for name, value in arguments.items()}


def _masked(name: str, value: Any) -> Any:
    """Values that are set keep their names only; others lose what looks secret."""
    if name in NEVER_SHOWN or is_secret_name(name):
        return {_name(key): MASK for key in value} if isinstance(value, dict) else MASK
    if name in _ONLY_NAMES:
        if isinstance(value, dict):
            return {_name(key): _name(item) for key, item in value.items()}
        return [_name(item) for item in value] if isinstance(value, list) else MASK
    if isinstance(value, dict):
        return {show(str(key)): _masked(str(key), item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(name, item) for item in value]
    return shorten(show(value), _LONGEST_VALUE) if isinstance(value, str) else value


def _name(given: Any) -> str:
    """The name in what should be one, and may be `NAME=value`."""
    return shorten(show(str(given).partition("=")[0]), _LONGEST_VALUE)

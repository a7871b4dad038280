"""A part of a long text: the wanted lines, as many as an answer has room for."""

import json
from dataclasses import dataclass

from mage_mcp.errors import MageInvalid

_ROOM = 28_000
"""Bytes as JSON: with what stands around it an answer stays below 8,000 tokens."""


@dataclass(frozen=True)
class Part:
    """Lines `first` to `last` of `total`, counted from 1."""

    text: str
    first: int
    last: int
    total: int

    @property
    def is_whole(self) -> bool:
        return not self.total or (self.first, self.last) == (1, self.total)

    @property
    def left_out(self) -> int:
        """How many lines stand behind it."""
        return self.total - self.last


def part_of(shown: str, from_line: int | None, to_line: int | None, *, what: str) -> Part:
    """The part of a text that is masked already. A single line without room is cut.

    Raises MageInvalid for lines that there are not; `what` names the text.
    """
    lines = shown.splitlines(keepends=True)
    total = len(lines)
    first, last = from_line or 1, min(to_line or total, total)
    if total and (first > total or last < first):
        raise MageInvalid(
            f"There are no lines {first} to {to_line or 'the end'}: {what} has {total}.",
            next_step="Give from_line and to_line within it, or neither.",
        )
    room = _ROOM
    for number, line in enumerate(lines[first - 1 : last], first):
        room -= len(json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if room < 0:
            last = max(number - 1, first)
            break
    text = "".join(lines[first - 1 : last])
    return Part(text if room >= 0 or number > first else text[: _ROOM // 8], first, last, total)

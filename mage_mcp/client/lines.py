"""A part of a long text: the wanted lines, as many as an answer has room for."""

import json
from dataclasses import dataclass

from mage_mcp.errors import MageInvalid

_ROOM = 28_000
"""Bytes as JSON: with what stands around it an answer stays below 8,000 tokens."""


@dataclass(frozen=True)
class Part:
    """Lines of a text, from the first to the last shown, both counted from 1; `left` of the wanted ones are not."""

    text: str
    first: int
    last: int
    total: int
    left: int
    is_torn: bool = False
    """A single line that there was no room for."""

    @property
    def is_whole(self) -> bool:
        return not self.is_torn and (self.first, self.last) in {(1, self.total), (1, 0)}

    def notes(self) -> list[str]:
        """What a reader must know of a part."""
        notes = []
        if self.is_torn:
            notes.append(f"Line {self.first} is too long to show: this is its beginning.")
        if self.left > 0:
            notes.append(f"It is too long to show at once: {self.left} more lines; go on with from_line.")
        if not self.is_whole:
            notes.append("A part has no hash.")
        return notes


def part_of(shown: str, from_line: int | None, to_line: int | None, *, what: str) -> Part:
    """Of a text already masked the wanted lines, as many as there is room for.

    Raises MageInvalid for lines that there are not; `what` names the text.
    """
    lines = shown.splitlines(keepends=True)
    total = len(lines)
    first, wanted = from_line or 1, min(to_line or total, total)
    if total and (first > total or wanted < first):
        raise MageInvalid(
            f"There are no lines {first} to {to_line or 'the end'}: {what} has {total}.",
            next_step="Give from_line and to_line within it, or neither.",
        )
    fit, room = 0, _ROOM
    for line in lines[first - 1 : wanted]:
        room -= _size(line)
        if room < 0:
            break
        fit += 1
    last = first - 1 + fit
    if total and not fit:
        # Each character may take six bytes as JSON.
        return Part(lines[first - 1][: _ROOM // 6], first, first, total, wanted - first, is_torn=True)
    return Part("".join(lines[first - 1 : last]), first, last, total, wanted - last)


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass"))

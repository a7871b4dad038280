"""How facts stand in a prompt: our sentences as they are, everybody else's text in fenced, labelled blocks."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mage_mcp.client.models import Answer
from mage_mcp.text import fence, show
from mage_mcp.tools._answer import DATA, shown

_LANGUAGE = re.compile(r"[a-z0-9_+-]{1,20}")
"""Stands outside of what the fence holds, so it is one word or nothing."""
_SHORT_ROW = 320
_LEAST = 160
"""Bytes. A block that has less room than this is left out, and its label says so."""
_CUT = "… (cut: there is more)"
_CUT_FRONT = "(earlier lines are cut) …"
_AROUND = 28
"""Bytes of a fence and the name of its language."""


@dataclass(frozen=True)
class Block:
    """A text with a label. The label is our own sentence; the text may be anybody's.

    `from_end` cuts what has no room from the front: the end of a log is what matters. `shown` says that the text has
    been cleaned and redacted already, field by field, which spares the names that the next call needs.
    """

    label: str
    text: str = ""
    language: str = ""
    from_end: bool = False
    shown: bool = False


def block(label: str, answer: Answer | Mapping[str, Any], *, without: Iterable[str] = ()) -> Block:
    """An answer as a block."""
    left_out = set(without)
    return Block(
        label, outline({key: value for key, value in _told(answer).items() if key not in left_out}), shown=True
    )


def rows(label: str, answers: Sequence[Answer | Mapping[str, Any]]) -> Block:
    """Answers as a block of one row each."""
    return Block(label, outline([_told(answer) for answer in answers]), shown=True)


def _told(answer: Answer | Mapping[str, Any]) -> dict[str, Any]:
    return answer.lean(show) if isinstance(answer, Answer) else {key: shown(item) for key, item in answer.items()}


def page(blocks: Sequence[Block], room: int) -> str:
    """The blocks in Markdown, in `room` bytes at most: each gets its share, and what it leaves goes to those after it.

    Texts are cleaned and redacted here, and stand in a fence that they cannot close.
    """
    parts = []
    for place, each in enumerate(blocks):
        part = _shown(each, room // (len(blocks) - place))
        room -= len(part.encode()) + 2
        parts.append(part)
    return "\n\n".join(parts)


def _shown(each: Block, room: int) -> str:
    if not each.text:
        return each.label
    head = f"{each.label} ({DATA}):"
    limit = room - len(head.encode()) - 1
    text = each.text if each.shown else show(each.text)
    language = each.language if _LANGUAGE.fullmatch(each.language) else ""
    room = limit - _AROUND
    while room >= _LEAST:
        fenced = fence(_cut(text, room, from_end=each.from_end), language)
        if len(fenced.encode()) <= limit:
            return f"{head}\n{fenced}"
        room -= _LEAST  # the fence is longer than any run of backticks in the text, and that was a long one
    return f"{each.label}: there was no room for it here."


def _cut(text: str, room: int, *, from_end: bool) -> str:
    """As many whole lines as there is room for, from the start or from the end; of a single longer one, a part."""
    if len(text.encode("utf-8", "replace")) <= room:
        return text
    note = _CUT_FRONT if from_end else _CUT
    room = max(0, room - len(note.encode()) - 1)
    lines = text.split("\n")
    kept: list[str] = []
    for line in reversed(lines) if from_end else lines:
        size = len(line.encode()) + 1
        if size > room:
            break
        room -= size
        kept.append(line)
    if not kept:
        encoded = (lines[-1] if from_end else lines[0]).encode()
        kept = [(encoded[-room:] if from_end and room else encoded[:room]).decode("utf-8", "ignore")]
    return "\n".join([note, *reversed(kept)] if from_end else [*kept, note])


def outline(value: Any) -> str:
    """JSON values as indented lines: what a person reads with ease and costs fewer tokens than JSON."""
    return "\n".join(_lines(value, ""))


def _lines(value: Any, indent: str) -> list[str]:
    if isinstance(value, dict):
        if not value:
            return [f"{indent}(nothing)"]
        return [line for key, item in value.items() for line in _entry(key, item, indent)]
    if isinstance(value, list):
        return [line for item in value for line in _item(item, indent)]
    return [f"{indent}{line}" for line in str(value).split("\n")]


def _entry(key: str, item: Any, indent: str) -> list[str]:
    if isinstance(item, dict) or (isinstance(item, list) and not all(_is_plain(each) for each in item)):
        return [f"{indent}{key}:", *_lines(item, indent + "  ")]
    if isinstance(item, str) and "\n" in item:
        return [f"{indent}{key}:", *_lines(item, indent + "  | ")]
    return [f"{indent}{key}: {_plain(item)}"]


def _item(item: Any, indent: str) -> list[str]:
    if isinstance(item, dict) and all(_is_plain(each) for each in item.values()):
        row = f"{indent}- " + ", ".join(f"{key}: {_plain(each)}" for key, each in item.items())
        if len(row) <= _SHORT_ROW:
            return [row]
    lines = _lines(item, indent + "  ")
    return [f"{indent}- {lines[0][len(indent) + 2 :]}", *lines[1:]] if lines else []


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list) and not (isinstance(value, str) and "\n" in value)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(each) for each in value) or "(none)"
    if value is None:
        return "(none)"
    return str(value).lower() if isinstance(value, bool) else str(value)

"""What the tour shows, line by line, and a screen of plain text for it. `rich_screen.py` has the coloured one."""

import os
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TextIO

Kind = Literal[
    "title",
    "person",
    "call",
    "progress",
    "question",
    "yes",
    "answer",
    "code",
    "fault",
    "cost",
    "says",
    "text",
    "command",
]
_LABELS: dict[Kind, str] = {"person": "you", "call": "assistant", "question": "mage-mcp", "yes": "you"}
_GUTTERS: dict[Kind, str] = {"progress": "… ", "answer": "│ ", "code": "│ ", "fault": "│ ", "cost": "└ "}
_FULL_WIDTH: frozenset[Kind] = frozenset({"title", "text", "command"})
_HANGING: frozenset[Kind] = frozenset({"call", "answer", "question"})
_LABEL_WIDTH = 11
_NARROWEST, _WIDEST = 40, 100
_WITHOUT_UNICODE = str.maketrans("│└…·×→•“”’", '|`~-x>*""\'')


@dataclass(frozen=True)
class Line:
    """One thing that is shown. `fault` is the line of code that failed. A question may have several lines."""

    kind: Kind
    text: str = ""


@dataclass(frozen=True)
class Row:
    """One row of the screen: who speaks, what marks the block, the text."""

    label: str
    gutter: str
    text: str

    def __str__(self) -> str:
        return f"{self.label}{self.gutter}{self.text}".rstrip()


class Screen(Protocol):
    def show(self, line: Line) -> None: ...


class PlainScreen:
    """Without colours, in whatever encoding the stream has."""

    def __init__(self, out: TextIO, width: int | None = None) -> None:
        self._out = out
        self._width = width or columns()

    def show(self, line: Line) -> None:
        for row in rows(line, self._width):
            self._out.write(writable(str(row), self._out) + "\n")
        self._out.flush()


def screen_for(out: TextIO) -> Screen:
    """Colours on a terminal that takes them, if rich is installed; else plain text."""
    if out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        try:
            from mage_mcp.tour.rich_screen import RichScreen
        except ImportError:  # rich comes with the extra `demo`
            return PlainScreen(out)
        return RichScreen.on(out, columns())
    return PlainScreen(out)


def columns() -> int:
    """Of the terminal, or of COLUMNS; where there is neither, as many as read well."""
    return min(max(shutil.get_terminal_size((_WIDEST, 24)).columns, _NARROWEST), _WIDEST)


def rows(line: Line, width: int) -> Iterator[Row]:
    """The line as rows that are at most `width` wide: code is cut, commands stay whole, everything else is wrapped."""
    indent = 0 if line.kind in _FULL_WIDTH else _LABEL_WIDTH
    gutter = _GUTTERS.get(line.kind, "")
    label = _LABELS.get(line.kind, "").ljust(indent)
    for text in _wrapped(line, width - indent - len(gutter)):
        yield Row(label, gutter, text)
        label = " " * indent


def _wrapped(line: Line, width: int) -> list[str]:
    if line.kind == "command":  # to be copied, in one piece
        return [line.text]
    if line.kind in ("code", "fault"):
        return [line.text if len(line.text) <= width else line.text[: width - 1] + "…"]
    found: list[str] = []
    for part in line.text.split("\n"):
        hanging = " " * (len(part) - len(part.lstrip()) + 2) if line.kind in _HANGING else ""
        found += textwrap.wrap(part, width, subsequent_indent=hanging, break_on_hyphens=False) or [""]
    return found


def writable(text: str, out: TextIO) -> str:
    """The text as the stream's encoding can hold it: a Windows console of old does not know box drawing."""
    encoding = getattr(out, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_WITHOUT_UNICODE)
    return text.encode(encoding, "replace").decode(encoding)

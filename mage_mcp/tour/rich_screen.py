"""The screen of the tour in colours, by rich. The words and where they stand are those of the plain one."""

from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from mage_mcp.tour.screen import Kind, Line, rows, writable

_STYLES: dict[Kind, str] = {
    "title": "bold",
    "person": "bold cyan",
    "yes": "bold cyan",
    "call": "green",
    "progress": "dim",
    "code": "dim",
    "fault": "bold red",
    "cost": "dim italic",
    "command": "green",
}
_LABEL_STYLE, _GUTTER_STYLE, _ASKED_STYLE = "dim", "dim", "yellow"
_PANEL_INDENT, _PANEL_FRAME = 9, 4


class RichScreen:
    def __init__(self, console: Console) -> None:
        self._console = console

    @classmethod
    def on(cls, out: TextIO, width: int) -> "RichScreen":
        return cls(Console(file=out, width=width, highlight=False, emoji=False, markup=False))

    def show(self, line: Line) -> None:
        if line.kind == "question":
            self._ask(line)
            return
        style = _STYLES.get(line.kind, "")
        for row in rows(line, self._console.width):
            parts = ((row.label, _LABEL_STYLE), (row.gutter, _GUTTER_STYLE), (row.text, style))
            text = Text.assemble(*((self._safe(part), how) for part, how in parts))
            self._console.print(text, no_wrap=True, overflow="ignore", crop=False)

    def _ask(self, line: Line) -> None:
        """As a host shows it: a dialog of its own, not a line among what the model says."""
        first, *rest = rows(line, self._console.width - _PANEL_INDENT - _PANEL_FRAME)
        text = Text(self._safe("\n".join(row.text for row in (first, *rest))))
        panel = Panel(text, title=first.label.strip(), title_align="left", border_style=_ASKED_STYLE, expand=False)
        self._console.print(Padding(panel, (0, 0, 0, _PANEL_INDENT)))

    def _safe(self, text: str) -> str:
        return writable(text, self._console.file)  # type: ignore[arg-type] # rich says IO[str]

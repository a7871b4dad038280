"""From an answer to the text of a resource: cleaned, redacted, bounded, and honest about what others wrote.

Tables are JSON with the list `untrusted`. Code stays code, with a label in its first line; logs stand in a fence.
"""

import json
from typing import TYPE_CHECKING, Any

from mage_mcp.client import Mage
from mage_mcp.client.logs import LogPage
from mage_mcp.client.models import ROOM, Answer
from mage_mcp.text import fence, quoted, shorten, show
from mage_mcp.tools._answer import DATA, structured

if TYPE_CHECKING:
    from mage_mcp.client.blocks import BlockSource

_FEWER = (200, 60, 20, 8, 3, 1)
_CHARACTERS_AN_ITEM = 25
_TYPES = {
    "python": "text/x-python",
    "sql": "application/sql",
    "yaml": "application/yaml",
    "r": "text/x-r",
    "markdown": "text/markdown",
}
_COMMENTS = {"sql": ("-- ", ""), "markdown": ("<!-- ", " -->")}
_LABEL = f"Code of a block, {DATA}. Its line 1 is the next line."


class Typed(str):
    """A text with a MIME type of its own, where that depends on what was read."""

    __slots__ = ("mime_type",)

    def __new__(cls, text: str, mime_type: str) -> "Typed":
        typed = super().__new__(cls, text)
        typed.mime_type = mime_type
        return typed

    mime_type: str


def answer_text(answer: Answer, mage: Mage | None = None) -> str:
    """A tool's answer as JSON, as its structured form has it."""
    return as_json(structured(answer, mage=mage))


def as_json(value: dict[str, Any]) -> str:
    """Compact JSON of something already shown; where it is too large, of its beginnings, and that is said."""
    text = _dumped(value)
    for most in _FEWER:
        if _size(text) <= ROOM:
            return text
        longest = _CHARACTERS_AN_ITEM * most
        cut = f"Too large to show whole: lists and objects are cut after {most}, texts after {longest} characters."
        text = _dumped({key: _cut(item, most) for key, item in value.items()} | {"cut": cut})
    return text if _size(text) <= ROOM else _dumped({"cut": "Too large to show."})


def source_text(source: "BlockSource") -> Typed:
    """A block's code behind one line that says what it is; cut at the end where it is too long."""
    before, after = _COMMENTS.get(source.language, ("# ", ""))
    lines = show(source.content).splitlines()
    room = ROOM
    for shown, line in enumerate(lines):
        room -= _size(line) + 1
        if room < 0:
            lines[shown:] = [f"{before}Cut here: {len(lines) - shown} more lines.{after}"]
            break
    text = "\n".join((f"{before}{_LABEL}{after}", *lines, ""))
    return Typed(text, _TYPES.get(source.language, "text/plain"))


def log_text(page: LogPage, mage: Mage) -> str:
    """The end of a log in a fence, behind a line that says what it is."""
    log, cut = show(page.log), ""
    if _size(log) > ROOM:
        log = log.encode()[-ROOM:].decode(errors="ignore").partition("\n")[2]
        cut = " Its beginning is cut."
    what = f"Log of run {page.run} of {quoted(page.pipeline)} on {mage.label}, which is {page.status}."
    how_much = f"{page.shown} of {page.matching} lines, the latest.{cut} get_run_logs filters and shows more."
    if not log:
        return f"{what} {show(page.note)}\n"
    return f"{what} {how_much} In the fence: {DATA}.\n\n{fence(log, 'log')}\n"


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return shorten(value, _CHARACTERS_AN_ITEM * most)
    if isinstance(value, list):
        return [_cut(item, most) for item in value[:most]]
    if isinstance(value, dict):
        return {key: _cut(value[key], most) for key in list(value)[:most]}
    return value

"""Read a Python traceback that Mage stored as text: who raised what, and on which line of the user's code.

Measured on Mage 0.9.80: the executor's own frames come first; code of a block is `File "<string>", line N`, N being
the line in the block's file, with no source text below it; files of the project have their full path. The frame that
matters need not be the last one, and the line that names the exception need not be the last line.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

BLOCK_CODE = "<string>"
"""The file name that Python shows for code Mage executes from a block's text."""

_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_HEADERS = ("Traceback (most recent call last):", "Exception Group Traceback (most recent call last):")
_FRAME = re.compile(r' +File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?')
_TYPE = re.compile(r"[^\W\d]\w*(?:\.(?:\w+|<locals>))*")
_IN_GROUP = re.compile(r"(?P<depth> *)(?:\| ?|\+ (?=Exception Group))(?P<text>.*)", re.DOTALL)
_SUB_EXCEPTION = re.compile(r" *(?:\+-)?\+-{8,}.*")
_POSITION = re.compile(r" \([^()\n]*, line \d+\)\Z")

_MAGES = re.compile(r"/mage_ai/|/lib/python\d[\d.]*/(?!site-packages/)|\A<frozen ")


@dataclass(frozen=True, slots=True)
class Frame:
    """One `File "…", line N, in f`; `source` is the text Python printed below it, if any."""

    file: str
    line: int
    function: str = ""
    source: str = ""

    @property
    def is_block_code(self) -> bool:
        return self.file == BLOCK_CODE


@dataclass(frozen=True, slots=True)
class Part:
    """One exception of a traceback, with the frames it passed through."""

    type: str
    message: str
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Traceback:
    """The exception that came out at the end; `first` began the chain, `inner` are those of a group."""

    raised: Part
    notes: str = ""
    first: Part | None = None
    inner: tuple[Part, ...] = ()

    @property
    def text(self) -> str:
        """The message with the notes that were added to it."""
        return f"{self.raised.message}\n{self.notes}".strip()


@dataclass(frozen=True, slots=True)
class _Line:
    depth: int  # of nesting in an exception group; 0 outside of one
    text: str


def read_traceback(text: str, error: str | None = None) -> Traceback | None:
    """Read a traceback; `error` is str(exception), which finds the exception's line even in odd messages.

    None where `text` holds no traceback, such as `NoneType: None`.
    """
    lines = _lines(text)
    at = _line_of(error, lines) if error else None
    if at is None:
        at = _line_after_frames(lines, _last_part(lines))
    if at is None:
        return None
    depth = lines[at].depth
    # Between two groups the separator stands outside of both.
    begin = max((i + 1 for i in range(at) if lines[i].depth <= depth and lines[i].text in _CHAINED), default=0)
    end = next((i for i in range(at, len(lines)) if lines[i].depth != depth), len(lines))
    kind, message, notes = _exception(lines[at:end], error)
    frames = _frames([line for line in lines[begin:at] if line.depth == depth])
    return Traceback(Part(kind, message, frames), notes, _first(lines[:at]), _inner(lines[end:]))


def plain_type(text: str, error: str) -> str | None:
    """The type of an exception that came alone and whose one line ends the traceback, without reading the frames.

    Most errors are such, and a list of runs has one in each failed row. None for all others.
    """
    line = text.rstrip("\n").rpartition("\n")[2]
    alone = not any(sign in text for sign in (*_CHAINED, "Exception Group", "\r"))
    return line[: -len(error) - 2] if error and alone and _names(line, error) else None


def _lines(text: str) -> list[_Line]:
    texts = text.replace("\r\n", "\n").split("\n")
    if "Exception Group Traceback" not in text:
        return [_Line(0, line) for line in texts]
    return [_group_line(line) for line in texts]


def _group_line(text: str) -> _Line:
    if _SUB_EXCEPTION.fullmatch(text):
        return _Line(-1, text)
    found = _IN_GROUP.fullmatch(text)
    return _Line(len(found["depth"]), found["text"]) if found else _Line(0, text)


def _line_of(error: str, lines: list[_Line]) -> int | None:
    """The line `TYPE: FIRST LINE OF error`: the outermost one, then the one followed by the rest, then the last."""
    for wanted in dict.fromkeys((error, _POSITION.sub("", error))):
        first, *rest = wanted.replace("\r\n", "\n").split("\n")
        best: tuple[bool, int, int] | None = None
        for i, line in enumerate(lines):
            if line.depth < 0 or not _names(line.text, first):
                continue
            whole = [after.text for after in lines[i + 1 : i + 1 + len(rest)]] == rest
            best = max(best or (False, -line.depth, i), (whole, -line.depth, i))
        if best is not None:
            return best[2]
    return None


def _names(text: str, first: str) -> bool:
    return text.endswith(": " + first) and _TYPE.fullmatch(text, 0, len(text) - len(first) - 2) is not None


def _last_part(lines: list[_Line]) -> int:
    """The header of the exception that came out at the end; those within a group stand deeper than the group's."""
    last = -1
    for i, line in enumerate(lines):
        is_inner = last >= 0 and 0 < lines[last].depth < line.depth
        if line.text in _HEADERS and not is_inner:
            last = i
    return last


def _line_after_frames(lines: list[_Line], header: int) -> int | None:
    if header < 0:
        return None
    for i in range(header + 1, len(lines)):
        if not lines[i].text.startswith(" "):
            return i if lines[i].text and lines[i].depth == lines[header].depth else None
    return None


def _exception(lines: list[_Line], error: str | None) -> tuple[str, str, str]:
    """Type, message and notes, from the exception's line to the end of its part."""
    texts = [line.text for line in lines]
    cut = next((i for i, text in enumerate(texts) if text in _CHAINED), len(texts))
    texts = texts[:cut]
    name = _TYPE.match(texts[0]) if texts else None
    if name is None or texts[0][name.end() : name.end() + 2] not in ("", ": "):
        return "", "\n".join(texts).strip(), ""
    written = "\n".join([texts[0][name.end() + 2 :], *texts[1:]])
    said = error.replace("\r\n", "\n") if error is not None else written
    if error is not None and not written.startswith(said):
        said = _POSITION.sub("", said)
    notes = written[len(said) :] if written.startswith(said) else ""
    return name[0], said.strip("\n"), notes.strip("\n")


def _frames(lines: Sequence[_Line]) -> tuple[Frame, ...]:
    frames = []
    for i, line in enumerate(lines):
        found = _FRAME.fullmatch(line.text)
        if not found:
            continue
        below = lines[i + 1].text if i + 1 < len(lines) else ""
        source = below if below.startswith("    ") else ""
        frames.append(Frame(found["file"], int(found["line"]), found["function"] or "", source))
    return tuple(frames)


def _first(lines: list[_Line]) -> Part | None:
    """The exception that began the chain: what stands before the first separator.

    Mage handles exceptions of its own while it runs a block (`run_pipeline_in_one_process` does): these caused nothing.
    """
    cut = next((i for i, line in enumerate(lines) if line.text in _CHAINED), None)
    part = _part(lines[:cut]) if cut is not None else None
    if part is None or all(_MAGES.search(frame.file) for frame in part.frames):
        return None
    return part


def _inner(lines: list[_Line]) -> tuple[Part, ...]:
    """The exceptions of a group, those of groups within it included."""
    parts: list[Part] = []
    chunk: list[_Line] = []
    for line in [*lines, _Line(-1, "")]:
        if line.depth >= 0:
            chunk.append(line)
            continue
        part = _part(chunk) or _unraised(chunk)
        parts.extend([part] if part else [])
        chunk = []
    return tuple(parts)


def _unraised(lines: list[_Line]) -> Part | None:
    """An exception of a group that was made but never raised: it has no traceback."""
    if not lines or not _TYPE.match(lines[0].text):
        return None
    kind, message, _ = _exception(lines, None)
    return Part(kind, message)


def _part(lines: list[_Line]) -> Part | None:
    header = _last_part(lines)
    at = _line_after_frames(lines, header)
    if at is None:
        return None
    kind, message, _ = _exception(lines[at:], None)
    return Part(kind, message, _frames(lines[header:at]))

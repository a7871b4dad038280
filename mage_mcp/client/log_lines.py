"""Read Mage's log files, and render their lines for a reader.

Measured on Mage 0.9.80: a line is `2026-11-24T02:16:07 {json}` in UTC. A failure is one record with swapped names
(`error` holds the traceback, `error_stacktrace` is str(exception), `error_stack` the frames of Mage's own stack),
followed by the traceback once more as raw lines. The scheduler's log repeats a block's failure.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from mage_mcp.client.records import parse_time
from mage_mcp.client.tracebacks import Frame, read_traceback
from mage_mcp.client.user_code import project_path, user_frames
from mage_mcp.text import beginning, one_line

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?) ")
_ATTEMPT = re.compile(r"Exception thrown when attempting to run <.*>, (attempt \d+ of \d+)")
_SCHEDULERS_COPY = re.compile(r"BlockRun (?P<id>\d+) \(block_uuid: .*\) failed\.")
_HEARTBEAT = re.compile(r"Pipeline \S+ for run \d+ in schedule \S+ is alive\.")
_TRACEBACK = "Traceback (most recent call last):"
_NO_EXCEPTION = "NoneType: None"
BLOCK_FAILED = "Failed to execute block "
"""How the record begins that tells why a block failed; those of its conditions and callbacks begin otherwise."""

_MOST_TEXT = 2_000
_MOST_RAW = 20
_MOST_FRAMES = 10


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record. `error` is str(exception), `raw` the lines without prefix that follow it in the file."""

    at: datetime | None
    level: str
    block: str
    message: str
    traceback: str = ""
    error: str = ""
    raw: tuple[str, ...] = ()
    block_run: int | None = None


def parse_log(content: str) -> list[LogLine]:
    """Every record of a log file, in its order; a record cut in half at the front is dropped."""
    lines: list[LogLine] = []
    raw: list[str] = []
    for text in content.split("\n"):
        found = _STAMP.match(text)
        if found is None:
            if text and not text.isspace():
                raw.append(text.rstrip("\r"))
            continue
        if raw:
            _append_raw(lines, raw)
            raw = []
        lines.append(_record(found[1], text[found.end() :]))
    if raw:
        _append_raw(lines, raw)
    return lines


def merge(logs: Iterable[Sequence[LogLine]]) -> list[LogLine]:
    """Several files as one, by time; the scheduler's copy of an error that a block's own log tells is cut."""
    stamped: list[tuple[datetime, LogLine]] = []
    for log in logs:
        at = datetime.min.replace(tzinfo=UTC)
        for line in log:
            at = line.at or at  # a line without a time stays behind the one before it
            stamped.append((at, line))
    told = {line.block_run for _, line in stamped if line.traceback and line.message.startswith(BLOCK_FAILED)}
    stamped.sort(key=lambda pair: pair[0])
    return [_without_copy(line, told) for _, line in stamped]


def is_heartbeat(line: LogLine) -> bool:
    """Whether this is the scheduler's "is alive", written at each of its loops."""
    return _HEARTBEAT.fullmatch(line.message) is not None


def render(line: LogLine, *, repo_path: str = "") -> str:
    """`HH:MM:SS LEVEL block  message`, and below it an exception with the frames of the user's code only."""
    time = line.at.astimezone(UTC).strftime("%H:%M:%S") if line.at else ""
    head = " ".join(one_line(part) for part in (time, line.level, line.block) if part)
    message = _ATTEMPT.sub(r"Exception thrown, \1", line.message)
    text = beginning(message, _MOST_TEXT)
    return "\n".join([f"{head}  {text}".strip(), *(f"    {below}" for below in _below(line, repo_path))])


def _record(stamp: str, text: str) -> LogLine:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        return LogLine(parse_time(stamp), "", "", text.rstrip("\r"))
    traceback, error = "", ""
    if "error" in data or "error_stacktrace" in data:
        traceback, error = _error_of(_text(data.get("error")), _text(data.get("error_stacktrace")))
    run = data.get("block_run_id")
    return LogLine(
        at=_time(data.get("timestamp")) or parse_time(stamp),
        level=_text(data.get("level")),
        block=_text(data.get("block_uuid")),
        message=_text(data.get("message")),
        traceback=traceback,
        error=error,
        block_run=run if type(run) is int else None,
    )


def _error_of(error: str, stacktrace: str) -> tuple[str, str]:
    """Traceback and text; 0.9.80 names them the wrong way round, another version may not."""
    if _TRACEBACK in stacktrace and _TRACEBACK not in error:
        return stacktrace, error
    return error, stacktrace


def _time(value: Any) -> datetime | None:
    try:
        return parse_time(value) if isinstance(value, float | int) else None
    except (ValueError, OverflowError, OSError):  # no such moment
        return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _append_raw(lines: list[LogLine], raw: list[str]) -> None:
    if lines:
        lines[-1] = replace(lines[-1], raw=tuple(raw))
        return
    if raw[0].rstrip().endswith("}") and '"' in raw[0]:
        raw = raw[1:]
    if raw:
        lines.append(LogLine(None, "", "", raw[0], raw=tuple(raw[1:])))


def _without_copy(line: LogLine, told: set[int | None]) -> LogLine:
    copy = _SCHEDULERS_COPY.fullmatch(line.message)
    if copy is None or int(copy["id"]) not in told:
        return line
    return replace(line, traceback="", error="", raw=())


def _below(line: LogLine, repo_path: str) -> list[str]:
    read = read_traceback(line.traceback, line.error) if line.traceback else None
    if read is not None:
        raised = read.raised
        frames, _ = user_frames(raised.frames, None, repo_path)
        left_out = len(raised.frames) - len(frames)
        out = [_said(raised.type, read.text)]
        out += [_place(frame, repo_path) for frame in frames[-_MOST_FRAMES:]]
        out += [f"({left_out} frames of Mage and of libraries left out)"] if left_out else []
        cause = _said(read.first.type, read.first.message) if read.first else ""
        return [*out, f"caused by {cause}"] if cause and cause != out[0] else out
    raw = [text for text in line.raw if text != _NO_EXCEPTION]
    shown = [one_line(text) for text in raw[:_MOST_RAW]]
    return [*shown, f"({len(raw) - _MOST_RAW} more lines)"] if len(raw) > _MOST_RAW else shown


def _said(kind: str, message: str) -> str:
    text = beginning(message, _MOST_TEXT).replace("\n", "\n    ")
    return f"{one_line(kind)}: {text}" if text else one_line(kind)


def _place(frame: Frame, repo_path: str) -> str:
    where = "block" if frame.is_block_code else project_path(frame.file, repo_path)
    return one_line(f"at {where}, line {frame.line}" + (f", in {frame.function}" if frame.function else ""))

"""Logs of runs: whole files as Mage has them, parsed, filtered, and cut from the front."""

from typing import Literal

from pydantic import Field

from mage_mcp.client.evidence import base_uuid
from mage_mcp.client.log_files import read_log_files
from mage_mcp.client.log_lines import LogLine, is_heartbeat, merge, render
from mage_mcp.client.models import Answer, LogText, Name, UtcTime
from mage_mcp.client.near import did_you_mean
from mage_mcp.client.paths import block_uuid
from mage_mcp.client.records import UNFINISHED, RunRecord
from mage_mcp.client.runs import Runs
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageNotFound
from mage_mcp.text import one_line

Level = Literal["debug", "info", "warning", "error"]

_AT_LEAST = {
    "debug": {"DEBUG", "INFO", "WARNING", "ERROR", "EXCEPTION", "CRITICAL", ""},
    "info": {"INFO", "WARNING", "ERROR", "EXCEPTION", "CRITICAL", ""},
    "warning": {"WARNING", "ERROR", "EXCEPTION", "CRITICAL"},
    "error": {"ERROR", "EXCEPTION", "CRITICAL"},
}
_DEFAULT_LINES = 50
_MOST_BYTES_DEFAULT = 4_200
_MOST_BYTES = 26_000


class LogPage(Answer):
    run: int
    pipeline: Name
    status: str
    log: LogText = Field(default="", description="Oldest first, the end complete; times are UTC.")
    first_at: UtcTime | None = None
    last_at: UtcTime | None = None
    shown: int = Field(description="Lines shown.")
    matching: int = Field(description="Lines that fit the filters; the earliest are cut.")
    note: str = ""


class Logs:
    """One cluster's logs."""

    def __init__(self, transport: Transport, runs: Runs) -> None:
        self._transport = transport
        self._runs = runs

    async def get(
        self, run: str, *, block: str = "", level: Level | None = None, search: str = "", tail_lines: int | None = None
    ) -> LogPage:
        """The last lines of a run's log, or of one block's, that fit.

        Raises MageNotFound for an unknown run or block. Source: Mage LogResource; its files cannot be paged or
        filtered by level, so they are read whole and cut here.
        """
        record = await self._runs.find(run)
        block_runs = _block_runs(record, block) if block else None
        files = await read_log_files(self._transport, record, block_runs=block_runs)
        lines = [line for line in merge(files.all) if not is_heartbeat(line)]
        fitting = [
            line
            for line in lines
            if line.level.upper() in _AT_LEAST[level or "debug"] and (not search or _holds(line, search))
        ]
        most = _MOST_BYTES_DEFAULT if tail_lines is None else _MOST_BYTES
        shown = _tail(fitting, lines=tail_lines or _DEFAULT_LINES, size=most, repo_path=record.repo_path)
        first = len(fitting) - len(shown)
        return LogPage(
            run=record.id,
            pipeline=record.pipeline_uuid,
            status=record.status,
            log="\n".join(shown),
            first_at=fitting[first].at if shown else None,
            last_at=fitting[-1].at if shown else None,
            shown=len(shown),
            matching=len(fitting),
            note=_note(record, lines=len(lines), fitting=len(fitting), shown=len(shown), tail_lines=tail_lines),
        )


def _block_runs(record: RunRecord, block: str) -> list[int]:
    """The block runs of a block in this run; those of all its children where it is a dynamic one."""
    block_uuid(block)
    found = [b.id for b in record.block_runs if b.block_uuid == block or base_uuid(b.block_uuid) == block]
    if not found:
        uuids = [b.block_uuid for b in record.block_runs]
        raise MageNotFound(
            f"Run {record.id} has no block {one_line(block, 80)!r}.",
            next_step=did_you_mean(block, uuids, where=f"in run {record.id}"),
        )
    return found


def _holds(line: LogLine, search: str) -> bool:
    needle = search.lower()
    return any(needle in text.lower() for text in (line.message, line.error, line.traceback, *line.raw))


def _tail(fitting: list[LogLine], *, lines: int, size: int, repo_path: str) -> list[str]:
    """The last `lines` rendered, fewer where they would be over `size` bytes; always the very last one."""
    kept: list[str] = []
    for line in reversed(fitting[-lines:]):
        text = render(line, repo_path=repo_path)
        size -= len(text.encode()) + 1
        if size < 0 and kept:
            break
        kept.append(text)
    return kept[::-1]


def _note(record: RunRecord, *, lines: int, fitting: int, shown: int, tail_lines: int | None) -> str:
    if not lines:
        if record.status in UNFINISHED:
            return "Nothing is logged yet."
        return "The run has no log: it never started, or its files were removed."
    if not fitting:
        return f"None of the {lines} lines fit."
    if shown < fitting:
        more = "narrow with block, level or search" if tail_lines else "ask for more with tail_lines, or narrow"
        return f"The earliest {fitting - shown} lines are cut; {more}."
    return ""

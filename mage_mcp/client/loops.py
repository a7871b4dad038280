"""What Mage starts again and again: a worker that dies (exit, kill, memory), a streaming pipeline that cannot start.

Measured on Mage 0.9.80: neither ends by itself. The run stays `running`, the block is run anew at each scheduler loop
with all it does before it dies, and no record says that it failed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mage_mcp.client.evidence import BLOCK_TIMEOUT, FINISHED, STARTED, Evidence
from mage_mcp.client.log_lines import BLOCK_FAILED, LogLine
from mage_mcp.client.records import BlockRunRecord

STREAMING_FAILED = "Failed to execute streaming pipeline "

_DEAD = re.compile(r"Process \d+ is dead for job block_run_(?P<id>\d+)")
_EXECUTED = re.compile(r"Execute PipelineRun \d+, BlockRun (?P<id>\d+):")
_ENDED = re.compile(r"BlockRun (?P<id>\d+) \(block_uuid: .*\) (?:completes|failed)\.")
_MAY_HAVE_LOOPED = ("queued", "running", "cancelled")


@dataclass(frozen=True, slots=True)
class Loop:
    """`times` it ended and was started again; `block` is empty for a streaming pipeline."""

    block: str
    times: int
    since: datetime | None
    last_line: str = ""


def worker_deaths(evidence: Evidence) -> list[Loop]:
    """The blocks whose worker went away without a word, from their own logs or the scheduler's."""
    return [
        loop
        for block_run in evidence.run.block_runs
        if block_run.status in _MAY_HAVE_LOOPED and block_run.started_at
        for loop in [_deaths_of(block_run, evidence)]
        if loop.times > 0
    ]


def streaming_restarts(scheduler_log: Sequence[LogLine]) -> list[LogLine]:
    """Every failed start of a streaming pipeline."""
    return [ln for ln in scheduler_log if ln.level == "EXCEPTION" and ln.message.startswith(STREAMING_FAILED)]


def _deaths_of(block_run: BlockRunRecord, evidence: Evidence) -> Loop:
    log = evidence.log(block_run)
    starts = _starts(log)
    executed, dead = _told_by_scheduler(block_run.id, evidence.scheduler_log or ())
    first = log[starts[0]] if starts else executed[0] if executed else None
    said = log[starts[-1] - 1].message if len(starts) > 1 and starts[-1] - 1 not in starts else ""
    times = max(len(starts) - 1, len(executed) - 1, dead)
    return Loop(block_run.block_uuid, times, first.at if first else block_run.started_at, said)


def _starts(log: Sequence[LogLine]) -> list[int]:
    """Where the block was started since it last came to an end of its own."""
    starts: list[int] = []
    for i, line in enumerate(log):
        if line.message.startswith(STARTED):
            starts.append(i)
        elif line.message.startswith((FINISHED, BLOCK_FAILED)) or BLOCK_TIMEOUT.fullmatch(line.message):
            starts = []
    return starts


def _told_by_scheduler(block_run: int, scheduler_log: Sequence[LogLine]) -> tuple[list[LogLine], int]:
    executed: list[LogLine] = []
    dead = 0
    for line in scheduler_log:
        found = _EXECUTED.match(line.message) or _DEAD.match(line.message) or _ENDED.match(line.message)
        if found is None or int(found["id"]) != block_run:
            continue
        if found.re is _ENDED:
            executed, dead = [], 0
        elif found.re is _DEAD:
            dead += 1
        else:
            executed.append(line)
    return executed, dead

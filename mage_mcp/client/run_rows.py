"""Runs as rows of a list, and the times that belong to them."""

import re
from datetime import UTC, datetime, timedelta

from pydantic import Field

from mage_mcp.client.error_texts import short_error
from mage_mcp.client.models import Answer, Message, Name, UtcTime
from mage_mcp.client.records import UNFINISHED, BlockRunRecord, RunRecord
from mage_mcp.errors import MageInvalid
from mage_mcp.text import one_line, quoted

_AGE = re.compile(
    r"(?:(?:the )?(?:last|past) |-|now ?- ?)?(?P<number>[0-9]{1,9})?\s*"
    r"(?P<unit>s|sec|second|m|min|minute|h|hr|hour|d|day|w|week)s?(?P<ago> ago)?"
)
"""An age as people type it: `24h`, `24 hours ago`, `last 24 hours`, `last hour`."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS = {"today": 0, "yesterday": 1}
_WAITING = frozenset({"initial", "queued"})
_NAME = 60
_SAME_TIME_S = 300
_UNTOLD = "get_run says why"


class RunRow(Answer):
    run: int = Field(description="Id.")
    pipeline: Name = ""
    status: str
    trigger: Name = ""
    execution_date: UtcTime | None = Field(default=None, description="Where it is for another time than its own.")
    started_at: UtcTime | None = None
    duration_s: float | None = Field(default=None, description="So far, if it goes on; since its retry, if it had one.")
    failed_block: Name = ""
    error: Message = ""
    why: Message = Field(default="", description="With status=stuck: what holds it up.")
    next_step: str = ""


def run_row(record: RunRecord, *, now: datetime, pipeline: bool = True) -> RunRow:
    """The row of one run; failed ones with the first failing block and a short error."""
    failing = failed_blocks(record)
    error = ""
    if record.status == "failed":
        error = (str(short_error(failing[0])) or _UNTOLD) if failing else f"{_how_it_stopped(record)}; {_UNTOLD}"
    return RunRow(
        run=record.id,
        pipeline=record.pipeline_uuid if pipeline else "",
        status=record.status,
        trigger=one_line(record.pipeline_schedule_name, 60),
        execution_date=record.execution_date if is_for_another_time(record) else None,
        started_at=record.started_at or record.created_at,
        duration_s=duration_s(record, now),
        failed_block=failing[0].block_uuid if record.status == "failed" and failing else "",
        error=error,
    )


def is_for_another_time(record: RunRecord) -> bool:
    """Whether the run was made for a date of its own, such as a backfill's."""
    if record.execution_date is None or record.created_at is None:
        return False
    return abs((record.created_at - record.execution_date).total_seconds()) > _SAME_TIME_S


def _how_it_stopped(record: RunRecord) -> str:
    """Of a run without a failed block, as far as its row tells."""
    if not record.block_runs:
        return "failed before any block"
    stopped = [
        block.block_uuid
        for block in record.block_runs
        if block.status == "cancelled" and block.started_at and block.metrics.error is None
    ]
    return f"no block failed, ended during {quoted(stopped[0], _NAME)}" if stopped else "no block failed"


def failed_blocks(record: RunRecord) -> list[BlockRunRecord]:
    return [block for block in record.block_runs if block.status == "failed"]


def ended_at(record: RunRecord) -> datetime | None:
    """When a finished run ended. Mage sets `completed_at` of failed and cancelled runs hardly ever: then the row's last
    change stands for it.
    """
    if record.status in UNFINISHED:
        return None
    return record.completed_at or record.updated_at


def duration_s(record: RunRecord | BlockRunRecord, now: datetime | None = None) -> float | None:
    """Seconds from start to end; to `now`, where given, for what runs. None for what waits.

    A run keeps the start of its first attempt; while it runs, its last change is when it began to, a retry included.
    """
    if record.status in _WAITING:
        return None
    began, end = record.started_at, record.completed_at or record.updated_at
    if record.status == "running":
        end = now
        if isinstance(record, RunRecord) and began and record.updated_at:
            began = max(began, record.updated_at)
    if began is None or end is None:
        return None
    return round(max(0.0, (end - began).total_seconds()), 1)


def parse_moment(text: str, *, name: str, now: datetime) -> int:
    """Epoch seconds from an ISO time (UTC where it names no zone), an age such as `24h`, or a day: its beginning, UTC.

    Raises MageInvalid.
    """
    try:
        moment = _typed(" ".join(text.split()), now) or datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise MageInvalid(
            f"{name} is neither a time nor an age: {one_line(text, 40)!r}.",
            next_step="It takes 24h, 7d, 30m, yesterday, or an ISO time such as 2026-11-24T06:00:00Z.",
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _typed(text: str, now: datetime) -> datetime | None:
    """An age or a day as words; None for what is neither. `M` might be months, `last week` may begin on a Monday."""
    word = text.lower()
    if word == "now":
        return now
    if word in _DAYS:
        return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=_DAYS[word])
    age = _AGE.fullmatch(word)
    if age is None or text.endswith("M") or (age["number"] is None and age["unit"] != "hour"):
        return None
    return now - timedelta(**{_UNITS[age["unit"][0]]: int(age["number"] or 1)})

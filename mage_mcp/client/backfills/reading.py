"""Looking at backfills. How many runs they make is counted here: Mage's own count can hang it for good."""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from mage_mcp.client.backfills.windows import Window, sound_window
from mage_mcp.client.models import Answer, Name, Page, UtcTime
from mage_mcp.client.paths import api, pipeline_uuid
from mage_mcp.client.pipelines import Pipelines
from mage_mcp.client.records import UNFINISHED, Record, RunRecord, Time
from mage_mcp.client.replies import count, root, rows
from mage_mcp.client.runs.waiting import scheduler_status
from mage_mcp.client.transport import Params, Transport
from mage_mcp.client.triggers import Triggers
from mage_mcp.errors import MageError, MageNotFound
from mage_mcp.text import one_line, quoted

BackfillStatus = Literal["not_started", "initial", "running", "completed", "failed", "cancelled"]

_ALL = 1_000
_COUNTED = ("completed", "failed", "cancelled")


class BackfillRecord(Record):
    """A backfill as Mage stores it. Its status is null until it is started."""

    names = ("pipeline_uuid",)

    id: int
    name: str = ""
    pipeline_uuid: str = ""
    status: str = ""
    interval_type: str = ""
    interval_units: int | None = None
    start_datetime: Time = None
    end_datetime: Time = None
    pipeline_schedule_id: int | None = None
    variables: dict[str, Any] = {}

    @property
    def was_started(self) -> bool:
        return bool(self.status) or self.pipeline_schedule_id is not None

    @property
    def has_dates(self) -> bool:
        return self.start_datetime is not None or self.end_datetime is not None

    @property
    def window(self) -> Window | None:
        """None where it has none, or one that Mage cannot count."""
        return sound_window(self.start_datetime, self.end_datetime, self.interval_type, self.interval_units)


class BackfillRow(Answer):
    backfill: int = Field(description="Id.")
    name: Name = ""
    pipeline: Name = ""
    status: BackfillStatus | str = Field(description="failed: at least one run did; the others may go on.")
    start: UtcTime | None = None
    end: UtcTime | None = None
    interval: str = ""
    trigger: int | None = Field(default=None, description="Its runs: list_runs with this trigger.")
    runs: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    under_way: int = Field(default=0, description="Runs that have not ended.")
    note: str = ""


class BackfillPage(Page):
    items: list[BackfillRow]


@dataclass(frozen=True)
class Executed:
    """What has been run within a window already."""

    counts: dict[str, int]
    dates_done: int
    complete: bool
    """Whether all runs were looked at."""


class BackfillReader:
    """List and look at backfills."""

    def __init__(self, transport: Transport, pipelines: Pipelines, triggers: Triggers) -> None:
        self._transport = transport
        self._pipelines = pipelines
        self._triggers = triggers

    async def list(
        self, *, pipeline: str = "", status: BackfillStatus | None = None, limit: int = 20, offset: int = 0
    ) -> BackfillPage:
        """One page of backfills, the latest made first, each with what became of its runs.

        Mage cannot filter by status, so that is done here. Raises MageNotFound for an unknown pipeline. Source: Mage
        BackfillResource.collection.
        """
        params: Params = {"_limit": limit, "_offset": offset} if status is None else {"_limit": _ALL}
        records, total = await self._records(pipeline, params)
        if status is not None:
            records = [record for record in records if (record.status or "not_started") == status]
            total, records = len(records), records[offset : offset + limit]
        if not total and pipeline:
            await self._pipelines.record(pipeline)  # of an unknown one Mage lists none
        items = await asyncio.gather(*(self._row(record, pipeline=not pipeline) for record in records))
        none = "No backfill fits." if status is not None else "There is no backfill."
        if any(item.under_way for item in items):
            held_up = await self.held_up()
            return BackfillPage.fitted(items, total=total, limit=limit, offset=offset, note=held_up)
        note = "" if items else f"The offset is past the end: there are {total}." if total else none
        return BackfillPage.fitted(items, total=total, limit=limit, offset=offset, note=note)

    async def _records(self, pipeline: str, params: Params) -> tuple[Sequence[BackfillRecord], int]:
        if pipeline:
            params = {**params, "pipeline_uuid": pipeline_uuid(pipeline)}
        reply = await self._transport.read(api("backfills"), **params)
        records = [BackfillRecord.model_validate(row) for row in root(reply, "backfills", kind=list)]
        return records, count(reply, fallback=len(records))

    async def of_pipeline(self, pipeline: str) -> Sequence[BackfillRecord]:
        """All of one pipeline, the latest made first. Does not check that the pipeline exists."""
        return (await self._records(pipeline, {"_limit": _ALL}))[0]

    async def record(self, backfill: int) -> BackfillRecord:
        """Raises MageNotFound."""
        try:
            reply = await self._transport.read(api("backfills", backfill))
        except MageNotFound:
            raise MageNotFound(
                f"No backfill {backfill} on {self._transport.cluster.label}.",
                next_step="list_backfills shows the ids there are.",
            ) from None
        return BackfillRecord.model_validate(root(reply, "backfill"))

    async def held_up(self) -> str:
        """A word where nothing can go on, since Mage's scheduler does not run."""
        with suppress(MageError):
            scheduler = await scheduler_status(self._transport)
            if scheduler not in {"", "running"}:
                return f"Mage's scheduler is {quoted(scheduler, 40)}: no run makes progress until a person starts it."
        return ""

    async def counts(self, record: BackfillRecord) -> dict[str, int]:
        """Its runs, in all and by how they ended; `under_way` are the rest. Counting is cheap, listing is not: of 300
        runs Mage takes seconds even for the short form.
        """
        if not record.was_started:
            return {}
        replies = await asyncio.gather(
            *(self._runs(record.id, **more) for more in ({}, *({"status": word} for word in _COUNTED)))
        )
        runs, *ended = (count(reply, fallback=0) for reply in replies)
        counts = dict(zip(_COUNTED, ended, strict=True))
        return {"runs": runs, **counts, "under_way": max(0, runs - sum(ended))}

    async def runs_with(self, backfill: int, *statuses: str, most: int) -> dict[int, str]:
        """Runs of a backfill in these states, by id with the execution date."""
        wanted: Params = {"status[]": ",".join(statuses), "_format": "with_basic_details", "_limit": most}
        reply = await self._runs(backfill, **wanted)
        return {int(row["id"]): str(row.get("execution_date")) for row in rows(reply, "pipeline_runs")}

    async def executed(self, pipeline: str, window: Window) -> Executed:
        """Runs of a pipeline with execution dates in a window, whoever started them: by status, and how many of the
        window's dates have one that completed, from that date to the next. The thousand newest runs are looked at.
        """
        params: Params = {"pipeline_uuid": pipeline_uuid(pipeline), "_format": "with_basic_details", "_limit": _ALL}
        reply = await self._transport.read(api("pipeline_runs"), disable_retries_grouping=True, **params)
        runs = [RunRecord.model_validate(row) for row in rows(reply, "pipeline_runs")]
        dates, counts, done = list(window.dates()), dict[str, int](), set[int]()
        for run in runs:
            if run.execution_date is None or not window.start <= run.execution_date < window.after(window.last):
                continue
            counts[run.status] = counts.get(run.status, 0) + 1
            if run.status == "completed":
                done.add(bisect_right(dates, run.execution_date))
        oldest = min((run.execution_date for run in runs if run.execution_date), default=None)
        complete = len(runs) < _ALL or oldest is None or oldest < window.start
        return Executed(counts, len(done), complete)

    async def _runs(self, backfill: int, **params: str | int | bool) -> dict[str, Any]:
        params = {"backfill_id": backfill, "disable_retries_grouping": True, "_limit": 0, **params}
        return await self._transport.read(api("pipeline_runs"), **params)

    async def _row(self, record: BackfillRecord, *, pipeline: bool) -> BackfillRow:
        counts, window = await self.counts(record), record.window
        return BackfillRow(
            backfill=record.id,
            name=one_line(record.name, 80),
            pipeline=record.pipeline_uuid if pipeline else "",
            status=record.status or "not_started",
            start=record.start_datetime,
            end=record.end_datetime,
            interval=window.interval if window else "",
            trigger=record.pipeline_schedule_id,
            note=_note(record, counts),
            **counts,
        )


def _note(record: BackfillRecord, counts: dict[str, int]) -> str:
    if record.has_dates and record.window is None:
        return "Mage cannot count this window: opening it in Mage's UI can hang Mage. delete_backfill removes it."
    if record.was_started and record.pipeline_schedule_id is None:
        return "Its trigger was deleted, or it never ran: no run of it is listed."
    if record.status not in UNFINISHED and counts.get("under_way"):
        return "Some of its runs go on."
    if record.status in UNFINISHED and counts.get("runs") and not counts.get("under_way"):
        return "All its runs have ended, not all well."
    return ""

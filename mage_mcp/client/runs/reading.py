"""Reading runs: one, the latest, a page of them, or until one has ended."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from pydantic import Field

from mage_mcp.client.deadline import remaining_s
from mage_mcp.client.models import DEFAULT_LIMIT, ROOM, ROOM_BY_DEFAULT, Page, how_many_fit
from mage_mcp.client.paths import api, pipeline_uuid
from mage_mcp.client.pipelines import Pipelines
from mage_mcp.client.records import RUN_STATUSES, UNFINISHED, RunRecord
from mage_mcp.client.replies import count, root
from mage_mcp.client.run_rows import RunRow, parse_moment, run_row
from mage_mcp.client.runs.causes import Cause, by_cause
from mage_mcp.client.runs.gathering import reason_in_logs
from mage_mcp.client.runs.hanging import stuck_rows
from mage_mcp.client.runs.links import run_named
from mage_mcp.client.transport import Params, Transport
from mage_mcp.client.triggers import Triggers
from mage_mcp.errors import MageInvalid, MageNotFound
from mage_mcp.text import quoted

RunStatus = Literal["initial", "running", "completed", "failed", "cancelled"]
RunFilter = Literal["initial", "running", "completed", "failed", "cancelled", "stuck"]
"""Those that Mage knows, and one that is worked out here."""
GroupBy = Literal["cause"]
OnPoll = Callable[[RunRecord, float], Awaitable[None]]

_MOST_FAILED_TO_GROUP = 200
_MOST_CAUSES = 25
_MOST_LOGS_READ = 8
"""Of causes whose runs do not tell the error themselves."""
_COMMONEST: RunStatus = "completed"
_POLL_FIRST_S = 1.0
_POLL_SLOWEST_S = 3.0
_FOR_THE_ANSWER_S = 4.0


class RunPage(Page):
    items: list[RunRow]
    causes: list[Cause] = Field(default=[], description="With group_by: failures that share a cause, newest first.")
    counts: dict[str, int] = Field(default={}, description="Runs by status, for these filters.")


class RunReader:
    """One cluster's runs, as far as they are only looked at."""

    def __init__(self, transport: Transport, pipelines: Pipelines, triggers: Triggers) -> None:
        self._transport = transport
        self._pipelines = pipelines
        self._triggers = triggers

    async def list(
        self,
        *,
        pipeline: str = "",
        trigger: str = "",
        status: RunFilter | None = None,
        since: str = "",
        until: str = "",
        group_by: GroupBy | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> RunPage:
        """Runs, the latest made first, or the causes of the failed ones.

        Raises MageNotFound for an unknown pipeline or trigger, MageInvalid for times that cannot be read. Source: Mage
        PipelineRunResource.collection. A list below an unknown trigger would hold every run of the project, so the
        trigger is looked up first; retries are not grouped, since then pages would vary in size.
        """
        path, params = await self._query(pipeline=pipeline, trigger=trigger, since=since, until=until)
        if group_by == "cause":
            return await self._causes(path, {**params, "status": "failed"})
        if status == "stuck":
            return await self._stuck(path, params, pipeline=pipeline, limit=limit, offset=offset)
        if status is not None:
            params["status"] = status
        reply = await self._transport.read(path, **params, _limit=limit, _offset=offset)
        records = [RunRecord.model_validate(row) for row in root(reply, "pipeline_runs", kind=list)]
        if trigger and len({record.pipeline_schedule_id for record in records}) > 1:
            raise MageNotFound(
                "The trigger was deleted meanwhile.", next_step="list_triggers shows the ones there are."
            )
        total = count(reply, fallback=offset + len(records))
        counts: dict[str, int] = {}
        if status is None and total and offset == 0:  # Mage counts slowly where there are many: once is enough
            complete = total <= len(records)
            counts = _count(records) if complete else await self._counts(path, params, total=total)
        return RunPage.fitted(
            [run_row(record, now=self._transport.clock.utc(), pipeline=not pipeline) for record in records],
            total=total,
            limit=limit,
            offset=offset,
            counts=counts,
            note=""
            if records
            else await self._why_empty(pipeline, total=total, status=status, bounded=bool(since or until)),
        )

    async def record(self, run: int) -> RunRecord:
        """One run with its block runs.

        Raises MageNotFound.
        """
        try:
            reply = await self._transport.read(api("pipeline_runs", run))
        except MageNotFound:
            raise MageNotFound(
                f"No run {run} on {self._transport.cluster.label}.",
                next_step="list_runs shows the runs there are; a run may have been deleted.",
            ) from None
        return RunRecord.model_validate(root(reply, "pipeline_run"))

    async def latest(
        self, pipeline: str, *, status: RunStatus | None = None, end_timestamp: int | None = None, limit: int = 1
    ) -> Sequence[RunRecord]:
        """The latest runs of a pipeline; none where it never ran. Does not check that the pipeline exists."""
        params = _params(pipeline=pipeline_uuid(pipeline), status=status)
        if end_timestamp is not None:
            params["end_timestamp"] = end_timestamp
        reply = await self._transport.read(api("pipeline_runs"), **params, _limit=limit)
        return [RunRecord.model_validate(row) for row in root(reply, "pipeline_runs", kind=list)]

    async def find(self, run: str = "", *, pipeline: str = "", status: RunStatus | None = None) -> RunRecord:
        """The run that is meant: by id, by a link from Mage's UI, or the latest one of a pipeline.

        Raises MageInvalid where neither or both are given, MageNotFound.
        """
        if bool(run) == bool(pipeline):
            raise MageInvalid(
                "Which run?", next_step="Give run (an id or a link) or pipeline (its latest run), one of the two."
            )
        if run:
            return await self.named(run)
        found = await self.latest(pipeline, status=status)
        if found:
            return await self.record(found[0].id)
        await self._pipelines.record(pipeline)
        raise MageNotFound(
            f"Pipeline {pipeline!r} has no {status + ' ' if status else ''}run.",
            next_step="list_runs(pipeline=…) shows what it has." if status else "trigger_pipeline starts one.",
        )

    async def named(self, run: int | str) -> RunRecord:
        """The run that an id or a link names.

        Raises MageInvalid for a link to another Mage, or one whose pipeline is not the run's; MageNotFound.
        """
        name = run_named(str(run), self._transport.cluster)
        record = await self.record(name.run)
        if name.pipeline and name.pipeline != record.pipeline_uuid:
            raise MageInvalid(
                f"The link says pipeline {quoted(name.pipeline)}, but run {record.id} is of "
                f"{quoted(record.pipeline_uuid)}.",
                next_step=f"Ask which is meant; run={record.id} means the run, whatever the link says.",
            )
        return record

    async def all_named(self, runs: Sequence[int | str]) -> Sequence[RunRecord]:
        """Each of the runs once, by id. Raises as `named` does, for the first that is wrong."""
        records = await asyncio.gather(*(self.named(run) for run in dict.fromkeys(runs)))
        return [record for _, record in sorted({record.id: record for record in records}.items())]

    async def wait(self, record: RunRecord, wait_s: float, on_poll: OnPoll | None = None) -> RunRecord:
        """Poll until the run has ended or `wait_s` are over; `on_poll` hears of every look, with the seconds waited.

        Some of the call's time is left for the answer.
        """
        wait_s = min(wait_s, remaining_s() - _FOR_THE_ANSWER_S)
        clock = self._transport.clock
        began = clock.now()
        pause = _POLL_FIRST_S
        while record.status in UNFINISHED:
            waited = clock.now() - began
            if on_poll is not None:
                await on_poll(record, waited)
            if waited >= wait_s:
                break
            await clock.sleep(min(pause, wait_s - waited))
            pause = min(pause * 1.3, _POLL_SLOWEST_S)
            record = await self.record(record.id)
        return record

    async def _query(self, *, pipeline: str, trigger: str, since: str, until: str) -> tuple[str, Params]:
        params = _params(pipeline=pipeline_uuid(pipeline) if pipeline else "")
        now = self._transport.clock.utc()
        if since:
            params["start_timestamp"] = parse_moment(since, name="since", now=now)
        if until:
            params["end_timestamp"] = parse_moment(until, name="until", now=now)
        if not trigger:
            return api("pipeline_runs"), params
        record = await self._triggers.find(trigger, pipeline=pipeline)
        params.pop("pipeline_uuid", None)
        return api("pipeline_schedules", record.id, "pipeline_runs"), params

    async def _counts(self, path: str, params: Params, *, total: int) -> dict[str, int]:
        """By status. Mage takes longer to count the more there are, so the commonest are what the others leave."""
        asked = [status for status in RUN_STATUSES if status != _COMMONEST]
        replies = await asyncio.gather(
            *(self._transport.read(path, **{**params, "status": status}, _limit=0) for status in asked)
        )
        counts = {status: count(reply, fallback=0) for status, reply in zip(asked, replies, strict=True)}
        counts[_COMMONEST] = max(0, total - sum(counts.values()))
        return {status: counts[status] for status in RUN_STATUSES if counts[status]}

    async def _causes(self, path: str, params: Params) -> RunPage:
        reply = await self._transport.read(path, **params, _limit=_MOST_FAILED_TO_GROUP)
        records = [RunRecord.model_validate(row) for row in root(reply, "pipeline_runs", kind=list)]
        total = count(reply, fallback=len(records))
        note = "Nothing failed, with these filters." if not records else ""
        if total > len(records):
            note = f"Grouped are the latest {len(records)} of {total} failed runs; narrow with since or pipeline."
        every = by_cause(records)
        causes = [*await self._told_by_logs(every[:_MOST_CAUSES], records)]
        fit = how_many_fit(causes, room=ROOM_BY_DEFAULT)
        if fit < len(every):
            note = f"{note} Shown are the {fit} commonest of {len(every)} causes.".strip()
        return RunPage(items=[], causes=causes[:fit], total=total, note=note)

    async def _stuck(self, path: str, params: Params, *, pipeline: str, limit: int, offset: int) -> RunPage:
        """The stuck ones of `limit` runs that have not ended, the oldest made first."""
        asked = {**params, "status[]": ",".join(UNFINISHED), "order_by[]": "id asc"}
        reply = await self._transport.read(path, **asked, _limit=limit, _offset=offset)
        records = [RunRecord.model_validate(row) for row in root(reply, "pipeline_runs", kind=list)]
        unfinished = count(reply, fallback=offset + len(records))
        found = await stuck_rows(self._transport, self._triggers, records, pipeline=not pipeline)
        if pipeline and not records:
            await self._pipelines.record(pipeline)
        fit = how_many_fit([row for _, row in found], room=ROOM if limit > DEFAULT_LIMIT else ROOM_BY_DEFAULT)
        end = offset + (found[fit][0] if fit < len(found) else len(records))
        return RunPage(
            items=[row for _, row in found[:fit]],
            total=len(found),
            next_offset=end if unfinished > end and records else None,
            note=_of_unfinished(found=len(found), end=end, unfinished=unfinished),
        )

    async def _told_by_logs(self, causes: Sequence[Cause], records: Sequence[RunRecord]) -> Sequence[Cause]:
        """The same, with errors from the logs where the runs themselves tell none; of the commonest only."""
        by_id = {record.id: record for record in records}
        untold = [cause.latest_run for cause in causes if not cause.error][:_MOST_LOGS_READ]
        errors = await asyncio.gather(*(reason_in_logs(self._transport, by_id[run]) for run in untold))
        found = dict(zip(untold, errors, strict=True))
        return [cause.model_copy(update={"error": found.get(cause.latest_run, cause.error)}) for cause in causes]

    async def _why_empty(self, pipeline: str, *, total: int, status: str | None, bounded: bool) -> str:
        if total:
            return f"The offset is past the end: there are {total}."
        what = f"{status} runs" if status else "runs"
        when = " in that time" if bounded else ""
        if not pipeline:
            return f"There are no {what}{when}."
        await self._pipelines.record(pipeline)
        triggers = await self._triggers.of_pipeline(pipeline)
        asleep = triggers and all(trigger.status == "inactive" for trigger in triggers)
        why = " Its triggers are all inactive." if asleep else "" if triggers else " It has no trigger."
        return f"{quoted(pipeline)} has no {what}{when}.{why}"


def _of_unfinished(*, found: int, end: int, unfinished: int) -> str:
    """How much of what has not ended was looked at."""
    if not unfinished:
        return "No run is waiting or running."
    looked = f"{unfinished} runs have not ended; {end} of them, the oldest, were looked at." if end < unfinished else ""
    return f"{looked} {'' if found else 'None of those looked at is stuck.'}".strip()


def _params(*, pipeline: str = "", status: str | None = None) -> Params:
    params: Params = {"order_by[]": "id desc", "disable_retries_grouping": True}
    if pipeline:
        params["pipeline_uuid"] = pipeline
    if status is not None:
        params["status"] = status
    return params


def _count(records: Sequence[RunRecord]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for record in records:
        counts[record.status] = counts.get(record.status, 0) + 1
    return counts

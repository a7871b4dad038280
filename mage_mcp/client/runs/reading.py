"""Reading runs: one, the latest, a page of them, or until one has ended."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from mage_mcp.client.deadline import remaining_s
from mage_mcp.client.paths import api, pipeline_uuid
from mage_mcp.client.pipelines import Pipelines
from mage_mcp.client.records import RUN_STATUSES, UNFINISHED, RunRecord
from mage_mcp.client.replies import count, root
from mage_mcp.client.run_rows import parse_moment, run_row
from mage_mcp.client.runs.grouping import cause_page
from mage_mcp.client.runs.hanging import stuck_page
from mage_mcp.client.runs.links import run_named
from mage_mcp.client.runs.pages import RunPage, past_the_end
from mage_mcp.client.transport import Params, Transport
from mage_mcp.client.triggers import Triggers
from mage_mcp.errors import MageInvalid, MageNotFound
from mage_mcp.text import quoted

RunStatus = Literal["initial", "running", "completed", "failed", "cancelled"]
RunFilter = Literal["initial", "running", "completed", "failed", "cancelled", "stuck"]
"""Those that Mage knows, and one that is worked out here."""
GroupBy = Literal["cause"]
OnPoll = Callable[[RunRecord, float], Awaitable[None]]

_COMMONEST: RunStatus = "completed"
_POLL_FIRST_S = 1.0
_POLL_SLOWEST_S = 3.0
_FOR_THE_ANSWER_S = 4.0


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
            _refuse_to_group(status)
            return await cause_page(self._transport, path, {**params, "status": "failed"}, limit=limit, offset=offset)
        if status == "stuck":
            page = await stuck_page(
                self._transport, self._triggers, path, params, one_pipeline=bool(pipeline), limit=limit, offset=offset
            )
            if pipeline and not page.items:
                await self._pipelines.record(pipeline)
            return page
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
        now = self._transport.clock.utc()
        return RunPage.fitted(
            [run_row(record, now=now, pipeline=not pipeline) for record in records],
            now=now,
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

    async def _why_empty(self, pipeline: str, *, total: int, status: str | None, bounded: bool) -> str:
        if total:
            return past_the_end(total)
        what = f"{status} runs" if status else "runs"
        when = " in that time" if bounded else ""
        if not pipeline:
            return f"There are no {what}{when}."
        await self._pipelines.record(pipeline)
        triggers = await self._triggers.of_pipeline(pipeline)
        asleep = triggers and all(trigger.status == "inactive" for trigger in triggers)
        why = " Its triggers are all inactive." if asleep else "" if triggers else " It has no trigger."
        return f"{quoted(pipeline)} has no {what}{when}.{why}"


def _refuse_to_group(status: RunFilter | None) -> None:
    """Raises MageInvalid for another status than that of the runs that have a cause."""
    if status not in {None, "failed"}:
        raise MageInvalid(
            f"group_by='cause' groups failed runs, and status={status!r} was asked for.",
            next_step="Leave one of the two out.",
        )


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

"""Changing runs: cancel what goes on, retry what has ended."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import anyio
from pydantic import Field

from mage_mcp.client.evidence import base_uuid
from mage_mcp.client.models import Answer, Change, Name, Names
from mage_mcp.client.near import did_you_mean
from mage_mcp.client.paths import api, block_uuid
from mage_mcp.client.pipelines import downstream_of
from mage_mcp.client.records import UNFINISHED, PipelineRecord, RunRecord
from mage_mcp.client.runs.reading import RunReader
from mage_mcp.errors import (
    MageError,
    MageInvalid,
    MageNotFound,
    MageRefused,
    MageReplyInvalid,
    MageWriteUncertain,
)
from mage_mcp.text import one_line, quoted

_NEED_NO_RETRY = frozenset({"completed", "condition_failed"})
_READ_BACK_S = 5.0


class RunChange(Answer):
    run: int
    pipeline: Name = ""
    before: str = Field(description="Status before.")
    after: str = Field(description="Status read back from Mage; unknown where that failed.")
    note: str = ""


class Cancelled(Change):
    runs: list[RunChange] = []


class Retried(Change):
    run: int | None = None
    pipeline: Name = ""
    before: str = ""
    after: str = Field(default="", description="Status read back from Mage.")
    blocks: Names = Field(default=[], description="Blocks that run again.")
    wrote_before: Names = Field(default=[], description="Exporters among them that had completed: written twice.")


class RunChanger(RunReader):
    """Cancel and retry."""

    async def to_cancel(self, runs: Sequence[int | str]) -> list[RunRecord]:
        """Those of `runs`, ids or links, that can still be cancelled.

        Raises MageNotFound for the first that does not exist, MageInvalid for a wrong link.
        """
        records = await self.all_named(runs)
        return [record for record in records if record.status in UNFINISHED]

    async def cancel(self, runs: Sequence[int | str]) -> Cancelled:
        """Cancel what has not ended, and read back what became true.

        Source: Mage PipelineRunResource.update: any other run answers 200 and stays as it is.
        """
        records = await self.all_named(runs)
        changes: list[RunChange] = []
        for record in records:
            try:
                changes.append(await self._cancel(record))
            except MageError as error:
                if not changes:
                    raise
                changes.append(_change(record, after="unknown", note=f"It failed: {error}"))
        changed = any(change.after not in {change.before, "unknown"} for change in changes)
        ended = all(record.status not in UNFINISHED for record in records)
        return Cancelled(
            changed=changed, runs=changes, note="Nothing to cancel: these runs had already ended." if ended else ""
        )

    async def _cancel(self, record: RunRecord) -> RunChange:
        if record.status not in UNFINISHED:
            return _change(record, after=record.status, note="It had already ended.")
        lost = ""
        with anyio.CancelScope(shield=True):
            try:
                await self._transport.write(
                    "PUT", api("pipeline_runs", record.id), {"pipeline_run": {"status": "cancelled"}}
                )
            except MageWriteUncertain:
                lost = "Mage's answer was lost; this is what was read afterwards."
            after = await self._read_back(record.id, until=lambda run: run.status not in UNFINISHED)
        note = lost
        if after.status in UNFINISHED:
            took = lost or "Mage accepted the request."
            note = f"{took} The run goes on; look again in a moment with get_run."
        return _change(record, after=after.status, note=note)

    async def plan_retry(self, run: int | str, *, from_block: str = "") -> Retried:
        """What `retry` would do, without doing it; `run` is an id or a link.

        Raises MageInvalid for a wrong link, MageNotFound, and as `_plan` does.
        """
        return await self._plan(await self.named(run), from_block)

    async def _plan(self, record: RunRecord, from_block: str) -> Retried:
        """Which blocks of the run a retry runs again.

        Raises MageInvalid for what must not be retried: a run that has not ended (Mage would start a second worker
        beside the first), a completed one without a block or any run with an unknown block (Mage says yes and does
        nothing), a block that leaves others out which did not complete (Mage fails the run again at once, or lets it
        hang for ever), and a run whose trigger has a timeout that is over (Mage ends it before anything runs).
        """
        run = record.id
        if record.status in UNFINISHED:
            raise MageInvalid(
                f"Run {run} is {record.status}; only a run that has ended can be retried.",
                next_step=f"Wait with get_run(run={run}, wait_s=45), or cancel_runs first.",
            )
        if record.status == "completed" and not from_block:
            raise MageInvalid(
                f"Run {run} completed, so nothing is left to retry.",
                next_step="Give from_block to run it again from there, or trigger_pipeline for a new run.",
            )
        uuids = [block.block_uuid for block in record.block_runs]
        if from_block and block_uuid(from_block) not in uuids:
            raise MageNotFound(
                f"Run {run} has no block {one_line(from_block, 80)!r}.",
                next_step=did_you_mean(from_block, uuids, where=f"in run {run}"),
            )
        if not uuids:
            raise MageInvalid(
                f"Run {run} of {quoted(record.pipeline_uuid)} failed before any block, so there is nothing to retry.",
                next_step="get_run says why it failed; trigger_pipeline starts a new run.",
            )
        pipeline, limit = await asyncio.gather(self._pipelines.record(record.pipeline_uuid), self._time_limit(record))
        _refuse_too_late(record, limit, self._transport.clock.utc())
        again = _blocks_again(record, pipeline, from_block)
        _refuse_leaving_out(record, again, from_block)
        exporters = {block.uuid for block in pipeline.blocks if block.type == "data_exporter"}
        completed = {block.block_uuid for block in record.block_runs if block.status == "completed"}
        return Retried(
            changed=False,
            run=run,
            pipeline=record.pipeline_uuid,
            before=record.status,
            blocks=again,
            wrote_before=[uuid for uuid in again if uuid in completed and base_uuid(uuid) in exporters],
            note=_may_be_late(record, pipeline, again),
        )

    async def _time_limit(self, record: RunRecord) -> float | None:
        """Seconds that the run's trigger lets it take."""
        if record.pipeline_schedule_id is None:
            return None
        try:
            trigger = await self._triggers.record(record.pipeline_schedule_id)
        except (MageRefused, MageReplyInvalid):
            return None
        return _seconds(trigger.settings.get("timeout"))

    async def retry(self, run: int | str, *, from_block: str = "", dry_run: bool = False) -> Retried:
        """Run the blocks of an ended run again, in the same run: all that did not complete, or all from one block on.

        Raises MageInvalid and MageNotFound as `plan_retry` does. Source: Mage PipelineRunResource.update with
        `pipeline_run_action: retry_blocks`.
        """
        record = await self.named(run)
        plan = await self._plan(record, from_block)
        if dry_run:
            writes = ", and writes its data again"
            would = [f"{block} runs again{writes * (block in plan.wrote_before)}" for block in plan.blocks]
            return plan.model_copy(update={"would": would})
        return await self._retry(record.id, plan, from_block)

    async def _retry(self, run: int, plan: Retried, from_block: str) -> Retried:
        body: dict[str, Any] = {"pipeline_run_action": "retry_blocks"}
        if from_block:
            body["from_block_uuid"] = from_block
        lost, taken = "", False
        with anyio.CancelScope(shield=True):
            try:
                reply = await self._transport.write("PUT", api("pipeline_runs", run), {"pipeline_run": body})
                answered = reply.get("pipeline_run")
                taken = isinstance(answered, dict) and answered.get("status") in UNFINISHED
            except MageWriteUncertain:
                lost = "Mage's answer was lost; `after` is what was read since."
            after = await self._read_back(run, until=lambda record: record.status in UNFINISHED)
        changed = taken or after.status != plan.before
        note = f"{plan.note} {lost} The same run goes on; get_run(run={run}, wait_s=45) waits for its end."
        if not changed:
            took = lost or "Mage took the request."
            note = f"{took} The run still is {after.status}; look again in a moment with get_run."
        return plan.model_copy(update={"changed": changed, "after": after.status, "note": " ".join(note.split())})

    async def _read_back(self, run: int, *, until: Callable[[RunRecord], bool]) -> RunRecord:
        """The run after a request was sent for it. Raises MageWriteUncertain: whatever hinders the look."""
        try:
            return await self._look(run, until=until)
        except MageError as error:
            raise MageWriteUncertain(
                f"The request for run {run} was sent, but what became of it could not be read: {error.what}",
                next_step=f"Look with get_run(run={run}) before you try again.",
            ) from error

    async def _look(self, run: int, *, until: Callable[[RunRecord], bool]) -> RunRecord:
        clock = self._transport.clock
        began = clock.now()
        record = await self.record(run)
        while not until(record) and clock.now() - began < _READ_BACK_S:
            await clock.sleep(0.5)
            record = await self.record(run)
        return record


def _change(record: RunRecord, *, after: str, note: str) -> RunChange:
    return RunChange(run=record.id, pipeline=record.pipeline_uuid, before=record.status, after=after, note=note)


def _refuse_leaving_out(record: RunRecord, again: list[str], from_block: str) -> None:
    left_out = [b for b in record.block_runs if b.block_uuid not in again and b.status not in _NEED_NO_RETRY]
    if from_block and left_out:
        names = ", ".join(f"{quoted(block.block_uuid)} ({block.status})" for block in left_out[:5])
        raise MageInvalid(
            f"From {quoted(from_block)} on, run {record.id} would leave out what did not complete: {names}. Mage "
            "then fails the run at once or lets it hang.",
            next_step=f"retry_run(run={record.id}) runs all that did not complete; or start from an earlier block.",
        )


def _refuse_too_late(record: RunRecord, limit: float | None, now: datetime) -> None:
    """Source: Mage PipelineScheduler.schedule; a retry does not set the run's start anew."""
    taken = (now - record.started_at).total_seconds() if record.started_at else 0.0
    if limit is not None and taken > limit:
        raise MageInvalid(
            f"Run {record.id} began {taken:.0f} s ago, and its trigger has a timeout of {limit:.0f} s: Mage counts "
            "from the first start, so it would end a retry before anything runs.",
            next_step=f"trigger_pipeline(pipeline={record.pipeline_uuid!r}) starts a new run.",
        )


def _may_be_late(record: RunRecord, pipeline: PipelineRecord, again: list[str]) -> str:
    """A word on blocks whose own timeout goes on from their first start: those that did not fail with an error."""
    limited = {block.uuid for block in pipeline.blocks if _seconds(block.timeout) is not None}
    late = [
        quoted(block.block_uuid)
        for block in record.block_runs
        if block.block_uuid in again
        and base_uuid(block.block_uuid) in limited
        and block.started_at is not None
        and block.metrics.error is None
    ]
    if not late:
        return ""
    return f"{', '.join(late[:5])} may time out at once: Mage counts from the first start. A new run would not."


def _seconds(limit: Any) -> float | None:
    """A timeout as Mage reads it; 0 and what is no number count as none."""
    try:
        return float(int(limit)) or None
    except (TypeError, ValueError, OverflowError):
        return None


def _blocks_again(record: RunRecord, pipeline: PipelineRecord, from_block: str) -> list[str]:
    """The run's blocks that a retry runs again: the block and all after it, or whatever did not complete."""
    if not from_block:
        return [block.block_uuid for block in record.block_runs if block.status != "completed"]
    start = base_uuid(from_block)
    after = downstream_of(pipeline.blocks, start)
    return [
        block.block_uuid
        for block in record.block_runs
        if block.block_uuid == from_block or base_uuid(block.block_uuid) in after
    ]

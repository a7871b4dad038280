"""Deleting runs: ended ones only, and with a word on those that Mage would run again."""

import asyncio
from collections.abc import Sequence

import anyio
from pydantic import Field

from mage_mcp.client.models import Answer, Change, Name, iso
from mage_mcp.client.paths import api
from mage_mcp.client.records import UNFINISHED, RunRecord, TriggerRecord
from mage_mcp.client.runs.reading import RunReader
from mage_mcp.client.schedules import ONCE, last_due
from mage_mcp.errors import (
    MageError,
    MageFailed,
    MageInvalid,
    MageNotFound,
    MageRefused,
    MageReplyInvalid,
    MageWriteUncertain,
)
from mage_mcp.text import quoted


class RunDeletion(Answer):
    run: int
    pipeline: Name = ""
    before: str = Field(description="Status before.")
    after: str = Field(description="deleted; else its status, or unknown.")
    note: str = ""


class RunsDeleted(Change):
    runs: list[RunDeletion] = []


class RunDeleter(RunReader):
    """Delete."""

    async def plan_delete(self, runs: Sequence[int | str]) -> tuple[list[RunRecord], list[str]]:
        """The runs, given by ids or links, and what deleting them does, in sentences.

        Deleting the latest run of an active trigger makes Mage run that period again at once: it only looks whether
        there is a run of it. Raises MageNotFound; MageInvalid for a wrong link, and for runs that have not ended, whose
        workers would go on.
        """
        records = await self.all_named(runs)
        unfinished = [record for record in records if record.status in UNFINISHED]
        if unfinished:
            named = ", ".join(f"{record.id} ({record.status})" for record in unfinished)
            raise MageInvalid(
                f"Runs that have not ended cannot be deleted, since their workers would go on unseen: {named}. Nothing "
                "was deleted.",
                next_step=f"cancel_runs(runs={[record.id for record in unfinished]}) first.",
            )
        acts = [f"delete run {record.id} of {quoted(record.pipeline_uuid)} ({record.status})" for record in records]
        return list(records), acts + await self._run_again(records)

    async def _run_again(self, records: Sequence[RunRecord]) -> list[str]:
        """A sentence for each trigger that starts a run again at once."""
        ids = {record.pipeline_schedule_id for record in records if record.pipeline_schedule_id is not None}
        triggers = await asyncio.gather(*(self._trigger_of(trigger) for trigger in sorted(ids)))
        acts = []
        for trigger in triggers:
            if trigger is None or trigger.status != "active":
                continue
            which = f"trigger {trigger.id} ({quoted(trigger.schedule_interval)}) is active"
            due = last_due(trigger.schedule_interval, self._transport.clock.utc())
            of_trigger = [record for record in records if record.pipeline_schedule_id == trigger.id]
            if due and due in {record.execution_date for record in of_trigger}:
                acts.append(f"Mage starts the run of {iso(due)} again at once, since {which}")
            elif trigger.schedule_interval == ONCE:
                left = await self._triggers.number_of_runs(trigger.id) - len(of_trigger)
                acts += [] if left else [f"Mage starts its one run again at once, since {which}"]
        return acts

    async def _trigger_of(self, trigger: int) -> TriggerRecord | None:
        try:
            return await self._triggers.record(trigger)
        except (MageRefused, MageReplyInvalid):
            return None

    async def delete(self, runs: Sequence[int | str]) -> RunsDeleted:
        """Delete them one by one, with their block runs; logs and outputs stay on Mage's disk.

        What fails for one is told in its row. Raises as `plan_delete` does, and what failed where nothing was deleted.
        Source: Mage PipelineRunResource.delete.
        """
        records, acts = await self.plan_delete(runs)
        rows: list[RunDeletion] = []
        for record in records:
            try:
                async with self._transport.serial("run", str(record.id)):
                    with anyio.CancelScope(shield=True):
                        rows.append(await self._delete(record))
            except MageError as error:
                if len(records) == 1:
                    raise
                rows.append(_row(record, after="unknown", note=f"It failed: {error}"))
        again = acts[len(records) :]
        return RunsDeleted(
            changed=any(row.after == "deleted" for row in rows),
            runs=rows,
            note=" ".join(
                ["Their logs and outputs stay on Mage's disk.", *(f"{act[:1].upper()}{act[1:]}." for act in again)]
            ),
        )

    async def _delete(self, record: RunRecord) -> RunDeletion:
        failure: MageError | None = None
        try:
            await self._transport.write("DELETE", api("pipeline_runs", record.id), {})
        except (MageWriteUncertain, MageFailed, MageReplyInvalid, MageNotFound) as error:
            failure = error
        try:
            found = await self.record(record.id)
        except MageNotFound:
            return _row(record, after="deleted", note="Mage's answer was lost; the run is gone." if failure else "")
        if found.created_at != record.created_at:  # on SQLite the next run gets the id of the last that was deleted
            return _row(record, after="deleted", note=f"A new run has got its id, {record.id}.")
        if failure:
            raise failure
        return _row(record, after=found.status, note="Mage says it is deleted, and still has it.")


def _row(record: RunRecord, *, after: str, note: str) -> RunDeletion:
    return RunDeletion(run=record.id, pipeline=record.pipeline_uuid, before=record.status, after=after, note=note)

"""Ending backfills: cancel what is under way, delete what is over."""

import asyncio
from contextlib import suppress

import anyio
from pydantic import Field

from mage_mcp.client.backfills.creating import BackfillCreator
from mage_mcp.client.backfills.reading import BackfillRecord
from mage_mcp.client.deadline import remaining_s
from mage_mcp.client.models import Change, Name
from mage_mcp.client.paths import api
from mage_mcp.client.records import UNFINISHED
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

_NAMED = 20
_MOST_RUNNING = 1_000
_FOR_THE_REST_S = 20.0
"""What Mage may need to cancel what waits: before that no run is stopped by itself once only this is left."""
_FOR_THE_ANSWER_S = 6.0
_SETTLES_S = 1.0
_MOST_LOOKS = 20
"""Mage's scheduler goes on starting runs that it read before the cancel: of 300 it needs most of a minute."""


class BackfillCancelled(Change):
    backfill: int | None = None
    name: Name = ""
    pipeline: Name = ""
    before: str = ""
    after: str = Field(default="", description="Status read back from Mage.")
    runs: dict[str, int] = Field(default={}, description="Its runs by status, read back.")


class BackfillDeleted(Change):
    backfill: int | None = None
    name: Name = ""
    pipeline: Name = ""
    runs: int = Field(default=0, description="Runs that vanished with its trigger.")


class BackfillEnder(BackfillCreator):
    """Cancel and delete."""

    async def plan_cancel(self, backfill: int) -> tuple[BackfillRecord, list[str]]:
        """The backfill, and what cancelling it does, in sentences.

        Raises MageNotFound; MageInvalid where nothing is under way: Mage would call a completed one cancelled.
        """
        record = await self.record(backfill)
        counts = await self.counts(record)
        if not record.was_started:
            raise MageInvalid(
                f"Backfill {backfill} was never started; nothing was sent.",
                next_step=f"delete_backfill(backfill={backfill}) removes it.",
            )
        if not counts["under_way"]:
            raise MageInvalid(
                f"Backfill {backfill} is {record.status} and none of its runs is under way; nothing was sent.",
                next_step=f"delete_backfill(backfill={backfill}) removes it.",
            )
        acts = [f"stop backfill {backfill} ({quoted(record.name, 60)}): no more of its runs start"]
        if counts["runs"] > _NAMED:
            acts.append(f"cancel those of its {counts['runs']} runs that have not ended")
        else:
            runs = await self.runs_with(backfill, *UNFINISHED, most=_NAMED)
            acts += [f"cancel run {run} of {date[:19]}" for run, date in sorted(runs.items())]
        return record, acts

    async def cancel(self, backfill: int) -> BackfillCancelled:
        """Cancel what is under way, and read back what became of the runs.

        Mage's own cancel only marks the runs: workers go on, blocks that are queued still run, and its scheduler may
        start runs that it had read before. So the trigger is paused first, and runs that are running are cancelled one
        by one, which stops their workers. Raises as `plan_cancel` does, MageWriteUncertain where it cannot be read
        back. Source: Mage cancel_backfill.
        """
        async with self._transport.serial("backfill", str(backfill)):
            record, _ = await self.plan_cancel(backfill)
            with anyio.CancelScope(shield=True):
                failed = await self._cancel(record)
                after, counts = await self._read_back(record)
        notes = []
        if counts["under_way"]:
            notes.append(f"{counts['under_way']} of its runs go on, since Mage was just starting them; call it again.")
        elif failed:
            notes.append("Mage's answer was lost or said error; this is what was read afterwards.")
        if record.pipeline_schedule_id is not None:
            notes.append(f"retry_run runs a cancelled one again (list_runs(trigger='{record.pipeline_schedule_id}')).")
        counts.pop("runs")
        return BackfillCancelled(
            changed=True,
            backfill=backfill,
            name=record.name,
            pipeline=record.pipeline_uuid,
            before=record.status,
            after=after.status,
            runs={word: number for word, number in counts.items() if number},
            note=" ".join(notes),
        )

    async def _cancel(self, record: BackfillRecord) -> bool:
        """Whether an answer was lost or said error, which what is read back afterwards makes up for."""
        failed = False
        if record.pipeline_schedule_id is not None:
            with suppress(MageRefused, MageInvalid, MageReplyInvalid, MageWriteUncertain):
                await self._triggers.update([record.pipeline_schedule_id], status="inactive")
        await self._stop_runs(record.id, leaving_s=_FOR_THE_REST_S)
        try:
            await self._transport.write("PUT", api("backfills", record.id), {"backfill": {"status": "cancelled"}})
        except (MageFailed, MageReplyInvalid, MageWriteUncertain):
            failed = True
        for _ in range(_MOST_LOOKS):
            await self._transport.clock.sleep(_SETTLES_S)
            if not await self._stop_runs(record.id, leaving_s=_FOR_THE_ANSWER_S):
                break
        return failed

    async def _stop_runs(self, backfill: int, *, leaving_s: float) -> int:
        """Cancel what is running, each run by itself, which stops its worker; how many that were."""
        stopped = 0
        with suppress(MageError):  # what goes on is read back in the end
            running = await self.runs_with(backfill, "running", most=_MOST_RUNNING)
            for run in sorted(running):
                if remaining_s() < leaving_s:
                    break
                await self._transport.write("PUT", api("pipeline_runs", run), {"pipeline_run": {"status": "cancelled"}})
                stopped += 1
        return stopped

    async def _read_back(self, record: BackfillRecord) -> tuple[BackfillRecord, dict[str, int]]:
        try:
            after, counts = await asyncio.gather(self.record(record.id), self.counts(record))
        except MageError as error:
            raise MageWriteUncertain(
                f"The cancel of backfill {record.id} was sent, but what became of it could not be read: {error.what}",
                next_step=f"Look with list_backfills(pipeline={record.pipeline_uuid!r}) in a minute.",
            ) from error
        return after, counts

    async def plan_delete(self, backfill: int) -> tuple[BackfillRecord, int, list[str]]:
        """The backfill, how many runs vanish with its trigger, and what deleting it does, in sentences.

        Raises MageNotFound; MageInvalid while something of it is under way.
        """
        record = await self.record(backfill)
        counts = await self.counts(record)
        if counts.get("under_way"):
            raise MageInvalid(
                f"{counts['under_way']} runs of backfill {backfill} ({quoted(record.name, 60)}) have not ended; "
                "nothing was deleted.",
                next_step=f"cancel_backfill(backfill={backfill}) first, or wait for their end.",
            )
        acts = [f"delete backfill {backfill} ({quoted(record.name, 60)}, {record.status or 'not started'})"]
        trigger, runs = record.pipeline_schedule_id, 0
        if trigger is not None:
            acts.append(f"delete trigger {trigger}, which Mage made for it")
            if runs := await self._runs_of_trigger(trigger):
                acts.append(f"{runs} runs of it vanish from every list, and their errors and logs with them")
        return record, runs, acts

    async def _runs_of_trigger(self, trigger: int) -> int:
        with suppress(MageNotFound):
            await self._triggers.record(trigger)  # of an unknown one Mage counts every run there is
            return await self._triggers.number_of_runs(trigger)
        return 0

    async def delete(self, backfill: int) -> BackfillDeleted:
        """Delete it and the trigger that Mage made for it, which Mage would leave, active if a run had failed.

        The trigger goes first: what is left then can be deleted by the same call. Raises as `plan_delete` does,
        MageWriteUncertain. Source: Mage BackfillResource, DatabaseResource.delete.
        """
        async with self._transport.serial("backfill", str(backfill)):
            record, runs, _ = await self.plan_delete(backfill)
            with anyio.CancelScope(shield=True):
                note = await self._delete(record)
        stays = (
            f"{note} What the runs have written stays, and so do their log files; on SQLite the next trigger gets "
            "the id of this one, and runs of the same dates then write to the same logs."
        )
        return BackfillDeleted(
            changed=True,
            backfill=backfill,
            name=record.name,
            pipeline=record.pipeline_uuid,
            runs=runs,
            note=stays.strip() if runs else note,
        )

    async def _delete(self, record: BackfillRecord) -> str:
        if record.pipeline_schedule_id is not None:
            with suppress(MageNotFound):
                await self._triggers.delete(record.pipeline_schedule_id)
        failure: MageError | None = None
        try:
            await self._transport.write("DELETE", api("backfills", record.id), {})
        except (MageFailed, MageNotFound, MageReplyInvalid, MageWriteUncertain) as error:
            failure = error
        try:
            await self.record(record.id)
        except MageNotFound:
            return "Mage's answer was lost; the backfill is gone." if failure else ""
        except MageError as error:
            raise MageWriteUncertain(
                f"Whether backfill {record.id} was deleted could not be read: {error.what}",
                next_step=f"Look with list_backfills(pipeline={record.pipeline_uuid!r}).",
            ) from error
        raise failure or MageFailed(
            f"Mage says that backfill {record.id} is deleted, but still has one of that id.",
            next_step=f"Look with list_backfills(pipeline={record.pipeline_uuid!r}).",
        )

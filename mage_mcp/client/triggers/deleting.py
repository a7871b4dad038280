"""Deleting a trigger: its runs vanish from every list with it."""

import asyncio
from contextlib import suppress

import anyio
from pydantic import Field

from mage_mcp.client.models import Change, Name
from mage_mcp.client.paths import api
from mage_mcp.client.records import TriggerRecord
from mage_mcp.client.triggers.reading import InCode, TriggerReader, is_ours
from mage_mcp.errors import MageError, MageFailed, MageInvalid, MageNotFound, MageReplyInvalid, MageWriteUncertain
from mage_mcp.text import quoted

_NAMED = 10


class TriggerDeleted(Change):
    trigger: int | None = None
    name: Name = ""
    pipeline: Name = ""
    runs: int = Field(default=0, description="Runs that vanished with it.")


class TriggerDeleter(TriggerReader):
    """Delete."""

    async def plan_delete(self, trigger: int) -> tuple[TriggerRecord, int, list[str]]:
        """The trigger, how many runs it has, and what deleting it does, in sentences.

        Raises MageNotFound; MageInvalid while a run of it is running, which would go on where nobody can see it.
        """
        record = await self.record(trigger)
        under_way, runs, in_code = await asyncio.gather(
            self.under_way(trigger), self.number_of_runs(trigger), self._in_code_if_told(record.pipeline_uuid)
        )
        running = sorted(run for run, status in under_way.items() if status == "running")
        if running:
            raise MageInvalid(
                f"Trigger {trigger} has runs under way, which would go on unseen: "
                f"{', '.join(map(str, running[:_NAMED]))}. Nothing was deleted.",
                next_step=f"cancel_runs(runs={running[:_NAMED]}) first, or wait for their end.",
            )
        acts = [f"delete the {record.status} trigger {trigger} ({quoted(record.name, 60)})"]
        if runs:
            acts.append(f"{runs} runs of it vanish from every list, and their errors and logs with them")
        if under_way:
            acts.append(f"{len(under_way)} of them have not begun and never will")
        if record.name in in_code.names:
            acts.append(f"the entry {quoted(record.name, 60)} leaves the pipeline's triggers.yaml")
        if is_ours(record):
            acts.append("trigger_pipeline makes another one when it next runs")
        return record, runs, acts

    async def delete(self, trigger: int) -> TriggerDeleted:
        """Delete it, and look whether it is gone.

        Raises as `plan_delete` does, and MageWriteUncertain. Source: Mage PipelineScheduleResource.delete.
        """
        async with self._transport.serial("trigger", str(trigger)):
            record, runs, _ = await self.plan_delete(trigger)
            with anyio.CancelScope(shield=True):
                note = await self._delete(record)
        if is_ours(record):
            note = f"{note} trigger_pipeline makes another one when it next runs.".strip()
        return TriggerDeleted(
            changed=True, trigger=trigger, name=record.name, pipeline=record.pipeline_uuid, runs=runs, note=note
        )

    async def _delete(self, record: TriggerRecord) -> str:
        failure: MageError | None = None
        try:
            await self._untag(record)
            await self._transport.write("DELETE", api("pipeline_schedules", record.id), {})
        except (MageWriteUncertain, MageFailed, MageReplyInvalid, MageNotFound) as error:
            failure = error
        try:
            await self.record(record.id)
        except MageNotFound:
            return "Mage's answer was lost; the trigger is gone." if failure else ""
        except MageError as error:
            failure = failure or error
            raise MageWriteUncertain(
                f"Whether trigger {record.id} was deleted could not be read: {error.what}",
                next_step=f"Look with list_triggers(pipeline={record.pipeline_uuid!r}).",
            ) from error
        if failure:
            raise failure
        return "Mage says it is deleted, but still has a trigger of that id; look again with list_triggers."

    async def _untag(self, record: TriggerRecord) -> None:
        """On SQLite the next trigger gets this one's id, and whatever tags are left to that.

        Not where the trigger is kept in code, since Mage would write its token into the file.
        """
        if not record.tags or record.name in (await self._in_code_if_told(record.pipeline_uuid)).names:
            return
        path = api("pipeline_schedules", record.id)
        with suppress(MageFailed, MageNotFound, MageReplyInvalid, MageWriteUncertain):
            await self._transport.write("PUT", path, {"pipeline_schedule": {"tags": []}})

    async def _in_code_if_told(self, pipeline: str) -> InCode:
        return InCode(frozenset(await self._in_file_if_told(pipeline)))

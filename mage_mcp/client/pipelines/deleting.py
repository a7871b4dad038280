"""Deleting pipelines. Mage leaves nearly all of it behind: triggers that stay active, runs, backfills, block files."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
from pydantic import Field

from mage_mcp.client.models import Change, Name, Names
from mage_mcp.client.near import unknown_pipeline
from mage_mcp.client.paths import api, pipeline_uuid
from mage_mcp.client.pipelines.reading import PipelineReader
from mage_mcp.client.pipelines.sharing import files_of, users_of
from mage_mcp.client.records import UNFINISHED, PipelineRecord, TriggerRecord
from mage_mcp.client.replies import count, rows
from mage_mcp.client.triggers import is_ours
from mage_mcp.errors import (
    MageError,
    MageFailed,
    MageInvalid,
    MageNotFound,
    MageReplyInvalid,
    MageUnsupported,
    MageWriteUncertain,
)
from mage_mcp.text import one_line, quoted

_MOST_NAMED = 20
_ALL = 1000


class PipelineDeleted(Change):
    pipeline: Name = ""
    paused: list[int] = Field(default=[], description="Triggers that were active and are not any more.")
    triggers: list[int] = Field(default=[], description="All its triggers, which stay.")
    backfills: list[int] = Field(default=[], description="Which stay.")
    runs: int = Field(default=0, description="How many stay in the lists.")
    files: Names = Field(default=[], description="Block files that stay; no other pipeline is known to use them.")
    shared_files: Names = Field(default=[], description="Block files that other pipelines use.")


@dataclass(frozen=True)
class _Found:
    """A pipeline and what hangs on it."""

    record: PipelineRecord
    triggers: Sequence[TriggerRecord] = ()
    under_way: Sequence[int] = ()
    runs: int = 0
    backfills: Sequence[int] = ()
    shared: Sequence[str] = field(default=())

    @property
    def active(self) -> list[TriggerRecord]:
        """Ours stays active: nothing starts it but `trigger_pipeline`, which knows of no deleted pipeline."""
        return [trigger for trigger in self.triggers if trigger.status == "active" and not is_ours(trigger)]

    @property
    def files(self) -> list[str]:
        return [file for file in files_of(self.record) if file not in self.shared]


class PipelineDeleter(PipelineReader):
    """Delete."""

    async def plan_delete(self, pipeline: str) -> PipelineDeleted:
        """What `delete` would do, without doing it.

        Raises MageNotFound, and MageInvalid while runs of it are under way: without it they would never end.
        """
        found = await self._look_around(pipeline)
        _refuse_under_way(found)
        return _answer(found, changed=False).model_copy(update={"would": _acts(found)})

    async def delete(self, pipeline: str) -> PipelineDeleted:
        """Pause its active triggers, delete it, and tell what Mage keeps.

        Raises as `plan_delete` does, and MageWriteUncertain. Source: Mage PipelineResource.delete, which removes the
        pipeline's folder, its own secrets and its scratchpads, and touches no trigger, run, backfill or block file.
        """
        async with self._transport.serial("pipeline", pipeline_uuid(pipeline)):
            found = await self._look_around(pipeline)
            _refuse_under_way(found)
            paused: list[int] = []
            with anyio.CancelScope(shield=True):
                try:
                    await self._pause(found, paused)
                    lost = await self._delete(pipeline)
                except MageError as error:
                    if paused:
                        error.what = f"{error.what} Its triggers {_ids(paused)} were paused before."
                    raise
        note = " ".join(filter(None, (lost, _what_to_do(found))))
        return _answer(found, changed=True).model_copy(update={"paused": paused, "note": note})

    async def _look_around(self, pipeline: str) -> _Found:
        record = await self._record_of_any(pipeline)
        triggers, (runs, under_way), backfills, shared = await asyncio.gather(
            self._triggers_of(pipeline), self._runs_of(pipeline), self._backfills(pipeline), self._shared(record)
        )
        return _Found(record, triggers, under_way, runs, backfills, shared)

    async def _record_of_any(self, pipeline: str) -> PipelineRecord:
        """The pipeline, from the list where Mage cannot open it (a kind without its kernel): it can be deleted too."""
        try:
            return await self._read(pipeline)
        except MageNotFound:
            raise await unknown_pipeline(self._transport, pipeline) from None
        except MageFailed:
            for row in rows(await self._transport.read(api("pipelines"), search=pipeline), "pipelines"):
                if row.get("uuid") == pipeline:
                    return PipelineRecord.model_validate(row)
            raise

    async def _triggers_of(self, pipeline: str) -> Sequence[TriggerRecord]:
        try:
            return await self._triggers.of_pipeline(pipeline)
        except MageFailed:
            reply = await self._transport.read(api("pipeline_schedules"), _limit=_ALL)
            every = [TriggerRecord.model_validate(row) for row in rows(reply, "pipeline_schedules")]
            return [trigger for trigger in every if trigger.pipeline_uuid == pipeline]

    async def _runs_of(self, pipeline: str) -> tuple[int, list[int]]:
        """How many there are, and the ids of those that have not ended."""
        found = api("pipeline_runs")
        every = await self._transport.read(found, pipeline_uuid=pipeline, _limit=0, disable_retries_grouping=True)
        ids: list[int] = []
        for status in UNFINISHED:
            reply = await self._transport.read(
                found,
                pipeline_uuid=pipeline,
                status=status,
                _limit=_ALL,
                _format="with_basic_details",
                disable_retries_grouping=True,
            )
            ids += [row["id"] for row in rows(reply, "pipeline_runs") if isinstance(row.get("id"), int)]
        return count(every, fallback=0), sorted(ids)

    async def _backfills(self, pipeline: str) -> list[int]:
        """Source: Mage BackfillResource.collection, which filters by the parameter and not by the child path."""
        try:
            reply = await self._transport.read(api("backfills"), pipeline_uuid=pipeline, _limit=_ALL)
        except MageUnsupported:
            return []
        found = rows(reply, "backfills")
        return sorted(row["id"] for row in found if row.get("pipeline_uuid") == pipeline and isinstance(row["id"], int))

    async def _shared(self, record: PipelineRecord) -> list[str]:
        return list(await users_of(self._transport, files_of(record), besides=record.uuid))

    async def _pause(self, found: _Found, paused: list[int]) -> None:
        """Mage answers an error to changes of a trigger whose pipeline is gone, so this comes first.

        Raises MageInvalid where one of them has started a run meanwhile.
        """
        for trigger in found.active:
            await self._transport.write(
                "PUT", api("pipeline_schedules", trigger.id), {"pipeline_schedule": {"status": "inactive"}}
            )
            paused.append(trigger.id)
        if paused and (under_way := (await self._runs_of(found.record.uuid))[1]):
            raise MageInvalid(
                f"Meanwhile runs {_ids(under_way)} of {quoted(found.record.uuid)} started, so it was not deleted.",
                next_step=f"cancel_runs(runs={under_way[:_MOST_NAMED]}) or wait, then call again.",
            )

    async def _delete(self, pipeline: str) -> str:
        """Send it once. A word where the answer was lost and the pipeline is gone all the same."""
        try:
            await self._transport.write("DELETE", api("pipelines", pipeline), {})
        except (MageWriteUncertain, MageReplyInvalid) as error:
            try:
                await self._read(pipeline)
            except MageNotFound:
                return "Mage's answer was lost; the pipeline is gone."
            except MageError:
                pass
            raise MageWriteUncertain(error.what, next_step=f"Look with get_pipeline(pipeline={pipeline!r}).") from error
        return ""


def _refuse_under_way(found: _Found) -> None:
    if found.under_way:
        ids = found.under_way[:_MOST_NAMED]
        raise MageInvalid(
            f"{len(found.under_way)} runs of {quoted(found.record.uuid)} are under way ({_ids(ids)}) and would never "
            "end without it. Nothing was deleted.",
            next_step=f"cancel_runs(runs={list(ids)}) first, or wait for them.",
        )


def _acts(found: _Found) -> list[str]:
    record = found.record
    what = f"{len(record.blocks)} blocks and {len(record.variables)} variables"
    acts = [f"delete the pipeline {quoted(record.uuid)} with its graph of {what}"]
    if found.active:
        named = ", ".join(f"{trigger.id} ({quoted(trigger.name, 40)})" for trigger in found.active[:_MOST_NAMED])
        acts.append(f"pause its active triggers first, which Mage would go on starting: {named}")
    if found.files:
        files = ", ".join(one_line(file, 80) for file in found.files[:_MOST_NAMED])
        acts.append(
            "leave block files on disk that nothing else is known to use (delete_block with delete_file=true removes "
            f"them, but only while the pipeline is there): {files}"
        )
    return acts


def _answer(found: _Found, *, changed: bool) -> PipelineDeleted:
    return PipelineDeleted(
        changed=changed,
        pipeline=found.record.uuid,
        triggers=[trigger.id for trigger in found.triggers],
        backfills=list(found.backfills),
        runs=found.runs,
        files=found.files[:_MOST_NAMED],
        shared_files=list(found.shared)[:_MOST_NAMED],
    )


def _what_to_do(found: _Found) -> str:
    """What can be removed of what stays, and what cannot."""
    stays = []
    if found.triggers or found.runs:
        stays.append(
            "Its triggers and runs stay, and are those of any new pipeline of this name: "
            f"list_runs(pipeline={found.record.uuid!r}) still lists the runs, delete_runs and then delete_trigger "
            "remove both (a trigger's deletion hides its runs)."
        )
    if found.backfills:
        stays.append("delete_backfill removes the backfills.")
    if found.files:
        stays.append(
            "Its block files stay on disk; no tool here removes them now (delete_block with delete_file would have "
            "before): a person can in Mage's file browser."
        )
    stays.append("Mage keeps versions of its files in .file_versions, and logs and outputs of its runs, on disk.")
    return " ".join(stays)


def _ids(ids: Sequence[int]) -> str:
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return f"{', '.join(map(str, ids[:_MOST_NAMED]))}{more}"

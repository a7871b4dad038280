"""Making a trigger: exactly one, complete before it is switched on."""

from datetime import datetime
from typing import Any, Literal

import anyio
from pydantic import Field

from mage_mcp.client.models import Change, Name, UtcTime, iso
from mage_mcp.client.near import unknown_pipeline
from mage_mcp.client.paths import api
from mage_mcp.client.records import TriggerRecord
from mage_mcp.client.replies import root
from mage_mcp.client.schedules import ALWAYS, ONCE
from mage_mcp.client.triggers.judging import first_run_note, makes_up_for, next_run
from mage_mcp.client.triggers.reading import TriggerReader, TriggerStatus
from mage_mcp.client.triggers.wishes import Wish, fields_of, on_the_wire, same, wish
from mage_mcp.errors import (
    MageError,
    MageFailed,
    MageInvalid,
    MageNotFound,
    MageReplyInvalid,
    MageWriteUncertain,
    noting,
)
from mage_mcp.text import quoted

NewTriggerType = Literal["time", "api"]
"""Those that work by themselves; an event trigger needs matchers that only Mage's UI offers."""


class TriggerCreated(Change):
    trigger: int | None = Field(default=None, description="Id.")
    name: Name = ""
    pipeline: Name = ""
    type: str = ""
    interval: Name = ""
    status: str = ""
    start_time: UtcTime | None = None
    next_run_at: UtcTime | None = Field(default=None, description="When it first runs.")


class TriggerMaker(TriggerReader):
    """Create."""

    async def create(
        self,
        pipeline: str,
        name: str,
        *,
        type: NewTriggerType = "time",  # noqa: A002 - Mage's word
        status: TriggerStatus = "active",
        allow_in_code: bool = False,
        dry_run: bool = False,
        **given: Any,
    ) -> TriggerCreated:
        """Make a trigger of a pipeline; `given` is what `wish` takes.

        Tags and the timeout are refused by Mage in the request that makes it, the latter from editors *(source)*, so
        they come with a second one, which switches the trigger on too: it never runs half made. Names need not be
        unique in Mage, but its files go by them, so a second one of a name is refused here; and where the answer is
        lost the new trigger is found by its name.

        Raises MageNotFound for an unknown pipeline, MageInvalid, and MageWriteUncertain where an answer was lost and
        nothing is found. Source: Mage PipelineScheduleResource.create.
        """
        wanted = wish(now=self._transport.clock.utc(), name=name.strip(), status=status, **given)
        _check(wanted, type)
        in_code = await self.in_code(pipeline)
        if wanted.name in in_code and not allow_in_code:
            raise MageInvalid(
                f"Pipeline {quoted(pipeline)} keeps this trigger in triggers.yaml, and Mage writes its token into that "
                "file, which is often under version control. Nothing was sent.",
                next_step="If that is all right, say so with allow_in_code=true.",
            )
        if dry_run:
            await self._refuse_second(pipeline, wanted.name)
            return self._would_make(pipeline, wanted, type)
        async with self._transport.serial("triggers of", pipeline):
            await self._refuse_second(pipeline, wanted.name)
            with anyio.CancelScope(shield=True):
                made = await self._make(pipeline, wanted, type)
        return made

    async def _refuse_second(self, pipeline: str, name: str) -> None:
        if found := await self._named(pipeline, name):
            ids = ", ".join(str(record.id) for record in found[:10])
            raise MageInvalid(
                f"Pipeline {quoted(pipeline)} has a trigger of that name: {ids} ({found[0].status}). Nothing was sent.",
                next_step=f"Choose another name, or change it: update_triggers(triggers=[{found[0].id}]).",
            )

    async def _named(self, pipeline: str, name: str) -> list[TriggerRecord]:
        try:
            return [record for record in await self.of_pipeline(pipeline) if record.name == name]
        except MageNotFound:
            raise await unknown_pipeline(self._transport, pipeline) from None

    def _would_make(self, pipeline: str, wanted: Wish, type_: str) -> TriggerCreated:
        now = self._transport.clock.utc()
        fields = {"id": 0, "schedule_type": type_, "last_enabled_at": now, **wanted.over(TriggerRecord(id=0))}
        made = _answer(TriggerRecord(**fields, pipeline_uuid=pipeline), wanted, now=now)
        what = f"{wanted.interval} trigger" if wanted.interval else f"{type_} trigger"
        would = f"create the {wanted.status} {what} {quoted(wanted.name)} of {quoted(pipeline)}"
        return made.model_copy(update={"changed": False, "trigger": None, "would": [would]})

    async def _make(self, pipeline: str, wanted: Wish, type_: str) -> TriggerCreated:
        fields = wanted.over(TriggerRecord(id=0))
        late: dict[str, Any] = {name: fields.pop(name) for name in ("tags", "settings") if name in fields}
        if late:
            late["status"] = fields.pop("status")
        record, note = await self._post(pipeline, wanted.name, {"schedule_type": type_, **on_the_wire(fields)})
        notes = [note]
        with noting(f"Trigger {record.id} was made."):
            if await self._inherited_tags(record.id):
                late = {"tags": [], **late}
            if late:
                record, note = await self._complete(record, late)
                notes.append(note)
            notes.append(await self._note_on_code(pipeline, record))
        made = _answer(record, wanted, now=self._transport.clock.utc())
        return made.model_copy(update={"note": " ".join(filter(None, (*notes, made.note)))})

    async def _post(self, pipeline: str, name: str, body: dict[str, Any]) -> tuple[TriggerRecord, str]:
        """POST it once. There was none of that name, so where the answer is lost or says error the name finds it."""
        try:
            reply = await self._transport.write(
                "POST", api("pipelines", pipeline, "pipeline_schedules"), {"pipeline_schedule": body}
            )
            return TriggerRecord.model_validate(root(reply, "pipeline_schedule")), ""
        except (MageWriteUncertain, MageFailed, MageReplyInvalid) as error:
            try:
                found = await self._named(pipeline, name)
            except MageError as hindrance:
                raise _perhaps_made(pipeline, f"looking for it failed as well ({hindrance.what})") from error
            if len(found) > 1:
                ids = ", ".join(str(record.id) for record in found)
                raise _perhaps_made(pipeline, f"there are several of that name now: {ids}") from error
            if found:
                return found[0], "Mage's answer was lost; this trigger was found by its name, which none had before."
            if isinstance(error, MageFailed):
                raise
            raise _perhaps_made(pipeline, "no trigger has that name so far") from error

    async def _inherited_tags(self, trigger: int) -> list[str]:
        """Those of a deleted trigger that had the same id, as on SQLite the next one gets."""
        try:
            return (await self.record(trigger)).tags
        except MageError:
            return []

    async def _complete(self, record: TriggerRecord, late: dict[str, Any]) -> tuple[TriggerRecord, str]:
        """The second request; where it fails the trigger is there, switched off."""
        failed = ""
        try:
            await self._transport.write(
                "PUT", api("pipeline_schedules", record.id), {"pipeline_schedule": on_the_wire(late)}
            )
        except MageError as error:
            failed = error.what
        try:
            record = await self.record(record.id)
        except MageError as error:
            return record, f"What became of its tags, timeout and status could not be read: {failed or error.what}"
        present = fields_of(record)
        missing = [name for name, value in late.items() if not same(value, present[name])]
        if not missing:
            return record, ""
        what = ", ".join("timeout_s" if name == "settings" else name for name in missing)
        return record, (
            f"Its {what} could not be set: {failed or 'Mage kept something else.'} "
            f"update_triggers(triggers=[{record.id}]) sets them."
        )

    async def _note_on_code(self, pipeline: str, record: TriggerRecord) -> str:
        in_code = record.name in await self._in_file_if_told(pipeline)
        return "Mage put it into triggers.yaml, with its token." if in_code else ""


def _check(wanted: Wish, type_: str) -> None:
    if not wanted.name:
        raise MageInvalid("A trigger needs a name; nothing was sent.")
    if type_ == "time" and not wanted.interval:
        raise MageInvalid(
            "A trigger of type time needs an interval; nothing was sent.",
            next_step="Give @daily and the like or a cron line in UTC; type='api' makes one that is started from "
            "outside.",
        )
    if type_ != "time" and wanted.schedules:
        raise MageInvalid(f"A trigger of type {type_} has no interval and no start time; nothing was sent.")


def _perhaps_made(pipeline: str, why: str) -> MageWriteUncertain:
    return MageWriteUncertain(
        f"Mage's answer was lost, and {why}.",
        next_step=f"Look at list_triggers(pipeline={pipeline!r}) before you create it again.",
    )


def _answer(record: TriggerRecord, wanted: Wish, *, now: datetime) -> TriggerCreated:
    return TriggerCreated(
        changed=True,
        trigger=record.id,
        name=record.name,
        pipeline=record.pipeline_uuid,
        type=record.schedule_type,
        interval=record.schedule_interval,
        status=record.status,
        start_time=record.start_time,
        next_run_at=next_run(record, now=now) if record.status == "active" else None,
        note=" ".join(filter(None, (wanted.note, first_run_note(record, now=now), _how_it_runs(record, now=now)))),
    )


def _how_it_runs(record: TriggerRecord, *, now: datetime) -> str:
    if record.schedule_type == "api":
        return (
            "It is started from outside with its token, which only Mage's UI shows; trigger_pipeline(trigger=…) starts "
            "it too."
        )
    if record.status != "active":
        return (
            ""
            if not record.id
            else f"It is inactive: update_triggers(triggers=[{record.id}], status='active') switches it on."
        )
    when = f"at {iso(record.start_time)}" if record.start_time and record.start_time > now else "now"
    if record.schedule_interval == ONCE:
        return f"Mage starts its one run {when}."
    if record.schedule_interval == ALWAYS:
        return f"Mage starts a run {when}, and the next whenever one has ended."
    if due := makes_up_for(record, now=now):
        return f"Mage starts its run of {iso(due)} now."
    return ""

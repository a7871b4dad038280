"""Changing triggers: merged over what Mage has, one after the other, each read back."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import anyio
from pydantic import Field

from mage_mcp.client.models import ROOM, Answer, Change, Name, Names, Untrusted, UtcTime, how_many_fit, iso
from mage_mcp.client.paths import api
from mage_mcp.client.records import TriggerRecord
from mage_mcp.client.triggers.following import TriggerForesight, how_to_resume, laid_over, reschedules
from mage_mcp.client.triggers.judging import first_run_note, makes_up_for, next_run, runs_present_period
from mage_mcp.client.triggers.reading import InCode, is_ours
from mage_mcp.client.triggers.wishes import Wish, fields_of, on_the_wire, same, shown_fields, wish
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

_OF_OURS = {"status", "description", "tags"}
"""What may be changed of the trigger that trigger_pipeline uses, and that only to `active`."""
_ROOM_OF_A_BARE_ROW = 400
"""Bytes, for a row that is told without its values."""
_LOOKS = (0.0, 1.0, 2.0, 4.0)
"""Seconds to wait before each look at a trigger that is kept in code."""


class TriggerChange(Answer):
    trigger: int
    name: Name = ""
    pipeline: Name = ""
    changed: bool
    before: Annotated[dict[str, Any], Untrusted()] = Field(default={}, description="Only what changed.")
    after: Annotated[dict[str, Any], Untrusted()] = Field(default={}, description="Read back from Mage.")
    next_run_at: UtcTime | None = None
    others: Names = Field(default=[], description="Fields that somebody else changed meanwhile.")
    note: str = ""


class TriggersChanged(Change):
    triggers: list[TriggerChange] = []


@dataclass
class _Sent:
    """What was written, and what there is to say of it: in notes, and the first error that hid the outcome."""

    fields: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    error: MageError | None = None

    def not_kept_in(self, after: TriggerRecord) -> list[str]:
        present = fields_of(after)
        return [name for name, value in self.fields.items() if not same(value, present[name])]


@dataclass(frozen=True)
class _Turn:
    """One trigger's turn: as it was when the call was checked, right before the write, and read back."""

    first: TriggerRecord
    before: TriggerRecord
    after: TriggerRecord
    sent: _Sent


class TriggerChanger(TriggerForesight):
    """Update."""

    async def update(
        self, triggers: Sequence[int], *, allow_in_code: bool = False, dry_run: bool = False, **given: Any
    ) -> TriggersChanged:
        """Change the same fields of several triggers; `given` is what `wish` takes. Objects are merged.

        Where one of them must not be changed so, none is. What then fails for one is told in its row, and the others
        go on. Raises MageNotFound and MageInvalid before anything was sent, and what failed where nothing was changed.
        Source: Mage PipelineScheduleResource.update.
        """
        wanted = wish(now=self._transport.clock.utc(), **given)
        if wanted == Wish():
            raise MageInvalid("Nothing to change was given; nothing was sent.", next_step="Give a status, for example.")
        records = await asyncio.gather(*(self.record(trigger) for trigger in sorted(set(triggers))))
        in_code = dict(await asyncio.gather(*(self._code_of(uuid) for uuid in {r.pipeline_uuid for r in records})))
        for record in records:
            _refuse(record, wanted)
            _refuse_in_code(record, in_code[record.pipeline_uuid], allowed=allow_in_code)
        if wanted.name:
            await self._refuse_taken_name(records, wanted.name, in_code)
        if dry_run:
            return _would(records, wanted, notes=[await self.what_follows(r, wanted) for r in records])
        kept = {record.id for record in records if record.name in in_code[record.pipeline_uuid]}
        rows = await self._all_turns(records, wanted, kept)
        paused = [row.trigger for row in rows if row.before.get("status") == "active"]
        return _fitted(rows, note=f"{wanted.note} {how_to_resume(paused)}".strip())

    async def _code_of(self, pipeline: str) -> tuple[str, InCode]:
        try:
            return pipeline, await self.in_code(pipeline)
        except MageNotFound:  # a trigger outlives its pipeline, and must be stopped all the same
            return pipeline, InCode()

    async def _refuse_taken_name(
        self, records: Sequence[TriggerRecord], name: str, in_code: Mapping[str, InCode]
    ) -> None:
        """Mage's files go by names: what stands there under the new one would be written over this trigger."""
        if len(records) > 1:
            raise MageInvalid("Only one trigger can be given a name; nothing was sent.", next_step="Name one trigger.")
        (record,) = records
        others = [other for other in await self._all_of(record) if other.id != record.id and other.name == name]
        if others or (name != record.name and name in in_code[record.pipeline_uuid].names):
            which = f"trigger {others[0].id} is" if others else "one in its triggers.yaml is"
            raise MageInvalid(
                f"Of pipeline {quoted(record.pipeline_uuid)}, {which} named {quoted(name, 60)} already; nothing was "
                "sent.",
                next_step="Choose another name.",
            )

    async def _all_of(self, record: TriggerRecord) -> Sequence[TriggerRecord]:
        try:
            return await self.of_pipeline(record.pipeline_uuid)
        except MageNotFound:
            return []

    async def _all_turns(
        self, records: Sequence[TriggerRecord], wanted: Wish, in_code: Collection[int]
    ) -> list[TriggerChange]:
        rows: list[TriggerChange] = []
        for record in records:
            with noting(f"{len(rows)} of {len(records)} triggers were done."):
                try:
                    rows.append(await self._turn(record, wanted, in_code=record.id in in_code))
                except MageError as error:
                    if len(records) == 1:
                        raise
                    rows.append(_row(record, changed=False, note=f"It failed: {error}"))
        return rows

    async def _turn(self, first: TriggerRecord, wanted: Wish, *, in_code: bool) -> TriggerChange:
        async with self._transport.serial("trigger", str(first.id)):
            before = await self.record(first.id)
            _refuse(before, wanted)
            fields = wanted.over(before)
            if not fields:
                note = f"It is so already. {wanted.never_there(before)}".strip()
                return _row(before, changed=False, others=_others(first, before), note=note)
            follows = await self.what_follows(before, wanted)
            with anyio.CancelScope(shield=True):
                sent = await self._send(before, fields)
                after = await self._read_back(before, sent, looks=_LOOKS if in_code else _LOOKS[:1])
        if sent.error and fields_of(after) == fields_of(before):
            raise sent.error
        now = self._transport.clock.utc()
        sent.notes += [follows, first_run_note(after, now=now), wanted.never_there(before)]
        turn = _Turn(first, before, after, sent)
        return _told(turn, next_run(after, now=now) if after.status == "active" else None)

    async def _send(self, before: TriggerRecord, fields: dict[str, Any]) -> _Sent:
        """Send the change. Mage starts the moment of a new schedule that lies behind us, though nobody asked for it,
        unless the trigger is switched off with the same request and on again with another.
        """
        after = laid_over(before, fields)
        due = None if runs_present_period(after) else makes_up_for(after, now=self._transport.clock.utc())
        if before.status != "active" or "status" in fields or not due or not reschedules(fields):
            sent = _Sent(fields)
            await self._put(before, fields, sent)
            return sent
        sent = _Sent({**fields, "status": "active"})
        await self._put(before, {**fields, "status": "inactive"}, sent)
        try:
            await self._put(before, {"status": "active"}, sent)
            sent.notes.append(f"It was off for a moment, so that Mage does not make up for {iso(due)}.")
        except MageError as error:
            sent.notes.append(f"It was switched off for the change, and could not be switched on again: {error}")
        return sent

    async def _put(self, record: TriggerRecord, fields: dict[str, Any], sent: _Sent) -> None:
        """PUT once. Raises only where nothing was sent or Mage certainly refused."""
        try:
            await self._transport.write(
                "PUT", api("pipeline_schedules", record.id), {"pipeline_schedule": on_the_wire(fields)}
            )
        except (MageWriteUncertain, MageReplyInvalid) as error:
            sent.error = sent.error or error
            sent.notes.append("Mage's answer was lost; `after` is what was read since.")
        except (MageFailed, MageNotFound) as error:  # it may store first: where the pipeline is gone it does
            sent.error = sent.error or error
            sent.notes.append(f"Mage answered with an error ({error.what}); `after` is what was read since.")

    async def _read_back(self, before: TriggerRecord, sent: _Sent, *, looks: Sequence[float]) -> TriggerRecord:
        """As it is now. Mage may at this moment be putting what it read in triggers.yaml just before in its place; its
        scheduler's next look mends that.
        """
        try:
            for pause in looks:
                await self._transport.clock.sleep(pause)
                after = await self.record(before.id)
                if not sent.not_kept_in(after):
                    break
        except MageError as error:
            raise MageWriteUncertain(
                f"The change of trigger {before.id} was sent, but what became of it could not be read: {error.what}",
                next_step=f"Look with list_triggers(pipeline={before.pipeline_uuid!r}) before you try again.",
            ) from error
        return after


def _refuse(record: TriggerRecord, wanted: Wish) -> None:
    """Raises MageInvalid for what would break this trigger, or mean nothing for it."""
    fields = wanted.over(record)
    if is_ours(record) and (set(fields) - _OF_OURS or fields.get("status") == "inactive"):
        raise MageInvalid(
            f"Trigger {record.id} of {quoted(record.pipeline_uuid)} is the one that trigger_pipeline uses; it has no "
            "schedule, and paused or changed it would not work. Nothing was sent.",
            next_step="Leave it out. Only its description and tags can be changed.",
        )
    if wanted.schedules and record.schedule_type != "time":
        raise MageInvalid(
            f"Trigger {record.id} is of type {record.schedule_type or 'none'}, which has no interval and no start "
            "time. Nothing was sent.",
            next_step="Leave it out, or create_trigger a new one of type time.",
        )


def _refuse_in_code(record: TriggerRecord, in_code: InCode, *, allowed: bool) -> None:
    if record.name in in_code and not allowed:
        raise MageInvalid(
            f"Trigger {record.id} ({quoted(record.name, 60)}) is kept in triggers.yaml of "
            f"{quoted(record.pipeline_uuid)}: Mage would rewrite that file, and write the trigger's token into it. "
            "Nothing was sent.",
            next_step="Change the file in its repository, or say that this is all right with allow_in_code=true.",
        )


def _would(records: Sequence[TriggerRecord], wanted: Wish, *, notes: Sequence[str]) -> TriggersChanged:
    rows, would = [], []
    for record, note in zip(records, notes, strict=True):
        fields = wanted.over(record)
        after = laid_over(record, fields)
        row = _row(record, changed=False, note=note if fields else "It is so already.")
        shown = {
            "before": shown_fields(record, list(fields), other=after),
            "after": shown_fields(after, list(fields), other=record),
        }
        rows.append(row.model_copy(update=shown))
        if fields:
            would.append(f"change trigger {record.id} ({quoted(record.name, 60)}) of {quoted(record.pipeline_uuid)}")
    return _fitted(rows, note=f"A dry run: nothing was sent. {wanted.note}").model_copy(update={"would": would})


def _row(record: TriggerRecord, *, changed: bool, **more: Any) -> TriggerChange:
    return TriggerChange(trigger=record.id, name=record.name, pipeline=record.pipeline_uuid, changed=changed, **more)


def _told(turn: _Turn, next_run_at: datetime | None) -> TriggerChange:
    was, present, sent = fields_of(turn.before), fields_of(turn.after), turn.sent.fields
    notes = [note for note in turn.sent.notes if note]
    if not_kept := turn.sent.not_kept_in(turn.after):
        notes.insert(0, f"Not as it was sent: {', '.join(not_kept)}. Mage refused it, or somebody wrote right after.")
    changed = [name for name in sent if not same(was[name], present[name])]
    return _row(
        turn.after,
        changed=bool(changed),
        before=shown_fields(turn.before, changed, other=turn.after),
        after=shown_fields(turn.after, changed, other=turn.before),
        next_run_at=next_run_at,
        others=sorted({*_others(turn.first, turn.before), *_others(turn.before, turn.after, but=sent)}),
        note=" ".join(dict.fromkeys(notes)),
    )


def _others(was: TriggerRecord, now: TriggerRecord, *, but: dict[str, Any] | None = None) -> list[str]:
    """Fields that differ, though we did not write them."""
    before, after = fields_of(was), fields_of(now)
    return [name for name in before if name not in (but or {}) and not same(before[name], after[name])]


def _fitted(rows: Sequence[TriggerChange], *, note: str) -> TriggersChanged:
    """All rows; those that there is no room for without the values."""
    fit = how_many_fit(rows, room=ROOM - _ROOM_OF_A_BARE_ROW * len(rows))
    bare = [
        row.model_copy(update={"before": {}, "after": {}, "note": f"{row.note} Too long to show here.".strip()})
        for row in rows[fit:]
    ]
    failed = sum(row.note.startswith("It failed") for row in rows)
    if failed:
        note = f"{failed} of {len(rows)} failed; the rest is as told. {note}"
    return TriggersChanged(changed=any(row.changed for row in rows), triggers=[*rows[:fit], *bare], note=note.strip())

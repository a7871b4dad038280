"""What a change of a trigger brings with it: runs that start, runs that go on."""

from collections.abc import Sequence
from typing import Any

from mage_mcp.client.models import iso
from mage_mcp.client.records import TriggerRecord
from mage_mcp.client.schedules import ALWAYS, ONCE
from mage_mcp.client.triggers.judging import makes_up_for, runs_present_period
from mage_mcp.client.triggers.reading import TriggerReader
from mage_mcp.client.triggers.wishes import Wish


class TriggerForesight(TriggerReader):
    """Say what follows."""

    async def what_follows(self, before: TriggerRecord, wanted: Wish) -> str:
        """What switching it on starts, and what switching it off does not stop."""
        fields = wanted.over(before)
        after, now = laid_over(before, fields), self._transport.clock.utc()
        if "status" in fields:
            runs = await self.under_way(before.id)
            if after.status == "active":
                return " ".join((*_waiting(runs), *await self._at_once(after)))
            return _what_goes_on(before, runs)
        if after.status == "active" and after.schedule_interval in (ONCE, ALWAYS) and reschedules(fields):
            return " ".join(await self._at_once(after))
        if due := makes_up_for(after, now=now) if after.status == "active" and reschedules(fields) else None:
            return f"Mage starts its run of {iso(due)} now." if runs_present_period(after) else ""
        return ""

    async def _at_once(self, after: TriggerRecord) -> list[str]:
        now = self._transport.clock.utc()
        when = f"at {iso(after.start_time)}" if after.start_time and after.start_time > now else "now"
        if after.schedule_type != "time":
            return []
        if after.schedule_interval == ONCE:
            ran = await self.number_of_runs(after.id)
            return ["It has run already: Mage runs @once no second time." if ran else f"Mage starts its run {when}."]
        if after.schedule_interval == ALWAYS:
            return [f"Mage starts a run {when}, and the next whenever one has ended."]
        if runs_present_period(after) and makes_up_for(after, now=now):
            return ["Mage starts the run of its present period now."]
        return []


def reschedules(fields: dict[str, Any]) -> bool:
    """Whether a change is one of when it runs."""
    return "schedule_interval" in fields or "start_time" in fields


def laid_over(record: TriggerRecord, fields: dict[str, Any]) -> TriggerRecord:
    """The trigger as these fields of Mage's would make it."""
    return record.model_copy(update=fields)


def _waiting(runs: dict[int, str]) -> list[str]:
    waiting = sorted(run for run, status in runs.items() if status == "initial")
    return [f"{len(waiting)} runs that waited start now: {_ids(waiting)}."] if waiting else []


def _what_goes_on(record: TriggerRecord, runs: dict[int, str]) -> str:
    notes = []
    if runs:
        running = sorted(run for run, status in runs.items() if status == "running")
        waiting = sorted(set(runs) - set(running))
        notes += [f"Runs under way go on: {_ids(running)}; cancel_runs stops them."] if running else []
        notes += [f"Runs that had not begun wait until it is active: {_ids(waiting)}."] if waiting else []
    if record.schedule_type == "api":
        notes.append("Whoever calls it with its token switches it on again.")
    return " ".join(notes)


def _ids(runs: Sequence[int]) -> str:
    return ", ".join(map(str, runs[:10])) + (f" and {len(runs) - 10} more" if len(runs) > 10 else "")


def how_to_resume(paused: Sequence[int]) -> str:
    """The call that takes a pause back, and no more: what had been paused before stays so."""
    call = f"update_triggers(triggers={list(paused)}, status='active')"
    return f"Mage does not resume by itself: {call} resumes what this paused." if paused else ""

"""Which schedules did not bring the run that was due. Mage does not tell: it only says when each comes next."""

import asyncio
from datetime import datetime, timedelta

from pydantic import Field

from mage_mcp.client.models import Answer, Name, UtcTime
from mage_mcp.client.paths import api
from mage_mcp.client.records import RunRecord, TriggerRecord
from mage_mcp.client.replies import root
from mage_mcp.client.runs.reading import RunReader
from mage_mcp.client.schedules import last_due
from mage_mcp.client.transport import Params
from mage_mcp.text import one_line

_MOST = 40
_TIMED: Params = {"status[]": "active", "schedule_type[]": "time", "_limit": 1000}
_NEWEST: Params = {"order_by[]": "id desc", "disable_retries_grouping": True, "_limit": 1}
_GRACE = timedelta(minutes=5)
"""The scheduler makes a run at its next loop, which may take a while."""


class LateRun(Answer):
    pipeline: Name
    trigger: int
    name: Name = ""
    interval: Name = ""
    due_at: UtcTime = Field(description="When a run should have been made, and none was.")
    last_run: int | None = None
    last_run_at: UtcTime | None = None


class LateRuns(Answer):
    items: list[LateRun]
    note: str = ""


class LateRunReader(RunReader):
    """Look for runs that are not there."""

    async def late(self) -> LateRuns:
        """Active time triggers whose latest due moment brought no run, the latest due first.

        Not judged: what Mage itself does not start (before the trigger's start, or before it was last enabled), landing
        times, and intervals that cannot be read. Source: Mage PipelineSchedule.should_schedule.
        """
        now = self._transport.clock.utc()
        reply = await self._transport.read(api("pipeline_schedules"), **_TIMED)
        records = [TriggerRecord.model_validate(row) for row in root(reply, "pipeline_schedules", kind=list)]
        due = [(moment, record) for record in records if (moment := _was_due(record, now))]
        due.sort(key=lambda each: (each[0], each[1].id), reverse=True)
        found = await asyncio.gather(*(self._if_late(record, moment) for moment, record in due[:_MOST]))
        note = f"{len(due) - _MOST} more schedules were not looked at." if len(due) > _MOST else ""
        return LateRuns(items=[late for late in found if late is not None], note=note)

    async def _if_late(self, trigger: TriggerRecord, due: datetime) -> LateRun | None:
        """The trigger, where no run was made for that moment or after it."""
        reply = await self._transport.read(api("pipeline_schedules", trigger.id, "pipeline_runs"), **_NEWEST)
        runs = [RunRecord.model_validate(row) for row in root(reply, "pipeline_runs", kind=list)]
        last = next((run for run in runs if run.pipeline_schedule_id == trigger.id), None)
        made = max((at for at in (last.execution_date, last.created_at) if at), default=None) if last else None
        if made and made >= due:
            return None
        return LateRun(
            pipeline=trigger.pipeline_uuid,
            trigger=trigger.id,
            name=one_line(trigger.name, 80),
            interval=trigger.schedule_interval,
            due_at=due,
            last_run=last.id if last else None,
            last_run_at=made,
        )


def _was_due(trigger: TriggerRecord, now: datetime) -> datetime | None:
    """When it should last have started a run, and has had the time to; None where it should not have."""
    if trigger.settings.get("landing_time_enabled"):
        return None
    due = last_due(trigger.schedule_interval, now - _GRACE)
    if due is None or (trigger.start_time and due < trigger.start_time):
        return None
    enabled = trigger.last_enabled_at
    waits = enabled and due < enabled and not trigger.settings.get("create_initial_pipeline_run")
    return None if waits else due

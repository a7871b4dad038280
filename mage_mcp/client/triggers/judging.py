"""When a trigger runs next, and what Mage would start at once: it tells neither."""

from datetime import datetime, timedelta

from mage_mcp.client.models import iso
from mage_mcp.client.records import TriggerRecord
from mage_mcp.client.schedules import ALWAYS, ONCE, last_due, next_due

_AT_ONCE = (ONCE, ALWAYS)


def next_run(record: TriggerRecord, *, now: datetime) -> datetime | None:
    """When it comes round next while it is active: at its schedule's own times, never at its start time.

    None where nothing says so: `@once` and `@always_on`, landing times, cron lines of more than five fields.
    Source: Mage PipelineSchedule.should_schedule.
    """
    interval = record.schedule_interval
    if record.schedule_type != "time" or interval in _AT_ONCE or has_landing_time(record):
        return None
    return next_due(interval, max(now + timedelta(microseconds=1), record.start_time or now))


def makes_up_for(record: TriggerRecord, *, now: datetime) -> datetime | None:
    """The moment that lies behind us for which Mage starts a run of this trigger at once, unless one was made before.

    It does so where that moment is neither before the start time nor before the trigger was enabled.
    """
    due = last_due(record.schedule_interval, now)
    if record.status != "active" or due is None or has_landing_time(record):
        return None
    enabled = None if runs_present_period(record) else record.last_enabled_at
    held_back = [moment for moment in (record.start_time, enabled) if moment and moment > due]
    return None if held_back else due


def has_landing_time(record: TriggerRecord) -> bool:
    """Then the start time says when runs should have ended."""
    return bool(record.settings.get("landing_time_enabled"))


def runs_present_period(record: TriggerRecord) -> bool:
    """Whether it is set to start the run of the period that it is switched on in."""
    return bool(record.settings.get("create_initial_pipeline_run"))


def first_run_note(record: TriggerRecord, *, now: datetime) -> str:
    """A word where the schedule does not begin as its start time may be thought to say."""
    start, first = record.start_time, next_run(record, now=now)
    if start is None or first is None or first == start:
        return ""
    if start <= now:
        return "The start time lies in the past, so it holds nothing back."
    return (
        f"Mage starts runs at the times of {record.schedule_interval}, not at the start time: the first is at "
        f"{iso(first)}."
    )

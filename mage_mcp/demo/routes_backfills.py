"""Answers about backfills, and what becomes of them as their runs go on."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from mage_mcp.demo.runs import Run
from mage_mcp.demo.times import second, stamp
from mage_mcp.demo.wire import Body, Call, Crash, answers, as_id, bad_enum, page
from mage_mcp.demo.world import Backfill, World

_LENGTHS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "custom": 1}
_MONTHS = {"month": 1, "year": 12}
_PLAIN = ("block_uuid", "interval_type", "interval_units", "name", "settings", "variables")
_DATES = ("start_datetime", "end_datetime")


def settle(world: World) -> None:
    """What Mage notes when a run starts, ends well or fails; asked for before each answer, since nothing goes on by
    itself here.
    """
    for backfill in world.backfills.values():
        if backfill.status is not None:
            _settle(world, backfill)


def _settle(world: World, backfill: Backfill) -> None:
    now, latest = world.now, dict[datetime, Run]()
    for run in sorted(_runs(world, backfill), key=lambda run: run.id):
        latest[run.execution_date] = run
    since = backfill.settled_at

    def lately(status: str) -> datetime | None:
        moments = (run.timeline.last(status, now) for run in latest.values())
        return max((moment for moment in moments if moment and (since is None or moment > since)), default=None)

    statuses = {run.status(now) for run in latest.values()}
    trigger = world.triggers.get(backfill.trigger_id or 0)
    if backfill.status == "initial" and lately("running"):
        backfill.status = "running"
    if statuses == {"completed"} and (ended := lately("completed")):
        backfill.status, backfill.completed_at, backfill.settled_at = "completed", ended, now
        if trigger:
            trigger.status = "inactive"
    elif "failed" in statuses and lately("failed"):
        backfill.status = "failed"


def _runs(world: World, backfill: Backfill) -> list[Run]:
    return [run for run in world.runs.values() if run.id in backfill.run_ids]


@answers("GET backfills", "GET pipelines/:id/backfills")
def list_backfills(call: Call) -> Body:
    """The pipeline in the path filters nothing, only the parameter does."""
    if "child" in call.url_parameters:
        call.pipeline()
    call.check_poison()
    wanted = call.query.text("pipeline_uuid")
    rows = [each for each in call.world.backfills.values() if wanted in (None, each.pipeline_uuid)]
    rows.sort(key=lambda each: each.created_at, reverse=True)
    shown, metadata = page(rows, call.query)
    return {"backfills": [_shape(each) for each in shown], "metadata": metadata}


@answers("GET backfills/:id")
def get_backfill(call: Call) -> Body:
    return _one(_backfill(call))


@answers("POST backfills", "POST pipelines/:id/backfills")
def create_backfill(call: Call) -> Body:
    if "child" not in call.url_parameters:
        raise Crash("'NoneType' object has no attribute 'uuid'", "AttributeError")
    pipeline, world = call.pipeline(), call.world
    number = max(world.backfills, default=0) + 1  # SQLite gives the id of the last deleted one to the next
    backfill = Backfill(number, pipeline.uuid, created_at=world.now)
    world.backfills[number] = backfill
    _store(call, backfill, call.payload("backfill"))
    return _one(backfill)


@answers("PUT backfills/:id")
def update_backfill(call: Call) -> Body:
    """Start or cancel, with nothing else; or change fields. A status that Mage knows nothing to do with is ignored."""
    backfill, payload = _backfill(call), call.payload("backfill")
    status = payload.get("status")
    if status == "initial" != backfill.status:
        _start(call.world, backfill)
    elif status == "cancelled" != backfill.status:
        _cancel(call.world, backfill)
    else:
        _store(call, backfill, payload)
    return _one(backfill)


@answers("DELETE backfills/:id")
def delete_backfill(call: Call) -> Body:
    """Its trigger and its runs stay."""
    backfill = _backfill(call)
    del call.world.backfills[backfill.id]
    return _one(backfill)


def _backfill(call: Call) -> Backfill:
    backfill = call.world.backfills.get(as_id(call.pk))
    if backfill is None:
        raise call.not_found()
    call.check_poison("backfill", backfill.id)
    return backfill


def _store(call: Call, backfill: Backfill, payload: dict[str, Any]) -> None:
    """Unknown keys are ignored; an unknown interval is stored, and nothing can read it back."""
    for name in _PLAIN:
        if name in payload:
            backfill.fields[name] = payload[name]
    for name in _DATES:
        if name in payload:
            backfill.fields[name] = _date(payload[name])
    interval = payload.get("interval_type")
    if interval is not None and interval not in {*_LENGTHS, *_MONTHS}:
        error = bad_enum(interval, "intervaltype", "SECOND, MINUTE, HOUR, ..., CUSTOM")
        call.world.poison["backfill", backfill.id] = error.exception
        raise error


def _date(text: str | None) -> datetime | None:
    """A zone is dropped, not converted."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise Crash(f"Unknown string format: {text}", "ParserError") from None


def _start(world: World, backfill: Backfill) -> None:
    """All its runs, made anew each time, the latest of a date being the one that counts."""
    fields = backfill.fields
    dates = list(_dates(fields))
    trigger = world.triggers.get(backfill.trigger_id or 0)
    if trigger is None:
        trigger = world.add_trigger(backfill.pipeline_uuid, f"Backfill {fields.get('name')}")
        trigger.schedule_interval, trigger.start_time = "@once", world.now
        trigger.variables = fields.get("variables")
    for date in dates:
        seen = {"ds": f"{date:%Y-%m-%d}", "hr": f"{date:%H}", "execution_date": date.replace(tzinfo=None).isoformat()}
        run = world.create_run(trigger, {**(fields.get("variables") or {}), **seen}, execution_date=date)
        backfill.run_ids.add(run.id)
    enabled = trigger.last_enabled_at
    world.switch(trigger, "active")
    trigger.last_enabled_at = enabled
    backfill.trigger_id, backfill.status = trigger.id, "initial"
    backfill.started_at = backfill.settled_at = world.now


def _dates(fields: dict[str, Any]) -> Iterator[datetime]:
    date, end, interval, units = (fields.get(name) for name in (*_DATES, "interval_type", "interval_units"))
    if date is None or end is None:
        raise Crash("'<=' not supported between instances of 'NoneType' and 'NoneType'", "TypeError")
    if interval is None or units is None or units < 1:
        raise Crash("The real Mage would not answer any more: it counts for ever.", "MemoryError")
    while date <= end:
        yield date
        if interval in _MONTHS:
            month = date.month - 1 + _MONTHS[interval] * units
            year, month = date.year + month // 12, month % 12 + 1
            date = date.replace(year=year, month=month, day=min(date.day, monthrange(year, month)[1]))
        else:
            date += timedelta(seconds=_LENGTHS[interval] * units)


def _cancel(world: World, backfill: Backfill) -> None:
    """Only a mark on its runs: a worker goes on till its block ends. Then the trigger, which there must be."""
    now = world.now
    for run in _runs(world, backfill):
        if run.status(now) in ("initial", "running"):
            run.timeline.drop_after(now)
            run.timeline.add(now, "cancelled")
            for block_run in run.block_runs:
                if block_run.status(now) == "initial":
                    block_run.drop_after(now)
    backfill.status, backfill.settled_at = "cancelled", now
    trigger = world.triggers.get(backfill.trigger_id or 0)
    if trigger is None:
        raise Crash("'NoneType' object has no attribute 'update'", "AttributeError")
    trigger.status = "inactive"


def _one(backfill: Backfill) -> Body:
    return {"backfill": _shape(backfill), "metadata": None}


def _shape(backfill: Backfill) -> dict[str, Any]:
    fields = backfill.fields
    return {
        "block_uuid": fields.get("block_uuid"),
        "completed_at": stamp(backfill.completed_at),
        "created_at": stamp(second(backfill.created_at)),
        "end_datetime": stamp(fields.get("end_datetime")),
        "failed_at": None,
        "interval_type": fields.get("interval_type"),
        "interval_units": fields.get("interval_units"),
        "metrics": None,
        "name": fields.get("name"),
        "pipeline_schedule_id": backfill.trigger_id,
        "pipeline_uuid": backfill.pipeline_uuid,
        "settings": fields.get("settings"),
        "start_datetime": stamp(fields.get("start_datetime")),
        "started_at": stamp(backfill.started_at),
        "status": backfill.status,
        "updated_at": stamp(second(backfill.settled_at or backfill.created_at)),
        "variables": fields.get("variables"),
        "id": backfill.id,
    }

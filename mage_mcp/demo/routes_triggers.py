"""Answers about triggers, Mage's pipeline schedules, and the two endpoints that start runs by token."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from mage_mcp.demo import in_code, shapes
from mage_mcp.demo.cron import is_interval, next_run_at
from mage_mcp.demo.runs import Run
from mage_mcp.demo.scheduling import look_at
from mage_mcp.demo.wire import ApiError, Body, Call, Crash, answers, as_id, bad_enum, page
from mage_mcp.demo.world import REPO_PATH, TriggerRow, hex_id

_ENUMS = {
    "schedule_type": ("scheduletype", ("api", "event", "time")),
    "status": ("schedulestatus", ("active", "inactive")),
}
_PLAIN = ("name", "description", "schedule_interval", "variables", "settings", "sla", "token", *_ENUMS)
_COLUMNS = (*_PLAIN, "start_time", "id", "created_at", "updated_at", "pipeline_uuid", "repo_path")
_MORE_COLUMNS = ("last_enabled_at", "global_data_product_uuid")
_ORDERS = ("created_at", "name", "pipeline_uuid", "status", "schedule_type")


@answers("GET pipeline_schedules", "GET pipelines/:id/pipeline_schedules")
def list_triggers(call: Call) -> Body:
    of_pipeline = call.pipeline().uuid if "child" in call.url_parameters else None
    call.check_poison()
    rows = [trigger for trigger in call.world.triggers.values() if of_pipeline in (None, trigger.pipeline_uuid)]
    for name in ("status", "schedule_type", "schedule_interval"):
        if wanted := call.query.names(f"{name}[]"):
            rows = [trigger for trigger in rows if getattr(trigger, name) in wanted]
    # The one list that is not split at commas: only a single tag can be asked for.
    if tag := call.query.text("tag[]"):
        rows = [trigger for trigger in rows if tag in trigger.tags]
    if of_pipeline is not None:
        rows.reverse()
    elif (order := call.query.text("order_by")) in _ORDERS:
        rows.sort(key=lambda trigger: str(getattr(trigger, order or "id")), reverse=order == "created_at")
    for trigger in rows:
        _check_comes_round(call, trigger)
    shown, metadata = page(rows, call.query)
    now, runs = call.world.now, _runs_by_trigger(call)
    return {
        "pipeline_schedules": [shapes.trigger_row(trigger, runs[trigger.id], now) for trigger in shown],
        "metadata": metadata,
    }


def _runs_by_trigger(call: Call) -> defaultdict[int, list[Run]]:
    runs: defaultdict[int, list[Run]] = defaultdict(list)
    for run in call.world.runs.values():
        runs[run.trigger_id].append(run)
    return runs


@answers("GET pipeline_schedules/:id")
def get_trigger(call: Call) -> Body:
    trigger, now = call.trigger(), call.world.now
    _check_comes_round(call, trigger)
    shape = shapes.trigger_detail(trigger, now)
    if call.query.text("_format") == "with_runtime_average":
        runs = call.world.runs_of(trigger.id)
        del shape["event_matchers"]
        shape |= {"pipeline_runs_count": len(runs), "runtime_average": _average_s(runs, now)}
    return {"pipeline_schedule": shape, "metadata": None}


def _average_s(runs: list[Run], now: datetime) -> float | None:
    ends = [(run.started_at, run.timeline.last("completed", now)) for run in runs]
    seconds = [(end - start).total_seconds() for start, end in ends if start and end]
    return sum(seconds) / len(seconds) if seconds else None


@answers("POST pipelines/:id/pipeline_schedules")
def create_trigger(call: Call) -> Body:
    pipeline, payload = call.pipeline(), call.payload("pipeline_schedule")
    _check_columns(payload)
    _check_values(payload)
    if not payload.get("name"):
        details = {"error": "name cannot be empty.", "metadata": {"key": "name", "value": payload.get("name")}}
        raise ApiError(200, "record_invalid", "Record is invalid.", errors=details)
    trigger = call.world.add_trigger(pipeline.uuid, payload["name"])
    _store(call, trigger, payload)
    if in_code.keeps_all(pipeline):
        in_code.keep(call.world, trigger, add=True)
    look_at(call.world, trigger)
    return {"pipeline_schedule": shapes.trigger(trigger), "metadata": None}


@answers("POST pipeline_schedules")
def create_trigger_without_pipeline(_: Call) -> Body:
    raise Crash("'NoneType' object has no attribute 'uuid'", "AttributeError")


@answers("PUT pipeline_schedules/:id")
def update_trigger(call: Call) -> Body:
    """Fields are merged, but `variables`, `settings` and `tags` are replaced whole; unknown keys are ignored."""
    trigger, payload = call.trigger(), call.payload("pipeline_schedule")
    _check_values(payload)
    if isinstance(payload.get("tags"), list):
        trigger.tags = list(payload["tags"])
    if payload.get("rotate_token"):
        payload["token"] = hex_id("rotated", trigger.token)
    former_name, pipeline = trigger.name, call.world.pipelines.get(trigger.pipeline_uuid)
    _store(call, trigger, payload)
    trigger.updated_at = call.world.now
    if pipeline is None:  # stored all the same
        raise Crash(f"Pipeline {trigger.pipeline_uuid} does not exist in repo_path {REPO_PATH}.")
    in_code.keep(call.world, trigger, former_name=former_name, add=in_code.keeps_all(pipeline))
    _check_comes_round(call, trigger)
    look_at(call.world, trigger)
    return {"pipeline_schedule": shapes.trigger_detail(trigger, call.world.now), "metadata": None}


@answers("DELETE pipeline_schedules/:id")
def delete_trigger(call: Call) -> Body:
    trigger = call.trigger()
    in_code.remove(call.world, trigger)
    call.world.delete_trigger(trigger)
    return {"pipeline_schedule": shapes.trigger(trigger), "metadata": None}


@answers("GET pipelines/:id/pipeline_triggers")
def list_triggers_in_code(call: Call) -> Body:
    entries = in_code.triggers_in(call.world, call.pipeline().uuid)
    return {"pipeline_triggers": [in_code.listed(entry) for entry in entries], "metadata": {}}


@answers("POST pipelines/:id/pipeline_triggers")
def keep_in_code(call: Call) -> Body:
    """Copy a trigger into the pipeline's file."""
    pipeline, number = call.pipeline(), call.payload("pipeline_trigger").get("pipeline_schedule_id")
    if (trigger := call.world.triggers.get(as_id(str(number)))) is None:
        raise Crash("'NoneType' object has no attribute 'description'", "AttributeError")
    in_code.keep(call.world, trigger, add=True)
    entry = next(one for one in in_code.triggers_in(call.world, pipeline.uuid) if one["name"] == trigger.name)
    return {"pipeline_trigger": in_code.listed(entry), "metadata": None}


def _check_columns(payload: dict[str, Any]) -> None:
    for key in payload:
        if key not in (*_COLUMNS, *_MORE_COLUMNS):
            raise Crash(f"'{key}' is an invalid keyword argument for PipelineSchedule", "TypeError")


def _check_values(payload: dict[str, Any]) -> None:
    """What Mage refuses before it stores anything: neither a bad status nor a bad type is among it."""
    interval = payload.get("schedule_interval")
    if interval and not is_interval(interval):
        raise Crash("Cron expression is invalid.", "ValueError")
    if payload.get("start_time"):
        try:
            # Its offset is dropped, not converted.
            payload["start_time"] = datetime.fromisoformat(payload["start_time"]).replace(tzinfo=UTC)
        except ValueError:
            raise Crash(f"Unknown string format: {payload['start_time']}", "ParserError") from None


def _check_comes_round(call: Call, trigger: TriggerRow) -> None:
    """A cron line that never does is stored, and then spoils whatever has to tell when it comes next."""
    interval = trigger.schedule_interval or "@once"
    if not interval.startswith("@") and next_run_at(interval, call.world.now) is None:
        raise Crash("failed to find prev date", "CroniterBadDateError")


def _store(call: Call, trigger: TriggerRow, payload: dict[str, Any]) -> None:
    for name in ("start_time", *_PLAIN):
        if name in payload and name != "status":
            setattr(trigger, name, payload[name])
    if payload.get("status") in ("active", "inactive"):
        call.world.switch(trigger, payload["status"])
    for name, (enum, values) in _ENUMS.items():
        value = payload.get(name)
        if value is not None and str(value).lower() not in values:
            error = bad_enum(value, enum, ", ".join(values).upper())
            call.world.poison["trigger", trigger.id] = error.exception
            raise error


@answers("POST pipeline_schedules/:id/pipeline_runs/:id", "POST pipeline_schedules/:id/api_trigger")
def trigger_by_token(call: Call) -> Body:
    """Start a run with a token alone. An inactive trigger is activated along the way."""
    trigger = call.world.triggers.get(as_id(call.pk))
    if trigger is None:
        raise Crash(str({"code": 404, "message": call.world.not_found, "type": "record_not_found"}), "ApiError")
    if trigger.schedule_type != "api":
        raise Crash("This endpoint is only supported for API trigger.", "UnauthenticatedRequestException")
    if call.url_parameters.get("child_pk", call.bearer) != trigger.token:
        raise Crash(f"Invalid token for pipeline schedule ID {call.pk}.", "UnauthenticatedRequestException")
    events = {key: value for key, value in (call.body or {}).items() if key != "pipeline_run"} if call.body else None
    variables = call.payload("pipeline_run").get("variables") or {}
    run = call.world.create_run(trigger, variables, events)
    call.world.switch(trigger, "active")
    return {"pipeline_run": shapes.run(run, call.world.now)}

"""Answers about runs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mage_mcp.demo import shapes
from mage_mcp.demo.runs import Run
from mage_mcp.demo.scheduling import look_at
from mage_mcp.demo.times import second
from mage_mcp.demo.wire import DEFAULT_LIMIT, Body, Call, Crash, answers, as_id, bad_enum, page

_STATUSES = ("initial", "running", "completed", "failed", "cancelled")
_COLUMNS = ("variables", "event_variables", "execution_date", "status", "executor_type", "backfill_id", "passed_sla")
_SORTABLE = ("id", "created_at", "execution_date", "started_at", "completed_at", "status", "pipeline_uuid")
_LARGEST_INTEGER = 2**63 - 1


@answers("GET pipeline_runs", "GET pipeline_schedules/:id/pipeline_runs")
def list_runs(call: Call) -> Body:
    call.check_poison()
    # An unknown trigger is no trigger to Mage: then all runs of the project are answered.
    of_trigger = call.world.triggers.get(as_id(call.pk)) if "pk" in call.url_parameters else None
    rows = _sorted(call, _matching(call, of_trigger.id if of_trigger else None))
    if call.query.number("_limit", DEFAULT_LIMIT) > _LARGEST_INTEGER:
        raise Crash("Python int too large to convert to SQLite INTEGER", "OverflowError")
    of_one = of_trigger is not None or call.query.text("pipeline_uuid") is not None
    if of_one and rows and call.query.text("_limit") != "0" and not call.query.flag("disable_retries_grouping"):
        shown, metadata = _grouped(call, rows)
    else:
        shown, metadata = page(rows, call.query)
    if call.query.flag("include_pipeline_uuids"):
        metadata["pipeline_uuids"] = sorted(call.world.pipelines)
    return {"pipeline_runs": _rows(call, shown), "metadata": metadata}


def _rows(call: Call, runs: Sequence[Run]) -> list[dict[str, Any]]:
    now, triggers = call.world.now, call.world.triggers
    if call.query.text("_format") == "with_basic_details":
        return [shapes.basic_run(run, now) for run in runs]
    tags = call.query.flag("include_pipeline_tags")
    type_ = call.query.flag("include_pipeline_type") or call.query.text("pipeline_type") is not None
    return [shapes.run_row(run, triggers[run.trigger_id], now, tags=tags, type_=type_) for run in runs]


def _matching(call: Call, trigger_id: int | None) -> list[Run]:
    query, world = call.query, call.world
    pipeline, pipelines, statuses = query.text("pipeline_uuid"), query.names("pipeline_uuid[]"), query.names("status[]")
    status, type_ = (query.text("status") or "").lower(), query.text("pipeline_type")
    last_only = status == "last_run_failed"
    status = "failed" if last_only else status
    since, until = query.timestamp("start_timestamp"), query.timestamp("end_timestamp")
    tags = set(query.names("pipeline_tag[]"))
    # A tag that nothing has filters nothing.
    tagged = {uuid for uuid, one in world.pipelines.items() if tags & set(one.tags)}
    newest = {(run.execution_date, run.trigger_id): run.id for run in world.runs.values()}
    of_backfill = query.text("backfill_id")
    backfill = world.backfills.get(as_id(of_backfill)) if of_backfill else None
    nothing_else = query.text("global_data_product_uuid") is None

    def matches(run: Run) -> bool:
        created = second(run.created_at).timestamp()
        return (
            nothing_else
            and (of_backfill is None or (backfill is not None and run.id in backfill.run_ids))
            and run.trigger_id in world.triggers
            and trigger_id in (None, run.trigger_id)
            and pipeline in (None, run.pipeline.uuid)
            and (not pipelines or run.pipeline.uuid in pipelines)
            and (not tagged or run.pipeline.uuid in tagged)
            and type_ in (None, run.pipeline.type)
            and (not status or run.status(world.now) == status)
            and (not statuses or run.status(world.now) in statuses)
            and (since is None or created >= since)
            and (until is None or created <= until)
            and (not last_only or newest[run.execution_date, run.trigger_id] == run.id)
        )

    return [run for run in world.runs.values() if matches(run)]


def _sorted(call: Call, runs: list[Run]) -> list[Run]:
    now, order = call.world.now, call.query.text("order_by[]")
    if order is None:
        return sorted(runs, key=lambda run: (run.execution_date, run.id), reverse=True)
    for part in reversed(order.split(",")):
        column, _, direction = part.strip().partition(" ")
        if column not in _SORTABLE:
            raise Crash(f"type object 'PipelineRun' has no attribute '{column}'", "AttributeError")
        runs.sort(key=lambda run: _sort_key(shapes.run(run, now)[column]), reverse=direction.lower() == "desc")
    return runs


def _sort_key(value: Any) -> tuple[bool, int, str]:
    """Rows without a value come first, as SQLite has it; numbers count as numbers."""
    return (value is not None, value, "") if isinstance(value, int) else (value is not None, 0, str(value))


def _grouped(call: Call, rows: list[Run]) -> tuple[Sequence[Run], Body]:
    """Mage's grouping of a run with its retries: all of one execution date come onto one page.

    With a pipeline or a trigger this is the default; then a page past the end is an error.
    """
    limit, offset = call.query.number("_limit", DEFAULT_LIMIT), call.query.number("_offset", 0)
    fetched = rows[offset : offset + limit + 1] if limit >= 0 else rows[offset:]
    if not fetched:
        raise Crash("list index out of range", "IndexError")
    first, last = fetched[0], fetched[-1]
    dates = {last.execution_date}
    if next(run for run in rows if run.execution_date == first.execution_date) is not first:
        dates.add(first.execution_date)
    group = [run for run in rows if run.execution_date == last.execution_date]
    fetched = [run for run in fetched if run.execution_date not in dates] + group
    has_next = len(fetched) > limit
    return fetched[:-1] if has_next else fetched, {"count": len(rows), "next": has_next}


@answers("GET pipelines/:id/pipeline_runs")
def list_runs_of_pipeline(call: Call) -> Body:
    call.pipeline()
    raise Crash("'Pipeline' object has no attribute 'id'", "AttributeError")


@answers("POST pipeline_schedules/:id/pipeline_runs")
def create_run(call: Call) -> Body:
    trigger, payload = call.world.triggers.get(as_id(call.pk)), call.payload("pipeline_run")
    if trigger is None:
        raise Crash("'NoneType' object has no attribute 'pipeline_uuid'", "AttributeError")
    variables = payload.get("variables") or {}
    if not isinstance(variables, dict):
        raise Crash(f"'{type(variables).__name__}' object does not support item assignment", "TypeError")
    for key in payload:
        if key not in _COLUMNS:
            raise Crash(f"'{key}' is an invalid keyword argument for PipelineRun", "TypeError")
    date = _execution_date(payload.get("execution_date"))
    run = call.world.create_run(trigger, variables, payload.get("event_variables"), execution_date=date)
    status, executor = payload.get("status"), payload.get("executor_type")
    if status is not None and str(status).lower() not in _STATUSES:
        raise _poisoned(call, run, bad_enum(status, "pipelinerunstatus", "INITIAL, RUNNING, COMPLETED, ..., CANCELLED"))
    if executor not in (None, "local_python", "ecs", "gcp_cloud_run", "azure_container_instance", "k8s", "pyspark"):
        possible = "AZURE_CONTA.., ECS, GCP_CLOUD_R.., ..., PYSPARK"
        raise _poisoned(call, run, bad_enum(executor, "executortype", possible))
    if trigger.schedule_interval == "@once":
        call.world.switch(trigger, "active")
    return _run(call, run)


def _poisoned(call: Call, run: Run, error: Crash) -> Crash:
    call.world.poison["run", run.id] = error.exception
    return error


def _execution_date(text: str | None) -> datetime | None:
    """A zone is dropped, not converted."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise Crash(f"Unknown string format: {text}", "ParserError") from None


def _run(call: Call, run: Run) -> Body:
    return {"pipeline_run": shapes.run(run, call.world.now), "metadata": None}


@answers("GET pipeline_runs/:id")
def get_run(call: Call) -> Body:
    run = call.run()
    if call.query.text("_format") == "with_basic_details":
        return {"pipeline_run": shapes.basic_run(run, call.world.now), "metadata": None}
    trigger = call.world.triggers.get(run.trigger_id)
    if trigger is None:
        raise Crash("'NoneType' object has no attribute 'id'", "AttributeError")
    return {"pipeline_run": shapes.run_detail(run, trigger, call.world.now), "metadata": None}


@answers("PUT pipeline_runs/:id")
def update_run(call: Call) -> Body:
    """Cancel, or run blocks again. Anything else is answered with the run as it is."""
    run, payload = call.run(), call.payload("pipeline_run")
    if payload.get("pipeline_run_action") == "retry_blocks":
        run.retry(call.world.now, payload.get("from_block_uuid"))
    elif payload.get("status") == "cancelled":
        run.cancel(call.world.now)
    return _run(call, run)


@answers("DELETE pipeline_runs/:id")
def delete_run(call: Call) -> Body:
    run = call.run()
    del call.world.runs[run.id]
    for backfill in call.world.backfills.values():
        backfill.run_ids.discard(run.id)
    answer = _run(call, run)
    if trigger := call.world.triggers.get(run.trigger_id):
        look_at(call.world, trigger)
    return answer

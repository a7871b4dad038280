"""Answers about block runs, what blocks gave out, and logs."""

from typing import Any

from mage_mcp.demo import shapes
from mage_mcp.demo.logs import block_log, run_logs
from mage_mcp.demo.runs import BlockRun, Run
from mage_mcp.demo.wire import ApiError, Body, Call, Crash, answers, as_id, page
from mage_mcp.demo.world import REPO_PATH

_MOST_LOG_FILES = 20


@answers("GET block_runs")
def list_block_runs(call: Call) -> Body:
    now, of_run, of_pipeline = call.world.now, call.query.text("pipeline_run_id"), call.query.text("pipeline_uuid")
    rows = [
        shapes.block_run_row(block_run, run, call.world.triggers[run.trigger_id], now)
        for run in call.world.runs.values()
        if run.trigger_id in call.world.triggers
        and (of_run is None or str(run.id) == of_run)
        and of_pipeline in (None, run.pipeline.uuid)
        for block_run in run.blocks_at(now)
    ]
    column, _, direction = (call.query.text("order_by") or "started_at desc").partition(" ")
    if rows and column not in rows[0]:
        usage = 'The sort direction is either "asc" (ascending order) or "desc" (descending order).'
        column_rule = "The sort column must be an attribute of the BlockRun model."
        raise Crash(f"Block run sort column/query is invalid. {column_rule} {usage}")
    rows.sort(key=lambda row: str(row[column] or ""), reverse=direction.lower() == "desc")
    shown, metadata = page(rows, call.query)
    return {"block_runs": shown, "metadata": metadata}


@answers("GET pipeline_runs/:id/block_runs")
def list_block_runs_of_run(call: Call) -> Body:
    """The same rows without the trigger's id and name."""
    run, now = call.run(), call.world.now
    shown, metadata = page([shapes.block_run_row(b, run, None, now) for b in run.blocks_at(now)], call.query)
    return {"block_runs": shown, "metadata": metadata}


@answers("GET block_runs/:id/outputs")
def list_outputs(call: Call) -> Body:
    found = _block_run(call)
    if found is None:
        return {"outputs": [], "metadata": {}}
    outputs = shapes.outputs_of(*found, call.world.now)
    _refuse_sample_count(call, bool(outputs))
    return {"outputs": [shapes.output(one, number) for number, one in enumerate(outputs)], "metadata": {}}


def _block_run(call: Call) -> tuple[BlockRun, Run] | None:
    pairs = ((block_run, run) for run in call.world.runs.values() for block_run in run.blocks_at(call.world.now))
    return next((pair for pair in pairs if pair[0].id == as_id(call.pk)), None)


def _refuse_sample_count(call: Call, has_data: bool) -> None:
    if has_data and call.query.text("sample_count") is not None:
        raise Crash("'>' not supported between instances of 'int' and 'str'", "TypeError")


@answers("GET block_runs/:id")
def get_block_run(call: Call) -> Body:
    if _block_run(call) is None:
        raise call.not_found()
    raise ApiError(403, "unauthorized_access", "The detail action is disabled for block_runs.")


@answers("GET block_outputs/:id")
def get_block_output(call: Call) -> Body:
    """Data frames only. Without a partition it is the notebook's output that is meant, and there is none."""
    uuid, partition = call.query.text("pipeline_uuid"), call.query.text("execution_partition")
    outputs: list[dict[str, Any]] = []
    if uuid is not None:
        if uuid not in call.world.pipelines:
            raise Crash(f"Pipeline {uuid} does not exist in repo_path {REPO_PATH}.")
        if call.pk not in {block.uuid for block in call.world.pipelines[uuid].blocks}:
            raise ApiError(400, "api_resource_error", f"Block {call.pk} does not exist in pipeline {uuid}")
        outputs = _frames(call, uuid, partition)
    _refuse_sample_count(call, bool(outputs))
    return {"block_output": {"outputs": outputs}, "metadata": None}


def _frames(call: Call, pipeline_uuid: str, partition: str | None) -> list[dict[str, Any]]:
    frames = [
        shapes.output(one, number)
        for run in call.world.runs.values()
        if run.pipeline.uuid == pipeline_uuid and run.variables["execution_partition"] == partition
        for block_run in run.blocks_at(call.world.now)
        if block_run.block.uuid == call.pk
        for number, one in enumerate(shapes.outputs_of(block_run, run, call.world.now))
        if one.is_frame
    ]
    return [{key: frame[key] for key in ("sample_data", "shape", "type", "variable_uuid")} for frame in frames]


@answers("GET pipelines/:id/logs")
def list_logs(call: Call) -> Body:
    """Whole files, newest first, twenty at most; `_limit` counts files, and there is no offset."""
    runs, now = _runs_with_logs(call), call.world.now
    uuids, ids = call.query.names("block_uuid[]"), call.query.names("block_run_id[]")
    block_runs = [
        (block_run, run)
        for run in runs
        for block_run in run.blocks_at(now)
        if (not ids or str(block_run.id) in ids)
        and (not uuids or any(block_run.block.uuid.startswith(uuid) for uuid in uuids))
    ]
    block_runs.sort(key=lambda pair: str(pair[0].timeline.last("running", now) or ""), reverse=True)
    of_runs = [] if uuids or ids else runs
    limit = call.query.number("_limit", len(call.world.runs) + len(block_runs))
    run_files = [file for run in of_runs[:limit] for file in run_logs(run, now)]
    block_files = [block_log(run, block_run, now) for block_run, run in block_runs[:limit][:_MOST_LOG_FILES]]
    logs = {
        "block_run_logs": block_files,
        "pipeline_run_logs": run_files[:_MOST_LOG_FILES],
        "total_block_run_log_count": len(block_runs),
        "total_pipeline_run_log_count": len(of_runs),
    }
    return {"logs": [logs], "metadata": {}}


def _runs_with_logs(call: Call) -> list[Run]:
    pipeline, query = call.pipeline(), call.query
    triggers, ids = query.names("pipeline_schedule_id[]"), query.names("pipeline_run_id[]")
    since, until = query.timestamp("start_timestamp"), query.timestamp("end_timestamp")
    runs = [
        run
        for run in call.world.runs.values()
        if run.pipeline.uuid == pipeline.uuid
        and run.trigger_id in call.world.triggers
        and (not triggers or str(run.trigger_id) in triggers)
        and (not ids or str(run.id) in ids)
        and (since is None or run.execution_date.timestamp() >= since)
        and (until is None or run.execution_date.timestamp() <= until)
    ]
    return sorted(runs, key=lambda run: (run.created_at, run.id), reverse=True)


@answers("GET pipeline_runs/:id/logs", "GET logs")
def list_no_logs(_: Call) -> Body:
    """Logs are only found through their pipeline."""
    return {"logs": [], "metadata": {}}

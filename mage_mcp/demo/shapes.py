"""Mage's records as the JSON it answers with, key by key in its order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from mage_mcp.demo.cron import next_run_at
from mage_mcp.demo.project import Block, Pipeline
from mage_mcp.demo.runs import BlockRun, Run
from mage_mcp.demo.script import Output, script_of
from mage_mcp.demo.times import iso, second, stamp
from mage_mcp.demo.traces import WORKER_STACK
from mage_mcp.demo.world import REPO_PATH, VARIABLES_DIR, TriggerRow, World

Json = dict[str, Any]


def block(world: World, pipeline: Pipeline, block: Block, *, listed: bool, content: bool = False) -> Json:
    """A block as a pipeline configures it. In lists its `status` is null: they come from a cache."""
    shape = {
        "all_upstream_blocks_executed": not block.upstream,
        "color": None,
        "configuration": dict(block.configuration),
        "downstream_blocks": [] if block.type == "conditional" else list(pipeline.downstream(block.uuid)),
        "executor_config": None,
        "executor_type": "local_python",
        "has_callback": None,
        "name": block.name or block.uuid,
        "language": block.language,
        "retry_config": None,
        "status": None if listed else "not_executed",
        "timeout": None,
        "type": block.type,
        "upstream_blocks": list(block.upstream),
        "uuid": block.uuid,
    }
    if content:
        shape["content"] = world.source_of(block)
    return shape


def _pipeline(pipeline: Pipeline) -> Json:
    return {
        "cache_block_output_in_memory": False,
        "concurrency_config": {},
        "created_at": "2026-01-15 09:00:00.000000+00:00",
        "data_integration": None,
        "description": pipeline.description,
        "executor_config": {},
        "executor_count": 1,
        "executor_type": None,
        "name": pipeline.name or pipeline.uuid,
        "notification_config": {},
        "remote_variables_dir": None,
        "retry_config": {},
        "run_pipeline_in_one_process": False,
        "settings": {"triggers": None},
        "tags": list(pipeline.tags),
        "type": pipeline.type,
        "uuid": pipeline.uuid,
        "variables_dir": VARIABLES_DIR,
        **pipeline.config,
    }


def pipeline_row(world: World, pipeline: Pipeline, *, schedules: bool) -> Json:
    """A pipeline in a list: without variables and without code."""
    shape = _pipeline(pipeline)
    shape["spark_config"] = {}
    shown = replace(pipeline, blocks=world.listed_blocks.get(pipeline.uuid, pipeline.blocks))
    shape["blocks"] = [block(world, shown, one, listed=True) for one in shown.blocks]
    shape["callbacks"] = []
    shape["conditionals"] = []  # its cache knows of none
    shape["widgets"] = []
    if schedules:
        shape["schedules"] = _schedules(world, pipeline)
    shape["updated_at"] = _updated_at(world)
    return shape


def pipeline_detail(
    world: World,
    pipeline: Pipeline,
    *,
    content: bool,
    outputs: bool,
    metadata: bool,
    extensions: bool,
    schedules: bool,
    block_pipelines: bool = False,
) -> Json:
    """A pipeline by itself; each switch adds what it is called after."""

    def full(one: Block) -> Json:
        guards = [guard.uuid for guard in pipeline.conditionals if one.uuid in guard.upstream]
        shape = block(world, pipeline, one, listed=False)
        shape |= {"callback_blocks": [], "conditional_blocks": guards}
        shape |= {"content": world.source_of(one)} if content else {}
        shape |= {"outputs": []} if outputs else {}
        shape |= {"metadata": {}} if metadata else {}
        shape |= {"pipelines": _using(world, one)} if block_pipelines else {}
        return shape | {"tags": []}

    shape = _pipeline(pipeline)
    shape |= {} if pipeline.fresh else {"variables": dict(pipeline.variables)}
    shape["spark_config"] = {}
    shape["blocks"] = [full(one) for one in pipeline.blocks]
    shape["callbacks"] = []
    shape["conditionals"] = [full(one) for one in pipeline.conditionals]
    shape["widgets"] = []
    shape |= {"extensions": {}} if extensions else {}
    shape |= {"schedules": _schedules(world, pipeline)} if schedules else {}
    return shape | {"updated_at": _updated_at(world)}


def _using(world: World, block: Block) -> list[Json]:
    """The pipelines with this block's file, as Mage's index has them."""
    return [
        {"added_at": None, "pipeline": {"uuid": pipeline.uuid, "name": pipeline.name or pipeline.uuid}}
        for pipeline in world.pipelines.values()
        if any(other.file_path == block.file_path for other in pipeline.blocks)
    ]


def _updated_at(world: World) -> str:
    return world.files["metadata.yaml"].modified_at.isoformat()


def _schedules(world: World, pipeline: Pipeline) -> list[Json]:
    return [
        {
            "created_at": iso(second(trigger.created_at)),
            "id": trigger.id,
            "name": trigger.name,
            "pipeline_uuid": trigger.pipeline_uuid,
            "schedule_interval": trigger.schedule_interval,
            "schedule_type": trigger.schedule_type,
            "start_time": iso(trigger.start_time),
            "status": trigger.status,
            "updated_at": iso(second(trigger.updated_at)),
        }
        for trigger in world.triggers.values()
        if trigger.pipeline_uuid == pipeline.uuid
    ]


def trigger(row: TriggerRow) -> Json:
    """A trigger as stored: the answer to a POST and to a DELETE."""
    return {
        "created_at": stamp(second(row.created_at)),
        "description": row.description,
        "global_data_product_uuid": None,
        "id": row.id,
        "last_enabled_at": stamp(row.last_enabled_at),
        "name": row.name,
        "pipeline_uuid": row.pipeline_uuid,
        "repo_path": REPO_PATH,
        "schedule_interval": row.schedule_interval,
        "schedule_type": row.schedule_type,
        "settings": row.settings,
        "sla": row.sla,
        "start_time": stamp(row.start_time),
        "status": row.status,
        "token": row.token,
        "updated_at": stamp(second(row.updated_at)),
        "variables": row.variables,
    }


def trigger_detail(row: TriggerRow, now: datetime) -> Json:
    next_run = next_run_at(row.schedule_interval, now) if row.schedule_interval else None
    return {
        **trigger(row),
        "event_matchers": [],
        "next_pipeline_run_date": str(next_run) if next_run else None,
        "tags": sorted(row.tags),
    }


def trigger_row(row: TriggerRow, runs: Sequence[Run], now: datetime) -> Json:
    """A trigger in a list, with counts of its runs; all of them null when there are none."""
    under_way = sum(run.status(now) in ("initial", "running") for run in runs)
    detail = trigger_detail(row, now)
    tags, next_run = detail.pop("tags"), detail.pop("next_pipeline_run_date")
    return {
        **detail,
        "last_pipeline_run_status": runs[-1].status(now) if runs else None,
        "next_pipeline_run_date": next_run,
        "pipeline_in_progress_runs_count": under_way if runs else None,
        "pipeline_runs_count": len(runs) or None,
        "tags": tags,
    }


def run(run: Run, now: datetime) -> Json:
    """A run as stored. `completed_at` stays null for one that failed or was cancelled."""
    return {
        "backfill_id": None,
        "completed_at": stamp(run.timeline.last("completed", now)),
        "created_at": stamp(second(run.created_at)),
        "event_variables": run.event_variables,
        "execution_date": stamp(run.execution_date),
        "executor_type": "local_python",
        "id": run.id,
        "metrics": None,
        "passed_sla": False,
        "pipeline_schedule_id": run.trigger_id,
        "pipeline_uuid": run.pipeline.uuid,
        "started_at": stamp(run.started_at) if run.started_at and run.started_at <= now else None,
        "status": run.status(now),
        "updated_at": stamp(second(run.timeline.changed_at(now) or run.created_at)),
        "variables": run.variables,
    }


def basic_run(run: Run, now: datetime) -> Json:
    return {"execution_date": stamp(run.execution_date), "id": run.id, "status": run.status(now)}


def run_row(row: Run, trigger: TriggerRow, now: datetime, *, tags: bool, type_: bool) -> Json:
    """A run in a list, with its trigger's name, type and even its token."""
    block_runs = row.blocks_at(now)
    return {
        **run(row, now),
        "block_runs": [block_run_in_run(one, row, now) for one in block_runs],
        "block_runs_count": len(block_runs),
        "completed_block_runs_count": sum(one.status(now) == "completed" for one in block_runs),
        "pipeline_schedule_name": trigger.name,
        "pipeline_schedule_token": trigger.token,
        "pipeline_schedule_type": trigger.schedule_type,
        "pipeline_tags": list(row.pipeline.tags) if tags else None,
        "pipeline_type": row.pipeline.type if type_ else None,
        "repo_path": REPO_PATH,
    }


def run_detail(row: Run, trigger: TriggerRow, now: datetime) -> Json:
    more = {"pipeline_schedule_id": trigger.id, "pipeline_schedule_name": trigger.name}
    return {**run(row, now), "block_runs": [block_run_in_run(one, row, now) | more for one in row.blocks_at(now)]}


def block_run_in_run(block_run: BlockRun, run: Run, now: datetime) -> Json:
    return {
        "pipeline_run_id": run.id,
        "block_uuid": block_run.block.uuid,
        "status": block_run.status(now),
        "started_at": stamp(block_run.timeline.last("running", now)),
        "completed_at": stamp(block_run.timeline.last("completed", now)),
        "metrics": _metrics(block_run, now),
        "id": block_run.id,
        "created_at": stamp(second(block_run.created_at)),
        "updated_at": stamp(second(block_run.timeline.changed_at(now) or block_run.created_at)),
    }


def _metrics(block_run: BlockRun, now: datetime) -> Json | None:
    if (raised := block_run.error(now)) is not None:
        return {"error": {"error": raised.text, "errors": WORKER_STACK, "message": raised.traceback()}}
    return {} if block_run.timeline.last("completed", now) else None


def block_run_row(block_run: BlockRun, run: Run, trigger: TriggerRow | None, now: datetime) -> Json:
    """A block run in a list of its own: no metrics, and times written with a `T`."""
    return {
        "block_uuid": block_run.block.uuid,
        "completed_at": iso(block_run.timeline.last("completed", now)),
        "created_at": iso(second(block_run.created_at)),
        "id": block_run.id,
        "pipeline_run_id": run.id,
        "started_at": iso(block_run.timeline.last("running", now)),
        "status": block_run.status(now),
        "updated_at": iso(second(block_run.timeline.changed_at(now) or block_run.created_at)),
        "pipeline_schedule_id": trigger.id if trigger else None,
        "pipeline_schedule_name": trigger.name if trigger else None,
    }


def outputs_of(block_run: BlockRun, run: Run, now: datetime) -> Sequence[Output]:
    """What the block gave out: nothing unless it has completed."""
    done = block_run.timeline.last("completed", now) and not run.lost
    return script_of(block_run.block.uuid).outputs(run.kwargs) if done else ()


def output(output: Output, number: int) -> Json:
    rows = {"columns": output.columns, "rows": output.rows}
    return {
        "outputs": None,
        "sample_data": rows if output.text is None else None,
        "shape": [len(output.rows), len(output.columns)] if output.text is None else None,
        "text_data": output.text,
        "type": "table" if output.text is None else "text",
        "variable_uuid": f"output_{number}",
    }

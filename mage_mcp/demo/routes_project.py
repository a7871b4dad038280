"""Answers about the project: its status, pipelines, blocks, variables and tags."""

from mage_mcp.demo import shapes
from mage_mcp.demo.project import Block, Pipeline
from mage_mcp.demo.wire import ApiError, Body, Call, Crash, answers
from mage_mcp.demo.world import PROJECT, PROJECT_UUID, REPO_PATH, VERSION


@answers("GET status", "GET statuses")
def status(call: Call) -> Body:
    row = {
        "is_instance_manager": False,
        "max_print_output_lines": 1000,
        "repo_path": REPO_PATH,
        "repo_path_relative": PROJECT,
        "repo_path_relative_root": PROJECT,
        "repo_path_root": REPO_PATH,
        "server_process_id": 7,
        "scheduler_process_id": 21,
        "scheduler_status": "stopped" if call.world.poison else "running",
        "instance_type": None,
        "disable_pipeline_edit_access": False,
        "require_user_authentication": call.world.login is not None,
        "require_user_permissions": False,
        "project_type": "main" if call.world.pro else "sub" if call.world.is_workspace else "standalone",
        "project_uuid": PROJECT_UUID,
    }
    return {"statuses": [row], "metadata": {}}


@answers("GET projects")
def projects(_: Call) -> Body:
    empty = ("emr_config", "openai_api_key", "pipelines", "platform_settings", "remote_variables_dir", "settings")
    row = dict.fromkeys((*empty, "spark_config"))
    row |= {"features": {}, "features_defined": {}, "features_override": {}, "help_improve_mage": False}
    row |= {"latest_version": VERSION, "name": PROJECT, "project_uuid": PROJECT_UUID, "projects": {}}
    row |= {"repo_path": REPO_PATH, "root_project": False, "version": VERSION, "workspace_config_defaults": {}}
    return {"projects": [row], "metadata": {}}


@answers("GET pipelines")
def list_pipelines(call: Call) -> Body:
    schedules = call.query.flag("include_schedules")
    if schedules:
        call.check_poison()
    rows = sorted(_matching(call, schedules=schedules), key=lambda pipeline: pipeline.uuid)
    total, rows, has_next = len(rows), *_cut(call, _ordered(call, rows))
    shown = [shapes.pipeline_row(call.world, pipeline, schedules=schedules) for pipeline in rows]
    return {"pipelines": shown, "metadata": {"count": total, "results": len(shown), "next": has_next}}


def _matching(call: Call, *, schedules: bool) -> list[Pipeline]:
    search = (call.query.text("search") or "").lower()
    tags = [name for key, value in call.query.pairs if key == "tag[]" for name in value.split(",") if name]
    types, statuses = call.query.names("type[]"), call.query.names("status[]")

    def matches(pipeline: Pipeline) -> bool:
        untagged = "no_tags" in tags and not pipeline.tags
        return (
            search in pipeline.uuid
            and (not tags or untagged or bool(set(tags) & set(pipeline.tags)))
            and (not types or pipeline.type in types)
            # Without the schedules at hand Mage forgets to filter by status.
            and (not statuses or not schedules or _status(call, pipeline) in statuses)
        )

    return [pipeline for pipeline in call.world.pipelines.values() if matches(pipeline)]


def _status(call: Call, pipeline: Pipeline) -> str:
    of_pipeline = [t.status for t in call.world.triggers.values() if t.pipeline_uuid == pipeline.uuid]
    return "no_schedules" if not of_pipeline else "active" if "active" in of_pipeline else "inactive"


def _ordered(call: Call, rows: list[Pipeline]) -> list[Pipeline]:
    order = call.query.text("_order_by[]")
    if order is None:
        return rows
    keys = {
        "blocks": lambda pipeline: len(pipeline.blocks),
        "status": lambda pipeline: _status(call, pipeline),
        "name": lambda pipeline: pipeline.uuid,
        "type": lambda pipeline: pipeline.type,
    }
    key = keys.get(order.removeprefix("-").lower(), lambda _: 0)
    return sorted(rows, key=key, reverse=order.startswith("-"))


def _cut(call: Call, rows: list[Pipeline]) -> tuple[list[Pipeline], bool | int | None]:
    """Pipelines page unlike anything else: no default limit, `next` null without one, and a 0 for the limit 0."""
    offset = call.query.number("_offset", 0)
    if call.query.text("_limit") is None:
        return rows[offset:], None
    limit = call.query.number("_limit", 0)
    if limit == 0:
        return rows[offset:], 0
    return (rows[offset : offset + limit] if limit > 0 else []), len(rows) > offset + limit


@answers("GET pipelines/:id")
def get_pipeline(call: Call) -> Body:
    check_kernel(call.pipeline())
    detail = shapes.pipeline_detail(
        call.world,
        call.pipeline(),
        content=call.query.flag("includes_content", default=True),
        outputs=call.query.flag("includes_outputs", default=True),
        metadata=call.query.flag("includes_block_metadata", default=True),
        extensions=call.query.flag("includes_extensions", default=True),
        schedules=call.query.flag("include_schedules"),
        block_pipelines=call.query.flag("include_block_pipelines"),
    )
    return {"pipeline": detail, "metadata": None}


def check_kernel(pipeline: Pipeline) -> None:
    """Mage switches its kernel to the type of what is looked at, also where it has none for it."""
    if pipeline.type == "pyspark":
        where = "https://docs.mage.ai/integrations/spark-pyspark"
        raise Crash(f"PySpark kernel is not installed. Please follow the instructions in {where} to install it.")
    if pipeline.type not in ("python", "streaming", "integration", "databricks"):
        raise Crash(f"'{pipeline.type}'", "KeyError")


@answers("GET pipelines/:id/blocks")
def list_blocks(call: Call) -> Body:
    pipeline, wanted = call.pipeline(), call.query.names("block_uuid[]")
    blocks = [block for block in pipeline.blocks if not wanted or block.uuid in wanted]
    limit, offset = call.query.number("_limit", 0), call.query.number("_offset", 0)
    shown = blocks[offset : offset + limit] if limit > 0 else blocks[offset:]
    has_next = limit > 0 and len(blocks) > offset + limit
    rows = [shapes.block(call.world, pipeline, block, listed=False) for block in shown]
    return {"blocks": rows, "metadata": {"count": len(blocks), "next": has_next}}


@answers("GET pipelines/:id/blocks/:id")
def get_block(call: Call) -> Body:
    pipeline, uuid = call.pipeline(), call.url_parameters["child_pk"]
    block = _block(pipeline, uuid)
    if block is None:
        raise ApiError(400, "record_invalid", f"Block {uuid} does not exist in pipeline {pipeline.uuid}.")
    shape = shapes.block(call.world, pipeline, block, listed=False, content=True)
    if call.query.flag("include_outputs", default=True):
        shape["outputs"] = []
    return {"block": shape, "metadata": None}


def _block(pipeline: Pipeline, uuid: str) -> Block | None:
    return next((block for block in pipeline.blocks if block.uuid == uuid), None)


@answers("GET pipelines/:id/variables")
def list_variables(call: Call) -> Body:
    pipeline = call.pipeline()
    variables = [
        {"uuid": name, "type": str(type(value)), "value": value} for name, value in sorted(pipeline.variables.items())
    ]
    group = {"block": {"uuid": "global"}, "name": None, "pipeline": {"uuid": pipeline.uuid}, "value": None}
    return {"variables": [{**group, "variables": variables}] if variables else [], "metadata": {}}


@answers("GET tags")
def list_tags(call: Call) -> Body:
    of_triggers = {tag for trigger in call.world.triggers.values() for tag in trigger.tags}
    of_pipelines = {tag for pipeline in call.world.pipelines.values() for tag in pipeline.tags}
    ids = {name: number for number, name in enumerate(sorted(of_triggers), start=1)}
    rows = [
        {"description": None, "id": ids.get(name), "name": name, "uuid": name}
        for name in sorted(of_triggers | of_pipelines)
    ]
    return {"tags": rows, "metadata": {"count": len(rows), "next": False}}

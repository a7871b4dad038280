"""Answers to those who write: pipelines made, changed and deleted, their variables, and secrets."""

from dataclasses import replace
from typing import Any

from mage_mcp.demo import shapes
from mage_mcp.demo.names import clean_name
from mage_mcp.demo.project import Pipeline
from mage_mcp.demo.routes_project import check_kernel
from mage_mcp.demo.wire import ApiError, Body, Call, Crash, answers
from mage_mcp.demo.world import REPO_PATH

_CONFIG = (
    "cache_block_output_in_memory",
    "concurrency_config",
    "executor_type",
    "retry_config",
    "run_pipeline_in_one_process",
)
_OBJECTS = ("concurrency_config", "retry_config")


@answers("POST pipelines")
def create_pipeline(call: Call) -> Body:
    payload = call.payload("pipeline")
    made = _clone(call, payload) if payload.get("clone_pipeline_uuid") is not None else _new(call, payload)
    return {"pipeline": _shape(call, made), "metadata": None}


def _new(call: Call, payload: dict[str, Any]) -> Pipeline:
    name = payload.get("name")
    if not isinstance(name, str):
        raise Crash("'NoneType' object has no attribute 'replace'", "AttributeError")
    uuid = clean_name(name)
    if not uuid or uuid in call.world.pipelines:
        raise Crash(f"Pipeline {name} already exists.")
    made = Pipeline(
        uuid,
        payload.get("description") or "",
        (),
        type=payload.get("type") or "python",  # whatever word it is
        tags=tuple(payload.get("tags") or ()),
        name=name,
        fresh=True,
    )
    call.world.pipelines[uuid] = made
    return made


def _clone(call: Call, payload: dict[str, Any]) -> Pipeline:
    """The source's blocks share their files with it; its triggers stay where they are. Asks for nothing else."""
    world, given = call.world, payload.get("name")
    source = world.pipelines.get(payload["clone_pipeline_uuid"])
    if source is None:
        raise Crash(f"Pipeline {payload['clone_pipeline_uuid']} does not exist in repo_path {REPO_PATH}.")
    name, number = given or f"{clean_name(source.uuid)}_copy", len(world.pipelines)
    while name in world.pipelines:
        number += 1
        name = f"{clean_name(source.uuid)}_copy_{number}"
    uuid = clean_name(name)
    if uuid in world.pipelines:
        raise Crash(f"Pipeline {name} already exists.")
    made = replace(source, uuid=uuid, name=name, triggers=())
    world.pipelines[uuid] = made
    if uuid != name:  # it is looked for under the name
        raise Crash(f"Pipeline {name} does not exist in repo_path {REPO_PATH}.")
    return made


@answers("PUT pipelines/:id")
def update_pipeline(call: Call) -> Body:
    """Only what is given changes, but of an object all of it; unknown keys are ignored, `variables` among them."""
    payload, pipeline = call.payload("pipeline"), call.pipeline()
    check_kernel(pipeline)
    pipeline = _renamed(call, pipeline, payload)
    if "tags" in payload:
        if payload["tags"] is None:
            raise Crash("'NoneType' object is not iterable", "TypeError")
        if sorted(payload["tags"]) != sorted(pipeline.tags):
            pipeline = replace(pipeline, tags=tuple(payload["tags"]))
    if "description" in payload:
        pipeline = replace(pipeline, description=payload["description"] or "")
    given = {key: payload[key] for key in _CONFIG if key in payload}
    given |= {key: payload[key] or {} for key in _OBJECTS if key in payload}
    if "settings" in payload:
        given["settings"] = _settings(payload["settings"] or {})
    if blocks := payload.get("blocks"):  # whatever is not among them is gone
        kept = {block.get("uuid") for block in blocks}
        pipeline = replace(pipeline, blocks=tuple(block for block in pipeline.blocks if block.uuid in kept))
    pipeline = replace(pipeline, config={**pipeline.config, **given})
    call.world.pipelines[pipeline.uuid] = pipeline
    call.world.listed_blocks.pop(pipeline.uuid, None)
    _switch_triggers(call, pipeline.uuid, payload.get("status"))
    return {"pipeline": _shape(call, pipeline), "metadata": None}


def _renamed(call: Call, pipeline: Pipeline, payload: dict[str, Any]) -> Pipeline:
    name = payload.get("name")
    if name is None or name == (pipeline.name or pipeline.uuid):
        return pipeline
    uuid = clean_name(name)
    if not uuid:
        folder = f"{REPO_PATH}/pipelines"
        raise Crash(f"[Errno 39] Directory not empty: '{folder}/{pipeline.uuid}' -> '{folder}/'", "OSError")
    if uuid in call.world.pipelines:
        raise Crash(f"Pipeline {uuid} already exists. Choose a different name.")
    renamed = replace(pipeline, uuid=uuid, name=name)
    call.world.rename_pipeline(pipeline.uuid, renamed)
    return renamed


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """Mage knows one, and drops the others."""
    triggers = given.get("triggers")
    if triggers is None:
        return {"triggers": None}
    return {"triggers": {"save_in_code_automatically": triggers.get("save_in_code_automatically")}}


def _switch_triggers(call: Call, uuid: str, status: Any) -> None:
    if status in ("active", "inactive"):
        for trigger in [row for row in call.world.triggers.values() if row.pipeline_uuid == uuid]:
            call.world.switch(trigger, status)


@answers("DELETE pipelines/:id")
def delete_pipeline(call: Call) -> Body:
    """Its triggers stay as they are, active ones included, and so do its runs and the files of its blocks."""
    shape = _shape(call, call.pipeline())
    del call.world.pipelines[call.pk]
    call.world.listed_blocks.pop(call.pk, None)
    return {"pipeline": shape, "metadata": None}


def _shape(call: Call, pipeline: Pipeline) -> dict[str, Any]:
    return shapes.pipeline_detail(
        call.world, pipeline, content=False, outputs=False, metadata=True, extensions=True, schedules=False
    )


@answers("POST pipelines/:id/variables")
def create_variable(call: Call) -> Body:
    return _set_variable(call)


@answers("PUT pipelines/:id/variables/:id")
def update_variable(call: Call) -> Body:
    """The name in the body counts, not the one in the path."""
    return _set_variable(call)


def _set_variable(call: Call) -> Body:
    pipeline, payload = call.pipeline(), call.payload("variable")
    name, value = payload.get("name"), payload.get("value")
    if not isinstance(name, str):
        raise Crash("'NoneType' object has no attribute 'isidentifier'", "AttributeError")
    if not name.isidentifier():
        raise ApiError(400, "record_invalid", f"Invalid variable name syntax for variable name {name}.")
    if value is None:
        raise ApiError(400, "record_invalid", f"Value is empty for variable name {name}.")
    return {"variable": _keep(call, pipeline, {**pipeline.variables, name: value}, name, value), "metadata": None}


def _keep(call: Call, pipeline: Pipeline, variables: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    call.world.pipelines[pipeline.uuid] = replace(pipeline, variables=dict(sorted(variables.items())), fresh=False)
    of = {"block": {"uuid": "global"}, "name": name, "pipeline": {"uuid": pipeline.uuid}}
    return {**of, "value": value, "variables": sorted(variables)}


@answers("DELETE pipelines/:id/variables/:id")
def delete_variable(call: Call) -> Body:
    pipeline, name = call.pipeline(), call.url_parameters["child_pk"]
    if not pipeline.fresh:
        if name not in pipeline.variables:
            raise Crash(f"'{name}'", "KeyError")
        _keep(call, pipeline, {key: v for key, v in pipeline.variables.items() if key != name}, name, None)
    empty = dict.fromkeys(("block", "pipeline", "value", "variables"))
    return {"variable": {**empty, "name": name}, "metadata": None}


@answers("GET secrets")
def list_secrets(call: Call) -> Body:
    rows = [{"id": number, "name": name} for number, name in enumerate(call.world.secrets, start=1)]
    return {"secrets": rows, "metadata": {"count": len(rows), "next": False}}

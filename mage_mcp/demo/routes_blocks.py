"""Answers to those who write blocks."""

from collections.abc import Iterable
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from mage_mcp.demo import shapes, templates
from mage_mcp.demo.names import clean_name
from mage_mcp.demo.project import Block, Pipeline
from mage_mcp.demo.wire import ApiError, Body, Call, Crash, answers
from mage_mcp.demo.world import REPO_PATH, World

_LANGUAGES = ("python", "sql", "yaml", "r", "markdown")
_TYPES = ("data_loader", "transformer", "data_exporter", "sensor", "custom", "scratchpad", "markdown")
_FILE_GOES_TOO = ("scratchpad", "markdown")


@answers("GET block_templates")
def list_templates(_: Call) -> Body:
    return {"block_templates": [templates.row(*each) for each in templates.LISTED], "metadata": {}}


@answers("POST pipelines/:id/blocks")
def create_block(call: Call) -> Body:
    """The file comes first: what fails later leaves it behind. One that exists is used as it is."""
    world, pipeline, payload = call.world, call.pipeline(), call.payload("block")
    block = _new(payload, pipeline)
    if block.file_path not in world.files:
        world.write_file(block.file_path, _template(block, payload.get("config") or {}))
    elif any(other.uuid == block.uuid and other.type == block.type for other in pipeline.blocks):
        raise Crash(f"[ERR_BLOCK_EXISTS] Block {block.uuid} already exists. Please use a different name.")
    if any(other.uuid == block.uuid for other in pipeline.blocks):
        message = f"Block with uuid {block.uuid} already exists in pipeline {pipeline.uuid}"
        raise Crash(message, "InvalidPipelineError")
    _store(world, pipeline, (*pipeline.blocks, block))
    if content := payload.get("content"):
        world.write_file(block.file_path, content)
    return _answer(call, block)


def _new(payload: dict[str, Any], pipeline: Pipeline) -> Block:
    name, type_, language = payload.get("name"), payload.get("type"), payload.get("language") or "python"
    if not name:
        raise Crash("'NoneType' object has no attribute 'replace'", "AttributeError")
    if language not in _LANGUAGES:
        raise Crash(f"'{language}'", "KeyError")
    if type_ not in _TYPES:
        raise Crash("'NoneType' object is not callable", "TypeError")
    parts = [clean_name(f"x{part}")[1:] for part in str(name).split("/")]
    uuid = "/".join([clean_name(str(name).split("/")[0]), *parts[1:]])
    upstream = _known(pipeline, payload.get("upstream_blocks") or ())
    settings = payload.get("configuration") or {}
    return Block(uuid, str(type_), "", upstream, language=language, configuration=settings, name=str(name))


def _template(block: Block, config: dict[str, Any]) -> str:
    path = config.get("template_path") or ""
    if path and path not in [listed for _, listed, _, _ in templates.LISTED]:
        raise Crash(f"'{path}' not found in search path: '/templates'", "TemplateNotFound")
    return templates.template(block.type, block.language, path)


def _known(pipeline: Pipeline, uuids: Iterable[str]) -> tuple[str, ...]:
    """Those that the pipeline has; the others are dropped without a word."""
    there = {block.uuid for block in pipeline.blocks}
    return tuple(uuid for uuid in uuids if uuid in there)


@answers("PUT pipelines/:id/blocks/:id")
def update_block(call: Call) -> Body:
    """`content` is ignored, and so is another order of the same upstream blocks; a configuration is replaced whole."""
    pipeline, payload = call.pipeline(), call.payload("block")
    block = _block(call, pipeline)
    upstream = payload.get("upstream_blocks")
    if upstream is not None and set(upstream) != set(block.upstream):
        block = replace(block, upstream=_known(pipeline, upstream))
    if "configuration" in payload:
        block = replace(block, configuration=payload["configuration"])
    blocks = tuple(block if other.uuid == block.uuid else other for other in pipeline.blocks)
    try:
        TopologicalSorter({each.uuid: each.upstream for each in blocks}).prepare()
    except CycleError as error:
        way = " --> ".join(error.args[1])
        raise Crash(f"A cycle was formed while updating a block: {way}", "InvalidPipelineError") from None
    _store(call.world, pipeline, blocks)
    return _answer(call, block)


@answers("DELETE pipelines/:id/blocks/:id")
def delete_block(call: Call) -> Body:
    """Its file stays, but for types that are no steps. Forced, the blocks after it get what was before it."""
    world, pipeline = call.world, call.pipeline()
    block = _block(call, pipeline)
    after = list(pipeline.downstream(block.uuid))
    if after and not call.query.flag("force"):
        message = f"Block(s) {after} are depending on block {block.uuid}. Please remove the downstream blocks first."
        raise Crash(message, "HasDownstreamDependencies")
    rest = []
    for other in pipeline.blocks:
        kept = tuple(uuid for uuid in other.upstream if uuid != block.uuid)
        rest.append(replace(other, upstream=(*kept, *block.upstream)) if other.uuid in after else other)
    _store(world, pipeline, tuple(other for other in rest if other.uuid != block.uuid))
    if block.type in _FILE_GOES_TOO and not _is_used(world, block.file_path):
        world.files.pop(block.file_path, None)
    return {"block": shapes.block(world, pipeline, block, listed=False), "metadata": None}


def _is_used(world: World, file: str) -> bool:
    return any(block.file_path == file for pipeline in world.pipelines.values() for block in pipeline.blocks)


def _block(call: Call, pipeline: Pipeline) -> Block:
    uuid = call.url_parameters["child_pk"]
    for block in pipeline.blocks:
        if block.uuid == uuid:
            return block
    raise ApiError(400, "record_invalid", f"Block {uuid} does not exist in pipeline {pipeline.uuid}.")


def _store(world: World, pipeline: Pipeline, blocks: tuple[Block, ...]) -> None:
    """Runs that were made before keep the blocks that they had, and so does the list of pipelines."""
    world.listed_blocks.setdefault(pipeline.uuid, pipeline.blocks)
    world.pipelines[pipeline.uuid] = replace(pipeline, blocks=blocks)


def _answer(call: Call, block: Block) -> Body:
    if block.file_path not in call.world.files:
        raise Crash(f"File for block {block.uuid} does not exist at {REPO_PATH}/{block.file_path}.")
    return {"block": shapes.block(call.world, call.pipeline(), block, listed=False, content=True), "metadata": None}

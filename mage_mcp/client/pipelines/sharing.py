"""Block files are shared by name across a project: which pipelines use which."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mage_mcp.client.evidence import block_file, blocks_of
from mage_mcp.client.paths import api
from mage_mcp.client.records import PipelineRecord
from mage_mcp.client.replies import root, rows
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageNotFound

_MOST_ASKED = 20
_Users = dict[str, set[str]]


def files_of(record: PipelineRecord) -> list[str]:
    """The files of a pipeline's blocks, callbacks and conditionals, sorted; scratchpads go with their pipeline."""
    return sorted({block_file(block) for block in blocks_of(record).values() if block.type != "scratchpad"})


async def users_of(transport: Transport, files: Iterable[str], *, besides: str) -> Mapping[str, list[str]]:
    """For each of the files that other pipelines use as well, their uuids, sorted.

    Mage has two caches for it. Its list of pipelines misses blocks that were added or removed since the pipeline itself
    was last written; its index of blocks, which a pipeline's detail shows, misses folders that were added on disk.
    Where they differ the pipelines themselves are asked. Edits on disk of a pipeline that there was reach neither.
    """
    wanted = set(files)
    if not wanted:
        return {}
    listed, indexed = await asyncio.gather(_listed(transport, wanted), _indexed(transport, besides, wanted))
    # A pipeline's detail shows the index of its own files only.
    others = {min(listed[file]) for file in listed.keys() - indexed.keys()} - {besides}
    for more in await asyncio.gather(*(_indexed(transport, uuid, wanted) for uuid in sorted(others)[:_MOST_ASKED])):
        indexed |= more
    in_doubt = {uuid for file in wanted for uuid in listed.get(file, set()) ^ indexed.get(file, set())} - {besides}
    asked = sorted(in_doubt)[:_MOST_ASKED]
    truth = dict(zip(asked, await asyncio.gather(*(_own_files(transport, uuid) for uuid in asked)), strict=True))
    found: dict[str, list[str]] = {}
    for file in sorted(wanted):
        said = (listed.get(file, set()) | indexed.get(file, set())) - {besides}
        if users := sorted(uuid for uuid in said if uuid not in truth or file in truth[uuid]):
            found[file] = users
    return found


async def _listed(transport: Transport, wanted: set[str]) -> _Users:
    found: _Users = {}
    for row in rows(await transport.read(api("pipelines")), "pipelines"):
        record = PipelineRecord.model_validate(row)
        for file in wanted.intersection(files_of(record)):
            found.setdefault(file, set()).add(record.uuid)
    return found


async def _indexed(transport: Transport, pipeline: str, wanted: set[str]) -> _Users:
    """What the index says of the blocks of one pipeline. Source: Mage Block.get_pipelines_from_cache."""
    reply = await _detail(transport, pipeline, include_block_pipelines=True) if pipeline else None
    if reply is None:
        return {}
    record = PipelineRecord.model_validate(reply)
    users = {str(row.get("uuid")): _named(row.get("pipelines")) for row in rows(reply, "blocks")}
    files = {block_file(block): users.get(block.uuid, set()) for block in record.blocks}
    return {file: found for file, found in files.items() if file in wanted}


def _named(pipelines: Any) -> set[str]:
    entries = [row.get("pipeline") for row in pipelines if isinstance(row, dict)] if isinstance(pipelines, list) else []
    return {str(entry["uuid"]) for entry in entries if isinstance(entry, dict) and entry.get("uuid")}


async def _own_files(transport: Transport, pipeline: str) -> Sequence[str]:
    reply = await _detail(transport, pipeline)
    return [] if reply is None else files_of(PipelineRecord.model_validate(reply))


async def _detail(transport: Transport, pipeline: str, **params: bool) -> dict[str, Any] | None:
    """A pipeline as it is; None where there is none any more."""
    try:
        reply = await transport.read(
            api("pipelines", pipeline), includes_content=False, includes_outputs=False, **params
        )
    except MageNotFound:
        return None
    detail: dict[str, Any] = root(reply, "pipeline")
    return detail

"""Fetching what the explanation of a run needs: few requests, side by side, and none that may be missing is fatal."""

import asyncio
from collections.abc import Iterable

from mage_mcp.client.diagnosis import diagnose
from mage_mcp.client.error_texts import ShortError
from mage_mcp.client.evidence import Evidence, base_uuid, block_file, blocks_of, which_evidence
from mage_mcp.client.failures import Failure
from mage_mcp.client.log_files import LogFiles, read_log_files
from mage_mcp.client.paths import api
from mage_mcp.client.pipelines import Pipelines
from mage_mcp.client.records import BlockRecord, PipelineRecord, RunRecord, Time, parse_time
from mage_mcp.client.replies import root
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageInvalid, MageRefused, MageReplyInvalid

MISSING = (MageInvalid, MageRefused, MageReplyInvalid)
"""Mage does not have it, or not in a form that can be read or asked for."""
_CHEAP = 20
"""Block logs read of a completed run, to see callbacks that failed and retries that passed."""


async def gather_evidence(transport: Transport, pipelines: Pipelines, run: RunRecord) -> Evidence:
    """Logs, block definitions, and the source files of the blocks concerned, with the times of their last change.

    What is gone (a deleted pipeline, logs removed or too large to read) is left out; the diagnosis says what it lacks.
    """
    needed = which_evidence(run)
    wanted = [*needed.block_runs, *(needed.if_cheap if len(needed.if_cheap) <= _CHEAP else ())]
    files, pipeline = await asyncio.gather(
        _log_files(transport, run, wanted, with_scheduler=needed.scheduler_log),
        _pipeline(pipelines, run.pipeline_uuid),
    )
    blocks = blocks_of(pipeline) if pipeline else {}
    concerned = _concerned(run, blocks, needed.block_runs)
    sources = await asyncio.gather(*(_source(transport, block) for block in concerned))
    modified = {}
    for block, (content, changed_at) in zip(concerned, sources, strict=True):
        blocks[block.uuid] = block.model_copy(update={"content": content})
        if changed_at:
            modified[block_file(block)] = changed_at
    return Evidence(
        run=run,
        block_logs=files.blocks,
        scheduler_log=files.scheduler,
        blocks=blocks,
        modified=modified,
    )


async def reason_in_logs(transport: Transport, run: RunRecord) -> str:
    """`TYPE: message` of a failed run whose row does not say why, from its logs; empty where they do not either."""
    needed = which_evidence(run)
    files = await _log_files(transport, run, list(needed.block_runs[:1]), with_scheduler=needed.scheduler_log)
    evidence = Evidence(run=run, block_logs=files.blocks, scheduler_log=files.scheduler)
    failure = next(iter(diagnose(evidence)), Failure())
    return str(ShortError(failure.error_type, failure.message))


async def _log_files(transport: Transport, run: RunRecord, wanted: list[int], *, with_scheduler: bool) -> LogFiles:
    try:
        return await read_log_files(transport, run, block_runs=None if with_scheduler else wanted)
    except MISSING:
        return LogFiles()


async def _pipeline(pipelines: Pipelines, uuid: str) -> PipelineRecord | None:
    try:
        return await pipelines.record(uuid)
    except MISSING:
        return None


def _concerned(run: RunRecord, blocks: dict[str, BlockRecord], block_runs: Iterable[int]) -> list[BlockRecord]:
    """The blocks whose code may be quoted: the failing ones, and the conditions and callbacks attached to any block."""
    uuids = {base_uuid(b.block_uuid) for b in run.block_runs if b.id in set(block_runs)}
    attached = {block.uuid for block in blocks.values() if block.type in {"conditional", "callback"}}
    without_runs = set(blocks) if not run.block_runs and len(blocks) <= _CHEAP else set()
    return [block for uuid, block in blocks.items() if uuid in uuids | attached | without_runs]


async def _source(transport: Transport, block: BlockRecord) -> tuple[str | None, Time]:
    """A block's file as it is now, and when it was last changed; nothing where Mage has no such file."""
    try:
        file = root(await transport.read(api("file_contents", block_file(block))), "file_content")
    except MISSING:
        return None, None
    if file.get("size") is None:
        return None, None
    content = file.get("content")
    return content if isinstance(content, str) else None, parse_time(file.get("modified_timestamp"))

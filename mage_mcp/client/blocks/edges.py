"""The edges of a pipeline's graph: refused here where Mage would drop them, or break. Pure functions."""

from collections.abc import Sequence

from mage_mcp.client.near import did_you_mean
from mage_mcp.client.records import BlockRecord, PipelineRecord
from mage_mcp.errors import MageInvalid, MageNotFound
from mage_mcp.text import one_line, quoted

_SHOWN = 10


def checked_upstream(upstream: Sequence[str], pipeline: PipelineRecord, *, of: str) -> list[str]:
    """The upstream blocks that `of` is to have, in their order: that of its function's arguments.

    Raises MageNotFound for one that the pipeline does not have (Mage drops it, and cuts the others), MageInvalid for
    one that is named twice, and for what would make a cycle.
    """
    known = {block.uuid: block for block in pipeline.blocks}
    where = f"in {quoted(pipeline.uuid)}"
    for uuid in upstream:
        if uuid not in known and uuid != of:
            raise MageNotFound(
                f"{quoted(pipeline.uuid)} has no block {one_line(uuid, 80)!r} to be upstream; nothing was changed.",
                next_step=did_you_mean(uuid, set(known) - {of}, where=where),
            )
    if len(set(upstream)) < len(upstream):
        raise MageInvalid("upstream_blocks names a block twice; nothing was changed.", next_step="Name each once.")
    for uuid in upstream:
        if way := _way(known, uuid, of):
            shown = " → ".join(quoted(step) for step in [*way, of])
            raise MageInvalid(
                f"With {quoted(uuid)} upstream of {quoted(of)}, {quoted(pipeline.uuid)} would go round in a circle "
                f"({shown}); nothing was changed.",
                next_step="Take an edge out first, or choose another block.",
            )
    return list(upstream)


def _way(known: dict[str, BlockRecord], start: str, end: str) -> list[str]:
    """From `end` down to `start` along the edges there are; empty where there is no way."""
    if start == end:
        return [end]
    came_from = {start: start}
    edge = [start]
    while edge:
        uuid = edge.pop()
        for up in known[uuid].upstream_blocks if uuid in known else ():
            if up not in came_from:
                came_from[up] = uuid
                edge.append(up)
    if end not in came_from:
        return []
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way


def waiting_for(pipeline: PipelineRecord, block: str) -> list[str]:
    """The blocks, conditionals and callbacks that name a block as their upstream, sorted."""
    every = (*pipeline.blocks, *pipeline.conditionals, *pipeline.callbacks)
    return sorted(each.uuid for each in every if block in each.upstream_blocks)


def listed(uuids: Sequence[str]) -> str:
    """For a sentence."""
    shown = ", ".join(quoted(uuid) for uuid in uuids[:_SHOWN])
    return f"{shown} and {len(uuids) - _SHOWN} more" if len(uuids) > _SHOWN else shown

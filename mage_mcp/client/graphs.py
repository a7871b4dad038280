"""Pipelines as graphs: what waits for what, and how far the latest run came."""

import asyncio
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from mage_mcp.client.evidence import base_uuid
from mage_mcp.client.models import Answer, Name, Names
from mage_mcp.client.paths import pipeline_uuid
from mage_mcp.client.pipelines import Pipelines, in_order
from mage_mcp.client.records import BlockRecord, RunRecord
from mage_mcp.client.runs import Runs

# Of the children of a dynamic block, the first that any of them is in.
_TELLING = (
    "failed",
    "running",
    "queued",
    "cancelled",
    "upstream_failed",
    "condition_failed",
    "initial",
    "completed",
)


class GraphNode(Answer):
    block: Name
    kind: Literal["block", "conditional", "callback"] = "block"
    type: str = ""
    status: str = Field(default="", description="In the latest run; empty where it has no part in it.")
    upstream: Names = Field(default=[], description="What a block waits for; what the others are attached to.")


class PipelineGraph(Answer):
    pipeline: Name
    nodes: list[GraphNode] = Field(default=[], description="Blocks in the order in which they can run, then the rest.")
    run: int | None = Field(default=None, description="The latest.")
    run_status: str = ""


class Graphs:
    """Draw up graphs."""

    def __init__(self, pipelines: Pipelines, runs: Runs) -> None:
        self._pipelines = pipelines
        self._runs = runs

    async def get(self, pipeline: str) -> PipelineGraph:
        """A pipeline's blocks, conditionals and callbacks, with the states of the latest run.

        Raises MageNotFound with the nearest names.
        """
        pipeline_uuid(pipeline)  # before anything is sent: the requests below leave side by side
        record, runs = await asyncio.gather(self._pipelines.record(pipeline), self._runs.latest(pipeline))
        run = runs[0] if runs else None
        states = _states(run) if run else {}
        return PipelineGraph(
            pipeline=record.uuid,
            nodes=[
                *_nodes(in_order(record.blocks), "block", states),
                *_nodes(record.conditionals, "conditional", {}),
                *_nodes(record.callbacks, "callback", {}),
            ],
            run=run.id if run else None,
            run_status=run.status if run else "",
        )


def _nodes(
    blocks: Iterable[BlockRecord], kind: Literal["block", "conditional", "callback"], states: dict[str, str]
) -> list[GraphNode]:
    return [
        GraphNode(
            block=block.uuid,
            kind=kind,
            type=block.type,
            status=states.get(block.uuid, ""),
            upstream=block.upstream_blocks,
        )
        for block in blocks
    ]


def _states(run: RunRecord) -> dict[str, str]:
    by_block: dict[str, set[str]] = {}
    for block_run in run.block_runs:
        by_block.setdefault(base_uuid(block_run.block_uuid), set()).add(block_run.status)
    return {block: next((s for s in _TELLING if s in found), "") for block, found in by_block.items()}

"""Reading pipelines: a page of them, or one."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

from pydantic import Field

from mage_mcp.client.models import Answer, Message, Name, Names, Page, Untrusted, UtcTime
from mage_mcp.client.near import did_you_mean, pipeline_uuids, unknown_pipeline
from mage_mcp.client.paths import api, pipeline_uuid
from mage_mcp.client.pipelines.config import set_config
from mage_mcp.client.records import BlockRecord, PipelineRecord, RunRecord, TriggerRecord
from mage_mcp.client.replies import count, root, rows
from mage_mcp.client.run_rows import RunRow, run_row
from mage_mcp.client.transport import Params, Transport
from mage_mcp.client.triggers import TriggerRow, Triggers, without_ours
from mage_mcp.errors import MageNotFound
from mage_mcp.text import MASK, is_secret_name, one_line, shorten, show

PipelineType = Literal["python", "integration", "streaming", "pyspark", "databricks", "execution_framework"]
PipelineStatus = Literal["active", "inactive", "no_triggers"]

_DESCRIPTION = 80
_MOST_BLOCKS = 60
_MOST_VARIABLES = 40
_LONGEST_VALUE = 120
_RECENT_RUNS = 3


class PipelineRow(Answer):
    pipeline: Name = Field(description="Uuid, as every other tool wants it.")
    type: str = ""
    description: Message = ""
    tags: Names = []
    blocks: int = Field(description="Number of blocks.")
    triggers: int = Field(description="Number of triggers.")
    active_triggers: int = 0


class PipelinePage(Page):
    items: list[PipelineRow]


class BlockRow(Answer):
    block: Name
    type: str = ""
    language: str = Field(default="", description="Left out where it is python.")
    upstream: Names = []


class PipelineDetail(Answer):
    pipeline: Name
    type: str = ""
    description: Message = ""
    tags: Names = []
    blocks: list[BlockRow] = Field(default=[], description="In the order in which they can run.")
    conditionals: list[BlockRow] = Field(default=[], description="`upstream` is the block it guards.")
    callbacks: list[BlockRow] = []
    variables: Annotated[dict[str, Any], Untrusted()] = Field(default={}, description="Secret-looking ones masked.")
    config: Annotated[dict[str, Any], Untrusted()] = Field(default={}, description="Settings, as far as they are set.")
    triggers: list[TriggerRow] = []
    latest_runs: list[RunRow] = []
    updated_at: UtcTime | None = None
    note: str = ""


class PipelineReader:
    """List and look at pipelines."""

    def __init__(self, transport: Transport, triggers: Triggers) -> None:
        self._transport = transport
        self._triggers = triggers

    async def list(
        self,
        *,
        search: str = "",
        tag: str = "",
        type: PipelineType | None = None,  # noqa: A002 - Mage's word
        status: PipelineStatus | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> PipelinePage:
        """One page of pipelines, in Mage's order. `search` is looked for in the uuid only, as Mage does.

        Source: Mage PipelineResource.collection; `status[]` works only together with `include_schedules`.
        """
        params: Params = {"_limit": limit, "_offset": offset, "include_schedules": True}
        if search:
            params["search"] = search
        if tag:
            params["tag[]"] = tag
        if type is not None:
            params["type[]"] = type
        if status is not None:
            params["status[]"] = "no_schedules" if status == "no_triggers" else status
        reply = await self._transport.read(api("pipelines"), **params)
        records = [PipelineRecord.model_validate(row) for row in rows(reply, "pipelines")]
        total = count(reply, fallback=offset + len(records))
        return PipelinePage.fitted(
            [_row(record) for record in records],
            total=total,
            limit=limit,
            offset=offset,
            note="" if records else await self._why_empty(search=search, tag=tag, total=total),
        )

    async def get(self, pipeline: str) -> PipelineDetail:
        """A pipeline's blocks, triggers, variables and latest runs; no code.

        Raises MageNotFound with the nearest names.
        """
        pipeline_uuid(pipeline)  # before anything is sent: the requests below leave side by side
        # Unlike a task group, gather raises the first error itself, which is what the caller shows.
        try:
            record, triggers, runs = await asyncio.gather(
                self._read(pipeline), self._triggers.of_pipeline(pipeline), self._latest_runs(pipeline)
            )
        except MageNotFound:
            raise await unknown_pipeline(self._transport, pipeline) from None
        return _detail(record, without_ours(triggers), runs, now=self._transport.clock.utc())

    async def record(self, pipeline: str) -> PipelineRecord:
        """Mage's own record, with variables, without block sources.

        Raises MageNotFound with the nearest names, found by one more request.
        """
        try:
            return await self._read(pipeline)
        except MageNotFound:
            raise await unknown_pipeline(self._transport, pipeline) from None

    async def with_sources(self, pipeline: str) -> PipelineRecord:
        """Mage's own record, with the code of each block.

        Raises MageNotFound without near names.
        """
        return await self._read(pipeline, sources=True)

    async def _read(self, pipeline: str, *, sources: bool = False) -> PipelineRecord:
        reply = await self._transport.read(
            api("pipelines", pipeline_uuid(pipeline)), includes_content=sources, includes_outputs=False
        )
        return PipelineRecord.model_validate(root(reply, "pipeline"))

    async def _latest_runs(self, pipeline: str) -> Sequence[RunRecord]:
        reply = await self._transport.read(
            api("pipeline_runs"),
            pipeline_uuid=pipeline,
            _limit=_RECENT_RUNS,
            disable_retries_grouping=True,
            **{"order_by[]": "id desc"},
        )
        return [RunRecord.model_validate(row) for row in root(reply, "pipeline_runs", kind=list)]

    async def _why_empty(self, *, search: str, tag: str, total: int) -> str:
        if total:
            return f"The offset is past the end: there are {total}."
        if tag:
            tags = rows(await self._transport.read(api("tags")), "tags")
            names = {str(row.get("uuid") or row.get("name")) for row in tags}
            if tag not in names:
                return f"No pipeline has the tag {one_line(tag, 60)!r}. {did_you_mean(tag, names, where='in use')}"
        if search:
            near = did_you_mean(
                search, await pipeline_uuids(self._transport), where=f"on {self._transport.cluster.label}"
            )
            return f"No pipeline's uuid contains {one_line(search, 60)!r}, with these filters. {near}"
        return "No pipeline fits these filters."


def _row(record: PipelineRecord) -> PipelineRow:
    triggers = without_ours(record.schedules)
    return PipelineRow(
        pipeline=record.uuid,
        type=record.type,
        description=one_line(record.description, _DESCRIPTION),
        tags=record.tags,
        blocks=len(record.blocks),
        triggers=len(triggers),
        active_triggers=sum(trigger.status == "active" for trigger in triggers),
    )


def _detail(
    record: PipelineRecord, triggers: Sequence[TriggerRecord], runs: Sequence[RunRecord], *, now: datetime
) -> PipelineDetail:
    ordered = in_order(record.blocks)
    notes = []
    if len(ordered) > _MOST_BLOCKS:
        notes.append(f"{len(ordered) - _MOST_BLOCKS} more blocks are not shown.")
    if len(record.variables) > _MOST_VARIABLES:
        notes.append(f"{len(record.variables) - _MOST_VARIABLES} more variables are not shown.")
    if not runs:
        notes.append("It never ran.")
    if not triggers:
        notes.append("It has no trigger of its own; trigger_pipeline can run it all the same.")
    return PipelineDetail(
        pipeline=record.uuid,
        type=record.type,
        description=one_line(record.description, 3 * _DESCRIPTION),
        tags=record.tags,
        blocks=[_block(block) for block in ordered[:_MOST_BLOCKS]],
        conditionals=[_block(block) for block in record.conditionals],
        callbacks=[_block(block) for block in record.callbacks],
        variables=shown_variables(record.variables, most=_MOST_VARIABLES),
        config=set_config(record),
        triggers=[TriggerRow.of(trigger, pipeline=False) for trigger in triggers[:20]],
        latest_runs=[run_row(run, now=now, pipeline=False) for run in runs],
        updated_at=record.updated_at,
        note=" ".join(notes),
    )


def _block(block: BlockRecord) -> BlockRow:
    return BlockRow(
        block=block.uuid,
        type=block.type,
        language="" if block.language == "python" else block.language,
        upstream=block.upstream_blocks,
    )


def in_order(blocks: list[BlockRecord]) -> list[BlockRecord]:
    """Blocks so that each stands after those it waits for; as they come where the graph has a cycle."""
    by_uuid = {block.uuid: block for block in blocks}
    graph = {block.uuid: [up for up in block.upstream_blocks if up in by_uuid] for block in blocks}
    try:
        return [by_uuid[uuid] for uuid in TopologicalSorter(graph).static_order()]
    except CycleError:
        return blocks


def downstream_of(blocks: list[BlockRecord], start: str) -> set[str]:
    """The uuids of everything that waits for `start`, directly or not."""
    found: set[str] = set()
    edge = {start}
    while edge:
        edge = {block.uuid for block in blocks if edge & set(block.upstream_blocks)} - found
        found |= edge
    return found


def shown_variables(variables: dict[str, Any], *, most: int, longest: int = _LONGEST_VALUE) -> dict[str, Any]:
    """Values as they are where they are short, cut where they are long, masked where the name says secret."""
    shown: dict[str, Any] = {}
    for name, value in list(variables.items())[:most]:
        if is_secret_name(name):
            shown[name] = MASK
        elif isinstance(value, bool | int | float):
            shown[name] = value
        else:
            masked = _masked(value)
            text = masked if isinstance(masked, str) else repr(masked)
            shown[name] = masked if len(text) <= longest else shorten(text, longest)
    return shown


def _masked(value: Any) -> Any:
    """The value without what stands under secret names anywhere in it; masked before it is cut."""
    if isinstance(value, str):
        return show(value)
    if isinstance(value, dict):
        return {name: MASK if is_secret_name(name) else _masked(inner) for name, inner in value.items()}
    return [_masked(inner) for inner in value] if isinstance(value, list) else value

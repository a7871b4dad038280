"""Reading pipelines: a page of them, or one."""

import asyncio
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from mage_mcp.client.models import Answer, Message, Name, Names, Page
from mage_mcp.client.near import did_you_mean, unknown_pipeline
from mage_mcp.client.paths import api, pipeline_uuid
from mage_mcp.client.pipelines.detail import PipelineDetail, pipeline_detail
from mage_mcp.client.pipelines.searching import found_in
from mage_mcp.client.records import PipelineRecord, RunRecord
from mage_mcp.client.replies import count, root, rows
from mage_mcp.client.transport import Params, Transport
from mage_mcp.client.triggers import Triggers, without_ours
from mage_mcp.errors import MageNotFound
from mage_mcp.text import one_line, quoted

PipelineType = Literal["python", "integration", "streaming", "pyspark", "databricks", "execution_framework"]
PipelineStatus = Literal["active", "inactive", "no_triggers"]

_DESCRIPTION = 80
_RECENT_RUNS = 3


class PipelineRow(Answer):
    pipeline: Name = Field(description="Uuid, as every other tool wants it.")
    type: str = ""
    description: Message = ""
    tags: Names = []
    blocks: int = Field(description="Number of blocks.")
    triggers: int = Field(description="Number of triggers.")
    active_triggers: int = 0
    found_in: Name = Field(default="", description="Where the search was found, if not in the uuid.")


class PipelinePage(Page):
    items: list[PipelineRow]


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
        """One page of pipelines, in Mage's order.

        Mage looks for `search` in the uuid only. Where that finds none, it is looked for in blocks, names and
        descriptions of all pipelines: one request, which is the one that would find the nearest names.
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
        if search and not total:
            return await self._searched(search, params, tag=tag, limit=limit, offset=offset)
        return PipelinePage.fitted(
            [_row(record) for record in records],
            total=total,
            limit=limit,
            offset=offset,
            note="" if records else await self._why_empty(tag=tag, total=total),
        )

    async def _searched(self, search: str, params: Params, *, tag: str, limit: int, offset: int) -> PipelinePage:
        """The pipelines that hold it elsewhere than in their uuid; where there is none, why."""
        everything = {name: value for name, value in params.items() if name not in {"search", "_limit", "_offset"}}
        reply = await self._transport.read(api("pipelines"), **everything)
        records = [PipelineRecord.model_validate(row) for row in rows(reply, "pipelines")]
        found = [(record, where) for record in records if (where := found_in(record, search))]
        if not found:
            note = await self._why_empty(tag=tag, total=0)
            if records:
                near = did_you_mean(
                    search, (record.uuid for record in records), where=f"on {self._transport.cluster.label}"
                )
                note = f"No pipeline holds {quoted(search, 60)} in its uuid, name, description or blocks. {near}"
            return PipelinePage(items=[], total=0, note=note)
        page = [_row(record, found_in=where) for record, where in found[offset : offset + limit]]
        note = f"No uuid contains {quoted(search, 60)}; these hold it elsewhere." if page else ""
        return PipelinePage.fitted(
            page, total=len(found), limit=limit, offset=offset, note=note or _past_the_end(len(found))
        )

    async def get(self, pipeline: str, *, full: bool = False) -> PipelineDetail:
        """A pipeline's blocks, triggers, variables and latest runs; no code. Long ones are cut, with `full` later.

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
        now = self._transport.clock.utc()
        return pipeline_detail(record, without_ours(triggers), runs, now=now, full=full)

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

    async def _why_empty(self, *, tag: str, total: int) -> str:
        if total:
            return _past_the_end(total)
        if tag:
            tags = rows(await self._transport.read(api("tags")), "tags")
            names = {str(row.get("uuid") or row.get("name")) for row in tags}
            if tag not in names:
                return f"No pipeline has the tag {one_line(tag, 60)!r}. {did_you_mean(tag, names, where='in use')}"
        return "No pipeline fits these filters."


def _past_the_end(total: int) -> str:
    return f"The offset is past the end: there are {total}."


def _row(record: PipelineRecord, *, found_in: str = "") -> PipelineRow:
    triggers = without_ours(record.schedules)
    return PipelineRow(
        pipeline=record.uuid,
        type=record.type,
        description=one_line(record.description, _DESCRIPTION),
        tags=record.tags,
        blocks=len(record.blocks),
        triggers=len(triggers),
        active_triggers=sum(trigger.status == "active" for trigger in triggers),
        found_in=found_in,
    )

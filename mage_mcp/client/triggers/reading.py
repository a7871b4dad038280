"""Looking at triggers. Their tokens are never read."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from mage_mcp.client.models import Answer, Message, Name, Names, Page, UtcTime
from mage_mcp.client.near import did_you_mean, unknown_pipeline
from mage_mcp.client.paths import api, pipeline_uuid
from mage_mcp.client.records import UNFINISHED, PipelineRecord, TriggerRecord
from mage_mcp.client.replies import count, root, rows
from mage_mcp.client.schedules import next_due
from mage_mcp.client.secrets import remember_variables
from mage_mcp.client.transport import Params, Transport
from mage_mcp.client.triggers.judging import has_landing_time
from mage_mcp.errors import MageInvalid, MageNotFound, MageRefused, MageReplyInvalid
from mage_mcp.text import one_line, quoted

OURS = "mage-mcp"
"""Name of the one trigger a pipeline gets for `trigger_pipeline`. Its type `event` can be started by no token."""
OURS_TYPE = "event"

TriggerStatus = Literal["active", "inactive"]
TriggerType = Literal["time", "api", "event"]

_ALL = 1000
_TOO_MANY_DIGITS = 19
"""No database has such an id."""


class TriggerRow(Answer):
    trigger: int = Field(description="Id.")
    name: Name = ""
    pipeline: Name = ""
    type: str = ""
    interval: Name = Field(default="", description="@daily and the like, or a cron line, UTC.")
    status: str = Field(default="", description="active or inactive.")
    next_run_at: UtcTime | None = None
    last_run_status: str = ""
    running: int = Field(default=0, description="Runs in progress.")
    tags: Names = []
    description: Message = ""
    in_code: bool = Field(default=False, description="Kept in triggers.yaml; told where a pipeline is named.")
    note: str = ""

    @classmethod
    def of(cls, record: TriggerRecord, *, pipeline: bool = True, in_code: bool = False) -> "TriggerRow":
        active = record.status == "active"
        starts = record.start_time
        # Mage's next date ignores a start that lies after it, and the status.
        next_run = record.next_pipeline_run_date if active else None
        if next_run and starts and starts > next_run and not has_landing_time(record):
            next_run = next_due(record.schedule_interval, starts)
        return cls(
            trigger=record.id,
            name=one_line(record.name, 80),
            pipeline=record.pipeline_uuid if pipeline else "",
            type=record.schedule_type,
            interval=record.schedule_interval,
            status=record.status,
            next_run_at=next_run if record.schedule_type == "time" else None,
            last_run_status=record.last_pipeline_run_status,
            running=record.pipeline_in_progress_runs_count or 0,
            tags=record.tags,
            description="" if is_ours(record) else one_line(record.description, 80),
            in_code=in_code,
            note="Used by trigger_pipeline." if is_ours(record) else "",
        )


Records = list[TriggerRecord]
"""Named, since `list` is a method where it is used."""


class TriggerPage(Page):
    items: list[TriggerRow]


@dataclass(frozen=True)
class InCode:
    """What Mage keeps in a pipeline's triggers.yaml: it writes tokens into that file, which is often versioned."""

    names: frozenset[str] = frozenset()
    every: bool = False
    """The pipeline is set to keep every trigger there that is made or changed."""

    def __contains__(self, name: str) -> bool:
        return self.every or name in self.names


class TriggerReader:
    """List and look at triggers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(
        self,
        *,
        pipeline: str = "",
        status: TriggerStatus | None = None,
        type: TriggerType | None = None,  # noqa: A002 - Mage's word
        search: str = "",
        limit: int = 20,
        offset: int = 0,
    ) -> TriggerPage:
        """One page of triggers by id. Mage filters by status and type; `search` is done here.

        A deleted pipeline's triggers are found, for they stay. Raises MageNotFound for a pipeline that has none and is
        not there. Source: Mage PipelineScheduleResource.collection, whose `pipeline_uuid` parameter is ignored: the
        child path filters.
        """
        params: Params = {
            "_limit": _ALL if search or pipeline else limit,
            "_offset": 0 if search or pipeline else offset,
        }
        if status is not None:
            params["status[]"] = status
        if type is not None:
            params["schedule_type[]"] = type
        path = (
            api("pipelines", pipeline_uuid(pipeline), "pipeline_schedules") if pipeline else api("pipeline_schedules")
        )
        gone = ""
        try:
            reply, named = await asyncio.gather(self._transport.read(path, **params), self._in_file_if_told(pipeline))
            records = [TriggerRecord.model_validate(row) for row in root(reply, "pipeline_schedules", kind=list)]
        except MageNotFound:
            records, named = await self._left_behind(pipeline, params), set()
            reply, gone = {}, f"Pipeline {quoted(pipeline)} is gone; its triggers stayed."
        total = count(reply, fallback=offset + len(records))
        if search or pipeline:
            records = sorted((r for r in records if _holds(r, search)), key=lambda record: record.id)
            total = len(records)
            records = records[offset : offset + limit]
        return TriggerPage.fitted(
            [TriggerRow.of(record, pipeline=not pipeline, in_code=record.name in named) for record in records],
            total=total,
            limit=limit,
            offset=offset,
            note=gone
            if records
            else _none_fits(pipeline, filtered=bool(search or status or type))
            if not total
            else f"The offset is past the end: there are {total}.",
        )

    async def _left_behind(self, pipeline: str, params: Params) -> Records:
        """Triggers of a pipeline that is gone. Raises MageNotFound, with the nearest names, where there are none."""
        reply = await self._transport.read(api("pipeline_schedules"), **params)
        every = [TriggerRecord.model_validate(row) for row in root(reply, "pipeline_schedules", kind=list)]
        if left := [record for record in every if record.pipeline_uuid == pipeline]:
            return left
        raise await unknown_pipeline(self._transport, pipeline) from None

    async def of_pipeline(self, pipeline: str) -> Sequence[TriggerRecord]:
        """All triggers of one pipeline, by id. Raises MageNotFound without near names, which callers add."""
        reply = await self._transport.read(api("pipelines", pipeline_uuid(pipeline), "pipeline_schedules"), _limit=_ALL)
        records = [TriggerRecord.model_validate(row) for row in root(reply, "pipeline_schedules", kind=list)]
        return sorted(records, key=lambda record: record.id)

    async def record(self, trigger: int) -> TriggerRecord:
        """Raises MageNotFound."""
        try:
            reply = await self._transport.read(api("pipeline_schedules", trigger))
        except MageNotFound:
            label = self._transport.cluster.label
            raise MageNotFound(
                f"No trigger {trigger} on {label}.", next_step="list_triggers shows the ids there are."
            ) from None
        return TriggerRecord.model_validate(root(reply, "pipeline_schedule"))

    async def find(self, trigger: str, *, pipeline: str = "") -> TriggerRecord:
        """A trigger by id or by name, of one pipeline where it is given.

        Raises MageNotFound with the nearest names, MageInvalid where the name is not unique or the pipeline another.
        """
        if trigger.isascii() and trigger.isdigit() and len(trigger) < _TOO_MANY_DIGITS:
            record = await self.record(int(trigger))
            if pipeline and record.pipeline_uuid != pipeline:
                raise MageInvalid(
                    f"Trigger {trigger} belongs to pipeline {one_line(record.pipeline_uuid, 80)!r}, "
                    f"not to {pipeline!r}.",
                    next_step=f"list_triggers(pipeline={pipeline!r}) shows its own.",
                )
            return record
        try:
            records = await (self.of_pipeline(pipeline) if pipeline else self._all())
        except MageNotFound:
            raise await unknown_pipeline(self._transport, pipeline) from None
        named = [record for record in records if record.name == trigger]
        if len(named) > 1:
            ids = ", ".join(f"{record.id} ({quoted(record.pipeline_uuid)})" for record in named[:10])
            raise MageInvalid(
                f"{len(named)} triggers are named {one_line(trigger, 60)!r}.", next_step=f"Name one by its id: {ids}."
            )
        if named:
            return named[0]
        where = f"of pipeline {pipeline!r}" if pipeline else f"on {self._transport.cluster.label}"
        raise MageNotFound(
            f"No trigger {one_line(trigger, 60)!r} {where}.",
            next_step=did_you_mean(trigger, (record.name for record in records), where=where),
        )

    async def in_code(self, pipeline: str) -> "InCode":
        """Which triggers of a pipeline stand in its triggers.yaml.

        Raises MageNotFound with the nearest names. Source: Mage Pipeline.should_save_trigger_in_code_automatically.
        """
        try:
            reply, named = await asyncio.gather(
                self._transport.read(
                    api("pipelines", pipeline_uuid(pipeline)), includes_content=False, includes_outputs=False
                ),
                self._in_file(pipeline),
            )
        except MageNotFound:
            raise await unknown_pipeline(self._transport, pipeline) from None
        settings = PipelineRecord.model_validate(root(reply, "pipeline")).settings.get("triggers")
        every = isinstance(settings, dict) and bool(settings.get("save_in_code_automatically"))
        return InCode(frozenset(named), every)

    async def _in_file(self, pipeline: str) -> set[str]:
        """Names in the pipeline's triggers.yaml."""
        if not pipeline:
            return set()
        reply = await self._transport.read(api("pipelines", pipeline_uuid(pipeline), "pipeline_triggers"))
        found = rows(reply, "pipeline_triggers")
        for row in found:
            remember_variables(row.get("variables"))
        return {str(row.get("name")) for row in found}

    async def _in_file_if_told(self, pipeline: str) -> set[str]:
        """None where Mage does not say: a list is not worth less for that."""
        try:
            return await self._in_file(pipeline)
        except (MageRefused, MageReplyInvalid):
            return set()

    async def under_way(self, trigger: int, *, most: int = 100) -> dict[int, str]:
        """Runs of a trigger that have not ended, with their statuses: ids from the newest on.

        The trigger must exist: of one that does not Mage shows all runs there are.
        """
        params: Params = {"status[]": ",".join(UNFINISHED), "order_by[]": "id desc", "disable_retries_grouping": True}
        path = api("pipeline_schedules", trigger, "pipeline_runs")
        reply = await self._transport.read(path, **params, _format="with_basic_details", _limit=most)
        return {int(row["id"]): str(row.get("status")) for row in rows(reply, "pipeline_runs")}

    async def number_of_runs(self, trigger: int) -> int:
        """How many runs a trigger has in all; it must exist, as for `under_way`."""
        path = api("pipeline_schedules", trigger, "pipeline_runs")
        return count(await self._transport.read(path, _limit=0), fallback=0)

    async def _all(self) -> Sequence[TriggerRecord]:
        reply = await self._transport.read(api("pipeline_schedules"), _limit=_ALL)
        return [TriggerRecord.model_validate(row) for row in root(reply, "pipeline_schedules", kind=list)]


def _holds(record: TriggerRecord, search: str) -> bool:
    """People ask for "the billing schedules", and the word may stand in any of these."""
    texts = (record.name, record.pipeline_uuid, record.description, *record.tags)
    word = search.strip().casefold()
    return any(word in text.casefold() or word.replace(" ", "_") in text.casefold() for text in texts)


def _none_fits(pipeline: str, *, filtered: bool) -> str:
    if filtered:
        return "No trigger fits; fewer filters show more."
    return f"{quoted(pipeline)} has no trigger." if pipeline else "There is no trigger."


def is_ours(record: TriggerRecord) -> bool:
    return record.name == OURS and record.schedule_type == OURS_TYPE


def without_ours(records: Sequence[TriggerRecord]) -> list[TriggerRecord]:
    """What a person would count as the pipeline's triggers."""
    return [record for record in records if not is_ours(record)]

"""Tools to look at triggers, make, change and delete them."""

from typing import Annotated, Any

from pydantic import Field

from mage_mcp.client.triggers import TriggerPage, TriggerStatus, TriggerType
from mage_mcp.client.triggers.changing import TriggersChanged
from mage_mcp.client.triggers.deleting import TriggerDeleted
from mage_mcp.client.triggers.making import NewTriggerType, TriggerCreated
from mage_mcp.client.triggers.wishes import Clearable
from mage_mcp.text import quoted
from mage_mcp.tools._args import InPipeline, Limit, Offset, PipelineUuid
from mage_mcp.tools._confirm import Plan
from mage_mcp.tools._deps import Mage
from mage_mcp.tools._lenient import AsList, OneAsList, spelled
from mage_mcp.tools._toolset import Toolset

tools = Toolset("triggers")

Status = Annotated[TriggerStatus, spelled(paused="inactive", disabled="inactive", enabled="active")]
TriggerId = Annotated[int, Field(description="Trigger id.", ge=1)]
TriggerIds = Annotated[
    list[Annotated[int, Field(ge=1)]],
    Field(description="Ids, from list_triggers.", min_length=1, max_length=20),
    AsList,
]
Interval = Annotated[
    str, Field(description="@once, @hourly, @daily, @weekly, @monthly, @always_on or a cron line, UTC.")
]
StartTime = Annotated[str, Field(description="ISO time before which nothing runs.")]
Description = Annotated[str, Field(description="What it is for.")]
Timeout = Annotated[int | None, Field(description="Seconds a run may take; 0: no limit.", ge=0, le=31_536_000)]
AllowInCode = Annotated[bool, Field(description="Mage may write triggers.yaml, the token with it.")]
DryRun = Annotated[bool, Field(description="Only say what would be done.")]


@tools.read("List triggers")
async def list_triggers(
    mage: Mage,
    pipeline: InPipeline = "",
    status: Annotated[Status | None, Field(description="Only in this state.")] = None,
    type: Annotated[TriggerType | None, Field(description="Only of this type.")] = None,  # noqa: A002 - Mage's word
    search: Annotated[str, Field(description="Part of the name, pipeline, a tag or the description.")] = "",
    limit: Limit = 20,
    offset: Offset = 0,
) -> TriggerPage:
    """List triggers (schedules, API and event triggers): when each runs next, how its last run went."""
    return await mage.triggers.list(
        pipeline=pipeline, status=status, type=type, search=search, limit=limit, offset=offset
    )


@tools.write("Create a trigger")
async def create_trigger(
    mage: Mage,
    pipeline: PipelineUuid,
    name: Annotated[str, Field(description="New on this pipeline.", min_length=1)],
    interval: Interval = "",
    start_time: StartTime = "",
    type: Annotated[NewTriggerType, Field(description="api: started from outside.")] = "time",  # noqa: A002 - Mage's word
    status: Annotated[Status, Field(description="inactive: made, not yet running.")] = "active",
    variables: Annotated[dict[str, Any] | None, Field(description="They override the pipeline's.")] = None,
    description: Description = "",
    tags: Annotated[list[str] | None, Field(description="Tags."), OneAsList] = None,
    timeout_s: Timeout = None,
    allow_in_code: AllowInCode = False,
    dry_run: DryRun = False,
) -> TriggerCreated:
    """Add a schedule (or API trigger) to a pipeline; says when it first runs.

    Runs start at the interval's own times, in UTC all year: 06:30 UTC is the cron line 30 6 * * *, not start_time.
    """
    return await mage.triggers.create(
        pipeline,
        name,
        interval=interval,
        start_time=start_time,
        type=type,
        status=status,
        set_variables=variables,
        description=description,
        tags=tags,
        timeout_s=timeout_s,
        allow_in_code=allow_in_code,
        dry_run=dry_run,
    )


@tools.change("Update triggers")
async def update_triggers(
    mage: Mage,
    triggers: TriggerIds,
    status: Annotated[Status | None, Field(description="inactive pauses, active resumes.")] = None,
    interval: Annotated[str, Field(description="As in create_trigger.")] = "",
    start_time: StartTime = "",
    variables: Annotated[dict[str, Any] | None, Field(description="To set; the others stay.")] = None,
    unset_variables: Annotated[list[str] | None, Field(description="Names to remove."), OneAsList] = None,
    name: Annotated[str, Field(description="New name.")] = "",
    description: Description = "",
    tags: Annotated[list[str] | None, Field(description="In place of all it has."), OneAsList] = None,
    timeout_s: Timeout = None,
    clear: Annotated[list[Clearable] | None, Field(description="Fields to empty."), OneAsList] = None,
    allow_in_code: AllowInCode = False,
    dry_run: DryRun = False,
) -> TriggersChanged:
    """Pause, resume or reschedule triggers, or change their variables; tells before and after of each.

    Mage cannot resume by itself at a given time: a pause lasts until a call with status=active.
    """
    return await mage.triggers.update(
        triggers,
        status=status,
        interval=interval,
        start_time=start_time,
        set_variables=variables,
        unset_variables=unset_variables,
        name=name.strip(),
        description=description,
        tags=tags,
        timeout_s=timeout_s,
        clear=clear,
        allow_in_code=allow_in_code,
        dry_run=dry_run,
    )


async def _plan_delete(mage: Mage, trigger: TriggerId) -> Plan:
    record, _, acts = await mage.triggers.plan_delete(trigger)
    return Plan(
        question=f"Delete a trigger of {quoted(record.pipeline_uuid)} on {mage.label} for good?", acts=tuple(acts)
    )


@tools.destroy("Delete a trigger", plan=_plan_delete)
async def delete_trigger(mage: Mage, trigger: TriggerId) -> TriggerDeleted:
    """Delete a trigger for good, after a person agreed; its runs vanish from every list with it.

    To stop it and keep them, pause it with update_triggers.
    """
    return await mage.triggers.delete(trigger)

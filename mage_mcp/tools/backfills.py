"""Tools to run pipelines for a window of the past."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from mage_mcp.client.backfills import (
    BackfillCancelled,
    BackfillCreated,
    BackfillDeleted,
    BackfillPage,
    BackfillStatus,
    IntervalType,
)
from mage_mcp.client.backfills.windows import MOST_RUNS, MOST_UNITS, in_mages_words
from mage_mcp.text import quoted
from mage_mcp.tools._args import InPipeline, Limit, Offset, PipelineUuid
from mage_mcp.tools._confirm import Plan
from mage_mcp.tools._deps import Mage
from mage_mcp.tools._toolset import Toolset

tools = Toolset("backfills")


def _in_mages_words(interval: Any) -> Any:
    return in_mages_words(interval) if isinstance(interval, str) else interval


Interval = Annotated[
    IntervalType, BeforeValidator(_in_mages_words), Field(description="One run for each, counted from start.")
]
BackfillId = Annotated[int, Field(description="Backfill id.", ge=1)]


@tools.read("List backfills")
async def list_backfills(
    mage: Mage,
    pipeline: InPipeline = "",
    status: Annotated[BackfillStatus | None, Field(description="Only in this state.")] = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> BackfillPage:
    """List backfills, newest first, with their windows and how far their runs are."""
    return await mage.backfills.list(pipeline=pipeline, status=status, limit=limit, offset=offset)


@tools.write("Create a backfill")
async def create_backfill(
    mage: Mage,
    pipeline: PipelineUuid,
    start: Annotated[str, Field(description="First execution date: ISO, or an age as 7d.")],
    end: Annotated[str, Field(description="Last, included; a date means its whole day.")],
    interval_type: Interval = "day",
    interval_units: Annotated[int, Field(description="Intervals in a step.", ge=1, le=MOST_UNITS)] = 1,
    name: Annotated[str, Field(description="New on this pipeline.")] = "",
    variables: Annotated[dict[str, Any] | None, Field(description="For every run.")] = None,
    max_runs: Annotated[int, Field(description="Refuse more.", ge=1, le=MOST_RUNS)] = 366,
    dry_run: Annotated[bool, Field(description="Only say which runs that makes.")] = False,
) -> BackfillCreated:
    """Run a pipeline once for each date of a window, at once; the same window never starts twice.

    A window that overlaps another runs those dates again. Blocks see execution_date and ds. Times are UTC.
    """
    return await mage.backfills.create(
        pipeline,
        start,
        end,
        interval_type=interval_type,
        interval_units=interval_units,
        name=name,
        variables=variables,
        max_runs=max_runs,
        dry_run=dry_run,
    )


async def _plan_cancel(mage: Mage, backfill: BackfillId) -> Plan:
    record, acts = await mage.backfills.plan_cancel(backfill)
    return Plan(
        question=f"Cancel a backfill of {quoted(record.pipeline_uuid)} on {mage.label}? What its runs do is lost:",
        acts=tuple(acts),
    )


@tools.destroy("Cancel a backfill", plan=_plan_cancel)
async def cancel_backfill(mage: Mage, backfill: BackfillId) -> BackfillCancelled:
    """Cancel a backfill that is under way with its unfinished runs, after a person agreed."""
    return await mage.backfills.cancel(backfill)


async def _plan_delete(mage: Mage, backfill: BackfillId) -> Plan:
    record, _, acts = await mage.backfills.plan_delete(backfill)
    return Plan(
        question=f"Delete a backfill of {quoted(record.pipeline_uuid)} on {mage.label} for good?", acts=tuple(acts)
    )


@tools.destroy("Delete a backfill", plan=_plan_delete)
async def delete_backfill(mage: Mage, backfill: BackfillId) -> BackfillDeleted:
    """Delete an ended backfill with its trigger, after a person agreed; its runs vanish from every list."""
    return await mage.backfills.delete(backfill)

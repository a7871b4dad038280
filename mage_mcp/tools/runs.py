"""Tools to look at runs, find out why they failed, retry, cancel and delete them."""

from typing import Annotated

from pydantic import Field

from mage_mcp.client.logs import Level, LogPage
from mage_mcp.client.outputs import BlockOutput
from mage_mcp.client.runs.changing import Cancelled, Retried
from mage_mcp.client.runs.deleting import RunsDeleted
from mage_mcp.client.runs.pages import RunPage
from mage_mcp.client.runs.reading import GroupBy, RunFilter, RunStatus
from mage_mcp.client.runs.reporting import RunReport
from mage_mcp.text import quoted
from mage_mcp.tools._args import InPipeline, Limit, Offset, RunRef, RunRefs, RunWords, TriggerRef, WaitS
from mage_mcp.tools._confirm import Plan
from mage_mcp.tools._deps import Mage, Progress
from mage_mcp.tools._lenient import IdAsText, at_most, spelled
from mage_mcp.tools._toolset import Toolset

tools = Toolset("runs")

Filter = Annotated[
    RunFilter | None, RunWords, Field(description="Only in this state; `stuck`: unfinished and held up, with why.")
]
LevelWords = spelled(warn="warning", critical="error", exception="error")
FromBlock = Annotated[str, Field(description="Run this block and all after it again.")]


@tools.read("List runs")
async def list_runs(
    mage: Mage,
    pipeline: InPipeline = "",
    trigger: TriggerRef = "",
    status: Filter = None,
    since: Annotated[str, Field(description="Made after: an age (24h, 7d) or ISO time.")] = "",
    until: Annotated[str, Field(description="Made before: the same.")] = "",
    group_by: Annotated[
        GroupBy | None, spelled(causes="cause"), Field(description="`cause`: group failed runs by what failed.")
    ] = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> RunPage:
    """List runs, newest first, with failing block and short error; or failures grouped by cause.

    For what broke: status=failed with since=24h, or group_by=cause for one row per cause. For what hangs: status=stuck.
    """
    return await mage.runs.list(
        pipeline=pipeline,
        trigger=trigger,
        status=status,
        since=since,
        until=until,
        group_by=group_by,
        limit=limit,
        offset=offset,
    )


@tools.read("Get a run")
async def get_run(
    mage: Mage,
    progress: Progress,
    run: Annotated[str, IdAsText, Field(description="Run id, or a link to it from Mage's UI.")] = "",
    pipeline: Annotated[str, Field(description="Instead of run: its latest run.")] = "",
    status: Annotated[
        RunStatus | None, RunWords, Field(description="With pipeline: its latest run in this state.")
    ] = None,
    wait_s: WaitS = 0,
) -> RunReport:
    """Say how a run went, why it failed, what it waits for, and what to do next.

    Names the failing block, the error, the line of code, whether it repeats. No need to read logs first.
    """
    return await mage.runs.report(run, pipeline=pipeline, status=status, wait_s=wait_s, progress=progress)


@tools.read("Get a run's logs")
async def get_run_logs(
    mage: Mage,
    run: RunRef,
    block: Annotated[str, Field(description="Only this block.")] = "",
    level: Annotated[Level | None, LevelWords, Field(description="This level and above.")] = None,
    search: Annotated[str, Field(description="Only lines with this text.")] = "",
    tail_lines: Annotated[
        int | None, Field(description="Most lines, from the end; 50 if not given.", ge=1, le=500), at_most(500)
    ] = None,
) -> LogPage:
    """Show the end of a run's log, of one block if given.

    get_run already tells errors; read logs for what led there.
    """
    return await mage.logs.get(run, block=block, level=level, search=search, tail_lines=tail_lines)


@tools.read("Get a block's output")
async def get_block_output(
    mage: Mage,
    block: Annotated[str, Field(description="Block uuid.", min_length=1)],
    run: Annotated[str, IdAsText, Field(description="Run id or link.")] = "",
    pipeline: Annotated[str, Field(description="Instead of run: its latest completed run.")] = "",
    rows: Annotated[int, Field(description="Most rows.", ge=1, le=100), at_most(100)] = 10,
) -> BlockOutput:
    """Show a sample of the data a block produced, with columns and real size."""
    return await mage.outputs.get(block, run=run, pipeline=pipeline, rows=rows)


DryRun = Annotated[bool, Field(description="Only say what would run, and write, again.")]


async def _plan_retry(mage: Mage, run: RunRef, from_block: FromBlock, dry_run: DryRun) -> Plan:
    if dry_run:
        return Plan()
    planned = await mage.runs.plan_retry(run, from_block=from_block)
    return Plan(
        question=f"Retry run {planned.run} of {quoted(planned.pipeline)} on {mage.label}? It had exported already:",
        acts=tuple(f"{quoted(block)} writes its data again" for block in sorted(planned.wrote_before)),
    )


@tools.destroy("Retry a run", plan=_plan_retry)
async def retry_run(mage: Mage, run: RunRef, from_block: FromBlock = "", dry_run: DryRun = False) -> Retried:
    """Run the unfinished blocks of an ended run again, or all from one block on.

    A person is asked if completed exporters would write twice. A completed run needs from_block.
    """
    return await mage.runs.retry(run, from_block=from_block, dry_run=dry_run)


async def _plan_cancel(mage: Mage, runs: RunRefs) -> Plan:
    records = await mage.runs.to_cancel(runs)
    return Plan(
        question=f"Cancel runs on {mage.label}? What they are doing is lost:",
        acts=tuple(f"cancel run {record.id} of {quoted(record.pipeline_uuid)}" for record in records),
    )


@tools.destroy("Cancel runs", plan=_plan_cancel)
async def cancel_runs(mage: Mage, runs: RunRefs) -> Cancelled:
    """Cancel runs that have not ended, after a person agreed; say what became of each."""
    return await mage.runs.cancel(runs)


async def _plan_delete(mage: Mage, runs: RunRefs) -> Plan:
    _, acts = await mage.runs.plan_delete(runs)
    return Plan(question=f"Delete runs on {mage.label} for good?", acts=tuple(acts))


@tools.destroy("Delete runs", plan=_plan_delete)
async def delete_runs(mage: Mage, runs: RunRefs) -> RunsDeleted:
    """Delete ended runs for good, after a person agreed."""
    return await mage.runs.delete(runs)

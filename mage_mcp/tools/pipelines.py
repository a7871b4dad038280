"""Tools to look at pipelines and to run them."""

from typing import Annotated, Any

from pydantic import Field

from mage_mcp.client.pipelines import PipelineDetail, PipelinePage, PipelineStatus, PipelineType
from mage_mcp.client.runs.starting import StartedRun
from mage_mcp.tools._args import Limit, Offset, PipelineUuid, WaitS
from mage_mcp.tools._deps import Mage, Progress
from mage_mcp.tools._lenient import IdAsText, spelled
from mage_mcp.tools._toolset import Toolset

tools = Toolset("pipelines")

Type = Annotated[
    PipelineType | None,
    spelled(any=None, all=None, batch="python", standard="python"),
    Field(description="Only of this type."),
]
Status = Annotated[
    PipelineStatus | None, spelled(any=None, all=None), Field(description="Only with triggers in this state.")
]


@tools.read("List pipelines")
async def list_pipelines(
    mage: Mage,
    search: Annotated[str, Field(description="Part of the uuid; else of a block, name or description.")] = "",
    tag: Annotated[str, Field(description="Only with this tag.")] = "",
    type: Type = None,  # noqa: A002 - Mage's word
    status: Status = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> PipelinePage:
    """List pipelines with their types, tags, and numbers of blocks and triggers."""
    return await mage.pipelines.list(search=search, tag=tag, type=type, status=status, limit=limit, offset=offset)


@tools.read("Get a pipeline")
async def get_pipeline(
    mage: Mage,
    pipeline: PipelineUuid,
    full: Annotated[bool, Field(description="Show what a first answer left out.")] = False,
) -> PipelineDetail:
    """Show a pipeline's blocks in order, triggers, variables and latest runs."""
    return await mage.pipelines.get(pipeline, full=full)


@tools.write("Run a pipeline")
async def trigger_pipeline(
    mage: Mage,
    progress: Progress,
    pipeline: PipelineUuid,
    variables: Annotated[
        dict[str, Any] | None, Field(description="Run variables; they override the pipeline's.")
    ] = None,
    trigger: Annotated[str, IdAsText, Field(description="Id or name of an active trigger to run through.")] = "",
    execution_date: Annotated[str, Field(description="ISO date or time the run is for, UTC.")] = "",
    wait_s: WaitS = 0,
) -> StartedRun:
    """Start one run of a pipeline and return its id; with wait_s, wait for how it ends.

    If it fails in that time the answer says why, as get_run does. A run takes seconds to hours: for long ones leave
    wait_s out and look later with get_run.
    """
    return await mage.runs.start_and_report(
        pipeline,
        variables=variables,
        trigger=trigger,
        execution_date=execution_date,
        wait_s=wait_s,
        progress=progress,
    )

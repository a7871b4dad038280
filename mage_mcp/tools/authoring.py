"""Tools to write pipelines and blocks."""

from typing import Annotated, Any

from pydantic import Field

from mage_mcp.client.pipelines import Clearable, NewPipelineType, PipelineChanged, PipelineCreated, PipelineDeleted
from mage_mcp.text import quoted
from mage_mcp.tools._args import PipelineUuid
from mage_mcp.tools._confirm import Plan
from mage_mcp.tools._deps import Mage
from mage_mcp.tools._toolset import Toolset

tools = Toolset("authoring")

Description = Annotated[str, Field(description="What it is for.")]
Tags = Annotated[list[str] | None, Field(description="All its tags.")]
DryRun = Annotated[bool, Field(description="Only say what would be done.")]


# Pipelines


@tools.write("Create a pipeline")
async def create_pipeline(
    mage: Mage,
    name: Annotated[str, Field(description="Mage makes the uuid of it.")],
    type: Annotated[NewPipelineType | None, Field(description="python if not given.")] = None,  # noqa: A002 - Mage's word
    description: Description = "",
    tags: Tags = None,
    clone_from: Annotated[str, Field(description="Pipeline whose blocks, settings and variables it gets.")] = "",
    dry_run: DryRun = False,
) -> PipelineCreated:
    """Create a pipeline without blocks, or a clone, which shares its block files with its source.

    create_block adds blocks. A clone gets no triggers.
    """
    return await mage.pipelines.create(
        name, type=type, description=description, tags=tags, clone_from=clone_from, dry_run=dry_run
    )


@tools.change("Update a pipeline")
async def update_pipeline(
    mage: Mage,
    pipeline: PipelineUuid,
    name: Annotated[str, Field(description="New name; its uuid changes too.")] = "",
    description: Description = "",
    tags: Tags = None,
    patch: Annotated[
        dict[str, Any] | None,
        Field(
            description="JSON merge patch of retry_config, concurrency_config, settings, executor_type, "
            "cache_block_output_in_memory, run_pipeline_in_one_process; null removes a key."
        ),
    ] = None,
    clear: Annotated[list[Clearable] | None, Field(description="Texts to empty.")] = None,
    dry_run: DryRun = False,
) -> PipelineChanged:
    """Rename a pipeline, or change its description, tags and settings; says what was before.

    Blocks, variables and triggers have tools of their own. A rename hides logs and outputs of earlier runs.
    """
    return await mage.pipelines.update(
        pipeline, name=name, description=description, tags=tags, patch=patch, clear=clear or (), dry_run=dry_run
    )


async def _plan_delete_pipeline(mage: Mage, pipeline: PipelineUuid) -> Plan:
    planned = await mage.pipelines.plan_delete(pipeline)
    return Plan(f"Delete {quoted(planned.pipeline)} on {mage.label}? This cannot be undone:", tuple(planned.would))


@tools.destroy("Delete a pipeline", plan=_plan_delete_pipeline)
async def delete_pipeline(mage: Mage, pipeline: PipelineUuid) -> PipelineDeleted:
    """Delete a pipeline, after a person agreed; its active triggers are paused first.

    Triggers, runs, backfills and block files stay; the answer names them.
    """
    return await mage.pipelines.delete(pipeline)

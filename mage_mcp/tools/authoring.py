"""Tools to write pipelines and blocks."""

from typing import Annotated, Any

from pydantic import Field

from mage_mcp.client.blocks import BlockChange, BlockDetail, BlockType, Language, TemplatePage
from mage_mcp.client.pipelines import Clearable, NewPipelineType, PipelineChanged, PipelineCreated, PipelineDeleted
from mage_mcp.text import quoted
from mage_mcp.tools._args import PipelineUuid
from mage_mcp.tools._confirm import Plan
from mage_mcp.tools._deps import Mage
from mage_mcp.tools._lenient import OneAsList, spelled
from mage_mcp.tools._toolset import Toolset

tools = Toolset("authoring")

Description = Annotated[str, Field(description="What it is for.")]
Tags = Annotated[list[str] | None, Field(description="All its tags."), OneAsList]
DryRun = Annotated[bool, Field(description="Only say what would be done.")]
Kind = Annotated[BlockType, spelled(loader="data_loader", exporter="data_exporter")]
BlockUuid = Annotated[str, Field(description="Block uuid.", min_length=1)]
Upstream = Annotated[
    list[str] | None, Field(description="All blocks before it, in the order of its arguments."), OneAsList
]
DeleteFile = Annotated[bool, Field(description="Delete its file as well.")]


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
    clear: Annotated[list[Clearable] | None, Field(description="Texts to empty."), OneAsList] = None,
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


# Blocks


@tools.read("Get a block")
async def get_block(
    mage: Mage,
    pipeline: PipelineUuid,
    block: BlockUuid,
    from_line: Annotated[int | None, Field(description="First line of a part.", ge=1)] = None,
    to_line: Annotated[int | None, Field(description="Its last line.", ge=1)] = None,
) -> BlockDetail:
    """Show a block's code with its hash, the blocks around it, and which pipelines share its file."""
    return await mage.blocks.get(pipeline, block, from_line=from_line, to_line=to_line)


@tools.read("List block templates")
async def list_block_templates(
    mage: Mage,
    type: Annotated[Kind | None, Field(description="Only for this type.")] = None,  # noqa: A002 - Mage's word
    language: Annotated[Language | None, Field(description="Only in this language.")] = None,
    search: Annotated[str, Field(description="Words to find.")] = "",
) -> TemplatePage:
    """List Mage's templates for new blocks."""
    return await mage.blocks.templates(type=type, language=language, search=search)


@tools.write("Create a block")
async def create_block(
    mage: Mage,
    pipeline: PipelineUuid,
    name: Annotated[str, Field(description="Its uuid and file follow from it; may be folder/name.")],
    type: Annotated[Kind, Field(description="Kind of block.")],  # noqa: A002 - Mage's word
    language: Annotated[Language | None, Field(description="python if not given.")] = None,
    content: Annotated[str, Field(description="Its code; a plain template if not given.")] = "",
    template: Annotated[str, Field(description="From list_block_templates, instead of content.")] = "",
    upstream_blocks: Upstream = None,
    configuration: Annotated[dict[str, Any] | None, Field(description="Settings, e.g. of SQL blocks.")] = None,
    reuse_file: Annotated[bool, Field(description="Share an existing file as it is.")] = False,
    dry_run: DryRun = False,
) -> BlockChange:
    """Add a block to a pipeline, after upstream_blocks. Python is checked for syntax first, never run.

    Block files are shared by name and type across pipelines: a name that has a file is refused without reuse_file.
    """
    return await mage.blocks.create(
        pipeline,
        name,
        type=type,
        language=language,
        content=content,
        template=template,
        upstream_blocks=upstream_blocks or (),
        configuration=configuration,
        reuse_file=reuse_file,
        dry_run=dry_run,
    )


@tools.change("Update a block")
async def update_block(
    mage: Mage,
    pipeline: PipelineUuid,
    block: BlockUuid,
    content: Annotated[str, Field(description="Whole new code; needs expected_hash.")] = "",
    replace: Annotated[
        dict[str, str] | None, Field(description="{old, new}: a part that stands there once, and what becomes of it.")
    ] = None,
    expected_hash: Annotated[str, Field(description="From get_block; refused if the code changed since.")] = "",
    upstream_blocks: Upstream = None,
    configuration: Annotated[dict[str, Any] | None, Field(description="Merged; null removes a key.")] = None,
    allow_empty: Annotated[bool, Field(description="Empty the code, if content is empty.")] = False,
    dry_run: DryRun = False,
) -> BlockChange:
    """Change a block's code, upstream blocks or configuration; answers a diff and what was before.

    Pipelines that share its file change with it; the answer names them, and where the former code is kept.
    """
    return await mage.blocks.update(
        pipeline,
        block,
        content=content,
        replace=replace,
        expected_hash=expected_hash,
        upstream_blocks=upstream_blocks,
        configuration=configuration,
        allow_empty=allow_empty,
        dry_run=dry_run,
    )


async def _plan_delete_block(mage: Mage, pipeline: PipelineUuid, block: BlockUuid, delete_file: DeleteFile) -> Plan:
    planned = await mage.blocks.plan_delete(pipeline, block, delete_file=delete_file)
    return Plan(f"Delete a block on {mage.label}?", tuple(planned.would))


@tools.destroy("Delete a block", plan=_plan_delete_block)
async def delete_block(
    mage: Mage, pipeline: PipelineUuid, block: BlockUuid, delete_file: DeleteFile = False
) -> BlockChange:
    """Remove a block from a pipeline, after a person agreed; refused while other blocks come after it.

    Its file stays, unless delete_file, which is refused while another pipeline uses the file.
    """
    return await mage.blocks.delete(pipeline, block, delete_file=delete_file)

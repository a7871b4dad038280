"""Facts about pipelines: one as a whole, with its code, and which ones there are."""

from collections.abc import Sequence
from typing import Any

from mage_mcp.client.evidence import block_file
from mage_mcp.client.pipelines import PipelineDetail, in_order
from mage_mcp.client.records import BlockRecord, PipelineRecord
from mage_mcp.errors import MageInvalid, MageNotFound
from mage_mcp.prompting.ask import Ask, wrong
from mage_mcp.prompting.facts import Facts
from mage_mcp.prompting.page import Block, block, rows
from mage_mcp.text import show

facts = Facts()

_MOST_SOURCES = 12
_EXAMPLES = 8
_RECENT = 10


@facts.add(room=2_400)
async def definition(ask: Ask) -> Sequence[Block]:
    detail = await _detail(ask)
    return [block("What it is", detail, without=("blocks", "latest_runs"))]


@facts.add(room=1_600)
async def graph(ask: Ask) -> Sequence[Block]:
    detail = await _detail(ask)
    if not detail.blocks:
        return [Block("It has no blocks.")]
    lines = [
        f"{show(row.block)} ({show(', '.join(part for part in (row.type, row.language) if part))})"
        + (f" ← {', '.join(map(show, row.upstream))}" if row.upstream else "")
        for row in detail.blocks
    ]
    return [Block("Its blocks in order, and after ← those each waits for", "\n".join(lines), shown=True)]


@facts.add(room=4_600)
async def sources(ask: Ask) -> Sequence[Block]:
    record = await _record(ask)
    blocks = [each for each in in_order([*record.blocks, *record.conditionals, *record.callbacks]) if each.content]
    told = [_source(each) for each in blocks[:_MOST_SOURCES]]
    if len(blocks) > len(told):
        told.append(Block(f"{len(blocks) - len(told)} more blocks' code is not shown."))
    return told or [Block("It has no code.")]


def _source(each: BlockRecord) -> Block:
    return Block("Code of a block", f"# {block_file(each)}\n{(each.content or '').strip()}", language=each.language)


@facts.add(room=1_500)
async def recent(ask: Ask) -> Sequence[Block]:
    detail = await _detail(ask)
    page = await ask.mage().runs.list(pipeline=detail.pipeline, limit=_RECENT)
    if not page.items:
        return [Block("It never ran.")]
    counts: list[dict[str, Any]] = [{"runs by status": ", ".join(f"{n} {status}" for status, n in page.counts.items())}]
    return [rows("Its latest runs, newest first", [*page.items, *counts])]


@facts.add(room=1_200)
async def examples(ask: Ask) -> Sequence[Block]:
    page = await ask.mage().pipelines.list(limit=_EXAMPLES)
    if not page.items:
        return [Block("There is no pipeline yet.")]
    names = "\n".join(f"- {show(row.pipeline)} — {show(row.description or row.type)}" for row in page.items)
    return [Block(f"Pipelines, {len(page.items)} of {page.total}", names, shown=True)]


async def _detail(ask: Ask) -> PipelineDetail:
    """Raises MCPError for a pipeline that does not exist."""
    try:
        return await ask.once("detail", lambda: ask.mage().pipelines.get(ask.get("pipeline")))
    except (MageInvalid, MageNotFound) as error:
        raise wrong(str(error)) from error


async def _record(ask: Ask) -> PipelineRecord:
    detail = await _detail(ask)
    return await ask.mage().pipelines.with_sources(detail.pipeline)

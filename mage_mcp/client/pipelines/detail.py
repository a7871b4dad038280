"""One pipeline as it is shown: its graph, variables, triggers and latest runs, within the room of an answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any

from pydantic import Field

from mage_mcp.client.models import (
    ROOM,
    ROOM_BY_DEFAULT,
    Answer,
    Message,
    Name,
    Names,
    Untrusted,
    UtcTime,
    how_many_fit,
    size_of,
)
from mage_mcp.client.pipelines.config import set_config
from mage_mcp.client.records import BlockRecord, PipelineRecord, RunRecord, TriggerRecord
from mage_mcp.client.room import fair_shares
from mage_mcp.client.run_rows import RunRow, run_row
from mage_mcp.client.triggers import TriggerRow
from mage_mcp.text import MASK, is_secret_name, one_line, shorten, show

_DESCRIPTION = 240
_LONGEST_VALUE = 120
_FOR_THE_NOTE = 300
"""Bytes for what is said of the answer itself."""


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


_PARTS = ("blocks", "variables", "triggers", "conditionals", "callbacks", "tags")
"""What may be long, in the order in which it is told."""


def pipeline_detail(
    record: PipelineRecord,
    triggers: Sequence[TriggerRecord],
    runs: Sequence[RunRecord],
    *,
    now: datetime,
    full: bool = False,
) -> PipelineDetail:
    """What is shown of a pipeline: all of it where there is room, else of each part its share, and what is left out.

    The room is 1,500 tokens, with `full` 8,000.
    """
    whole = PipelineDetail(
        pipeline=record.uuid,
        type=record.type,
        description=one_line(record.description, _DESCRIPTION),
        tags=record.tags,
        blocks=[_block(block) for block in in_order(record.blocks)],
        conditionals=[_block(block) for block in record.conditionals],
        callbacks=[_block(block) for block in record.callbacks],
        variables=shown_variables(record.variables, most=len(record.variables)),
        config=set_config(record),
        triggers=[TriggerRow.of(trigger, pipeline=False) for trigger in triggers],
        latest_runs=[run_row(run, now=now, pipeline=False) for run in runs],
        updated_at=record.updated_at,
    )
    parts = _that_fit(whole, room=ROOM if full else ROOM_BY_DEFAULT)
    notes = [_left_out(whole, parts, full=full)]
    if not runs:
        notes.append("It never ran.")
    if not triggers:
        notes.append("It has no trigger of its own; trigger_pipeline can run it all the same.")
    return whole.model_copy(update={**parts, "note": " ".join(note for note in notes if note)})


def _that_fit(whole: PipelineDetail, *, room: int) -> dict[str, Any]:
    """Of each list as much, from its beginning, as its share of the room holds."""
    lists: dict[str, list[Any]] = {name: list(_entries(getattr(whole, name))) for name in _PARTS}
    others = whole.model_copy(update={name: type(getattr(whole, name))() for name in lists}).lean()
    left = room - size_of(others) - _FOR_THE_NOTE
    # What is counted one by one has a comma each; a list as a whole, and its name, take a little more.
    shares = fair_shares({name: size_of(entries) + len(entries) for name, entries in lists.items()}, room=left)
    fit = {name: entries[: how_many_fit(entries, room=shares[name])] for name, entries in lists.items()}
    return {name: dict(entries) if name == "variables" else entries for name, entries in fit.items()}


def _entries(part: Any) -> Sequence[Any]:
    return list(part.items()) if isinstance(part, Mapping) else part


def _left_out(whole: PipelineDetail, shown: Mapping[str, Any], *, full: bool) -> str:
    """What is not shown, and how to see it."""
    counts = {name: len(getattr(whole, name)) - len(shown[name]) for name in _PARTS}
    missing = ", ".join(f"{number} more {name}" for name, number in counts.items() if number)
    if not missing:
        return ""
    calls = [] if full else [f"get_pipeline(pipeline={whole.pipeline!r}, full=true) shows more"]
    if counts["triggers"]:
        calls.append(f"list_triggers(pipeline={whole.pipeline!r}) every trigger")
    return f"Left out: {missing}. {', '.join(calls)}{'.' if calls else ''}".strip()


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

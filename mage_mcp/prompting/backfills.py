"""Facts about a window that is to be run: what it makes, what was run of it, and whether the code minds the date."""

import re
from collections.abc import Sequence
from math import ceil

from mage_mcp.client.backfills import Window, checked_window
from mage_mcp.client.backfills.windows import MOST_RUNS, in_mages_words
from mage_mcp.client.models import iso
from mage_mcp.client.records import PipelineRecord
from mage_mcp.client.run_rows import duration_s
from mage_mcp.errors import MageInvalid, MageNotFound
from mage_mcp.prompting.ask import Ask, wrong
from mage_mcp.prompting.facts import Facts
from mage_mcp.prompting.page import Block, rows

facts = Facts()

_INTERVAL = re.compile(r"(?:every )?([0-9]{1,4})?\s*([@A-Za-z]{1,20})")
_ASKED_FOR = 366
"""More runs than these create_backfill makes only where it is told to."""
_DATE = re.compile(r"\b(?:execution_date|interval_start_datetime|interval_end_datetime|ds|hr)\b")
_MOST_BACKFILLS = 8
_MOST_BLOCKS = 12


@facts.add(room=420)
async def window(ask: Ask) -> str:
    """What would be made, as a sentence goes on with it."""
    made, note = _window(ask)
    more = f" More than {_ASKED_FOR} must be asked for: max_runs={made.count}." if made.count > _ASKED_FOR else ""
    runs = "one run" if made.count == 1 else f"{made.count} runs"
    dates = f"from {iso(made.start)} to {iso(made.last)}, that date included"
    return f"{runs}, by {made.interval}, {dates}. {note}{more}".strip()


@facts.add(room=520)
async def taking(ask: Ask) -> str:
    """How long it takes, as far as the last completed run tells."""
    made, _ = _window(ask)
    record = await _record(ask)
    given = record.concurrency_config.get("pipeline_run_limit")
    limit = given if isinstance(given, int) and given > 0 else made.count
    at_once = f"at most {limit} at once" if limit < made.count else "all at once, for nothing limits them"
    completed = await ask.mage().runs.latest(record.uuid, status="completed")
    seconds = duration_s(completed[0]) if completed else None
    if seconds is None:
        return f"How long it takes is not known: no run of the pipeline completed. Its runs start {at_once}."
    best, worst = seconds * ceil(made.count / limit), seconds * made.count
    return (
        f"The last completed run took {seconds:g} s. Its runs start {at_once}: that is {best:.0f} s at best, and "
        f"{worst:.0f} s if Mage's workers take them one after the other."
    )


@facts.add(room=1_300)
async def dated(ask: Ask) -> Sequence[Block]:
    record = await _record(ask)
    every = [*record.blocks, *record.conditionals, *record.callbacks]
    minding = [each.uuid for each in every if each.content and _DATE.search(each.content)]
    variables = [name for name, value in record.variables.items() if _is_date_like(name, value)]
    exporters = [each.uuid for each in every if each.type == "data_exporter"]
    told = [
        _names("Blocks whose code names the date of the run", minding)
        or Block("No block's code names the date of the run: every run would do the same, unless by its variables."),
        _names("Blocks that write data, at every run", exporters) or Block("No block is a data exporter."),
    ]
    if fixed := _names("Variables that look like dates, the same for every run", variables):
        told.append(fixed)
    return told


def _names(label: str, names: Sequence[str]) -> Block | None:
    more = [f"and {len(names) - _MOST_BLOCKS} more"] if len(names) > _MOST_BLOCKS else []
    return Block(label, "\n".join([*names[:_MOST_BLOCKS], *more])) if names else None


def _is_date_like(name: str, value: object) -> bool:
    words = set(name.lower().split("_"))
    return bool(words & {"date", "day", "month", "year", "since", "until", "start", "end"}) or (
        isinstance(value, str) and re.match(r"\d{4}-\d{2}", value) is not None
    )


@facts.add(room=500)
async def ran(ask: Ask) -> str:
    """Runs within the window so far."""
    made, _ = _window(ask)
    found = await ask.mage().backfills.executed((await _record(ask)).uuid, made)
    part = "" if found.complete else " Only the latest thousand runs were looked at."
    if not found.counts:
        return f"No run has an execution date in it so far.{part}"
    counts = ", ".join(f"{number} {status}" for status, number in sorted(found.counts.items()))
    return (
        f"Runs with an execution date in it so far: {counts}. {found.dates_done} of its {made.count} dates have one "
        f"that completed.{part}"
    )


@facts.add(room=1_900)
async def backfilled(ask: Ask) -> Sequence[Block]:
    made, _ = _window(ask)
    backfills, pipeline = ask.mage().backfills, (await _record(ask)).uuid
    before = await backfills.of_pipeline(pipeline)
    if not before:
        return [Block("The pipeline has no backfill so far.")]
    told = [
        Block(f"The same window was started before, by backfill {record.id}: create_backfill refuses it.")
        for record in before
        if record.was_started and record.window and made.makes_the_same_as(record.window)
    ]
    page = await backfills.list(pipeline=pipeline, limit=_MOST_BACKFILLS)
    return [*told, rows(f"Its backfills, {len(page.items)} of {page.total}, newest first", page.items)]


def _window(ask: Ask) -> tuple[Window, str]:
    """Raises MCPError for a window that cannot be."""
    given = _INTERVAL.fullmatch(ask.get("interval") or "day")
    try:
        return checked_window(
            ask.get("start"),
            ask.get("end"),
            interval_type=in_mages_words(given[2]) if given else ask.get("interval"),
            interval_units=int(given[1] or 1) if given else 1,
            max_runs=MOST_RUNS,
            now=ask.mage().clock.utc(),
        )
    except MageInvalid as error:
        raise wrong(str(error)) from error


async def _record(ask: Ask) -> PipelineRecord:
    """With its code. Raises MCPError for a pipeline that does not exist."""
    pipelines, uuid = ask.mage().pipelines, ask.get("pipeline")

    async def find() -> PipelineRecord:
        try:
            return await pipelines.with_sources(uuid)
        except MageNotFound:
            return await pipelines.record(uuid)  # which names the nearest

    try:
        return await ask.once("pipeline with its code", find)
    except (MageInvalid, MageNotFound) as error:
        raise wrong(str(error)) from error

"""Facts across clusters: what failed, what is late, what is stuck, and which clusters could be asked."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import anyio

from mage_mcp.client import Mage
from mage_mcp.client.clusters import ClusterDetail
from mage_mcp.client.error_texts import ShortError, cause_key
from mage_mcp.client.models import iso
from mage_mcp.client.runs.causes import Cause
from mage_mcp.client.runs.late import LateRuns
from mage_mcp.client.runs.pages import RunPage
from mage_mcp.client.runs.stuck import Unfinished
from mage_mcp.errors import MageError
from mage_mcp.prompting.ask import Ask
from mage_mcp.prompting.facts import Facts
from mage_mcp.prompting.page import Block, rows
from mage_mcp.text import show

facts = Facts()

_MOST_CAUSES = 15
_MOST_ROWS = 12
_MOST_NAMED = 6
_SILENT = "could not be asked"

Asked = dict[str, Any]
"""By cluster's name, what it answered, or the MageError that came instead."""


async def _everywhere(ask: Ask, find: Callable[[Mage], Awaitable[Any]]) -> Asked:
    """Ask every cluster that is meant, all at once."""
    found: Asked = {}

    async def one(mage: Mage) -> None:
        try:
            found[mage.name] = await find(mage)
        except MageError as error:
            found[mage.name] = error

    mages = ask.mages()
    async with anyio.create_task_group() as group:
        for mage in mages:
            group.start_soon(one, mage)
    return {mage.name: found[mage.name] for mage in mages}


def _unasked(asked: Asked) -> list[Block]:
    silent = {name: str(error) for name, error in asked.items() if isinstance(error, MageError)}
    if not silent:
        return []
    reasons = "\n".join(dict.fromkeys(silent.values()))
    return [Block(f"Not known of {_named(silent)}, which {_SILENT}; the reason", reasons)]


def _named(names: Iterable[str]) -> str:
    told = [repr(name) for name in names]
    more = [f"{len(told) - _MOST_NAMED} more"] if len(told) > _MOST_NAMED else []
    return ", ".join([*told[:_MOST_NAMED], *more])


@facts.add(room=200)
async def period(ask: Ask) -> str:
    """`from 2026-11-24T06:00:00Z on (24 hours), on cluster 'prod' and …`: a model does not know what time it is."""
    mages, hours = ask.mages(), ask.hours()
    since = mages[0].clock.utc() - timedelta(hours=hours)
    where = mages[0].label if len(mages) == 1 else f"clusters {_named([mage.name for mage in mages])}"
    return f"the {hours} hours since {iso(since)}, on {where}"


@facts.add(room=3_600)
async def failed(ask: Ask) -> Sequence[Block]:
    since = f"{ask.hours()}h"

    async def find(mage: Mage) -> RunPage:
        return await mage.runs.list(since=since, group_by="cause")

    asked = await _everywhere(ask, find)
    pages = {name: page for name, page in asked.items() if isinstance(page, RunPage)}
    total = sum(page.total for page in pages.values())
    notes = [f"{name}: {page.note}" for name, page in pages.items() if page.note and page.total]
    causes = _merged(pages)
    blocks = [Block(f"Nothing failed on {_named(pages)}.")] if pages and not total else []
    if causes:
        label = f"{total} failed runs by cause, the commonest first"
        blocks.append(rows(label, [*causes[:_MOST_CAUSES], *({"note": note} for note in notes)]))
    return [*blocks, *_unasked(asked)]


def _merged(pages: dict[str, RunPage]) -> list[Asked]:
    """One row a cause, wherever it struck."""
    groups: dict[str, list[tuple[str, Cause]]] = {}
    for name, page in pages.items():
        for cause in page.causes:
            kind, _, message = cause.error.partition(": ")
            key = cause_key(ShortError(kind, message), cause.block) if cause.error else f"{name}/{cause.latest_run}"
            groups.setdefault(key, []).append((name, cause))
    several = len(pages) > 1
    merged = [_row(group, several=several) for group in groups.values()]
    return sorted(merged, key=lambda row: -row["runs"])


def _row(group: Sequence[tuple[str, Cause]], *, several: bool) -> Asked:
    latest = max((cause.last_at, name, cause) for name, cause in group if cause.last_at)[2] if group else group[0][1]
    where = [f"{f'{name}: ' if several else ''}{', '.join(cause.pipelines)}" for name, cause in group]
    runs = [f"{f'{name}: ' if several else ''}{cause.latest_run}" for name, cause in group]
    row = {
        "runs": sum(cause.count for _, cause in group),
        "error": latest.error or "no block failed; get_run says why",
        "block": latest.block,
        "pipelines": "; ".join(where),
        "latest_run": "; ".join(runs),
        "last_at": iso(latest.last_at) if latest.last_at else "",
    }
    return {key: value for key, value in row.items() if value != ""}


@facts.add(room=1_800)
async def late(ask: Ask) -> Sequence[Block]:
    asked = await _everywhere(ask, lambda mage: mage.runs.late())
    found = {name: page for name, page in asked.items() if isinstance(page, LateRuns)}
    told = [_of(name, item.lean(show), found) for name, page in found.items() for item in page.items]
    notes = [_of(name, {"note": page.note}, found) for name, page in found.items() if page.note]
    if not told and found:
        blocks = [Block(f"No schedule missed its time on {_named(found)}.")]
    else:
        label = f"{len(told)} active schedules whose time came and brought no run"
        blocks = [rows(label, [*told[:_MOST_ROWS], *notes])] if told else []
    return [*blocks, *_unasked(asked)]


@facts.add(room=2_400)
async def stuck(ask: Ask) -> Sequence[Block]:
    asked = await _everywhere(ask, lambda mage: mage.runs.unfinished())
    found = {name: page for name, page in asked.items() if isinstance(page, Unfinished)}
    told = [_of(name, item.lean(show), found) for name, page in found.items() for item in page.items]
    bad = [row for row in told if row.get("stuck")]
    well = [{k: v for k, v in row.items() if k != "why"} for row in told if not row.get("stuck")]
    blocks = [Block(f"No run is stuck on {_named(found)}.")] if found and not bad else []
    if bad:
        blocks.append(rows("Stuck runs: much longer than usual, never started, or dying again and again", bad))
    if well:
        blocks.append(rows("Under way as usual", well[:_MOST_ROWS]))
    notes = "\n".join(f"{name}: {page.note}" for name, page in found.items() if page.note)
    return [*blocks, *([Block("Left out", notes)] if notes else []), *_unasked(asked)]


@facts.add(room=1_400)
async def health(ask: Ask) -> Sequence[Block]:
    asked = await _everywhere(ask, lambda mage: mage.clusters.get())
    keep = ("cluster", "answers", "status", "scheduler", "runs_running", "runs_queued", "note")
    found = [page for page in asked.values() if isinstance(page, ClusterDetail)]
    # The note of one without a place in the Cloud says that it has none, which is no news in the morning.
    quiet = [page.model_copy(update={"note": ""}) if page.kind != "cloud" and page.answers else page for page in found]
    details = [page.lean(show) for page in quiet]
    told = [{key: row[key] for key in keep if key in row} for row in details]
    return [*([rows("The clusters now", told)] if told else []), *_unasked(asked)]


def _of(name: str, row: Asked, pages: Asked) -> Asked:
    """The row, with its cluster where there are several."""
    return {"cluster": name, **row} if len(pages) > 1 else row

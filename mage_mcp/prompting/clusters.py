"""Facts about clusters: what a restart would interrupt, and which variables there are. Names only, never values."""

import asyncio
import re
from collections.abc import Sequence
from datetime import timedelta

from mage_mcp.client.clusters import list_clusters
from mage_mcp.prompting.ask import Ask, wrong
from mage_mcp.prompting.facts import Facts
from mage_mcp.prompting.page import Block, block, rows
from mage_mcp.settings import DEFAULT_CLUSTER
from mage_mcp.text import show
from mage_mcp.tools import ALL
from mage_mcp.tools._secrets import PREFIX, is_known

facts = Facts()

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_SOON = timedelta(hours=2)
_MOST_SOON = 10


@facts.add(room=160)
async def where(ask: Ask) -> str:
    """The cluster that is meant, as a sentence names it."""
    mage = ask.mage()
    marks = [word for word, is_so in (("protected", mage.protected), ("read-only", mage.read_only)) if is_so]
    return f"{mage.label} ({' and '.join(marks)})" if marks else mage.label


@facts.add(room=120)
async def cluster_argument(ask: Ask) -> str:
    """What to give the tools, where they ask for it."""
    name = ask.mage().name
    return "" if len(ask.settings.clusters) == 1 else f"Give the tools cluster={name!r}. "


@facts.add(room=1_800)
async def status(ask: Ask) -> Sequence[Block]:
    detail = await ask.mage().clusters.get()
    return [block("The cluster now", detail, without=("env_vars", "references", "cloud_id"))]


@facts.add(room=2_000)
async def interrupted(ask: Ask) -> Sequence[Block]:
    planned = await ask.mage().clusters.plan_restart()
    if not planned.acts:
        return [Block("The cluster is down: there is nothing to restart, start_cluster starts it.")]
    if len(planned.acts) == 1:
        return [Block("A restart would interrupt no run: none is under way.")]
    return [Block("What a restart would do", "\n".join(f"- {act}" for act in planned.acts))]


@facts.add(room=2_400)
async def under_way(ask: Ask) -> Sequence[Block]:
    found = await ask.mage().runs.unfinished()
    if not found.items:
        return [Block("No run is under way or waiting.")]
    return [rows("Runs under way and waiting, with the seconds they usually take", found.items), *_note(found.note)]


@facts.add(room=1_400)
async def soon(ask: Ask) -> Sequence[Block]:
    mage = ask.mage()
    page = await mage.triggers.list(status="active", type="time", limit=100)
    until = mage.clock.utc() + _SOON
    due = [row for row in page.items if row.next_run_at and row.next_run_at <= until]
    due.sort(key=lambda row: (row.next_run_at or until, row.trigger))
    if not due:
        return [Block("No schedule starts a run within the next two hours.")]
    told = [row.lean(show) for row in due[:_MOST_SOON]]
    keep = ("next_run_at", "pipeline", "name", "interval")
    return [
        rows(
            "Schedules that start runs within the next two hours",
            [{key: row[key] for key in keep if key in row} for row in told],
        )
    ]


def _note(note: str) -> list[Block]:
    return [Block(note)] if note else []


@facts.add(room=260)
async def variable(ask: Ask) -> str:
    """The name of the cluster's variable, checked, so that it may stand within a sentence."""
    return _variable(ask)


@facts.add(room=280)
async def source(ask: Ask) -> str:
    """The name under which the new value is to be kept."""
    return _source(ask)


@facts.add(room=500)
async def source_state(ask: Ask) -> str:
    word = "is set: yes" if await is_known(_source(ask)) else "is set: no, so steps 2 and 3 come first"
    return f"{_source(ask)} {word} (its value is shown to nobody, and not known to be the new one)."


@facts.add(room=900)
async def variable_state(ask: Ask) -> str:
    name, mage = _variable(ask), ask.mage()
    known, references = await mage.clusters.variables()
    if name in references:
        return (
            f"{name} on {mage.label} is a reference to a secret kept elsewhere (valueFrom): change it there. "
            "update_cluster_env_vars would replace the reference by a plain value, and refuses unless a person wants "
            "that (replace_references)."
        )
    if name in known:
        return f"{name} exists on {mage.label}, with a plain value that set_from would overwrite."
    return f"{name} does not exist on {mage.label} yet: set_from would add it. Make sure that the name is right."


def _variable(ask: Ask) -> str:
    name = ask.get("name")
    if not _VARIABLE.fullmatch(name):
        raise wrong("name cannot be a variable's name. Give the name alone, such as SNOWFLAKE_PASSWORD, never a value.")
    return name


def _source(ask: Ask) -> str:
    return f"{PREFIX}{_variable(ask).upper()}"


@facts.add(room=400)
async def both(ask: Ask) -> str:
    """The two clusters that are compared."""
    first, other = ask.mage(), ask.mage("other")
    if first is other:
        raise wrong(f"{first.label} cannot be compared with itself: cluster and other name the same one.")
    return f"{first.label} and {other.label}"


@facts.add(room=8_000)
async def env_vars(ask: Ask) -> Sequence[Block]:
    first, other = ask.mage(), ask.mage("other")
    (ours, our_references), (theirs, their_references) = await asyncio.gather(
        first.clusters.variables(), other.clusters.variables()
    )
    parts = (
        (f"Only on {first.name!r}", [name for name in ours if name not in theirs]),
        (f"Only on {other.name!r}", [name for name in theirs if name not in ours]),
        ("On both", [name for name in ours if name in theirs]),
        (f"References to secrets on {first.name!r}", our_references),
        (f"References to secrets on {other.name!r}", their_references),
    )
    return [
        Block(f"{label}, {len(found)}", "\n".join(sorted(found))) if found else Block(f"{label}: none.")
        for label, found in parts
    ]


@facts.add(room=2_400)
async def can(ask: Ask) -> str:
    """What the tools that are on are for, by their titles."""
    read_only = all(mage.read_only for mage in ask.mages())
    lines = [
        f"- {name}: {', '.join(f'{tool.title} ({tool.name})' for tool in ALL[name].tools(read_only=read_only))}"
        for name in ask.settings.toolsets
    ]
    head = "What can be done here, by toolset; the server only reads:" if read_only else "What can be done here:"
    return "\n".join([head, "", *lines])


@facts.add(room=3_000)
async def configured(ask: Ask) -> Sequence[Block]:
    page = await list_clusters(mage.clusters for mage in ask.mages())
    told = [row.lean(show) for row in page.items]
    for row in told:
        if row["cluster"] == DEFAULT_CLUSTER:
            row["at"] = ask.mages()[0].label
    return [rows("The configured clusters", [*told, *([{"note": page.note}] if page.note else [])])]

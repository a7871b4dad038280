"""`mage-mcp tools`: every tool there is, what it risks and costs, and which of them these settings offer."""

import argparse
import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from mage_mcp.commands._options import add_settings_options, settings_from
from mage_mcp.settings import DEFAULT_TOOLSETS, Settings

_WIDTH = 100
_OFF, _HIDDEN = "off", "hidden"


@dataclass(frozen=True)
class Entry:
    """A tool as a client would get it. `tokens` are those of its name, description and input schema."""

    tool: str
    risk: str
    tokens: int
    offered: bool
    description: str


@dataclass(frozen=True)
class Group:
    """A toolset. `tokens` are those of the tools that it offers; `default` says whether it is on where nobody chose."""

    toolset: str
    default: bool
    on: bool
    tokens: int
    tools: list[Entry]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the catalogue; 2 where the settings are wrong."""
    settings = settings_from(arguments)
    if settings is None:
        return 2
    groups = catalogue(settings)
    if arguments.json:
        total = sum(group.tokens for group in groups)
        print(json.dumps({"tokens": total, "toolsets": [asdict(group) for group in groups]}, indent=2))
    else:
        print(*_page(groups, read_only=_is_read_only(settings)), sep="\n")
    return 0


def catalogue(settings: Settings) -> list[Group]:
    """Every toolset, those that are off too; the arguments of the tools are those that these settings make."""
    from mage_mcp import tokens
    from mage_mcp.offering import shaped
    from mage_mcp.tools import ALL, RISKS
    from mage_mcp.tools._toolset import Risk

    clusters = settings.clusters
    if settings.demo:
        from mage_mcp.commands._demo import demo_clusters

        clusters = demo_clusters("http://demo.mage.invalid")
    groups = []
    for name, toolset in ALL.items():
        on = name in settings.toolsets
        entries = []
        for tool in toolset.tools(read_only=False):
            cost = tokens.of_tool(tool.name, tool.description, shaped(tool, clusters))
            offered = on and (RISKS[tool.name] is Risk.READ or not _is_read_only(settings))
            entries.append(Entry(tool.name, RISKS[tool.name].value, cost, offered, tool.description.splitlines()[0]))
        cost = sum(entry.tokens for entry in entries if entry.offered)
        groups.append(Group(name, name in DEFAULT_TOOLSETS, on, cost, entries))
    return groups


def _is_read_only(settings: Settings) -> bool:
    """Nothing that changes anything is offered where no cluster takes a change."""
    return all(cluster.read_only for cluster in settings.clusters)


def _page(groups: list[Group], *, read_only: bool) -> Iterator[str]:
    wide = max(len(entry.tool) for group in groups for entry in group.tools)
    for group in groups:
        yield _head(group)
        for entry in group.tools:
            state = _HIDDEN if group.on and not entry.offered else ""
            head = f"  {entry.tool:<{wide}}  {_word(entry.risk):<7}  {entry.tokens:>5,}  "
            yield from _beside(head + (f"{state:<{len(_HIDDEN)}}  " if read_only else ""), entry.description)
        yield ""
    for line in _totals(groups, read_only=read_only):
        yield from textwrap.wrap(line, _WIDTH)


def _totals(groups: list[Group], *, read_only: bool) -> Iterator[str]:
    offered = [entry for group in groups for entry in group.tools if entry.offered]
    names = [group.toolset for group in groups if group.on]
    yield f"{len(offered)} tools offered, {sum(group.tokens for group in groups):,} tokens: {', '.join(names)}."
    if off := [group.toolset for group in groups if not group.on and group.tools]:
        more = sum(entry.tokens for group in groups if not group.on for entry in group.tools)
        yield f"Off: {', '.join(off)}, {more:,} tokens more. Turn on with --toolsets NAMES or all (MAGE_TOOLSETS)."
    if read_only:
        hidden = sum(group.on and not entry.offered for group in groups for entry in group.tools)
        yield f"Read-only: {hidden} tools that change something are hidden, and refused if called all the same."
    yield from _legend({entry.risk for group in groups for entry in group.tools})


def _head(group: Group) -> str:
    state = f"{group.tokens:,} tokens" if group.on else _OFF
    return f"{group.toolset}{' (default)' if group.default else ''}: {state if group.tools else 'no tools yet'}"


def _beside(head: str, text: str) -> Iterator[str]:
    first, *rest = textwrap.wrap(text, _WIDTH - len(head))
    yield head + first
    yield from (" " * len(head) + more for more in rest)


def _word(risk: str) -> str:
    """The first word of a risk: `asks` of “asks where something is lost”."""
    return risk.split(maxsplit=1)[0].strip(",")


def _legend(risks: set[str]) -> Iterator[str]:
    """What the words mean that say less than their risk."""
    if long := sorted(risk for risk in risks if risk != _word(risk)):
        yield f"Risks in full: {'; '.join(long)}."

"""A pipeline's graph in Mermaid, which many hosts draw.

Nodes are numbered, and names stand only in quoted labels, with every character that could mean something to Mermaid or
to HTML written as its number: no name leads out of its label.
"""

from collections.abc import Iterable, Iterator

from mage_mcp.client.graphs import GraphNode, PipelineGraph
from mage_mcp.client.models import ROOM
from mage_mcp.text import one_line
from mage_mcp.tools._answer import DATA

_COLOURS = {
    "completed": "fill:#d3f5d8,stroke:#1a7f37,color:#0b3d17",
    "running": "fill:#d6e9ff,stroke:#0969da,color:#0a2f5c",
    "queued": "fill:#eaf3ff,stroke:#0969da,color:#0a2f5c,stroke-dasharray:4 3",
    "initial": "fill:#f6f8fa,stroke:#8c959f,color:#424a53,stroke-dasharray:4 3",
    "failed": "fill:#ffd9d6,stroke:#cf222e,color:#5c0a10,stroke-width:3px",
    "cancelled": "fill:#eaeef2,stroke:#57606a,color:#24292f",
    "upstream_failed": "fill:#fff1e0,stroke:#bc4c00,color:#5c2600",
    "condition_failed": "fill:#fff8c5,stroke:#9a6700,color:#4d3300",
}
_SHAPES = {
    "data_loader": ('[("', '")]'),
    "data_exporter": ('[["', '"]]'),
    "sensor": ('{{"', '"}}'),
    "conditional": ('{"', '"}'),
    "callback": ('(["', '"])'),
}
_EDGES = {"conditional": "{node} -. guards .-> {other}", "callback": "{other} -. calls .-> {node}"}
_LONGEST_NAME = 60
_MOST_EDGES = 450
"""Hosts refuse to draw more than 500."""
_FOR_THE_REST = 3_000


def mermaid(graph: PipelineGraph) -> str:
    """The flowchart: what waits for what, coloured by the states of the latest run, with a legend of these."""
    ids: dict[str, str] = {}
    lines = [f"%% Names are {DATA}.", "flowchart LR"]
    room = ROOM - _FOR_THE_REST - sum(len(line) for line in lines)
    shown: list[GraphNode] = []
    for number, node in enumerate(graph.nodes):
        line = _node(f"n{number}", node)
        room -= len(line.encode()) + 1
        if room < 0:
            break
        ids.setdefault(f"{node.kind}:{node.block}", f"n{number}")
        lines.append(line)
        shown.append(node)
    edges = list(_edges(shown, ids))
    fit = _how_many_fit(edges, room)
    lines += edges[:fit]
    lines += _left_out(blocks=len(graph.nodes) - len(shown), edges=len(edges) - fit)
    lines += _legend(graph, [node.status for node in shown])
    return "\n".join(lines) + "\n"


def _node(id_: str, node: GraphNode) -> str:
    opening, closing = _SHAPES.get(node.kind if node.kind != "block" else node.type, ('["', '"]'))
    kind = f"<br/>{label(node.type)}" if node.type else ""
    state = f":::{node.status}" if node.status in _COLOURS else ""
    return f"  {id_}{opening}{label(node.block)}{kind}{closing}{state}"


def _edges(nodes: Iterable[GraphNode], ids: dict[str, str]) -> Iterator[str]:
    for node in nodes:
        here = ids[f"{node.kind}:{node.block}"]
        for name in node.upstream:
            other = ids.get(f"block:{name}")
            if other is not None:
                yield f"  {_EDGES.get(node.kind, '{other} --> {node}').format(node=here, other=other)}"


def _how_many_fit(edges: list[str], room: int) -> int:
    for number, edge in enumerate(edges[:_MOST_EDGES]):
        room -= len(edge) + 1
        if room < 0:
            return number
    return min(len(edges), _MOST_EDGES)


def _left_out(*, blocks: int, edges: int) -> Iterator[str]:
    if blocks or edges:
        yield f'  more["{blocks} more blocks and {edges} more edges are not shown"]'


def _legend(graph: PipelineGraph, states: Iterable[str]) -> Iterator[str]:
    """One node for each state that occurs; and the classes, which carry the colours."""
    found = [state for state in _COLOURS if state in set(states)]
    if graph.run is None:
        yield '  legend["It never ran."]'
        return
    title = f"run {graph.run}: {label(graph.run_status)}"
    if not found:
        yield f'  legend["Latest {title}"]'
        return
    yield f'  subgraph legend["Latest {title}"]'
    yield from (f'    s{number}["{state}"]:::{state}' for number, state in enumerate(found))
    yield "  end"
    yield from (f"  classDef {state} {_COLOURS[state]}" for state in found)


def label(text: str) -> str:
    """The text within a quoted label: all but letters, digits and a few harmless signs by number."""
    return "".join(c if c.isalnum() or c in " _-/.:" else f"#{ord(c)};" for c in one_line(text, _LONGEST_NAME))

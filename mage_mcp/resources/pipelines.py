"""Pipelines as resources: the list, a definition, a graph."""

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from mage_mcp.resources._mermaid import mermaid
from mage_mcp.resources._views import CLUSTER, PIPELINE, named, offer
from mage_mcp.resources.texts import answer_text
from mage_mcp.tools._deps import App

_MOST = 100


def register(server: MCPServer[App]) -> None:
    """Add them to the server."""
    offer(server, f"{CLUSTER}/pipelines", pipelines, title="Pipelines")
    offer(server, PIPELINE, pipeline_definition, title="Pipeline")
    offer(server, f"{PIPELINE}/graph", pipeline_graph, title="Pipeline graph", mime_type="text/vnd.mermaid")


async def pipelines(cluster: str, ctx: Context[App]) -> str:
    """A cluster's first hundred pipelines: types, tags, numbers of blocks and triggers. list_pipelines filters."""
    mage = named(cluster, ctx)
    return answer_text(await mage.pipelines.list(limit=_MOST), mage)


async def pipeline_definition(cluster: str, pipeline: str, ctx: Context[App]) -> str:
    """A pipeline's blocks in order, triggers, variables and latest runs; secrets are masked, no code."""
    mage = named(cluster, ctx)
    return answer_text(await mage.pipelines.get(pipeline, full=True), mage)


async def pipeline_graph(cluster: str, pipeline: str, ctx: Context[App]) -> str:
    """A pipeline drawn as a Mermaid flowchart, with conditionals and callbacks, coloured by its latest run."""
    return mermaid(await named(cluster, ctx).graphs.get(pipeline))

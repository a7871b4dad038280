"""Blocks as resources: their code."""

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from mage_mcp.resources._views import PIPELINE, named, offer
from mage_mcp.resources.texts import source_text
from mage_mcp.tools._deps import App


def register(server: MCPServer[App]) -> None:
    """Add them to the server."""
    offer(server, f"{PIPELINE}/blocks/{{block}}", block_source, title="Block source", mime_type="text/plain")


async def block_source(cluster: str, pipeline: str, block: str, ctx: Context[App]) -> str:
    """A block's code, in its language's MIME type; secrets are masked. In a block's name write / as %2F."""
    return source_text(await named(cluster, ctx).blocks.source(pipeline, block))

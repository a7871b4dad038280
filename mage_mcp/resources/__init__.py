"""Read-only views that a person can attach to a conversation."""

from mcp.server import MCPServer

from mage_mcp.resources import blocks, clusters, pipelines, runs
from mage_mcp.tools._deps import App


def register(server: MCPServer[App]) -> None:
    """Add every resource to the server."""
    for noun in (clusters, pipelines, blocks, runs):
        noun.register(server)

"""Read-only views that a person can attach to a conversation."""

from mcp.server import MCPServer

from mage_mcp.resources import clusters
from mage_mcp.tools._deps import App


def register(server: MCPServer[App]) -> None:
    """Add every resource to the server."""
    clusters.register(server)

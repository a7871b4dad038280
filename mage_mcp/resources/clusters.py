"""Clusters as resources."""

import json

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceNotFoundError

from mage_mcp.client import Mage
from mage_mcp.client.near import did_you_mean
from mage_mcp.tools._answer import shown
from mage_mcp.tools._deps import App

CONFIG = "mage://clusters/{cluster}/config"


def register(server: MCPServer[App]) -> None:
    """Add them to the server."""
    server.resource(
        CONFIG,
        name="cluster_config",
        title="Cluster config",
        description="A cluster's config in Mage Cloud, as JSON; secrets and the values of variables are masked.",
        mime_type="application/json",
    )(cluster_config)


async def cluster_config(cluster: str, ctx: Context[App]) -> str:
    config = await named(cluster, ctx).clusters.masked_config()
    return json.dumps(shown(config), ensure_ascii=False, indent=1)


def named(cluster: str, ctx: Context[App]) -> Mage:
    """The client of a configured cluster.

    Raises ResourceNotFoundError with the nearest names.
    """
    mages = ctx.request_context.lifespan_context.mages
    if cluster not in mages:
        raise ResourceNotFoundError(f"No cluster {cluster!r}. {did_you_mean(cluster, mages, where='configured')}")
    return mages[cluster]

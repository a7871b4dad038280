"""Clusters as resources."""

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError

from mage_mcp.client.clusters import list_clusters
from mage_mcp.resources._views import CLUSTER, CLUSTERS, named, offer
from mage_mcp.resources.texts import answer_text, as_json
from mage_mcp.tools._answer import shown
from mage_mcp.tools._deps import App, current_app

CONFIG = f"{CLUSTER}/config"


def register(server: MCPServer[App]) -> None:
    """Add them to the server."""
    offer(server, CLUSTERS, clusters, title="Clusters")
    offer(server, CONFIG, cluster_config, title="Cluster config")


async def clusters() -> str:
    """The configured clusters: whether each is up, its status in Mage Cloud, its marks."""
    app = current_app()
    if app is None:
        raise ResourceError("No server is running.")
    return answer_text(await list_clusters(mage.clusters for mage in app.mages.values()))


async def cluster_config(cluster: str, ctx: Context[App]) -> str:
    """A cluster's config in Mage Cloud, as JSON; secrets and the values of variables are masked."""
    config = await named(cluster, ctx).clusters.masked_config()
    return as_json({**shown(config), "untrusted": ["config", "name"]})

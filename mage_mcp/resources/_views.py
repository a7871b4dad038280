"""What the resources share: their addresses, how they are offered, and the cluster that one names."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.server.mcpserver.resources.templates import ResourceSecurity
from mcp.types import Annotations

from mage_mcp.client import Mage
from mage_mcp.client.near import did_you_mean
from mage_mcp.text import one_line
from mage_mcp.tools._deps import App

JSON = "application/json"
CLUSTERS = "mage://clusters"
CLUSTER = f"{CLUSTERS}/{{cluster}}"
PIPELINE = f"{CLUSTER}/pipelines/{{pipeline}}"
RUN = f"{CLUSTER}/runs/{{run_id}}"

# A block may be called `a:b` or `sub/block`, which the SDK takes for paths of a disk. Every value is checked before it
# goes anywhere: clusters are looked up, `client/paths.py` looks at the rest.
_CHECKED_HERE = ResourceSecurity(exempt_params=frozenset({"cluster", "pipeline", "block", "run_id"}))
_FOR_BOTH = Annotations(audience=["user", "assistant"], priority=0.5)


def uri(template: str, **values: str) -> str:
    """The address of one thing: each value is one segment, whatever it holds."""
    return template.format(**{name: quote(value, safe="") for name, value in values.items()})


def offer(
    server: MCPServer[App], template: str, view: Callable[..., Awaitable[str]], *, title: str, mime_type: str = JSON
) -> None:
    """Add a view to the server, under its function's name and with its docstring as description."""
    server.resource(
        template,
        title=title,
        description=" ".join((view.__doc__ or "").split()),
        mime_type=mime_type,
        annotations=_FOR_BOTH,
        security=_CHECKED_HERE,
    )(view)


def named(cluster: str, ctx: Context[App]) -> Mage:
    """The client of a configured cluster.

    Raises ResourceNotFoundError with the nearest names.
    """
    mages = ctx.request_context.lifespan_context.mages
    if cluster not in mages:
        near = did_you_mean(cluster, mages, where="configured")
        raise ResourceNotFoundError(f"No cluster {one_line(cluster, 80)!r}. {near}")
    return mages[cluster]

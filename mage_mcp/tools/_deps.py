"""Parameters the model never sees: the Mage client of the cluster it named, and how to report progress."""

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Annotated, Any

from mcp.server.mcpserver import AcceptedElicitation, Context, Resolve
from pydantic import Field

from mage_mcp.client import Mage as MageClient
from mage_mcp.credentials import Store
from mage_mcp.settings import Settings
from mage_mcp.text import one_line
from mage_mcp.tools._audit import Audit
from mage_mcp.tools._seal import Seal
from mage_mcp.watching import Watcher


@dataclass(frozen=True)
class App:
    """What the server holds from start to stop: its clients by cluster name, in the order of the configuration."""

    settings: Settings
    mages: Mapping[str, MageClient]
    audit: Audit
    seal: Seal = field(default_factory=Seal)
    watcher: Watcher | None = None
    store: Store | None = None

    def mage(self, cluster: str) -> MageClient:
        """The client of a cluster; of the first where none is named. The server has refused unknown names before."""
        return self.mages[cluster] if cluster else next(iter(self.mages.values()))


_app: ContextVar[App | None] = ContextVar("app", default=None)


def current_app() -> App | None:
    """What serves the present request, for the handlers that the SDK gives no context."""
    return _app.get()


async def keep_app(ctx: Any, call_next: Any) -> Any:
    """A middleware: within a request `current_app` knows."""
    token = _app.set(ctx.lifespan_context)
    try:
        return await call_next(ctx)
    finally:
        _app.reset(token)


Report = Callable[[float, float, str], Awaitable[None]]

ClusterArg = Annotated[str, Field(description="Cluster.")]
"""Stands in every tool's signature; what a client sees of it depends on how many are configured."""


async def _mage(cluster: str, ctx: Context[App]) -> MageClient:
    return ctx.request_context.lifespan_context.mage(cluster)


async def _progress(ctx: Context[App]) -> Report:
    async def report(done: float, most: float, sentence: str) -> None:
        await ctx.report_progress(done, most, one_line(sentence))

    return report


async def _mages(ctx: Context[App]) -> list[MageClient]:
    return list(ctx.request_context.lifespan_context.mages.values())


Mages = Annotated[list[MageClient], Resolve(_mages)]
Mage = Annotated[MageClient, Resolve(_mage)]
Progress = Annotated[Report, Resolve(_progress)]
"""Called with seconds waited, seconds to wait at most, and a sentence. Silent where the client did not ask."""

# The SDK wraps each of these in `AcceptedElicitation[Any]`. Pydantic builds that class anew in every call, which takes
# 0.5 ms, unless somebody holds on to it.
_HELD = AcceptedElicitation[Any]

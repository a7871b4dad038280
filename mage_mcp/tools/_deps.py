"""Parameters the model never sees: the Mage client, and how to report progress."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated

from mcp.server.mcpserver import Context, Resolve

from mage_mcp.client import Mage as MageClient
from mage_mcp.settings import Settings
from mage_mcp.tools._seal import Seal


@dataclass(frozen=True)
class App:
    """What the server holds from start to stop."""

    settings: Settings
    mage: MageClient
    seal: Seal = field(default_factory=Seal)


Report = Callable[[float, float, str], Awaitable[None]]


async def _mage(ctx: Context[App]) -> MageClient:
    return ctx.request_context.lifespan_context.mage


async def _progress(ctx: Context[App]) -> Report:
    return ctx.report_progress


Mage = Annotated[MageClient, Resolve(_mage)]
Progress = Annotated[Report, Resolve(_progress)]
"""Called with seconds waited, seconds to wait at most, and a sentence. Silent where the client did not ask."""

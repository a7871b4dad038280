"""Who listens to which resource: runs that anybody listens to are watched."""

from typing import Any

from mcp import MCPError
from mcp.types import INVALID_PARAMS, SubscriptionsListenRequestParams
from pydantic import ValidationError

from mage_mcp.errors import MageInvalid


async def watch_runs(ctx: Any, call_next: Any) -> Any:
    """Around `subscriptions/listen`, which lasts as long as the client listens; only 2026-07-28 has it."""
    watcher = getattr(ctx.lifespan_context, "watcher", None)
    if ctx.method != "subscriptions/listen" or watcher is None:
        return await call_next(ctx)
    try:
        asked = SubscriptionsListenRequestParams.model_validate(ctx.params or {}, by_name=False).notifications
    except ValidationError:
        return await call_next(ctx)  # which refuses it
    try:
        async with watcher.listening(asked.resource_subscriptions or ()):
            return await call_next(ctx)
    except MageInvalid as error:
        raise MCPError(INVALID_PARAMS, str(error)) from None

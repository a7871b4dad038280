"""Who listens to which resource: runs that anybody listens to are watched."""

from typing import Any

from mcp import MCPError
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.types import INVALID_PARAMS, SubscriptionsListenRequestParams, SubscriptionsListenResult
from pydantic import ValidationError

from mage_mcp.errors import MageInvalid
from mage_mcp.watching import Watcher


async def watch_runs(ctx: Any, call_next: Any) -> Any:
    """Around `subscriptions/listen`, which lasts as long as client and server do; only 2026-07-28 has it."""
    watcher: Watcher | None = getattr(ctx.lifespan_context, "watcher", None)
    if ctx.method != "subscriptions/listen" or watcher is None:
        return await call_next(ctx)
    try:
        asked = SubscriptionsListenRequestParams.model_validate(ctx.params or {}, by_name=False).notifications
    except ValidationError:
        return await call_next(ctx)  # which refuses it
    try:
        async with watcher.listening(asked.resource_subscriptions or ()) as till_close:
            with till_close:
                return await call_next(ctx)
    except MageInvalid as error:
        raise MCPError(INVALID_PARAMS, str(error)) from None
    # The server is about to end, and says that no more is to come. The SDK would do so, but cannot be told to.
    ended = SubscriptionsListenResult(_meta={SUBSCRIPTION_ID_META_KEY: ctx.request_id})
    return ended.model_dump(by_alias=True, mode="json", exclude_none=True)

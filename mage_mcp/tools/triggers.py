"""Tools to look at triggers."""

from typing import Annotated

from pydantic import Field

from mage_mcp.client.triggers import TriggerPage, TriggerStatus, TriggerType
from mage_mcp.tools._args import InPipeline, Limit, Offset, Search
from mage_mcp.tools._deps import Mage
from mage_mcp.tools._toolset import Toolset

tools = Toolset("triggers")


@tools.read("List triggers")
async def list_triggers(
    mage: Mage,
    pipeline: InPipeline = "",
    status: Annotated[TriggerStatus | None, Field(description="Only in this state.")] = None,
    type: Annotated[TriggerType | None, Field(description="Only of this type.")] = None,  # noqa: A002 - Mage's word
    search: Search = "",
    limit: Limit = 20,
    offset: Offset = 0,
) -> TriggerPage:
    """List triggers (schedules, API and event triggers) with their next and last runs."""
    return await mage.triggers.list(
        pipeline=pipeline, status=status, type=type, search=search, limit=limit, offset=offset
    )

"""Triggers (Mage's API calls them pipeline schedules): one noun, by what is done with them."""

from mage_mcp.client.triggers.changing import TriggerChanger
from mage_mcp.client.triggers.deleting import TriggerDeleter
from mage_mcp.client.triggers.making import TriggerMaker
from mage_mcp.client.triggers.reading import (
    OURS,
    OURS_TYPE,
    TriggerPage,
    TriggerRow,
    TriggerStatus,
    TriggerType,
    is_ours,
    without_ours,
)

__all__ = [
    "OURS",
    "OURS_TYPE",
    "TriggerPage",
    "TriggerRow",
    "TriggerStatus",
    "TriggerType",
    "Triggers",
    "is_ours",
    "without_ours",
]


class Triggers(TriggerMaker, TriggerChanger, TriggerDeleter):
    """List, look at, create, update and delete triggers."""

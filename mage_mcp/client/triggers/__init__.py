"""Triggers (Mage's API calls them pipeline schedules): one noun, by what is done with them."""

from mage_mcp.client.triggers.reading import (
    OURS,
    OURS_TYPE,
    TriggerPage,
    TriggerReader,
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


class Triggers(TriggerReader):
    """List and look at triggers."""

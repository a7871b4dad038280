"""Backfills: a pipeline run once for each date of a window. One noun, by what is done with them."""

from mage_mcp.client.backfills.creating import BackfillCreated
from mage_mcp.client.backfills.ending import BackfillCancelled, BackfillDeleted, BackfillEnder
from mage_mcp.client.backfills.reading import BackfillPage, BackfillRecord, BackfillRow, BackfillStatus
from mage_mcp.client.backfills.windows import IntervalType, Window, checked_window

__all__ = [
    "BackfillCancelled",
    "BackfillCreated",
    "BackfillDeleted",
    "BackfillPage",
    "BackfillRecord",
    "BackfillRow",
    "BackfillStatus",
    "Backfills",
    "IntervalType",
    "Window",
    "checked_window",
]


class Backfills(BackfillEnder):
    """List, create (and start), cancel and delete backfills."""

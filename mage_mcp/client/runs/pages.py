"""A page of runs, or of what made them fail."""

from typing import Any

from pydantic import Field

from mage_mcp.client.models import Page, Text, UtcTime
from mage_mcp.client.run_rows import RunRow
from mage_mcp.client.runs.causes import Cause


class RunPage(Page):
    total: int = Field(default=0, description="How many there are in all, for these filters.")
    items: list[RunRow] = []
    causes: list[Cause] = Field(default=[], description="With group_by: failures that share a cause, newest first.")
    counts: dict[str, int] = Field(default={}, description="Runs by status, for these filters.")
    now: UtcTime | None = None

    def lean(self, text: Text | None = None) -> dict[str, Any]:
        """With `total` and `items` even where they are empty, as every page has them."""
        return {"total": self.total, "items": []} | super().lean(text)


class CausePage(RunPage):
    """Causes stand in the place of runs; `total` is how many failed."""

    def lean(self, text: Text | None = None) -> dict[str, Any]:
        """Without what is of runs."""
        told = super().lean(text)
        return {name: value for name, value in told.items() if name not in {"total", "items"}}


def past_the_end(total: int) -> str:
    """The note of an empty page behind the last."""
    return f"The offset is past the end: there are {total}."

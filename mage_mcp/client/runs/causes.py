"""Failed runs, grouped by what made them fail."""

from collections.abc import Sequence

from pydantic import Field

from mage_mcp.client.error_texts import cause_key, short_error
from mage_mcp.client.models import Answer, Message, Name, Names, UtcTime
from mage_mcp.client.records import RunRecord
from mage_mcp.client.run_rows import failed_blocks

_MOST_PIPELINES = 5


class Cause(Answer):
    count: int = Field(description="Failed runs that share it.")
    block: Name = Field(default="", description="Left out where no block failed: get_run on a run says why.")
    error: Message = Field(default="", description="Of the latest of them.")
    pipelines: Names = []
    latest_run: int
    first_at: UtcTime | None = None
    last_at: UtcTime | None = None


def by_cause(records: Sequence[RunRecord]) -> list[Cause]:
    """Group failed runs, given latest first, by failing block and the shape of its error; commonest first."""
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(_key(record), []).append(record)
    causes = [_cause(group) for group in groups.values()]
    return sorted(causes, key=lambda cause: -cause.count)


def _key(record: RunRecord) -> str:
    failing = failed_blocks(record)
    if not failing:
        return f"no failed block in {record.pipeline_uuid}"
    return cause_key(short_error(failing[0]), failing[0].block_uuid)


def _cause(group: list[RunRecord]) -> Cause:
    failing = failed_blocks(group[0])
    pipelines = list(dict.fromkeys(record.pipeline_uuid for record in group))
    times = [moment for record in group if (moment := record.started_at or record.created_at)]
    return Cause(
        count=len(group),
        block=failing[0].block_uuid if failing else "",
        error=str(short_error(failing[0])) if failing else "",
        pipelines=pipelines[:_MOST_PIPELINES],
        latest_run=group[0].id,
        first_at=min(times, default=None),
        last_at=max(times, default=None),
    )

"""What came before a run, and after: is this failure new, and how long does the pipeline take?"""

from collections.abc import Sequence

from pydantic import Field

from mage_mcp.client.error_texts import ShortError, cause_key, short_error
from mage_mcp.client.models import Answer, UtcTime
from mage_mcp.client.records import RunRecord
from mage_mcp.client.run_rows import duration_s, ended_at, failed_blocks


class History(Answer):
    last_success_run: int | None = Field(default=None, description="The last completed run before this one.")
    last_success_at: UtcTime | None = None
    failed_in_a_row: int | None = Field(default=None, description="This one included.")
    same_error: bool | None = Field(default=None, description="Whether those failed in the same way.")
    later_run: int | None = Field(default=None, description="The latest run after this one.")
    later_status: str = ""
    note: str = ""


def history_of(run: RunRecord, others: Sequence[RunRecord], success: RunRecord | None) -> History:
    """`others`: the pipeline's latest runs, newest first. `success`: the last completed one before this, if any."""
    later = [other for other in others if other.id > run.id]
    before = [other for other in others if other.id < run.id]
    streak = [run]
    for other in before:
        if other.status != "failed":
            break
        streak.append(other)
    failed = run.status == "failed"
    in_a_row = len(streak) if failed else None
    complete = len(streak) <= len(before)
    note = ""
    if failed and success is None:
        note = "No earlier run of this pipeline completed."
    elif failed and not complete and len(streak) > 1:
        note = f"At least {len(streak)} in a row; earlier runs were not read."
    return History(
        last_success_run=success.id if success else None,
        last_success_at=ended_at(success) if success else None,
        failed_in_a_row=in_a_row,
        same_error=_is_same(streak) if failed and len(streak) > 1 else None,
        later_run=later[0].id if later else None,
        later_status=later[0].status if later else "",
        note=note,
    )


def _is_same(runs: Sequence[RunRecord]) -> bool | None:
    """Whether they failed in the same way; None where one of them does not say how."""
    causes = {_cause(run) for run in runs}
    return None if "" in causes else len(causes) == 1


def _cause(run: RunRecord) -> str:
    failing = failed_blocks(run)
    error = short_error(failing[0]) if failing else ShortError()
    return cause_key(error, failing[0].block_uuid) if str(error) else ""


def usual_durations(completed: RunRecord | None) -> dict[str, float]:
    """Seconds each block took in a completed run, and under `""` the run itself."""
    if completed is None:
        return {}
    taken = {block.block_uuid: duration_s(block) for block in completed.block_runs} | {"": duration_s(completed)}
    return {uuid: seconds for uuid, seconds in taken.items() if seconds is not None}

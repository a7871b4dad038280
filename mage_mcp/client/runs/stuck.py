"""Which of the runs under way will not end by themselves, or take much longer than they did before."""

import asyncio

from pydantic import Field

from mage_mcp.client.models import Answer, Message, Name
from mage_mcp.client.paths import api
from mage_mcp.client.records import UNFINISHED, RunRecord
from mage_mcp.client.replies import count, root
from mage_mcp.client.run_rows import duration_s
from mage_mcp.client.runs.hanging import age_s, is_late
from mage_mcp.client.runs.reporting import RunReport, RunReporter
from mage_mcp.client.transport import Params
from mage_mcp.text import one_line

_OLDEST: Params = {"order_by[]": "id asc", "disable_retries_grouping": True}
_LONGEST_WHY = 400


class UnfinishedRun(Answer):
    run: int
    pipeline: Name
    status: str
    trigger: Name = ""
    for_s: float = Field(description="Seconds since it started, or since it was made where it has not.")
    usual_s: float | None = Field(default=None, description="Seconds the last completed run took.")
    stuck: bool = False
    why: Message = Field(default="", description="What it waits for, or what goes wrong.")


class Unfinished(Answer):
    items: list[UnfinishedRun]
    total: int
    note: str = ""


class RunWatcher(RunReporter):
    """Look at everything that is under way."""

    async def unfinished(self, *, most: int = 10) -> Unfinished:
        """The oldest runs that have not ended, `most` of them, the stuck ones first."""
        replies = await asyncio.gather(
            *(
                self._transport.read(api("pipeline_runs"), **_OLDEST, status=status, _limit=most)
                for status in UNFINISHED
            )
        )
        records = [
            RunRecord.model_validate(row) for reply in replies for row in root(reply, "pipeline_runs", kind=list)
        ]
        total = sum(count(reply, fallback=0) for reply in replies) or len(records)
        oldest = sorted(records, key=lambda record: record.id)[:most]
        found = await asyncio.gather(*(self._watched(record) for record in oldest))
        note = f"{total - len(oldest)} newer ones were not looked at." if total > len(oldest) else ""
        return Unfinished(items=sorted(found, key=lambda run: not run.stuck), total=total, note=note)

    async def _watched(self, record: RunRecord) -> UnfinishedRun:
        now = self._transport.clock.utc()
        report, completed = await asyncio.gather(
            self.explain(record), self.latest(record.pipeline_uuid, status="completed")
        )
        usual = duration_s(completed[0]) if completed else None
        age = age_s(record, now)
        return UnfinishedRun(
            run=record.id,
            pipeline=record.pipeline_uuid,
            status=record.status,
            trigger=report.trigger,
            for_s=age,
            usual_s=usual,
            stuck=bool(report.findings) or is_late(record, age, usual),
            why=_why(report),
        )


def _why(report: RunReport) -> str:
    told = [f"{finding.block + ': ' if finding.block else ''}{finding.text}" for finding in report.findings]
    return one_line(" ".join(told) or report.waits_for, _LONGEST_WHY)

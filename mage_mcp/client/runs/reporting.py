"""One run, explained: how it went, why it failed, what it waits for, and what to do next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from mage_mcp.client.diagnosis import timed_out, why_cancelled
from mage_mcp.client.failures import Failure
from mage_mcp.client.findings import Diagnosis, Finding, examine
from mage_mcp.client.models import Answer, Name, Names, Untrusted, UtcTime
from mage_mcp.client.pipelines import shown_variables
from mage_mcp.client.records import UNFINISHED, RunRecord
from mage_mcp.client.run_rows import duration_s, ended_at, is_for_another_time
from mage_mcp.client.runs.gathering import gather_evidence
from mage_mcp.client.runs.history import History, history_of, usual_durations
from mage_mcp.client.runs.reading import RunReader, RunStatus
from mage_mcp.client.runs.waiting import what_it_waits_for
from mage_mcp.text import one_line, quoted

Report = Callable[[float, float, str], Awaitable[None]]
"""Hears of every look at a run that is waited for: seconds waited, seconds at most, a sentence."""

_OTHERS = 8
_MOST_BLOCKS = 30
_MOST_VARIABLES = 15
_MAGES_OWN = frozenset({"execution_partition"})


class BlockState(Answer):
    block: Name
    status: str
    duration_s: float | None = None


class RunReport(Answer):
    run: int
    pipeline: Name
    status: str
    trigger: Name = ""
    execution_date: UtcTime | None = Field(default=None, description="Where it differs from the start.")
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    duration_s: float | None = None
    variables: Annotated[dict[str, Any], Untrusted()] = Field(default={}, description="Given to this run.")
    failures: list[Failure] = Field(default=[], description="Why it failed; without block, the run as a whole did.")
    never_ran: Names = Field(default=[], description="Blocks that did not run because of it.")
    findings: list[Finding] = Field(default=[], description="What the status does not tell.")
    waits_for: str = Field(default="", description="Why a run that has not ended has not.")
    history: History | None = None
    blocks: list[BlockState] = []
    next_steps: list[str] = []
    now: UtcTime | None = Field(default=None, description="Of a run that has not ended.")
    note: str = ""


class RunReporter(RunReader):
    """Explain runs."""

    async def report(
        self,
        run: str = "",
        *,
        pipeline: str = "",
        status: RunStatus | None = None,
        wait_s: float = 0,
        progress: Report | None = None,
    ) -> RunReport:
        """Explain a run: by id, by a link to it, or the latest one of a pipeline (in a given state).

        With `wait_s`, waits for its end first, so long at most. Raises MageNotFound, MageInvalid.
        """
        record = await self.find(run, pipeline=pipeline, status=status)
        if wait_s and record.status in UNFINISHED:
            record = await self.wait(record, wait_s, _teller(progress, wait_s))
        return await self.explain(record)

    async def explain(self, record: RunRecord) -> RunReport:
        """The report on a run as it is now."""
        now = self._transport.clock.utc()
        gathered, others = await asyncio.gather(
            gather_evidence(self._transport, self._pipelines, record), self.latest(record.pipeline_uuid, limit=_OTHERS)
        )
        success = await self._last_success(record, others)
        repo_path = next((other.repo_path for other in others if other.repo_path), "")
        evidence = replace(gathered, repo_path=repo_path)  # a run's own record does not tell it
        diagnosis = examine(evidence)
        waits_for = ""
        if record.status in UNFINISHED and not diagnosis.findings:
            usual = usual_durations(success)
            waits_for = await what_it_waits_for(
                self._transport, self._pipelines, self._triggers, record, usual=usual, now=now
            )
        note = "" if any(map(timed_out, diagnosis.failures)) else why_cancelled(evidence)
        report = _report(record, diagnosis, history_of(record, others, success), others, waits_for, now)
        return report.model_copy(update={"note": f"{note} {report.note}".strip()})

    async def _last_success(self, record: RunRecord, others: Sequence[RunRecord]) -> RunRecord | None:
        """Among the runs already read, or by one more request; only for runs that are compared with it."""
        before = [other for other in others if other.id < record.id]
        found = next((other for other in before if other.status == "completed"), None)
        everything_read = len(others) < _OTHERS
        if found or everything_read or record.status not in {"failed", *UNFINISHED}:
            return found
        until = {"end_timestamp": int(record.created_at.timestamp())} if record.created_at else {}
        earlier = await self.latest(record.pipeline_uuid, status="completed", **until)
        return next((other for other in earlier if other.id < record.id), None)


def _teller(progress: Report | None, wait_s: float) -> Callable[[RunRecord, float], Awaitable[None]] | None:
    if progress is None:
        return None

    async def tell(record: RunRecord, waited: float) -> None:
        await progress(round(waited, 1), wait_s, _in_one_line(record))

    return tell


def _in_one_line(record: RunRecord) -> str:
    """`run 12 running: 1 of 3 blocks done, add_tax running`."""
    done = sum(block.status == "completed" for block in record.block_runs)
    active = [quoted(block.block_uuid) for block in record.block_runs if block.status == "running"]
    blocks = f": {done} of {len(record.block_runs)} blocks done" if record.block_runs else ""
    return f"run {record.id} {record.status}{blocks}{', ' + ', '.join(active[:3]) + ' running' if active else ''}"


def _report(
    record: RunRecord,
    diagnosis: Diagnosis,
    history: History,
    others: Sequence[RunRecord],
    waits_for: str,
    now: datetime,
) -> RunReport:
    cut = len(record.block_runs) - _MOST_BLOCKS
    row = next((other for other in others if other.id == record.id), record)
    given = {name: value for name, value in record.variables.items() if name not in _MAGES_OWN}
    told = history.lean()
    return RunReport(
        run=record.id,
        pipeline=record.pipeline_uuid,
        status=record.status,
        trigger=one_line(row.pipeline_schedule_name, 60),
        execution_date=record.execution_date if is_for_another_time(record) else None,
        started_at=record.started_at,
        ended_at=ended_at(record),
        duration_s=duration_s(record, now),
        variables=shown_variables(given, most=_MOST_VARIABLES),
        failures=diagnosis.failures,
        never_ran=diagnosis.never_ran[:_MOST_BLOCKS],
        findings=diagnosis.findings,
        waits_for=waits_for,
        history=history if told else None,
        blocks=[
            BlockState(block=block.block_uuid, status=block.status, duration_s=duration_s(block, now))
            for block in record.block_runs[:_MOST_BLOCKS]
        ],
        next_steps=_next_steps(record, diagnosis, history),
        now=now if record.status in UNFINISHED else None,
        note=f"{cut} more blocks are not shown." if cut > 0 else "",
    )


def _next_steps(record: RunRecord, diagnosis: Diagnosis, history: History) -> list[str]:
    """What a reader can do now, as calls where there are calls for it."""
    if record.status in UNFINISHED:
        stuck = any(finding.kind in {"worker_dies", "streaming_restarts"} for finding in diagnosis.findings)
        return [f"cancel_runs(runs=[{record.id}])" if stuck else f"get_run(run={record.id}, wait_s=45) waits on"]
    late = next((failure for failure in diagnosis.failures if timed_out(failure)), None)
    if record.status != "failed" and late is None:
        return []
    steps = []
    if history.later_status == "completed":
        steps.append(f"Nothing may be left to do: the later run {history.later_run} completed.")
    blocks = [failure.block for failure in diagnosis.failures if failure.block]
    if late is not None:
        whose = f"the timeout of {quoted(late.block)}" if late.block else "the trigger's timeout"
        steps.append(
            f"Mend the cause or have {whose} raised, then trigger_pipeline(pipeline={record.pipeline_uuid!r}): Mage "
            "counts from the first start, so a retry of this run would be ended at once."
        )
    elif blocks:
        steps.append(
            f"Mend the cause, then retry_run(run={record.id}): it runs {quoted(blocks[0])} and what did not run again."
        )
    elif record.block_runs:
        steps.append(f"retry_run(run={record.id}) runs what did not complete again.")
    else:
        steps.append(f"Mend the cause, then trigger_pipeline(pipeline={record.pipeline_uuid!r}): no block had started.")
    return steps

"""Why a run failed, from what Mage recorded about it.

Pure functions over fetched evidence. The facts were measured on Mage 0.9.80 over some fifty kinds of failure, whose
recordings are under `tests/failures/recorded`.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from mage_mcp.client.error_texts import LONGEST_SHORT, tidy
from mage_mcp.client.evidence import (
    BLOCK_TIMEOUT,
    MOST_LOGS,
    RUN_TIMEOUT,
    Evidence,
    block_error,
    failed_block_runs,
    last_line,
)
from mage_mcp.client.failures import Cause, Failure, explained, failure_of
from mage_mcp.client.log_lines import LogLine
from mage_mcp.client.loops import worker_deaths
from mage_mcp.client.records import BlockRunRecord
from mage_mcp.client.tracebacks import Frame, read_traceback
from mage_mcp.client.user_code import fits_source
from mage_mcp.text import one_line, quoted

_ATTEMPT = re.compile(r"Exception thrown when attempting to run .*, attempt (?P<this>\d+) of \d+")
_COPY = "BlockRun "
_EXECUTE = "Execute PipelineRun"
_SET_UP = (
    ("/streaming/sources/", "data_loader"),
    ("/streaming/sinks/", "data_exporter"),
    (":get_catalog", "data_loader"),
)
_TOO_LATE = "Nothing ran since: a retry goes on with the time of the first start."
_SKIPPED = "... skipping this run"


def diagnose(evidence: Evidence) -> list[Failure]:
    """Why the run failed: one entry for each failed block, or one for the run where no block failed.

    Empty for a run without failed blocks that is under way, completed, or was cancelled by a person.
    """
    failed = failed_block_runs(evidence.run)
    if failed:
        failures = [_of_block(evidence, block_run) for block_run in failed[:MOST_LOGS]]
        if len(failed) > MOST_LOGS:
            failures[-1] = failures[-1].noted(f"{len(failed) - MOST_LOGS} more blocks failed.")
        return failures
    return _of_run(evidence) if evidence.run.status in ("failed", "cancelled") else []


def timed_out(failure: Failure) -> bool:
    """Whether a time limit ended it, of the run's trigger or, where a block is named, of that block."""
    limit = BLOCK_TIMEOUT if failure.block else RUN_TIMEOUT
    return not failure.error_type and limit.fullmatch(failure.message) is not None


def why_cancelled(evidence: Evidence) -> str:
    """What a cancelled run leaves to say, unless it timed out."""
    if evidence.run.status != "cancelled" or evidence.scheduler_log is None:
        return ""
    skipped = next((line for line in evidence.scheduler_log if line.message.endswith(_SKIPPED)), None)
    if skipped is not None:
        reason = one_line(skipped.message.removesuffix(_SKIPPED), LONGEST_SHORT)
        return f"Mage cancelled it before it began, by the settings of its trigger or pipeline: {reason!r}."
    return f"Somebody cancelled it, a person or a program; Mage does not record who. {_deaths(evidence)}".strip()


def failure_of_run(evidence: Evidence, line: LogLine) -> Failure:
    """What a record says that is of no block run, with the file it is about where that can be told."""
    read = read_traceback(line.traceback, line.error)
    frames = read.raised.frames if read else ()
    failure = failure_of(evidence, _raising_block(evidence, frames), line)
    file = failure.file or evidence.file(_configured_block(evidence, frames))
    return failure.model_copy(update={"block": "", "file": file})


def _of_block(evidence: Evidence, block_run: BlockRunRecord) -> Failure:
    attempt = evidence.last_attempt(block_run)
    told = block_error(attempt)
    if told is not None:
        failure = _explained(
            evidence, block_run, failure_of(evidence, block_run.block_uuid, told, _start(evidence, block_run))
        )
        tries = [int(found["this"]) for line in attempt if (found := _ATTEMPT.fullmatch(line.message))]
        return failure.noted(f"It was tried {max(tries)} times.") if tries and max(tries) > 1 else failure
    limit = last_line(attempt, "ERROR")
    if limit is not None and BLOCK_TIMEOUT.fullmatch(limit.message):
        return Failure(
            block=block_run.block_uuid, message=_said(evidence, limit), note="The block's own timeout ended it."
        )
    return _without_log(evidence, block_run, limit)


def _without_log(evidence: Evidence, block_run: BlockRunRecord, last_error: LogLine | None) -> Failure:
    """From the scheduler's copy, which is of the last attempt, or from the metrics, which may not be."""
    uuid, started = block_run.block_uuid, _start(evidence, block_run)
    copy = last_line(evidence.scheduler_log or (), "EXCEPTION", begins=f"{_COPY}{block_run.id} ")
    if copy is not None and copy.traceback:
        return _explained(evidence, block_run, failure_of(evidence, uuid, copy, started))
    error = block_run.metrics.error
    if error is not None:
        stored = LogLine(None, "", uuid, error.error, error.message, error.error)
        return _explained(evidence, block_run, failure_of(evidence, uuid, stored, started)).noted(
            "From the run's metrics, not confirmed by the block's log: it may be of an earlier attempt."
        )
    if last_error is not None:
        return Failure(block=uuid, message=_said(evidence, last_error), note="The last error in the block's log.")
    if evidence.log(block_run):
        return Failure(block=uuid, note="Neither the block's log nor the run says why it failed.")
    return Failure(block=uuid, note="The run does not say why it failed, and the block's log was not read.")


def _explained(evidence: Evidence, block_run: BlockRunRecord, failure: Failure) -> Failure:
    return explained(evidence, failure, evidence.last_attempt(block_run), _start(evidence, block_run))


def _start(evidence: Evidence, block_run: BlockRunRecord) -> datetime | None:
    return block_run.started_at or evidence.run.started_at


def _said(evidence: Evidence, line: LogLine) -> str:
    return tidy(line.error or line.message, repo_path=evidence.project)


def _of_run(evidence: Evidence) -> list[Failure]:
    log = evidence.scheduler_log
    reason = _reason(log or ())
    if reason is None:
        if evidence.run.status != "failed":
            return []  # somebody cancelled it, which leaves no record
        why = "the scheduler's log does not say why the run did" if log else "the scheduler's log was not read"
        return [Failure(note=f"No block failed, and {why}.")]
    failure = failure_of_run(evidence, reason)
    if timed_out(failure):
        failure = failure.noted("The timeout of the run's trigger ended it.")
        late = _late_retry(evidence, failure)
        if late is not None:
            return [late]
    return [failure.noted(_circumstances(evidence))]


def _reason(log: Sequence[LogLine]) -> LogLine | None:
    """The last error in the scheduler's log, unless it is of a block or the run went on after it (a retry)."""
    for line in reversed(log):
        if line.level in ("ERROR", "EXCEPTION"):
            return None if line.message.startswith(_COPY) else line
        if line.message.startswith(_EXECUTE):
            return None
    return None


def _late_retry(evidence: Evidence, failure: Failure) -> Failure | None:
    """The timeout of a retry that came too late for anything to run, with what had failed before."""
    for line in list(reversed(evidence.scheduler_log or ()))[1:]:
        if line.message.startswith(_EXECUTE):
            return None
        if RUN_TIMEOUT.fullmatch(line.message):
            return failure.noted(f"It had timed out before. {_TOO_LATE}")
        if line.level == "EXCEPTION" and line.message.startswith(_COPY):
            before = failure_of(evidence, line.block, line)
            cause = Cause(error_type=before.error_type, message=before.message, file=before.file, line=before.line)
            told = f"Before that, {quoted(line.block)} failed. {_TOO_LATE}"
            return failure.model_copy(update={"cause": cause}).noted(told)
    return None


def _raising_block(evidence: Evidence, frames: Sequence[Frame]) -> str:
    """The block whose code raised, where its source tells: a streaming pipeline has no block runs."""
    fitting = [uuid for uuid, block in evidence.blocks.items() if block.content and fits_source(frames, block.content)]
    return fitting[0] if len(fitting) == 1 else ""


def _configured_block(evidence: Evidence, frames: Sequence[Frame]) -> str:
    """The source or sink that Mage was at work on, where the pipeline has just one of these."""
    kind = next((kind for frame in frames for place, kind in _SET_UP if place in f"{frame.file}:{frame.function}"), "")
    fitting = [uuid for uuid, block in evidence.blocks.items() if block.type == kind]
    return fitting[0] if len(fitting) == 1 else ""


def _circumstances(evidence: Evidence) -> str:
    run = evidence.run
    if not run.block_runs:
        return "No block had started."
    if deaths := _deaths(evidence):
        return f"{deaths} That is the cause."
    under_way = [quoted(b.block_uuid) for b in run.block_runs if b.status == "cancelled" and b.started_at]
    return f"Under way at that time: {', '.join(under_way[:MOST_LOGS])}." if under_way else ""


def _deaths(evidence: Evidence) -> str:
    told = [f"{quoted(loop.block)} ({_times(loop.times)})" for loop in worker_deaths(evidence)[:MOST_LOGS]]
    return f"Before that its worker died without an error and was started again: {', '.join(told)}." if told else ""


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"

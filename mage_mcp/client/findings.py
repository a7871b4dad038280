"""What is wrong with a run whose status does not say so: it runs for ever, or it completed but not well.

Measured on Mage 0.9.80: a run is `completed` though a condition raised, a callback failed, or a block passed only when
it was tried again; it is `running` though a worker dies at every start.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from mage_mcp.client.diagnosis import diagnose, failure_of_run
from mage_mcp.client.error_texts import LONGEST_SHORT
from mage_mcp.client.evidence import FINISHED, Evidence, not_run
from mage_mcp.client.failures import Failure, failure_of
from mage_mcp.client.log_lines import LogLine
from mage_mcp.client.loops import Loop, streaming_restarts, worker_deaths
from mage_mcp.client.models import Answer, Message, Name, Names, UtcTime
from mage_mcp.client.records import BlockRunRecord
from mage_mcp.text import one_line, quoted

Kind = Literal[
    "worker_dies", "streaming_restarts", "condition_false", "condition_broken", "callback_failed", "retry_passed"
]

_MOST_FINDINGS = 10
_MOST_NAMES = 10
_CANCEL = "Cancel the run: it does not end by itself, and what it does before it ends is done again each time."

_CONDITION_FALSE = re.compile(r"Conditional block (?P<condition>\S+) evaluated as False for block \S+")
_CONDITION_BROKEN = re.compile(r"Failed to execute conditional block (?P<condition>\S+) for block \S+")
_CALLBACK = re.compile(r"Failed to execute (?P<event>on_\w+) callback block (?P<callback>\S+) for block \S+")
_ATTEMPT = re.compile(r"Exception thrown when attempting to run .*, attempt \d+ of \d+")


class Finding(Answer):
    """Something that the status of a run does not tell."""

    kind: Kind
    text: str = Field(description="What happened.")
    block: Name = Field(default="", description="Block concerned.")
    times: int | None = Field(default=None, description="How often, as far as the log was read.")
    since: UtcTime | None = None
    last_line: Message = Field(default="", description="Last line the block logged before it was gone.")
    failure: Failure | None = Field(default=None, description="The error behind it.")
    never_ran: Names = Field(default=[], description="Blocks that did not run because of it.")
    next_step: str = Field(default="", description="What to do.")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that is to be said of a run: why it failed, what its status hides, which blocks never ran."""

    failures: list[Failure]
    findings: list[Finding]
    never_ran: list[str]


def examine(evidence: Evidence) -> Diagnosis:
    """`diagnose` and the findings that fit the run's status."""
    if evidence.run.status in ("initial", "running"):
        findings = diagnose_running(evidence)
    else:
        findings = diagnose_completed(evidence)
    return Diagnosis(diagnose(evidence), findings, not_run(evidence.run))


def diagnose_running(evidence: Evidence) -> list[Finding]:
    """Blocks whose worker dies and is started again, and a streaming pipeline that is: neither ends by itself."""
    if evidence.run.status != "running":
        return []
    findings = [_dying(loop) for loop in worker_deaths(evidence)]
    failed = streaming_restarts(evidence.scheduler_log or ())
    if len(failed) > 1:
        findings.append(
            Finding(
                kind="streaming_restarts",
                text="The streaming pipeline fails when it starts, and Mage starts it again at every scheduler loop.",
                times=len(failed),
                since=failed[0].at,
                failure=failure_of_run(evidence, failed[-1]),
                next_step=_CANCEL,
            )
        )
    return findings[:_MOST_FINDINGS]


def diagnose_completed(evidence: Evidence) -> list[Finding]:
    """Blocks that a condition kept from running, callbacks that failed, and retries that passed, from the logs read."""
    if evidence.run.status in ("initial", "running"):
        return []
    findings = _conditions(evidence)
    for block_run in evidence.run.block_runs:
        log = evidence.log(block_run)
        findings += _callbacks(evidence, block_run, log)
        findings += _retries(evidence, block_run, log)
    return findings[:_MOST_FINDINGS]


def _dying(loop: Loop) -> Finding:
    return Finding(
        kind="worker_dies",
        text="The block's worker process dies without an error (an exit call, a kill, or no memory left), and Mage "
        "starts the block again.",
        block=loop.block,
        times=loop.times,
        since=loop.since,
        last_line=one_line(loop.last_line, LONGEST_SHORT),
        next_step=_CANCEL if loop.times > 1 else "Look again in a minute; if it has died once more, cancel the run.",
    )


def _conditions(evidence: Evidence) -> list[Finding]:
    """One finding for each guarded block; the blocks after it have the same status but were never started."""
    blocked = [b for b in evidence.run.block_runs if b.status == "condition_failed"]
    guarded = [b for b in blocked if b.started_at] or blocked[:1]
    findings = [_condition(evidence, block_run) for block_run in guarded]
    if findings:
        never = [b.block_uuid for b in blocked][:_MOST_NAMES]
        findings[0] = findings[0].model_copy(update={"never_ran": never})
    return findings


def _condition(evidence: Evidence, block_run: BlockRunRecord) -> Finding:
    uuid = quoted(block_run.block_uuid)
    for line in reversed(evidence.log(block_run)):
        if line.level == "EXCEPTION" and (broken := _CONDITION_BROKEN.match(line.message)):
            condition = broken["condition"]
            which = f"The condition {quoted(condition)}"
            retry = f"retry_run(run={evidence.run.id}, from_block={block_run.block_uuid!r})"
            return Finding(
                kind="condition_broken",
                text=f"{which} raised an error, which Mage counts as false: {uuid} did not run.",
                block=block_run.block_uuid,
                failure=failure_of(evidence, condition, line, block_run.started_at),
                next_step=f"Correct the condition, then {retry}.",
            )
        if false := _CONDITION_FALSE.match(line.message):
            text = f"The condition {quoted(false['condition'])} was false: {uuid} did not run."
            return Finding(kind="condition_false", text=text, block=block_run.block_uuid)
    text = f"A condition was false or raised an error: {uuid} did not run. Its log tells which."
    return Finding(kind="condition_false", text=text, block=block_run.block_uuid)


def _callbacks(evidence: Evidence, block_run: BlockRunRecord, log: Sequence[LogLine]) -> list[Finding]:
    return [
        Finding(
            kind="callback_failed",
            text=f"The {found['event']} callback {quoted(found['callback'])} failed; "
            "Mage does not count that as a failure.",
            block=block_run.block_uuid,
            failure=failure_of(evidence, found["callback"], line, block_run.started_at),
        )
        for line in log
        if line.level == "EXCEPTION" and (found := _CALLBACK.match(line.message))
    ]


def _retries(evidence: Evidence, block_run: BlockRunRecord, log: Sequence[LogLine]) -> list[Finding]:
    """A block that passed after it had failed, by its own retries or by a retry of the run."""
    tries = [line for line in log if line.traceback and _ATTEMPT.fullmatch(line.message)]
    finished = any(line.message.startswith(FINISHED) for line in log)
    if block_run.status != "completed" or not tries or not finished:
        return []
    return [
        Finding(
            kind="retry_passed",
            text="The block failed before it passed.",
            block=block_run.block_uuid,
            times=len(tries),
            failure=failure_of(evidence, block_run.block_uuid, tries[-1], block_run.started_at),
        )
    ]

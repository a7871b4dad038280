"""What is to be said of a kind of failure, by the diagnosis of its recording as by `get_run` on a real Mage."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mage_mcp.client.error_texts import LONGEST_MESSAGE
from mage_mcp.client.failures import MOST_FRAMES, Failure
from mage_mcp.client.findings import Finding
from tests.failures.kinds import Found, Kind, Reason
from tests.host import Answer

SQL = "data_loaders/query_orders_duckdb.sql"
VAGUE = {
    "missing_file": "Exception",
    "no_function": "Exception",
    "retry_in_place": "ConnectionError",
    "test_assert": "Exception",
}
"""What the metrics say where they say less than the log, or are of an attempt before the last."""
SECRETS_AND_COLOURS = re.compile(r"s3cret|\\u001b\[|\x1b")
OF_MAGE_OR_THE_SERVER = re.compile(
    rf"{SECRETS_AND_COLOURS.pattern}|-packages/|mage_ai/|block_executor|__execute|/srv/|/opt/|/tmp/|/home/"
)
"""Besides these: the files and functions of Mage, and where the server keeps files."""

_MOST_TOKENS = 800
_LIMIT = re.compile(r"after \d+ seconds")


def as_expected(failures: Sequence[Failure], findings: Sequence[Finding], never_ran: Sequence[str], kind: Kind) -> None:
    """Block, error, line, cause, notes; what the status does not tell; which blocks never ran."""
    assert len(failures) == len(kind.reasons)
    for failure, reason in zip(failures, kind.reasons, strict=True):
        says(failure, reason, kind)
    assert [finding.kind for finding in findings] == [found.kind for found in kind.found]
    for finding, found in zip(findings, kind.found, strict=True):
        _tells(finding, found, kind)
    assert list(never_ran) == list(kind.not_run)


def report_as_expected(answer: Answer, kind: Kind) -> None:
    """The same of a whole answer of `get_run`: short, clean, and with something to do next."""
    report = answer.data
    assert report["status"] == kind.status
    as_expected(
        [Failure.model_validate(item) for item in report.get("failures", [])],
        [Finding.model_validate(item) for item in report.get("findings", [])],
        report.get("never_ran", []),
        kind,
    )
    assert answer.tokens <= _MOST_TOKENS
    for text in (answer.text, *texts(report)):
        assert not OF_MAGE_OR_THE_SERVER.search(text), text
    steps = report.get("next_steps", [])
    if not kind.ends:
        assert steps == [f"cancel_runs(runs=[{report['run']}])"]
    assert bool(steps) == (kind.status in ("failed", "running") or bool(kind.reasons))


def row_as_expected(row: Mapping[str, Any], kind: Kind) -> None:
    """A row of `list_runs`: the failing block and a short error, or where to look."""
    assert row["status"] == kind.status
    blocks = [reason.block for reason in kind.reasons]
    assert row.get("failed_block", "") == (blocks[0] if kind.status == "failed" else "")
    error = row.get("error", "")
    assert bool(error) == (kind.status == "failed")
    assert len(error) <= 120
    assert not OF_MAGE_OR_THE_SERVER.search(error)
    assert "\n" not in error
    if error and "get_run says why" not in error:
        assert error.startswith(VAGUE.get(kind.name, kind.reasons[0].type))


def says(failure: Failure, reason: Reason, kind: Kind) -> None:
    assert (failure.block, failure.error_type) == (reason.block, reason.type)
    # Mage looks at its clock as often as its scheduler gets round to it.
    assert _LIMIT.sub("after some seconds", failure.message) == _LIMIT.sub("after some seconds", reason.message)
    assert reason.note in failure.note
    assert len(failure.message) <= LONGEST_MESSAGE
    assert failure.failed_tests == list(reason.tests)
    cause = failure.cause
    assert (cause and (cause.error_type, cause.message, cause.line)) == reason.cause
    if reason.at:
        line = kind.line(reason.at)
        assert (failure.file, failure.line, failure.function) == (reason.at, line, reason.function)
        if failure.code or kind.name != "retry_passes":  # of a block that passed get_run does not read the source
            (marked,) = [text for text in failure.code.split("\n") if text.startswith(">")]
            assert marked.startswith(f"> {line:>3} | ")
            assert marked.endswith("# HERE")
    else:
        assert failure.file == reason.file
        assert failure.note
        if failure.file != SQL:
            assert failure.line is None
            assert failure.code == ""
    assert len(failure.frames) != 1
    assert len(failure.frames) <= MOST_FRAMES
    if failure.frames:
        assert (failure.frames[-1].file, failure.frames[-1].line) == (failure.file, failure.line)


def _tells(finding: Finding, found: Found, kind: Kind) -> None:
    assert (finding.kind, finding.block, finding.last_line) == (found.kind, found.block, found.last_line)
    assert finding.never_ran == list(found.never_ran)
    if found.times is not None:
        assert finding.times is not None
        assert finding.times >= found.times
    if found.reason is not None:
        assert finding.failure is not None
        says(finding.failure, found.reason, kind)
    if kind.status == "running":
        assert finding.since is not None
        assert finding.next_step.startswith("Cancel the run")


def texts(value: Any) -> list[str]:
    """Every text in a JSON value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []

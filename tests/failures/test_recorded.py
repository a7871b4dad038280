"""Every recorded kind of failure, and what is said of it."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from mage_mcp.client.error_texts import LONGEST_MESSAGE, LONGEST_SHORT, cause_key, short_error
from mage_mcp.client.evidence import failed_block_runs, which_evidence
from mage_mcp.client.failures import MOST_FRAMES, Failure
from mage_mcp.client.findings import Finding, examine
from tests.failures.kinds import KINDS, Found, Kind, Reason
from tests.failures.recordings import FOLDER, REPO, all_evidence, asked_evidence, recorded, run_of

EVERY_KIND = pytest.mark.parametrize("name", sorted(KINDS))
SQL = "data_loaders/query_orders_duckdb.sql"
# What the metrics say where they say less than the log, or are of an attempt before the last.
VAGUE = {
    "missing_file": "Exception",
    "no_function": "Exception",
    "retry_in_place": "ConnectionError",
    "test_assert": "Exception",
}


@EVERY_KIND
def test_the_diagnosis_names_block_error_and_line(name: str) -> None:
    kind = KINDS[name]
    diagnosis = examine(asked_evidence(name))
    assert len(diagnosis.failures) == len(kind.reasons)
    for failure, reason in zip(diagnosis.failures, kind.reasons, strict=True):
        _says(failure, reason, kind)
    assert [finding.kind for finding in diagnosis.findings] == [found.kind for found in kind.found]
    for finding, found in zip(diagnosis.findings, kind.found, strict=True):
        _tells(finding, found, kind)
    assert diagnosis.never_ran == list(kind.not_run)


@EVERY_KIND
def test_evidence_beyond_what_was_asked_for_changes_nothing(name: str) -> None:
    asked, everything = examine(asked_evidence(name)), examine(all_evidence(name))
    assert everything.failures == asked.failures
    assert [finding.kind for finding in everything.findings] == [finding.kind for finding in asked.findings]


@EVERY_KIND
@pytest.mark.parametrize("repo_path", [REPO, ""])
def test_an_answer_is_short_and_shows_nothing_of_mage_or_of_the_server(name: str, repo_path: str) -> None:
    diagnosis = examine(replace(all_evidence(name), repo_path=repo_path))
    answer = [item.lean() for item in (*diagnosis.failures, *diagnosis.findings)]
    text = json.dumps(answer, default=str, ensure_ascii=False)
    assert not re.search(r"s3cret|\\u001b|/srv/|/opt/|site-packages|mage_ai/|block_executor|__execute", text)
    assert len(text.encode()) / 4 < 600
    for item in _texts(answer):
        assert len(item) <= 1_000


@EVERY_KIND
def test_without_logs_only_the_metrics_speak_and_say_so(name: str) -> None:
    evidence = replace(all_evidence(name), block_logs={}, scheduler_log=None)
    for failure in examine(evidence).failures:
        assert "not confirmed" in failure.note or "was not read" in failure.note


@EVERY_KIND
def test_the_short_error_is_that_of_the_metrics(name: str) -> None:
    kind = KINDS[name]
    types = {reason.block: VAGUE.get(name, reason.type) for reason in kind.reasons}
    with_metrics = {
        b["block_uuid"] for b in recorded(name)["detail"]["block_runs"] if (b["metrics"] or {}).get("error")
    }
    for block_run in run_of(name).block_runs:
        short = short_error(block_run)
        assert len(str(short)) <= LONGEST_SHORT
        assert "\n" not in str(short)
        if block_run.block_uuid in with_metrics and block_run.status == "failed":
            assert short.type == types[block_run.block_uuid]
            assert str(short).startswith(short.type)
            assert cause_key(short, block_run.block_uuid).startswith(f"{block_run.block_uuid} {short.type}")
        else:
            assert str(short) == ""


def test_every_kind_is_recorded_as_it_is_defined() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(KINDS)
    for name, kind in KINDS.items():
        run = run_of(name)
        assert run.status == kind.status
        if run.block_runs:
            assert [b.block_uuid for b in run.block_runs if ":" not in b.block_uuid] == [
                block.uuid for block in kind.pipeline.blocks
            ]


def test_the_line_of_a_sql_error_is_the_one_the_database_names() -> None:
    (failure,) = examine(asked_evidence("sql_error")).failures
    assert (failure.file, failure.line) == (SQL, 2)
    assert "> " in failure.code
    assert "SELECT" not in failure.message


def test_what_is_asked_for_depends_on_how_the_run_stands() -> None:
    assert which_evidence(run_of("two_branches")).block_runs == (70, 71)
    assert not which_evidence(run_of("two_branches")).scheduler_log
    assert which_evidence(run_of("trigger_timeout")).scheduler_log
    assert which_evidence(run_of("streaming_config_no_retry_config")).scheduler_log
    assert which_evidence(run_of("sys_exit")).block_runs == (134,)
    assert which_evidence(run_of("condition_raises")).block_runs == (90,)
    assert which_evidence(run_of("retry_passes")).if_cheap == (60, 61, 62)


def test_a_dynamic_block_whose_child_failed_is_not_blamed() -> None:
    assert [block_run.block_uuid for block_run in failed_block_runs(run_of("dynamic_child"))] == ["dynamic_part:two"]


def _says(failure: Failure, reason: Reason, kind: Kind) -> None:
    assert (failure.block, failure.error_type, failure.message) == (reason.block, reason.type, reason.message)
    assert reason.note in failure.note
    assert len(failure.message) <= LONGEST_MESSAGE
    assert failure.failed_tests == list(reason.tests)
    cause = failure.cause
    assert (cause and (cause.error_type, cause.message, cause.line)) == reason.cause
    if reason.at:
        line = kind.line(reason.at)
        assert (failure.file, failure.line, failure.function) == (reason.at, line, reason.function)
        (marked,) = [text for text in failure.code.split("\n") if text.startswith(">")]
        assert marked.startswith(f"> {line:>3} | ")
        assert marked.endswith("# HERE")
    elif failure.file != SQL:
        assert failure.line is None
        assert failure.code == ""
        assert failure.note
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
        _says(finding.failure, found.reason, kind)
    if kind.status == "running":
        assert finding.since is not None
        assert finding.next_step.startswith("Cancel the run")


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []

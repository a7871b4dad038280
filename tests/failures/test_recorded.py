"""Every recorded kind of failure, and what is said of it."""

import json
from dataclasses import replace

import pytest

from mage_mcp.client.error_texts import LONGEST_SHORT, cause_key, short_error
from mage_mcp.client.evidence import failed_block_runs, which_evidence
from mage_mcp.client.findings import examine
from tests.failures.expectations import OF_MAGE_OR_THE_SERVER, SQL, VAGUE, as_expected, texts
from tests.failures.kinds import KINDS
from tests.failures.recordings import FOLDER, REPO, all_evidence, asked_evidence, recorded, run_of

EVERY_KIND = pytest.mark.parametrize("name", sorted(KINDS))


@EVERY_KIND
def test_the_diagnosis_names_block_error_and_line(name: str) -> None:
    diagnosis = examine(asked_evidence(name))
    as_expected(diagnosis.failures, diagnosis.findings, diagnosis.never_ran, KINDS[name])


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
    assert not OF_MAGE_OR_THE_SERVER.search(text)
    assert len(text.encode()) / 4 < 600
    for item in texts(answer):
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

"""What a diagnosis is made from."""

from typing import Any

import pytest

from mage_mcp.client.evidence import Evidence, block_file, blocks_of, not_run, which_evidence
from mage_mcp.client.log_lines import LogLine
from mage_mcp.client.records import BlockRecord, BlockRunRecord, PipelineRecord, RunRecord

AT = "2026-11-24 02:16:07"


def block_run(number: int, status: str, *, started: bool = True, uuid: str = "") -> BlockRunRecord:
    return BlockRunRecord.model_validate(
        {"id": number, "block_uuid": uuid or f"b{number}", "status": status, "started_at": AT if started else None}
    )


def run(status: str, *block_runs: BlockRunRecord) -> RunRecord:
    return RunRecord(id=1, status=status, block_runs=list(block_runs))


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"type": "transformer", "language": "python"}, "transformers/sub/x.py"),
        ({"type": "data_loader", "language": "sql"}, "data_loaders/sub/x.sql"),
        ({"type": "data_exporter", "language": "yaml"}, "data_exporters/sub/x.yaml"),
        ({"type": "custom", "language": "python"}, "custom/sub/x.py"),
        ({"type": "callback", "language": ""}, "callbacks/sub/x.py"),
        ({"type": "markdown", "language": "markdown"}, "markdowns/sub/x.md"),
        ({"type": "transformer", "configuration": {"file_path": "shared/y.py"}}, "shared/y.py"),
        ({"type": "transformer", "configuration": {"file_source": {"path": "shared/y.py"}}}, "shared/y.py"),
        ({"type": "transformer", "configuration": {"file_path": "/srv/y.py"}}, "transformers/sub/x.py"),
        ({"type": "transformer", "configuration": {"file_path": 7, "file_source": "z"}}, "transformers/sub/x.py"),
        ({"type": "transformer", "configuration": {"file_source": {"path": ""}}}, "transformers/sub/x.py"),
    ],
)
def test_a_blocks_file_is_where_its_type_or_its_configuration_puts_it(fields: dict[str, Any], path: str) -> None:
    assert block_file(BlockRecord.model_validate({"uuid": "sub/x", **fields})) == path


def test_blocks_callbacks_and_conditionals_are_found_by_uuid_and_children_by_their_parent() -> None:
    def block(uuid: str, kind: str) -> BlockRecord:
        return BlockRecord(uuid=uuid, type=kind, content=f"# {uuid}")

    pipeline = PipelineRecord(
        uuid="p",
        blocks=[block("part", "transformer")],
        callbacks=[block("tell", "callback")],
        conditionals=[block("guard", "conditional")],
    )
    evidence = Evidence(run=run("failed"), blocks=blocks_of(pipeline))
    assert evidence.file("part:2") == "transformers/part.py"
    assert evidence.source("guard") == "# guard"
    assert evidence.file("tell") == "callbacks/tell.py"
    assert (evidence.file("gone"), evidence.source("gone")) == ("", None)


def test_the_project_folder_is_that_of_the_run_unless_another_is_given() -> None:
    record = RunRecord(id=1, repo_path="/srv/run")
    assert Evidence(run=record).project == "/srv/run"
    assert Evidence(run=record, repo_path="/srv/given").project == "/srv/given"


def test_a_block_that_failed_is_asked_about_and_the_scheduler_only_where_none_did() -> None:
    failed = which_evidence(run("failed", block_run(1, "completed"), block_run(2, "failed"), block_run(3, "cancelled")))
    assert (failed.block_runs, failed.scheduler_log, failed.if_cheap) == ((2,), False, ())
    for status in ("failed", "cancelled"):
        assert which_evidence(run(status, block_run(1, "cancelled"))).scheduler_log


def test_of_a_run_under_way_the_blocks_under_way_are_asked_about() -> None:
    needed = which_evidence(
        run(
            "running",
            block_run(1, "completed"),
            block_run(2, "failed"),
            block_run(3, "running"),
            block_run(4, "queued"),
            block_run(5, "queued", started=False),
            block_run(6, "initial", started=False),
        )
    )
    assert (needed.block_runs, needed.scheduler_log) == ((2, 3, 4), False)
    assert which_evidence(run("running")).scheduler_log
    assert which_evidence(run("initial")) == which_evidence(run("initial", block_run(1, "initial", started=False)))


def test_of_a_completed_run_the_guarded_block_is_asked_about_and_the_rest_may_be() -> None:
    needed = which_evidence(
        run(
            "completed",
            block_run(1, "completed"),
            block_run(2, "condition_failed"),
            block_run(3, "condition_failed", started=False),
        )
    )
    assert (needed.block_runs, needed.if_cheap, needed.scheduler_log) == ((2,), (1,), False)


def test_blocks_never_ran_if_they_were_not_started_before_the_run_ended() -> None:
    blocks = (
        block_run(1, "failed"),
        block_run(2, "cancelled"),
        block_run(3, "cancelled", started=False),
        block_run(4, "upstream_failed", started=False),
        block_run(5, "initial", started=False),
    )
    assert not_run(run("failed", *blocks)) == not_run(run("cancelled", *blocks)) == ["b3", "b4", "b5"]
    assert not_run(run("running", *blocks)) == not_run(run("completed", *blocks)) == []


def test_the_last_attempt_begins_where_the_block_was_last_started() -> None:
    start, work = "Start executing block with BlockExecutor.", "work"
    log = [LogLine(None, "INFO", "b", text) for text in (start, "one", start, "two", work)]
    evidence = Evidence(run=run("failed"), block_logs={1: log})
    assert [line.message for line in evidence.last_attempt(block_run(1, "failed"))] == [start, "two", work]
    cut = Evidence(run=run("failed"), block_logs={1: log[3:]})
    assert [line.message for line in cut.last_attempt(block_run(1, "failed"))] == ["two", work]

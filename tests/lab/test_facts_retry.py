"""Facts about retrying a run in place that the product relies on, checked on a real Mage."""

import pytest

from tests.lab.facts import Facts

pytestmark = pytest.mark.real

ROOT, SIDE, LEFT, JOIN = "sub/root", "side", "left", "sub/join"


Retried = dict[str, dict[str, str]]


def _retry(facts: Facts, run_id: int, from_block: str | None = None) -> dict[str, str]:
    """Retry, and how the blocks stand right afterwards."""
    body = {"pipeline_run_action": "retry_blocks"} | ({} if from_block is None else {"from_block_uuid": from_block})
    answer = facts.wire.put(f"/api/pipeline_runs/{run_id}", {"pipeline_run": body})["pipeline_run"]
    # Whatever comes of it.
    assert answer["status"] == "running"
    return facts.wire.blocks(run_id)


def _end(facts: Facts, run_id: int) -> str:
    return facts.wire.wait([run_id])[run_id]


def _torn(facts: Facts) -> int:
    """The torn run. Where its worker died of something else at its first attempt, Mage began it again: it completed."""
    run: int = facts.ended("torn")["id"]
    if facts.wire.blocks(run)["torn_left"] != "failed":
        facts.runs["torn"] = facts.wire.trigger(facts.triggers["fact_torn"][0])["id"]
        run = facts.ended("torn")["id"]
    return run


@pytest.fixture(scope="module")
def retried(facts: Facts) -> Retried:
    """Three failed runs, retried at once, with how their blocks stood right afterwards."""
    for name in ("tree_1", "tree_2"):
        run = facts.ended(name)["id"]
        assert facts.wire.blocks(run) == {ROOT: "completed", SIDE: "completed", LEFT: "failed", JOIN: "cancelled"}
    torn = _torn(facts)
    assert facts.wire.blocks(torn) == {"torn_side": "cancelled", "torn_left": "failed", "torn_join": "cancelled"}
    return {
        "tree_1": _retry(facts, facts.runs["tree_1"]),
        "tree_2": _retry(facts, facts.runs["tree_2"], ROOT),
        "torn": _retry(facts, torn, "torn_left"),
    }


def test_a_retry_without_a_block_runs_again_what_had_not_completed(facts: Facts, retried: Retried) -> None:
    run, after = facts.runs["tree_1"], retried["tree_1"]
    assert (after[ROOT], after[SIDE], after[JOIN]) == ("completed", "completed", "initial")
    assert _end(facts, run) == "completed"
    assert facts.ran(run) == {"sub_root": 1, "side": 1, "left": 2, "sub_join": 1}
    # The error of the first attempt is still there.
    errors = {block["block_uuid"]: block["metrics"].get("error") for block in facts.wire.run(run)["block_runs"]}
    assert errors[LEFT]["error"] == "not yet"


@pytest.mark.parametrize("block", [None, "no_such_block"])
def test_a_retry_of_a_completed_run_without_a_known_block_runs_nothing(facts: Facts, block: str | None) -> None:
    run = facts.ended("exported")["id"]
    before = facts.wire.blocks(run)
    assert _retry(facts, run, block) == before
    assert _end(facts, run) == "completed"


def test_a_retry_from_a_nested_block_runs_it_and_all_after_it_again(facts: Facts, retried: Retried) -> None:
    run, after = facts.runs["tree_2"], retried["tree_2"]
    assert (after[SIDE], after[LEFT], after[JOIN]) == ("completed", "initial", "initial")
    assert _end(facts, run) == "completed"
    assert facts.ran(run) == {"sub_root": 2, "side": 1, "left": 2, "sub_join": 1}
    # Now that the run has completed, a known block still runs again, and the exporter after it too.
    _retry(facts, run, LEFT)
    assert _end(facts, run) == "completed"
    assert facts.ran(run) == {"sub_root": 2, "side": 1, "left": 3, "sub_join": 2}


@pytest.mark.parametrize("block", ["no_such_block", JOIN, SIDE])
def test_a_retry_of_a_failed_run_that_leaves_out_the_failed_block_runs_nothing_and_fails(
    facts: Facts, block: str
) -> None:
    run = facts.ended("tree_3")["id"]
    before = facts.ran(run)
    _retry(facts, run, block)
    assert _end(facts, run) == "failed"
    assert facts.wire.blocks(run)[LEFT] == "failed"
    assert facts.ran(run) == before


def test_a_retry_from_one_block_never_ends_while_a_block_beside_it_is_cancelled(facts: Facts, retried: Retried) -> None:
    run = facts.runs["torn"]
    assert retried["torn"]["torn_side"] == "cancelled"
    facts.wire.wait_for_block(run, "torn_left", "completed")
    facts.a_few_looks()
    assert facts.wire.run(run)["status"] == "running"
    assert facts.wire.blocks(run) == {"torn_side": "cancelled", "torn_left": "completed", "torn_join": "initial"}
    # A retry without a block takes the cancelled one along.
    _retry(facts, run)
    assert _end(facts, run) == "completed"


def test_a_retry_of_a_run_that_has_not_started_completes_it_without_running_a_block(facts: Facts) -> None:
    run = facts.wire.trigger(facts.triggers["paused_reports"][0])["id"]
    assert _retry(facts, run) == {}
    assert _end(facts, run) == "completed"
    assert facts.wire.blocks(run) == {}

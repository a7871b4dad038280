"""Facts about timeouts, a trigger's and a block's, and about retries after them, checked on a real Mage."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.lab.facts import LIMIT_S, Facts

pytestmark = pytest.mark.real


Retried = dict[str, tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def retried(facts: Facts) -> Retried:
    """Ended runs before and after a retry that comes when the time is over."""
    before = {name: facts.ended(name) for name in ("late", "limited", "failing")}
    for run in before.values():
        while datetime.now(UTC) - _moment(run["started_at"]) <= timedelta(seconds=2 * LIMIT_S):
            facts.a_few_looks(seconds=0.2)
        body = {"pipeline_run": {"pipeline_run_action": "retry_blocks"}}
        assert facts.wire.put(f"/api/pipeline_runs/{run['id']}", body)["pipeline_run"]["status"] == "running"
    return {name: (run, facts.ended(name)) for name, run in before.items()}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _log(facts: Facts, run: dict[str, Any], part: str) -> str:
    logs = facts.wire.get(f"/api/pipelines/{run['pipeline_uuid']}/logs", **{"pipeline_run_id[]": run["id"]})
    return "".join(file["content"] for file in logs["logs"][0][part])


def test_a_triggers_timeout_counts_from_the_first_start_so_a_retry_after_it_runs_nothing(
    facts: Facts, retried: Retried
) -> None:
    before, after = retried["late"]
    assert (before["status"], after["status"]) == ("failed", "failed")
    assert after["started_at"] == before["started_at"]
    assert facts.ran(after["id"]) == {"late": 1}
    assert _log(facts, after, "pipeline_run_logs").count("Pipeline run timed out after") == 2


def test_a_blocks_timeout_counts_from_its_first_start_so_a_retry_after_it_ends_soon(
    facts: Facts, retried: Retried
) -> None:
    before, after = retried["limited"]
    (first,), (again,) = before["block_runs"], after["block_runs"]
    assert (first["status"], again["status"]) == ("failed", "failed")
    assert again["started_at"] == first["started_at"]
    assert again["metrics"] == {}
    took = (_moment(again["updated_at"]) - _moment(again["started_at"])).total_seconds()
    assert took > 2 * LIMIT_S - 1
    assert _log(facts, after, "block_run_logs").count(" timed out after ") == 2


def test_a_block_that_failed_with_an_error_gets_its_whole_time_again(facts: Facts, retried: Retried) -> None:
    before, after = retried["failing"]
    (first,), (again,) = before["block_runs"], after["block_runs"]
    assert first["metrics"]["error"]
    assert _moment(again["started_at"]) > _moment(first["started_at"])
    assert facts.ran(after["id"]) == {"failing": 2}

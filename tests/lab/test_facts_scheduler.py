"""Facts about stopping Mage's scheduler. The last of the facts: what it stops, it starts again."""

import pytest

from tests.lab.facts import Facts

pytestmark = pytest.mark.real


def _scheduler(facts: Facts, action: str) -> str:
    status: str = facts.wire.post("/api/schedulers", {"scheduler": {"action_type": action}})["scheduler"]["status"]
    assert facts.wire.get("/api/status")["statuses"][0]["scheduler_status"] == status
    return status


def _begun(facts: Facts, run_id: int) -> int:
    """How often the sleeping block has begun, by its own word."""
    query = {"pipeline_run_id[]": run_id, "block_uuid[]": "sleep_a_while"}
    logs = facts.wire.get("/api/pipelines/slow_report/logs", **query)["logs"][0]["block_run_logs"]
    return sum(log["content"].count('"message": "sleeping ') for log in logs)


def test_while_the_scheduler_is_stopped_runs_wait_and_the_block_under_way_is_lost(facts: Facts) -> None:
    under_way = facts.wire.trigger(facts.triggers["slow_report"][0], variables={"sleep_seconds": 2})["id"]
    while not _begun(facts, under_way):
        facts.a_few_looks(seconds=0.1)
    try:
        assert _scheduler(facts, "stop") == "stopped"
        waiting = facts.wire.trigger(facts.triggers["fact_tell"][0])["id"]
        facts.a_few_looks(seconds=4)
        assert facts.wire.run(waiting)["status"] == "initial"
        # Its worker is gone, and nobody says so.
        assert facts.wire.blocks(under_way)["sleep_a_while"] == "running"
    finally:
        assert _scheduler(facts, "start") == "running"
    assert set(facts.wire.wait([waiting, under_way]).values()) == {"completed"}
    assert _begun(facts, under_way) == 2

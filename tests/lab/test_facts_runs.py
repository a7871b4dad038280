"""Facts about starting and cancelling runs that the product relies on, checked on a real Mage."""

from typing import Any

import httpx
import pytest

from tests.lab.facts import Facts
from tests.lab.wire import Refused

pytestmark = pytest.mark.real


def _runs(facts: Facts, schedule_id: int, **query: Any) -> list[dict[str, Any]]:
    path = f"/api/pipeline_schedules/{schedule_id}/pipeline_runs"
    runs: list[dict[str, Any]] = facts.wire.get(path, **query)["pipeline_runs"]
    return runs


def _cancel(facts: Facts, run_id: int) -> dict[str, Any]:
    body = {"pipeline_run": {"status": "cancelled"}}
    answer: dict[str, Any] = facts.wire.put(f"/api/pipeline_runs/{run_id}", body)["pipeline_run"]
    return answer


def test_an_event_trigger_makes_exactly_one_run_when_posted_to(facts: Facts) -> None:
    run = facts.ended("told")
    assert run["status"] == "completed"
    assert [one["id"] for one in _runs(facts, run["pipeline_schedule_id"])] == [run["id"]]


def test_run_variables_reach_the_blocks_as_sent_and_override_the_globals(facts: Facts) -> None:
    told = facts.told(facts.ended("told")["id"])
    assert (told["region"], told["kept"], told["count"], told["nested"]) == ("run", "global", 3, {"list": [1]})


def test_run_variables_show_in_the_log_of_a_block_that_prints_them(facts: Facts) -> None:
    run = facts.ended("exported")
    query = {"pipeline_run_id[]": run["id"], "block_uuid[]": "export_orders"}
    logs = facts.wire.get("/api/pipelines/sales_daily/logs", **query)["logs"][0]["block_run_logs"]
    assert "'region': 'apac'" in logs[0]["content"]
    assert "'from_run': 'yes'" in logs[0]["content"]


def test_event_variables_override_nothing_and_fill_only_free_names(facts: Facts) -> None:
    told = facts.told(facts.ended("told")["id"])
    assert (told["region"], told["kept"], told["free"]) == ("run", "global", "event")
    sent = {"mage_mcp": "told-nonce", "region": "event", "kept": "event", "free": "event"}
    assert told["event"] == sent
    assert told["mage_mcp"] == "told-nonce"


def test_event_variables_come_back_as_sent_from_every_list(facts: Facts) -> None:
    run = facts.ended("told")
    of_trigger = _runs(facts, run["pipeline_schedule_id"], _limit=20)
    of_pipeline = facts.wire.get("/api/pipeline_runs", pipeline_uuid="fact_tell", _limit=20)["pipeline_runs"]
    for runs in (of_trigger, of_pipeline):
        found = [one for one in runs if (one["event_variables"] or {}).get("mage_mcp") == "told-nonce"]
        assert [one["id"] for one in found] == [run["id"]]
        assert found[0]["event_variables"] == run["event_variables"]


def test_no_token_starts_a_run_of_an_event_trigger(facts: Facts) -> None:
    trigger = facts.event_trigger("paused_reports")
    path, token = f"/api/pipeline_schedules/{trigger['id']}", trigger["token"]
    with pytest.raises(Refused, match="only supported for API trigger"):
        facts.wire.post(f"{path}/pipeline_runs/{token}", {"pipeline_run": {"variables": {}}})
    answer = httpx.post(f"{facts.url}{path}/api_trigger", headers={"Authorization": f"Bearer {token}"}, json={})
    assert "only supported for API trigger" in answer.json()["error"]["exception"]
    assert _runs(facts, trigger["id"]) == []


def test_a_run_with_an_old_execution_date_is_on_the_first_page_only_by_id(facts: Facts) -> None:
    trigger = facts.wire.post(
        "/api/pipelines/new_pipeline/pipeline_schedules",
        {"pipeline_schedule": {"name": "many", "schedule_type": "event", "status": "inactive"}},
    )["pipeline_schedule"]["id"]
    ids = [facts.wire.trigger(trigger)["id"] for _ in range(3)]
    old = facts.wire.trigger(trigger, execution_date="2020-01-01 00:00:00.000007")["id"]

    def first(**query: Any) -> int:
        return int(_runs(facts, trigger, _limit=1, **query)[0]["id"])

    assert first() == ids[-1]  # by execution date
    # created_at has whole seconds: of runs made within one, the oldest comes first.
    assert first(**{"order_by[]": "created_at desc"}) in (ids[0], ids[1], ids[2], old)
    assert first(**{"order_by[]": "id desc"}) == old


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-03-01 05:06:07.000123", "2026-03-01 05:06:07.000123"),
        ("2026-03-01T05:06:07.000124", "2026-03-01 05:06:07.000124"),
        ("2026-03-01T05:06:07.000125Z", "2026-03-01 05:06:07.000125"),
        ("2026-03-01T05:06:07.000126+02:00", "2026-03-01 05:06:07.000126"),
        ("2026-03-01T05:06:08", "2026-03-01 05:06:08"),
        ("2026-03-01", "2026-03-01 00:00:00"),
    ],
)
def test_an_execution_date_keeps_its_microseconds_and_loses_its_offset(facts: Facts, sent: str, kept: str) -> None:
    run = facts.wire.trigger(facts.triggers["paused_reports"][0], execution_date=sent)
    assert facts.wire.run(run["id"])["execution_date"] == kept


def test_microseconds_alone_make_two_execution_partitions(facts: Facts) -> None:
    trigger = facts.triggers["paused_reports"][0]
    runs = [facts.wire.trigger(trigger, execution_date=f"2026-04-01 00:00:00.00000{n}") for n in (1, 2)]
    assert [run["variables"]["execution_partition"] for run in runs] == [
        f"{trigger}/20260401T000000_000001",
        f"{trigger}/20260401T000000_000002",
    ]


def test_cancelling_a_running_run_shows_at_once_and_stays(facts: Facts) -> None:
    run_id = facts.wire.trigger(facts.triggers["slow_report"][0], variables={"sleep_seconds": 60})["id"]
    facts.wire.wait_for_block(run_id, "sleep_a_while", "running")
    answer = _cancel(facts, run_id)
    assert answer["status"] == "cancelled"
    assert "block_runs" not in answer
    at_once = facts.wire.run(run_id)
    assert (at_once["status"], at_once["completed_at"]) == ("cancelled", None)
    assert facts.wire.blocks(run_id) == {"sleep_a_while": "cancelled", "after_sleep": "cancelled"}
    facts.a_few_looks()
    assert facts.wire.run(run_id) == at_once


def test_cancelling_a_run_that_has_not_started_leaves_it_without_blocks(facts: Facts) -> None:
    run_id = facts.wire.trigger(facts.triggers["paused_reports"][0])["id"]
    assert _cancel(facts, run_id)["status"] == "cancelled"
    assert (facts.wire.run(run_id)["status"], facts.wire.blocks(run_id)) == ("cancelled", {})


@pytest.mark.parametrize(("name", "status"), [("told", "completed"), ("tree_3", "failed")])
def test_cancelling_a_finished_run_changes_nothing(facts: Facts, name: str, status: str) -> None:
    before = facts.ended(name)
    assert _cancel(facts, before["id"])["status"] == status
    assert facts.wire.run(before["id"]) == before


def test_a_run_of_an_inactive_trigger_stays_initial(facts: Facts) -> None:
    facts.ended("many")  # the scheduler has looked many times by then
    run = facts.wire.run(facts.runs["on_inactive"])
    assert (run["status"], run["started_at"], run["block_runs"]) == ("initial", None, [])


def test_an_event_trigger_can_be_paused_and_resumed_and_then_runs_what_waited(facts: Facts) -> None:
    trigger = facts.event_trigger("paused_reports")["id"]
    path = f"/api/pipeline_schedules/{trigger}"

    def switch(status: str) -> None:
        facts.wire.put(path, {"pipeline_schedule": {"status": status}})
        assert facts.wire.get(path)["pipeline_schedule"]["status"] == status

    switch("inactive")
    facts.a_few_looks()  # a look that had begun before may still start what comes now
    waiting = facts.wire.trigger(trigger)["id"]
    facts.a_few_looks()
    assert facts.wire.run(waiting)["status"] == "initial"
    switch("active")
    assert facts.wire.wait([waiting]) == {waiting: "completed"}

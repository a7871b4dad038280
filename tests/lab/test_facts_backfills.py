"""Facts about backfills that the product relies on, on a real Mage.

An unknown interval is never sent, and `include_preview_runs` is never asked for: the first breaks a Mage for good, the
second can hang it.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from mage_mcp.client.backfills import IntervalType, Window
from tests.lab.facts import Facts
from tests.lab.wire import Refused

pytestmark = pytest.mark.real

PIPELINE = "empty_pipeline"
"""Its runs complete without a worker."""
DAYS = {"start_datetime": "2026-03-01", "end_datetime": "2026-03-03", "interval_type": "day", "interval_units": 1}
_numbers = count(1)

Make = Callable[..., int]


@pytest.fixture
def make(facts: Facts) -> Iterator[Make]:
    """Make a backfill, not started; it is gone, with its trigger, when the test is over."""
    made: list[int] = []

    def one(pipeline: str = PIPELINE, **fields: Any) -> int:
        name = fields.pop("name", f"fact {next(_numbers)}")
        backfill = facts.wire.post(f"/api/pipelines/{pipeline}/backfills", {"backfill": {"name": name}})["backfill"]
        made.append(backfill["id"])
        if fields:
            _put(facts, backfill["id"], **fields)
        number: int = backfill["id"]
        return number

    yield one
    for number in made:
        _delete(facts, number)


def _delete(facts: Facts, backfill: int) -> None:
    try:
        trigger = _get(facts, backfill)["pipeline_schedule_id"]
    except Refused:
        return
    if trigger:
        facts.wire.put(f"/api/backfills/{backfill}", {"backfill": {"status": "cancelled"}})
    for run in _runs(facts, backfill):
        facts.wire.put(f"/api/pipeline_runs/{run['id']}", {"pipeline_run": {"status": "cancelled"}})
    if trigger:
        facts.wire.delete(f"/api/pipeline_schedules/{trigger}")
    facts.wire.delete(f"/api/backfills/{backfill}")


def _put(facts: Facts, backfill: int, **fields: Any) -> dict[str, Any]:
    after: dict[str, Any] = facts.wire.put(f"/api/backfills/{backfill}", {"backfill": fields})["backfill"]
    return after


def _get(facts: Facts, backfill: int) -> dict[str, Any]:
    read: dict[str, Any] = facts.wire.get(f"/api/backfills/{backfill}")["backfill"]
    return read


def _runs(facts: Facts, backfill: int, **query: Any) -> list[dict[str, Any]]:
    query = {"backfill_id": backfill, "disable_retries_grouping": "true", "_limit": 1000, **query}
    runs: list[dict[str, Any]] = facts.wire.get("/api/pipeline_runs", **query)["pipeline_runs"]
    return sorted(runs, key=lambda run: int(run["id"]))


def _trigger(facts: Facts, backfill: int) -> dict[str, Any]:
    number = _get(facts, backfill)["pipeline_schedule_id"]
    trigger: dict[str, Any] = facts.wire.get(f"/api/pipeline_schedules/{number}")["pipeline_schedule"]
    return trigger


def _start(facts: Facts, backfill: int) -> list[dict[str, Any]]:
    _put(facts, backfill, status="initial")
    return _runs(facts, backfill)


def _ended(facts: Facts, backfill: int, status: str) -> dict[str, Any]:
    facts.wire.wait([run["id"] for run in _runs(facts, backfill)])
    for _ in range(20):
        if _get(facts, backfill)["status"] == status:
            break
        facts.a_few_looks(0.2)
    return _get(facts, backfill)


# What is stored


def test_it_can_be_made_by_its_name_alone_and_get_its_window_later(facts: Facts, make: Make) -> None:
    number = make(name="by its name")
    made = _get(facts, number)
    assert (made["name"], made["pipeline_uuid"], made["status"]) == ("by its name", PIPELINE, None)
    assert (made["start_datetime"], made["interval_type"], made["pipeline_schedule_id"]) == (None, None, None)
    after = _put(facts, number, **DAYS, variables={"region": "eu"})
    assert (after["start_datetime"], after["end_datetime"]) == ("2026-03-01 00:00:00", "2026-03-03 00:00:00")
    assert (after["interval_type"], after["interval_units"], after["variables"]) == ("day", 1, {"region": "eu"})
    assert after["status"] is None
    with pytest.raises(Refused, match="does not exist"):
        make("no_such_pipeline")


def test_names_need_not_be_its_own_and_unknown_keys_are_ignored(facts: Facts, make: Make) -> None:
    first, second = make(name="twin"), make(name="twin", nonsense=1)
    assert first != second
    assert "nonsense" not in _get(facts, second)


def test_the_offset_of_its_times_is_dropped(facts: Facts, make: Make) -> None:
    number = make(**{**DAYS, "start_datetime": "2026-03-01T06:00:00+02:00", "end_datetime": "2026-03-03T06:00:00Z"})
    after = _get(facts, number)
    assert (after["start_datetime"], after["end_datetime"]) == ("2026-03-01 06:00:00", "2026-03-03 06:00:00")


def test_a_window_that_cannot_be_counted_is_stored_all_the_same(facts: Facts, make: Make) -> None:
    assert _get(facts, make(**{**DAYS, "interval_units": 0}))["interval_units"] == 0
    backwards = make(**{**DAYS, "end_datetime": "2026-02-01"})
    assert _get(facts, backwards)["end_datetime"] == "2026-02-01 00:00:00"
    assert _start(facts, backwards) == []
    assert (_get(facts, backwards)["status"], _get(facts, backwards)["pipeline_schedule_id"]) == ("initial", None)


def test_lists_filter_by_the_parameter_alone_newest_first(facts: Facts, make: Make) -> None:
    here, there = make(), make("team_report_03")
    listed = facts.wire.get("/api/backfills", pipeline_uuid=PIPELINE)["backfills"]
    assert here in [one["id"] for one in listed]
    assert there not in [one["id"] for one in listed]
    assert facts.wire.get("/api/backfills", pipeline_uuid="no_such_pipeline")["backfills"] == []
    child = facts.wire.get("/api/pipelines/team_report_03/backfills")["backfills"]
    assert {here, there} <= {one["id"] for one in child}
    page = facts.wire.get("/api/backfills", _limit=1)
    assert page["metadata"]["next"] is True
    assert page["metadata"]["count"] > 1
    with pytest.raises(Refused) as refused:
        _get(facts, 99_999)
    assert refused.value.error["code"] == 404


# Which runs it makes


@pytest.mark.parametrize(
    ("interval_type", "units", "start", "end", "number"),
    [
        ("day", 1, "2026-03-01 00:00:00", "2026-03-03 00:00:00", 3),
        ("day", 1, "2026-03-01 00:00:00", "2026-03-01 00:00:00", 1),
        ("day", 2, "2026-02-27 06:30:15", "2026-03-04 06:30:14", 3),
        ("week", 1, "2026-01-07 00:00:00", "2026-01-28 23:59:59", 4),
        ("month", 1, "2026-01-31 00:00:00", "2026-06-30 23:59:59", 6),
        ("month", 1, "2026-01-30 10:00:00", "2026-04-28 10:00:00", 4),
        ("month", 2, "2025-12-31 00:00:00", "2026-08-31 00:00:00", 5),
        ("month", 13, "2024-01-31 00:00:00", "2027-12-31 00:00:00", 4),
        ("year", 1, "2024-02-29 00:00:00", "2029-03-01 00:00:00", 6),
        ("hour", 6, "2026-03-28 21:00:00", "2026-03-29 21:00:00", 5),
        ("minute", 45, "2026-03-01 00:00:00", "2026-03-01 02:00:00", 3),
        ("second", 4, "2026-03-01 00:00:00", "2026-03-01 00:00:10", 3),
    ],
)
def test_its_execution_dates_are_those_that_the_product_works_out(
    facts: Facts, make: Make, interval_type: IntervalType, units: int, start: str, end: str, number: int
) -> None:
    backfill = make(start_datetime=start, end_datetime=end, interval_type=interval_type, interval_units=units)
    made = [run["execution_date"] for run in _start(facts, backfill)]
    ends = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    window = Window(*ends, interval_type, units)
    assert made == [str(date.replace(tzinfo=None)) for date in window.dates()]
    assert (len(made), window.count) == (number, number)
    assert made[-1] == str(window.last.replace(tzinfo=None))


def test_starting_makes_a_run_for_each_date_and_an_active_trigger(facts: Facts, make: Make) -> None:
    number = make(name="whole", **DAYS, variables={"region": "eu", "ds": "mine"})
    runs = _start(facts, number)
    assert [run["backfill_id"] for run in runs] == [number] * 3
    last = runs[-1]["variables"]
    assert last == {
        "region": "eu",
        "ds": "2026-03-03",
        "hr": "00",
        "execution_date": "2026-03-03T00:00:00",
        "interval_start_datetime": "2026-03-03T00:00:00",
        "interval_end_datetime": "2026-03-04T00:00:00",
        "interval_seconds": 86400.0,
        "interval_start_datetime_previous": "2026-03-02T00:00:00",
    }
    trigger = _trigger(facts, number)
    assert (trigger["name"], trigger["status"], trigger["schedule_interval"]) == ("Backfill whole", "active", "@once")
    assert (trigger["schedule_type"], trigger["pipeline_uuid"]) == (None, PIPELINE)
    listed = facts.wire.get(f"/api/pipelines/{PIPELINE}/pipeline_schedules")["pipeline_schedules"]
    assert trigger["id"] in [one["id"] for one in listed]
    after = _ended(facts, number, "completed")
    assert after["completed_at"] is not None
    facts.a_few_looks()
    assert _trigger(facts, number)["status"] == "inactive"
    assert len(_runs(facts, number)) == 3


def test_without_a_window_it_does_not_start(facts: Facts, make: Make) -> None:
    number = make()
    with pytest.raises(Refused, match="not supported between instances of 'NoneType'"):
        _put(facts, number, status="initial")
    assert _get(facts, number)["status"] is None


def test_its_runs_go_on_at_once_and_are_counted_by_the_limit_of_none(facts: Facts, make: Make) -> None:
    number = make("slow_report", **DAYS, variables={"sleep_seconds": 30})
    runs = _start(facts, number)
    facts.wire.wait([run["id"] for run in runs], until=("running",))
    assert _get(facts, number)["status"] == "running"
    counted = {
        status: facts.wire.get("/api/pipeline_runs", backfill_id=number, status=status, _limit=0)["metadata"]["count"]
        for status in ("running", "completed", "failed")
    }
    assert counted == {"running": 3, "completed": 0, "failed": 0}


def test_a_failed_run_makes_it_failed_and_leaves_its_trigger_active(facts: Facts, make: Make) -> None:
    number = make("orders_refresh", **{**DAYS, "end_datetime": "2026-03-01"})
    (run,) = _start(facts, number)
    assert facts.wire.wait([run["id"]]) == {run["id"]: "failed"}
    assert _ended(facts, number, "failed")["status"] == "failed"
    assert _trigger(facts, number)["status"] == "active"


# Starting again


def test_started_again_it_makes_all_its_runs_again_unless_it_is_initial(facts: Facts, make: Make) -> None:
    number = make("slow_report", **DAYS, variables={"sleep_seconds": 30})
    first = _start(facts, number)
    if _get(facts, number)["status"] == "initial":
        assert len(_start(facts, number)) == 3
    facts.wire.wait([run["id"] for run in first], until=("running",))
    assert _get(facts, number)["status"] == "running"
    again = _start(facts, number)
    assert [run["execution_date"] for run in again[3:]] == [run["execution_date"] for run in first]
    assert {run["pipeline_schedule_id"] for run in again} == {first[0]["pipeline_schedule_id"]}


def test_a_completed_one_is_made_again_or_called_cancelled(facts: Facts, make: Make) -> None:
    number = make(**DAYS)
    _start(facts, number)
    assert _ended(facts, number, "completed")["status"] == "completed"
    assert _put(facts, number, status="cancelled")["status"] == "cancelled"
    assert {run["status"] for run in _runs(facts, number)} == {"completed"}
    assert len(_start(facts, number)) == 6


# Cancelling


def test_cancelling_marks_the_runs_but_their_workers_go_on(facts: Facts, make: Make) -> None:
    number = make("slow_report", **{**DAYS, "end_datetime": "2026-03-01"}, variables={"sleep_seconds": 3})
    (run,) = _start(facts, number)
    facts.wire.wait_for_block(run["id"], "sleep_a_while", "running")
    assert _put(facts, number, status="cancelled")["status"] == "cancelled"
    assert [one["status"] for one in _runs(facts, number)] == ["cancelled"]
    assert _trigger(facts, number)["status"] == "inactive"
    assert facts.wire.blocks(run["id"])["sleep_a_while"] == "running"
    facts.wire.wait_for_block(run["id"], "sleep_a_while", "completed")


def test_a_run_cancelled_by_itself_before_is_stopped(facts: Facts, make: Make) -> None:
    number = make("slow_report", **{**DAYS, "end_datetime": "2026-03-01"}, variables={"sleep_seconds": 3})
    (run,) = _start(facts, number)
    facts.wire.wait_for_block(run["id"], "sleep_a_while", "running")
    facts.wire.put(
        f"/api/pipeline_schedules/{run['pipeline_schedule_id']}", {"pipeline_schedule": {"status": "inactive"}}
    )
    facts.wire.put(f"/api/pipeline_runs/{run['id']}", {"pipeline_run": {"status": "cancelled"}})
    assert _put(facts, number, status="cancelled")["status"] == "cancelled"
    facts.a_few_looks(4)
    assert set(facts.wire.blocks(run["id"]).values()) == {"cancelled"}


def test_a_cancelled_run_can_be_retried_though_its_trigger_is_inactive(facts: Facts, make: Make) -> None:
    number = make("slow_report", **{**DAYS, "end_datetime": "2026-03-01"}, variables={"sleep_seconds": 1})
    (run,) = _start(facts, number)
    facts.wire.wait_for_block(run["id"], "sleep_a_while", "running")
    facts.wire.put(f"/api/pipeline_runs/{run['id']}", {"pipeline_run": {"status": "cancelled"}})
    _put(facts, number, status="cancelled")
    facts.wire.put(f"/api/pipeline_runs/{run['id']}", {"pipeline_run": {"pipeline_run_action": "retry_blocks"}})
    assert facts.wire.wait([run["id"]], until=("completed",)) == {run["id"]: "completed"}
    assert _ended(facts, number, "completed")["status"] == "completed"


def test_one_that_was_never_started_answers_an_error_to_a_cancel_and_is_cancelled_all_the_same(
    facts: Facts, make: Make
) -> None:
    number = make(**DAYS)
    with pytest.raises(Refused, match="'NoneType' object has no attribute 'update'"):
        _put(facts, number, status="cancelled")
    assert _get(facts, number)["status"] == "cancelled"


# Deleting


def test_deleting_it_leaves_its_trigger_and_its_runs_which_belong_to_it_no_more(facts: Facts, make: Make) -> None:
    number = make(**DAYS)
    _start(facts, number)
    trigger = _ended(facts, number, "completed")["pipeline_schedule_id"]
    facts.wire.delete(f"/api/backfills/{number}")
    left = facts.wire.get(f"/api/pipeline_schedules/{trigger}/pipeline_runs")["pipeline_runs"]
    assert [run["backfill_id"] for run in left] == [None] * 3
    again = make(**DAYS)
    assert again == number
    assert _runs(facts, again) == []
    facts.wire.delete(f"/api/pipeline_schedules/{trigger}")


def test_without_its_trigger_it_stays_and_lists_no_runs(facts: Facts, make: Make) -> None:
    number = make(**DAYS)
    _start(facts, number)
    trigger = _ended(facts, number, "completed")["pipeline_schedule_id"]
    facts.wire.delete(f"/api/pipeline_schedules/{trigger}")
    after = _get(facts, number)
    assert (after["status"], after["pipeline_schedule_id"]) == ("completed", None)
    assert _runs(facts, number) == []


def test_the_trigger_of_the_next_one_gets_the_id_and_with_it_the_logs_of_the_same_dates(
    facts: Facts, make: Make
) -> None:
    one_day = {**DAYS, "end_datetime": "2026-03-01"}

    def log_of_a_run() -> tuple[int, str]:
        number = make("sales_daily", **one_day)
        (run,) = _start(facts, number)
        facts.wire.wait([run["id"]])
        query = {"pipeline_run_id[]": run["id"], "block_uuid[]": "load_orders"}
        (file,) = facts.wire.get("/api/pipelines/sales_daily/logs", **query)["logs"][0]["block_run_logs"]
        facts.wire.delete(f"/api/pipeline_schedules/{run['pipeline_schedule_id']}")
        facts.wire.delete(f"/api/backfills/{number}")
        return run["pipeline_schedule_id"], file["content"]

    (first, log), (second, longer) = log_of_a_run(), log_of_a_run()
    assert first == second
    assert longer.startswith(log)
    assert len(longer) > len(log)

"""Facts about triggers that the product relies on when it makes, changes and deletes them, on a real Mage."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.lab.facts import Facts
from tests.lab.wire import Refused

pytestmark = pytest.mark.real

NEVER = "0 0 29 2 *"
"""Came round last in a leap year: not since any of these triggers was enabled."""
PIPELINE = "empty_pipeline"
"""Its runs complete without a worker."""
IN_CODE = "team_report_01"


def _make(facts: Facts, pipeline: str = PIPELINE, **fields: Any) -> dict[str, Any]:
    body = {"name": "a fact", "schedule_type": "time", "schedule_interval": "@daily", **fields}
    made = facts.wire.post(f"/api/pipelines/{pipeline}/pipeline_schedules", {"pipeline_schedule": body})
    trigger: dict[str, Any] = made["pipeline_schedule"]
    return trigger


def _put(facts: Facts, trigger: int, **fields: Any) -> dict[str, Any]:
    facts.wire.put(f"/api/pipeline_schedules/{trigger}", {"pipeline_schedule": fields})
    return _get(facts, trigger)


def _get(facts: Facts, trigger: int) -> dict[str, Any]:
    read: dict[str, Any] = facts.wire.get(f"/api/pipeline_schedules/{trigger}")["pipeline_schedule"]
    return read


def _runs(facts: Facts, trigger: int, **query: Any) -> list[dict[str, Any]]:
    path = f"/api/pipeline_schedules/{trigger}/pipeline_runs"
    runs: list[dict[str, Any]] = facts.wire.get(path, **query)["pipeline_runs"]
    return runs


def _comes_true(what: Callable[[], object]) -> bool:
    """Whether it does within a time that the scheduler of a busy machine may take."""
    give_up = time.monotonic() + 30
    while not what():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.3)
    return True


def _runs_to_come(facts: Facts, trigger: int) -> list[dict[str, Any]]:
    """Its runs, once there is one."""
    assert _comes_true(lambda: _runs(facts, trigger))
    return _runs(facts, trigger)


def _delete(facts: Facts, trigger: int) -> None:
    facts.wire.delete(f"/api/pipeline_schedules/{trigger}")


def _midnight() -> str:
    return str(datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None))


@pytest.fixture
def made(facts: Facts) -> Iterator[dict[str, Any]]:
    """An inactive trigger with everything in it."""
    trigger = _make(
        facts,
        start_time="2026-01-02T05:00:00+02:00",
        variables={"region": "eu", "limits": {"rows": 5}},
        settings={"timeout": 5, "skip_if_previous_running": True},
        description="of a fact",
    )
    yield trigger
    _delete(facts, trigger["id"])


# What is stored


def test_an_update_merges_fields_but_replaces_objects_whole(facts: Facts, made: dict[str, Any]) -> None:
    after = _put(facts, made["id"], variables={"rows": 7})
    assert after["variables"] == {"rows": 7}
    assert (after["settings"], after["description"]) == (made["settings"], "of a fact")
    after = _put(facts, made["id"], settings={"timeout": 7})
    assert (after["settings"], after["variables"]) == ({"timeout": 7}, {"rows": 7})


def test_the_offset_of_a_start_time_is_dropped(facts: Facts, made: dict[str, Any]) -> None:
    assert made["start_time"] == "2026-01-02 05:00:00"
    for sent in ("2026-03-04T06:07:08-05:00", "2026-03-04T06:07:08Z", "2026-03-04 06:07:08"):
        assert _put(facts, made["id"], start_time=sent)["start_time"] == "2026-03-04 06:07:08"


def test_null_clears_the_start_time_and_the_description(facts: Facts, made: dict[str, Any]) -> None:
    after = _put(facts, made["id"], start_time=None, description=None)
    assert (after["start_time"], after["description"]) == (None, None)


def test_tags_are_refused_on_creation_and_replaced_whole_by_an_update(facts: Facts, made: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="'tags' is an invalid keyword argument"):
        _make(facts, tags=["one"])
    assert _put(facts, made["id"], tags=["one", "two"])["tags"] == ["one", "two"]
    assert _put(facts, made["id"], tags=["two", "three"])["tags"] == ["three", "two"]
    assert _put(facts, made["id"], name="b")["tags"] == ["three", "two"]
    assert _put(facts, made["id"], tags=[])["tags"] == []


def test_a_trigger_needs_a_name_which_need_not_be_its_own(facts: Facts, made: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="Record is invalid"):
        _make(facts, name="")
    with pytest.raises(Refused, match="does not exist"):
        _make(facts, pipeline="no_such_pipeline")
    twin = _make(facts, name=made["name"])
    assert twin["id"] != made["id"]
    _delete(facts, twin["id"])


def test_a_bad_cron_line_or_start_time_is_refused_and_nothing_of_the_call_is_stored(
    facts: Facts, made: dict[str, Any]
) -> None:
    with pytest.raises(Refused, match="Cron expression is invalid"):
        _put(facts, made["id"], name="new", schedule_interval="61 * * * *")
    with pytest.raises(Refused):
        _put(facts, made["id"], name="new", start_time="soon")
    after = _get(facts, made["id"])
    assert (after["name"], after["schedule_interval"]) == ("a fact", "@daily")


@pytest.mark.parametrize("line", ["0 6 * * 7", "0 6 * * MON-FRI", "*/15 8-18 * * 1-5", "0 0 1 jan,jul *", NEVER])
def test_cron_lines_that_the_product_takes_are_taken(facts: Facts, made: dict[str, Any], line: str) -> None:
    assert _put(facts, made["id"], schedule_interval=line)["schedule_interval"] == line


def test_a_cron_line_that_never_comes_round_is_stored_and_breaks_every_list_of_triggers(facts: Facts) -> None:
    trigger = _make(facts, schedule_interval="0 0 31 2 *")["id"]
    try:
        for path in ("/api/pipeline_schedules", f"/api/pipeline_schedules/{trigger}"):
            with pytest.raises(Refused, match="failed to find prev date"):
                facts.wire.get(path)
    finally:
        _put(facts, trigger, schedule_interval="@daily")
        _delete(facts, trigger)


def test_the_time_it_was_enabled_cannot_be_written(facts: Facts, made: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="SQLite DateTime type"):
        _put(facts, made["id"], last_enabled_at="2026-01-01 00:00:00")


def test_the_next_date_ignores_start_and_status(facts: Facts, made: dict[str, Any]) -> None:
    after = _put(facts, made["id"], start_time="2099-01-01 00:00:00")
    assert after["status"] == "inactive"
    assert after["next_pipeline_run_date"][:4] != "2099"


# What runs, and when


def test_what_is_switched_on_does_not_make_up_for_the_present_period(facts: Facts) -> None:
    created = _make(facts, status="active")
    switched = _make(facts, schedule_interval="@hourly")["id"]
    _put(facts, switched, status="active")
    told = _make(facts, settings={"create_initial_pipeline_run": True})["id"]
    _put(facts, told, status="active")
    try:
        assert created["last_enabled_at"] is not None
        assert _get(facts, switched)["last_enabled_at"] is not None
        assert [run["execution_date"] for run in _runs_to_come(facts, told)] == [_midnight()]
        facts.a_few_looks()
        assert (_runs(facts, created["id"]), _runs(facts, switched)) == ([], [])
    finally:
        for trigger in (created["id"], switched, told):
            _delete(facts, trigger)


def test_once_runs_at_once_then_never_again_and_always_on_for_ever(facts: Facts) -> None:
    once = _make(facts, schedule_interval="@once", status="active")["id"]
    always = _make(facts, schedule_interval="@always_on", status="active")["id"]
    try:
        assert _comes_true(lambda: [run["status"] for run in _runs(facts, once)] == ["completed"])
        assert _comes_true(lambda: _get(facts, once)["status"] == "inactive")
        assert _comes_true(lambda: len(_runs(facts, always)) > 1)
        _put(facts, always, status="inactive")
        _put(facts, once, status="active")
        facts.a_few_looks()
        assert len(_runs(facts, once)) == 1
    finally:
        _delete(facts, once)
        _delete(facts, always)


@pytest.fixture(scope="module")
def in_code(facts: Facts) -> Iterator[dict[str, int]]:
    """Active triggers kept in a file, the one place that says when they were enabled: two days ago."""
    enabled = str(datetime.now(UTC) - timedelta(days=2))

    def trigger(name: str, interval: str, start: str | None) -> dict[str, Any]:
        return {
            "name": name,
            "schedule_type": "time",
            "schedule_interval": interval,
            "start_time": start and datetime.fromisoformat(start).isoformat(),
            "status": "active",
            "last_enabled_at": enabled,
        }

    triggers = [
        trigger("start", "@daily", "2099-01-01T00:00:00"),
        trigger("later_today", "@daily", f"{_midnight()[:10]}T00:00:01"),
        trigger("interval", NEVER, None),
        trigger("around", NEVER, None),
        trigger("again", "@hourly", "2099-01-01T00:00:00"),
        trigger("gone", NEVER, None),
    ]
    content = json.dumps({"triggers": [_times(one) for one in triggers]}, indent=1)
    path = f"/api/file_contents/pipelines%2F{IN_CODE}%2Ftriggers.yaml"
    facts.wire.put(path, {"file_content": {"content": _unquoted_times(content)}})

    def ids_by_name() -> dict[str, int]:
        rows = facts.wire.get(f"/api/pipelines/{IN_CODE}/pipeline_schedules")["pipeline_schedules"]
        return {row["name"]: row["id"] for row in rows}

    assert _comes_true(lambda: len(ids_by_name()) == len(triggers))
    ids = ids_by_name()
    facts.a_few_looks()
    yield ids
    for name in list(ids):
        if name != "gone":
            _delete(facts, ids[name])


def _times(trigger: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"@@{value}@@" if name.endswith(("_at", "_time")) and value else value for name, value in trigger.items()
    }


def _unquoted_times(content: str) -> str:
    """YAML reads a time as one only where it stands without quotes."""
    return content.replace('"@@', "").replace('@@"', "")


def _file(facts: Facts) -> str:
    path = f"/api/file_contents/pipelines%2F{IN_CODE}%2Ftriggers.yaml"
    content: str = facts.wire.get(path)["file_content"]["content"]
    return content


def _comes_to_hold(facts: Facts, text: str, *, holds: bool = True) -> bool:
    """Whether the file does (not) soon: right after a write the scheduler may put the older file back for a moment."""
    return _comes_true(lambda: (text in _file(facts)) is holds)


def test_a_start_later_than_the_schedules_time_of_day_means_the_next_period(
    facts: Facts, in_code: dict[str, int]
) -> None:
    assert _get(facts, in_code["later_today"])["status"] == "active"
    assert _runs(facts, in_code["later_today"]) == []


def test_an_earlier_start_makes_an_active_trigger_run_its_present_period_at_once(
    facts: Facts, in_code: dict[str, int]
) -> None:
    assert _runs(facts, in_code["start"]) == []
    _put(facts, in_code["start"], start_time=None)
    assert [run["execution_date"] for run in _runs_to_come(facts, in_code["start"])] == [_midnight()]


def test_another_interval_makes_an_active_trigger_run_its_present_period_at_once(
    facts: Facts, in_code: dict[str, int]
) -> None:
    assert _runs(facts, in_code["interval"]) == []
    _put(facts, in_code["interval"], schedule_interval="@daily")
    (run,) = _runs_to_come(facts, in_code["interval"])
    assert run["execution_date"] == _midnight()


def test_switched_off_with_the_new_interval_and_on_again_it_does_not(facts: Facts, in_code: dict[str, int]) -> None:
    _put(facts, in_code["around"], schedule_interval="@daily", status="inactive")
    _put(facts, in_code["around"], status="active")
    facts.a_few_looks()
    assert _runs(facts, in_code["around"]) == []


def test_the_run_of_the_present_period_is_made_again_once_it_is_deleted(facts: Facts, in_code: dict[str, int]) -> None:
    _put(facts, in_code["again"], start_time=None)
    (run,) = _runs_to_come(facts, in_code["again"])
    facts.wire.wait([run["id"]])
    facts.wire.delete(f"/api/pipeline_runs/{run['id']}")
    (again,) = _runs_to_come(facts, in_code["again"])
    assert again["execution_date"] == run["execution_date"]
    assert again["created_at"] > run["created_at"]


# In code


def test_an_update_writes_a_trigger_in_code_and_its_token_into_the_file(facts: Facts, in_code: dict[str, int]) -> None:
    before = _get(facts, in_code["gone"])
    assert before["token"] not in _file(facts)
    assert "gone" in [
        row["name"] for row in facts.wire.get(f"/api/pipelines/{IN_CODE}/pipeline_triggers")["pipeline_triggers"]
    ]
    _put(facts, in_code["gone"], description="changed")
    assert _comes_to_hold(facts, before["token"])


def test_another_trigger_of_the_same_name_takes_the_place_of_the_one_in_the_file(
    facts: Facts, in_code: dict[str, int]
) -> None:
    twin = _make(facts, pipeline=IN_CODE, name="around", schedule_interval="@weekly")
    _put(facts, twin["id"], description="the twin")
    assert _comes_to_hold(facts, twin["token"])
    _delete(facts, twin["id"])
    assert _comes_to_hold(facts, "around", holds=False)


def test_deleting_a_trigger_in_code_takes_it_out_of_the_file(facts: Facts, in_code: dict[str, int]) -> None:
    assert "gone" in _file(facts)
    _delete(facts, in_code["gone"])
    assert _comes_to_hold(facts, "gone", holds=False)
    facts.a_few_looks()
    with pytest.raises(Refused) as refused:
        _get(facts, in_code["gone"])
    assert refused.value.error["code"] == 404


def test_a_pipeline_may_keep_every_new_trigger_in_code_with_its_token(facts: Facts) -> None:
    pipeline = "team_report_02"
    settings = {"triggers": {"save_in_code_automatically": True}}
    facts.wire.put(f"/api/pipelines/{pipeline}", {"pipeline": {"settings": settings}})
    assert facts.wire.get(f"/api/pipelines/{pipeline}")["pipeline"]["settings"] == settings
    trigger = _make(facts, pipeline=pipeline)
    path = f"/api/file_contents/pipelines%2F{pipeline}%2Ftriggers.yaml"
    assert trigger["token"] in facts.wire.get(path)["file_content"]["content"]
    _delete(facts, trigger["id"])


# Deleting


def test_the_runs_of_a_deleted_trigger_vanish_and_one_under_way_goes_on(facts: Facts) -> None:
    trigger = _make(facts, pipeline="slow_report", schedule_type="event", schedule_interval=None, status="active")["id"]
    run = facts.wire.trigger(trigger, variables={"sleep_seconds": 3})["id"]
    facts.wire.wait_for_block(run, "sleep_a_while", "running")
    _delete(facts, trigger)
    listed = facts.wire.get("/api/pipeline_runs", pipeline_uuid="slow_report", _limit=1000)["pipeline_runs"]
    assert run not in [one["id"] for one in listed]
    with pytest.raises(Refused, match="'NoneType' object has no attribute"):
        facts.wire.run(run)
    assert _status(facts, run) == "running"
    facts.wire.put(f"/api/pipeline_runs/{run}", {"pipeline_run": {"status": "cancelled"}})
    assert _status(facts, run) == "cancelled"


def _status(facts: Facts, run: int) -> str:
    """By the short form, which asks for no trigger."""
    path = f"/api/pipeline_runs/{run}"
    status: str = facts.wire.get(path, _format="with_basic_details")["pipeline_run"]["status"]
    return status


def test_a_deleted_run_is_gone_with_its_block_runs_and_the_next_gets_its_id(facts: Facts) -> None:
    trigger = _make(facts, schedule_type="event", schedule_interval=None, status="inactive")["id"]
    run = facts.wire.trigger(trigger)["id"]
    facts.wire.delete(f"/api/pipeline_runs/{run}")
    with pytest.raises(Refused) as refused:
        facts.wire.run(run)
    assert refused.value.error["code"] == 404
    assert facts.wire.trigger(trigger)["id"] == run
    _delete(facts, trigger)


def test_the_worker_of_a_deleted_run_goes_on(facts: Facts) -> None:
    run = facts.wire.trigger(facts.triggers["slow_report"][0], variables={"sleep_seconds": 2})
    facts.wire.wait_for_block(run["id"], "sleep_a_while", "running")
    facts.wire.delete(f"/api/pipeline_runs/{run['id']}")
    partition = run["variables"]["execution_partition"]
    (log,) = (facts.scratch.parent / "data").rglob(f"{partition}/sleep_a_while.log")
    assert _comes_true(lambda: "Finish executing block" in log.read_text())


def test_a_trigger_whose_pipeline_was_deleted_can_still_be_switched_off_and_deleted(facts: Facts) -> None:
    facts.wire.post("/api/pipelines", {"pipeline": {"name": "fact_short_lived", "type": "python"}})
    trigger = _make(facts, pipeline="fact_short_lived", status="active")["id"]
    facts.wire.delete("/api/pipelines/fact_short_lived")
    assert _get(facts, trigger)["status"] == "active"
    with pytest.raises(Refused, match="does not exist"):
        _put(facts, trigger, status="inactive")
    assert _get(facts, trigger)["status"] == "inactive"
    _delete(facts, trigger)


def test_the_next_trigger_gets_the_id_and_the_tags_of_the_one_deleted_last_but_not_its_runs(facts: Facts) -> None:
    first = _make(facts, status="active")["id"]
    _put(facts, first, tags=["of the first"])
    run = facts.wire.trigger(first)["id"]
    facts.wire.wait([run])
    _delete(facts, first)
    second = _make(facts)["id"]
    assert (second, _get(facts, second)["tags"]) == (first, ["of the first"])
    assert _runs(facts, second) == []
    _put(facts, second, tags=[])
    _delete(facts, second)
    third = _make(facts)["id"]
    assert (third, _get(facts, third)["tags"]) == (first, [])
    _delete(facts, third)

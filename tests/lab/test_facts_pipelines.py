"""Facts about making, changing and deleting pipelines that the product relies on, checked on a real Mage."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from mage_mcp.client.slugs import uuid_for
from tests.lab.facts import Facts
from tests.lab.seed import start_seeded
from tests.lab.wire import Refused, Wire

pytestmark = pytest.mark.real

Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def facts() -> Iterator[Facts]:
    """A Mage of their own: what is deleted here leaves rows and files behind."""
    with start_seeded() as mage, Wire(mage.url) as wire:
        triggers: dict[str, list[int]] = {}
        for row in wire.get("/api/pipeline_schedules", _limit=100)["pipeline_schedules"]:
            triggers.setdefault(row["pipeline_uuid"], []).append(row["id"])
        yield Facts(mage.url, wire, triggers, mage.project_dir)


@pytest.fixture
def make(facts: Facts) -> Iterator[Make]:
    """Makes pipelines, and deletes those that are still there afterwards."""
    made: list[str] = []

    def make(name: str, **fields: Any) -> dict[str, Any]:
        pipeline: dict[str, Any] = facts.wire.post("/api/pipelines", {"pipeline": {"name": name, **fields}})["pipeline"]
        made.append(pipeline["uuid"])
        return pipeline

    yield make
    for uuid in set(made) & _listed(facts):
        facts.wire.delete(f"/api/pipelines/{uuid}")


def _listed(facts: Facts) -> set[str]:
    return {row["uuid"] for row in facts.wire.get("/api/pipelines")["pipelines"]}


def _read(facts: Facts, uuid: str) -> dict[str, Any]:
    query = {"includes_content": False, "includes_outputs": False}
    pipeline: dict[str, Any] = facts.wire.get(f"/api/pipelines/{uuid}", **query)["pipeline"]
    return pipeline


def _put(facts: Facts, uuid: str, **fields: Any) -> dict[str, Any]:
    pipeline: dict[str, Any] = facts.wire.put(f"/api/pipelines/{uuid}", {"pipeline": fields})["pipeline"]
    return pipeline


def _triggers(facts: Facts, uuid: str) -> list[tuple[int, str]]:
    rows = facts.wire.get("/api/pipeline_schedules", _limit=200)["pipeline_schedules"]
    return [(row["id"], row["status"]) for row in rows if row["pipeline_uuid"] == uuid]


def _runs(facts: Facts, uuid: str) -> dict[int, str]:
    query = {"pipeline_uuid": uuid, "disable_retries_grouping": True}
    return {row["id"]: row["status"] for row in facts.wire.get("/api/pipeline_runs", **query)["pipeline_runs"]}


# Making


@pytest.mark.parametrize(
    ("name", "uuid"),
    [
        ("Weekly Report (v2)", "weekly_report__v2_"),
        ("Café ☕ 10%/day: a.b-c", "café___10__day__a_b_c"),
        ("2026 Q4 plan", "letter_2026_q4_plan"),
        ('tab\tand $ "quotes"', "taband__quotes"),
        (" lead ", "_lead_"),
        ("日本", "日本"),
        ("../x", "___x"),
    ],
)
def test_a_uuid_is_made_of_the_name_as_it_is_computed_here(make: Make, name: str, uuid: str) -> None:
    assert make(name)["uuid"] == uuid_for(name) == uuid


def test_a_pipeline_is_made_with_its_type_description_and_tags_and_without_variables(facts: Facts, make: Make) -> None:
    made = make("made_whole", type="streaming", description="what for", tags=["b", "a"])
    read = _read(facts, "made_whole")
    for pipeline in (made, read):
        assert (pipeline["type"], pipeline["description"], pipeline["tags"]) == ("streaming", "what for", ["b", "a"])
        assert pipeline["blocks"] == []
    assert "variables" not in read
    assert "made_whole" in _listed(facts)


def test_a_name_whose_uuid_exists_is_refused(facts: Facts, make: Make) -> None:
    make("once")
    with pytest.raises(Refused, match="already exists"):
        make("Once")
    with pytest.raises(Refused, match="already exists"):
        make("")


@pytest.mark.parametrize("kind", ["nonsense", "execution_framework", "pyspark"])
def test_a_type_without_a_kernel_makes_a_pipeline_that_nobody_can_open_but_delete(
    facts: Facts, make: Make, kind: str
) -> None:
    make("odd_type", type=kind)
    assert "odd_type" in _listed(facts)
    with pytest.raises(Refused, match=kind.replace("pyspark", "PySpark kernel is not installed")):
        _read(facts, "odd_type")
    facts.wire.delete("/api/pipelines/odd_type")
    assert "odd_type" not in _listed(facts)


def test_a_clone_takes_blocks_variables_and_tags_shares_the_files_and_copies_no_trigger(
    facts: Facts, make: Make
) -> None:
    clone = make("sales_clone", clone_pipeline_uuid="sales_daily", description="ignored", tags=["ignored"])
    source = _read(facts, "sales_daily")
    assert (clone["uuid"], clone["name"]) == ("sales_clone", "sales_clone")
    for key in ("type", "description", "tags", "variables", "settings"):
        assert clone[key] == source[key]
    assert [block["uuid"] for block in clone["blocks"]] == [block["uuid"] for block in source["blocks"]]
    assert _triggers(facts, "sales_clone") == []
    path, query = "data_exporters/export_orders.py", "/api/pipelines/sales_clone/blocks/export_orders"
    before = (facts.scratch / path).read_text()
    (facts.scratch / path).write_text("# one file\n")
    assert facts.wire.get(query)["block"]["content"] == "# one file\n"
    (facts.scratch / path).write_text(before)


def test_a_clone_by_a_name_that_is_no_uuid_fails_and_leaves_half_a_pipeline(facts: Facts, make: Make) -> None:
    with pytest.raises(Refused, match="Pipeline Half a clone does not exist"):
        make("Half a clone", clone_pipeline_uuid="sales_daily")
    assert (facts.scratch / "pipelines/half_a_clone/metadata.yaml").exists()
    facts.wire.delete("/api/pipelines/half_a_clone")


def test_a_clone_by_a_name_that_is_taken_gets_another_one_without_a_word(facts: Facts, make: Make) -> None:
    make("taken")
    assert make("taken", clone_pipeline_uuid="sales_daily")["uuid"].startswith("sales_daily_copy_")
    with pytest.raises(Refused, match="does not exist"):
        make("of_nothing", clone_pipeline_uuid="no_such_pipeline")
    assert not (facts.scratch / "pipelines/of_nothing").exists()


# Changing


def test_a_change_leaves_what_it_does_not_name_and_replaces_objects_whole(facts: Facts, make: Make) -> None:
    make("changed", description="first", tags=["a"])
    facts.wire.post("/api/pipelines/changed/variables", {"variable": {"name": "kept", "value": 1}})
    _put(facts, "changed", retry_config={"retries": 3, "delay": 1}, concurrency_config={"block_run_limit": 2})
    _put(facts, "changed", description="second", run_pipeline_in_one_process=True, cache_block_output_in_memory=True)
    read = _read(facts, "changed")
    assert (read["description"], read["tags"], read["variables"]) == ("second", ["a"], {"kept": 1})
    assert read["retry_config"] == {"retries": 3, "delay": 1}
    assert read["concurrency_config"] == {"block_run_limit": 2}
    assert read["run_pipeline_in_one_process"] is read["cache_block_output_in_memory"] is True
    _put(facts, "changed", retry_config={"max_delay": 9}, variables={"other": 1}, executor_config={"x": 1}, bogus=1)
    read = _read(facts, "changed")
    assert read["retry_config"] == {"max_delay": 9}
    assert (read["variables"], read["executor_config"]) == ({"kept": 1}, {})
    _put(facts, "changed", description="", tags=[], retry_config={}, executor_type="k8s")
    read = _read(facts, "changed")
    assert (read["description"], read["tags"], read["retry_config"], read["executor_type"]) == ("", [], {}, "k8s")
    assert _put(facts, "changed", executor_type=None)["executor_type"] is None


def test_of_settings_mage_keeps_one_and_of_executor_types_any(facts: Facts, make: Make) -> None:
    make("set_up")
    _put(
        facts, "set_up", settings={"bogus": 1, "triggers": {"save_in_code_automatically": True}}, executor_type="bogus"
    )
    read = _read(facts, "set_up")
    assert read["settings"] == {"triggers": {"save_in_code_automatically": True}}
    assert read["executor_type"] == "bogus"
    assert _put(facts, "set_up", settings={})["settings"] == {"triggers": None}


def test_tags_in_another_order_are_no_change(facts: Facts, make: Make) -> None:
    make("tagged", tags=["a", "b"])
    assert _put(facts, "tagged", tags=["b", "a"])["tags"] == ["a", "b"]
    with pytest.raises(Refused, match="not iterable"):
        _put(facts, "tagged", tags=None)


def test_a_list_of_blocks_replaces_the_pipelines_own_and_a_status_switches_all_triggers(
    facts: Facts, make: Make
) -> None:
    """Why neither is ever sent."""
    clone = make("cut_down", clone_pipeline_uuid="sales_daily")
    with suppress(Refused):
        _put(facts, "cut_down", blocks=clone["blocks"][-1:], update_content=True)
    assert len(_read(facts, "cut_down")["blocks"]) < 3
    body = {"pipeline_schedule": {"name": "off", "schedule_type": "api", "status": "inactive"}}
    facts.wire.post("/api/pipelines/cut_down/pipeline_schedules", body)
    _put(facts, "cut_down", status="active")
    assert [status for _, status in _triggers(facts, "cut_down")] == ["active"]


def test_a_variable_set_beside_another_change_is_lost_without_a_word_or_the_whole_pipeline_is(facts: Facts) -> None:
    """Why all writes to a pipeline wait for each other, and are read back."""
    assert any(_is_damaged_by_a_race(facts, f"raced_{attempt}") for attempt in range(5))


def _is_damaged_by_a_race(facts: Facts, uuid: str) -> bool:
    facts.wire.post("/api/pipelines", {"pipeline": {"name": uuid}})

    def one(number: int) -> bool:
        """Whether a variable was set, as Mage says."""
        if not number % 2:
            with suppress(Refused):
                _put(facts, uuid, description=f"text {number}")
            return False
        with suppress(Refused):
            body = {"variable": {"name": f"v_{number}", "value": number}}
            return bool(facts.wire.post(f"/api/pipelines/{uuid}/variables", body))
        return False

    with ThreadPoolExecutor(20) as pool:
        said = sum(pool.map(one, range(20)))
    try:
        return len(_read(facts, uuid).get("variables", {})) < said
    except Refused as error:  # its file is empty
        return "'NoneType' object has no attribute 'get'" in str(error)


# Renaming


def test_a_rename_takes_triggers_runs_and_backfills_along_but_not_what_the_runs_left(facts: Facts, make: Make) -> None:
    trigger = facts.triggers["customer_360"][0]
    run = facts.wire.trigger(trigger)["id"]
    assert facts.wire.wait([run]) == {run: "completed"}
    body = {"name": "one", "interval_type": "day", "interval_units": 1, **dict.fromkeys(WINDOW, "2026-01-01 00:00:00")}
    backfill = facts.wire.post("/api/pipelines/customer_360/backfills", {"backfill": body})["backfill"]["id"]
    block_run = facts.wire.run(run)["block_runs"][0]["id"]

    def left(uuid: str) -> tuple[int, int]:
        logs = facts.wire.get(f"/api/pipelines/{uuid}/logs", **{"pipeline_run_id[]": run})["logs"][0]
        outputs = facts.wire.get(f"/api/block_runs/{block_run}/outputs")["outputs"]
        return sum(len(log["content"]) for log in logs["block_run_logs"]), len(outputs)

    before = left("customer_360")
    assert before[0] > 0
    assert before[1] > 0
    assert _put(facts, "customer_360", name="Customer 361")["uuid"] == "customer_361"
    read = _read(facts, "customer_361")
    assert (read["name"], read["tags"]) == ("Customer 361", ["customers"])
    assert [trigger for trigger, _ in _triggers(facts, "customer_361")] == [trigger]
    assert _runs(facts, "customer_361")[run] == "completed"
    assert [row["id"] for row in _backfills(facts, "customer_361")] == [backfill]
    assert left("customer_361") == (0, 0)
    with pytest.raises(Refused, match="Pipeline customer_360 does not exist"):
        _read(facts, "customer_360")
    assert {"customer_361", "customer_360"} & _listed(facts) == {"customer_361"}
    _put(facts, "customer_361", name="customer_360")
    assert left("customer_360") == before


WINDOW = ("start_datetime", "end_datetime")


def _backfills(facts: Facts, uuid: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = facts.wire.get("/api/backfills", pipeline_uuid=uuid)["backfills"]
    return rows


def test_a_run_under_way_survives_the_rename_of_its_pipeline(facts: Facts) -> None:
    run = facts.wire.trigger(facts.triggers["slow_report"][0], variables={"sleep_seconds": 3})["id"]
    facts.wire.wait_for_block(run, "sleep_a_while", "running")
    _put(facts, "slow_report", name="slow_renamed")
    assert facts.wire.wait([run]) == {run: "completed"}
    _put(facts, "slow_renamed", name="slow_report")


@pytest.mark.parametrize("name", ["slow_report", "Slow Report"])
def test_a_rename_onto_a_name_that_is_taken_is_refused(facts: Facts, make: Make, name: str) -> None:
    make("to_rename")
    with pytest.raises(Refused, match="slow_report already exists"):
        _put(facts, "to_rename", name=name)
    assert _read(facts, "to_rename")["name"] == "to_rename"


@pytest.mark.parametrize("name", ["To Spell", ""])
def test_a_name_of_the_same_uuid_and_an_empty_one_are_refused(facts: Facts, make: Make, name: str) -> None:
    make("to_spell")
    with pytest.raises(Refused, match=r"already exists|Directory not empty"):
        _put(facts, "to_spell", name=name)
    assert "to_spell" in _listed(facts)


# Which pipelines share a file


def test_the_list_tells_the_blocks_of_each_pipeline_and_their_files_but_no_conditionals(
    facts: Facts, make: Make
) -> None:
    clone = make("sharing", clone_pipeline_uuid="guarded_export")
    assert [block["uuid"] for block in clone["conditionals"]] == ["has_rows"]
    row = next(row for row in facts.wire.get("/api/pipelines")["pipelines"] if row["uuid"] == "sharing")
    names = {block["uuid"] for key in ("blocks", "conditionals") for block in row[key]}
    assert names == {"load_summary", "publish_summary", "archive_summary"}
    assert all({"type", "language", "configuration"} <= set(block) for block in row["blocks"])


# Deleting


def test_a_deleted_pipeline_leaves_triggers_active_runs_backfills_and_block_files(facts: Facts, make: Make) -> None:
    make("gone", clone_pipeline_uuid="paused_reports")
    body = {"name": "daily", "schedule_type": "time", "schedule_interval": "@daily", "status": "active"}
    trigger = facts.wire.post("/api/pipelines/gone/pipeline_schedules", {"pipeline_schedule": body})
    trigger_id = trigger["pipeline_schedule"]["id"]
    run = facts.wire.trigger(trigger_id)["id"]
    window = dict.fromkeys(WINDOW, "2026-01-01 00:00:00")
    body = {"name": "b", "interval_type": "day", "interval_units": 1, **window}
    backfill = facts.wire.post("/api/pipelines/gone/backfills", {"backfill": body})["backfill"]["id"]
    facts.wire.wait([run])
    facts.wire.delete("/api/pipelines/gone")
    assert "gone" not in _listed(facts)
    assert not (facts.scratch / "pipelines/gone").exists()
    assert (trigger_id, "active") in _triggers(facts, "gone")
    assert run in _runs(facts, "gone")
    assert backfill in [row["id"] for row in _backfills(facts, "gone")]
    assert (facts.scratch / "data_loaders/build_report.py").exists()
    with pytest.raises(Refused, match="Pipeline gone does not exist"):
        facts.wire.get("/api/pipelines/gone/pipeline_schedules")
    # It is too late for a clean pause: that is done, and answered with an error.
    with pytest.raises(Refused, match="does not exist"):
        facts.wire.put(f"/api/pipeline_schedules/{trigger_id}", {"pipeline_schedule": {"status": "inactive"}})
    with pytest.raises(Refused, match="does not exist"):
        facts.wire.delete("/api/pipelines/gone")
    # All of it belongs to the next pipeline of this name.
    make("gone")
    assert trigger_id in [row["id"] for row in facts.wire.get("/api/pipelines/gone/pipeline_schedules")[SCHEDULES]]
    facts.wire.delete(f"/api/pipeline_schedules/{trigger_id}")


SCHEDULES = "pipeline_schedules"


def test_a_run_whose_pipeline_is_deleted_never_ends(facts: Facts, make: Make) -> None:
    make("pulled", clone_pipeline_uuid="slow_report")
    body = {"name": "a", "schedule_type": "api", "status": "active"}
    trigger = facts.wire.post("/api/pipelines/pulled/pipeline_schedules", {"pipeline_schedule": body})
    run = facts.wire.trigger(trigger["pipeline_schedule"]["id"], variables={"sleep_seconds": 1})["id"]
    facts.wire.wait_for_block(run, "sleep_a_while", "running")
    facts.wire.delete("/api/pipelines/pulled")
    facts.a_few_looks(4)
    assert _runs(facts, "pulled") == {run: "running"}
    facts.wire.put(f"/api/pipeline_runs/{run}", {"pipeline_run": {"status": "cancelled"}})
    assert _runs(facts, "pulled") == {run: "cancelled"}


def test_backfills_are_filtered_by_the_parameter_and_not_by_the_path(facts: Facts, make: Make) -> None:
    window = dict.fromkeys(WINDOW, "2026-01-01 00:00:00")
    body = {"name": "b", "interval_type": "day", "interval_units": 1, **window}
    mine = facts.wire.post("/api/pipelines/team_report_01/backfills", {"backfill": body})["backfill"]["id"]
    facts.wire.post("/api/pipelines/team_report_02/backfills", {"backfill": body})
    assert [row["id"] for row in _backfills(facts, "team_report_01")] == [mine]
    assert len(facts.wire.get("/api/pipelines/team_report_01/backfills")["backfills"]) > 1


def test_a_scratchpad_goes_with_its_pipeline_file_and_all(facts: Facts, make: Make) -> None:
    make("scratching")
    body = {"name": "notes", "type": "scratchpad", "content": "1 + 1\n"}
    facts.wire.post("/api/pipelines/scratching/blocks", {"block": body})
    assert (facts.scratch / "scratchpads/notes.py").exists()
    facts.wire.delete("/api/pipelines/scratching")
    assert not (facts.scratch / "scratchpads/notes.py").exists()

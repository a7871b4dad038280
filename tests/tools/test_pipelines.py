"""The tools that look at pipelines and run them, over both Mages and both protocol eras."""

import pytest

from mage_mcp.demo.project import Block, Pipeline, Trigger
from mage_mcp.demo.world import World
from tests.host import Host

pytestmark = pytest.mark.anyio


async def test_list_pipelines_gives_a_page_and_says_how_to_go_on(host: Host):
    page = (await host.call("list_pipelines", limit=5)).data
    assert len(page["items"]) == 5
    assert page["total"] > 50
    assert page["next_offset"] == 5
    rest = (await host.call("list_pipelines", limit=100, offset=5)).data
    assert len(rest["items"]) == page["total"] - 5
    assert "next_offset" not in rest


async def test_list_pipelines_filters_by_part_of_the_uuid_tag_type_and_trigger_state(host: Host):
    sales = (await host.call("list_pipelines", search="sales")).data["items"]
    assert [row["pipeline"] for row in sales] == ["sales_daily"]
    assert sales[0] | {"blocks": 3, "triggers": 3, "active_triggers": 2, "tags": ["finance", "daily"]} == sales[0]
    finance = (await host.call("list_pipelines", tag="finance")).data["items"]
    assert {row["pipeline"] for row in finance} == {"sales_daily", "orders_refresh"}
    paused = (await host.call("list_pipelines", status="inactive", limit=100)).data["items"]
    assert "paused_reports" in {row["pipeline"] for row in paused}
    none = (await host.call("list_pipelines", status="no_triggers", limit=100)).data["items"]
    assert "new_pipeline" in {row["pipeline"] for row in none}


async def test_list_pipelines_finds_by_block_name_and_description_what_no_uuid_holds(host: Host):
    page = (await host.call("list_pipelines", search="divide margins")).data
    (row,) = page["items"]
    assert (row["pipeline"], row["found_in"]) == ("orders_refresh", "block divide_margins")
    assert page["note"] == "No uuid contains 'divide margins'; these hold it elsewhere."
    nested = (await host.call("list_pipelines", search="SUB/READ")).data["items"]
    assert [(row["pipeline"], row["found_in"]) for row in nested] == [("nested_import", "block sub/read_orders")]
    described = (await host.call("list_pipelines", search="always fails")).data["items"]
    assert [(row["pipeline"], row["found_in"]) for row in described] == [("orders_refresh", "description")]
    assert (await host.call("list_pipelines", search="divide_margins", type="streaming")).data["total"] == 0
    first = (await host.call("list_pipelines", search="make_team_report", limit=3)).data
    assert first["total"] == 40
    assert first["next_offset"] == 3
    second = (await host.call("list_pipelines", search="make_team_report", limit=3, offset=3)).data["items"]
    assert {row["pipeline"] for row in first["items"]}.isdisjoint(row["pipeline"] for row in second)
    assert "past the end" in (await host.call("list_pipelines", search="make_team_report", offset=50)).data["note"]


async def test_a_search_costs_a_second_request_only_where_no_uuid_holds_it(world: World, demo: Host):
    await demo.call("list_pipelines", limit=1)
    for search, requests in [("sales", 1), ("divide_margins", 2), ("nothing_like_this", 2)]:
        before = len(world.requests)
        await demo.call("list_pipelines", search=search)
        assert len(world.requests) - before == requests, search


async def test_an_empty_list_of_pipelines_says_why(host: Host):
    assert "Did you mean 'sales_daily'" in (await host.call("list_pipelines", search="sales_dayly")).data["note"]
    assert "Did you mean 'finance'" in (await host.call("list_pipelines", tag="finanse")).data["note"]
    assert "past the end" in (await host.call("list_pipelines", offset=5000)).data["note"]


async def test_get_pipeline_shows_blocks_in_order_triggers_and_masked_variables(host: Host):
    answer = await host.call("get_pipeline", pipeline="customer_360")
    blocks = [row["block"] for row in answer.data["blocks"]]
    assert blocks.index("clean_users") < blocks.index("join_profiles") < blocks.index("export_profiles")
    answer = await host.call("get_pipeline", pipeline="sales_daily")
    assert (
        answer.data["variables"] | {"region": "emea", "row_count": 5, "db_password": "•••"} == answer.data["variables"]
    )
    assert "not-shown" not in answer.text
    assert {row["name"] for row in answer.data["triggers"]} == {"sales_api", "sales_yearly", "sales_hourly"}
    assert answer.data["latest_runs"][0]["status"] in {"completed", "running", "initial"}


def wide(blocks: int, variables: int, triggers: int) -> Pipeline:
    """A pipeline of many blocks, each waiting for two others, with variables of some length."""
    uuids = [f"transform_the_orders_of_region_{number:03}" for number in range(blocks)]
    return Pipeline(
        "wide_pipeline",
        "As wide as they come. " * 20,
        tuple(Block(uuid, "transformer", "", tuple(uuids[max(0, i - 2) : i])) for i, uuid in enumerate(uuids)),
        variables={f"threshold_of_region_{number:03}": f"value {number} " * 8 for number in range(variables)},
        triggers=tuple(Trigger(f"trigger_{number}", "time", "@daily") for number in range(triggers)),
        conditionals=tuple(Block(f"guard_{number}", "conditional", "", tuple(uuids[:2])) for number in range(12)),
    )


@pytest.mark.parametrize(("blocks", "variables", "triggers"), [(60, 40, 0), (400, 300, 30), (3, 300, 0), (0, 0, 300)])
async def test_a_wide_pipeline_is_cut_to_the_room_of_an_answer_and_more_is_there_with_full(
    world: World, demo: Host, blocks: int, variables: int, triggers: int
):
    pipeline = wide(blocks, variables, triggers)
    world.pipelines[pipeline.uuid] = pipeline
    for trigger in pipeline.triggers:
        world.add_trigger(pipeline.uuid, trigger.name)
    answer = await demo.call("get_pipeline", pipeline=pipeline.uuid)
    assert 900 < answer.tokens <= 1_500
    note = answer.data["note"]
    for name, number in {"blocks": blocks, "variables": variables, "triggers": triggers}.items():
        shown = len(answer.data.get(name, []))
        assert shown > 0 or number == 0
        if shown < number:
            assert f"{number - shown} more {name}" in note
    assert "get_pipeline(pipeline='wide_pipeline', full=true) shows more" in note
    assert ("list_triggers" in note) is (len(answer.data.get("triggers", [])) < triggers)
    full = await demo.call("get_pipeline", pipeline=pipeline.uuid, full=True)
    assert answer.tokens < full.tokens <= 8_000
    if blocks == 60:
        assert len(full.data["blocks"]) == 60
        assert len(full.data["variables"]) == 40
        assert "Left out" not in full.data.get("note", "")


async def test_get_pipeline_that_never_ran_says_so(host: Host):
    note = (await host.call("get_pipeline", pipeline="new_pipeline")).data["note"]
    assert "never ran" in note
    assert "no trigger" in note


async def test_an_unknown_pipeline_is_told_with_the_nearest_names(host: Host):
    for tool in ("get_pipeline", "trigger_pipeline", "get_run"):
        assert "Did you mean 'sales_daily'?" in await host.refused(tool, pipeline="sales_dialy")
    assert "Did you mean 'sales_daily'?" in await host.refused("list_runs", pipeline="sales_dialy")
    assert "Did you mean 'sales_daily'?" in await host.refused("list_triggers", pipeline="sales_dialy")


async def test_trigger_pipeline_makes_exactly_one_run_with_its_variables_and_waits(host: Host):
    before = (await host.call("list_runs", pipeline="sales_daily", limit=1)).data["total"]
    seen: list[tuple[float, str]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        seen.append((done, message or ""))

    answer = await host.try_call(
        "trigger_pipeline", progress, pipeline="sales_daily", variables={"region": "apac", "row_count": 2}, wait_s=45
    )
    run = answer.data
    assert run["status"] == "completed", answer.text
    assert run["variables"] | {"region": "apac", "row_count": 2} == run["variables"]
    assert seen
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert any("blocks done" in message for _, message in seen)
    assert (await host.call("list_runs", pipeline="sales_daily", limit=1)).data["total"] == before + 1
    log = (await host.call("get_run_logs", run=run["run"], block="export_orders", search="region")).data["log"]
    assert "apac" in log
    output = (await host.call("get_block_output", run=run["run"], block="load_orders")).data["outputs"][0]
    assert output["total_rows"] == 2
    assert output["rows"][0][1] == "apac"


async def test_trigger_pipeline_says_which_variables_nothing_knows_and_runs_all_the_same(host: Host):
    given = {"sleep_secnds": 1, "sleep_seconds": 0, "colour": "red"}
    run = (await host.call("trigger_pipeline", pipeline="slow_report", variables=given, wait_s=45)).data
    assert run["status"] == "completed"
    assert run["variables"] == given
    assert (
        "Nothing seems to know the variables 'sleep_secnds' (did you mean 'sleep_seconds'?), 'colour': the pipeline "
        "and its trigger have none of that name" in run["note"]
    )


async def test_variables_of_the_pipeline_its_trigger_its_code_and_mage_are_known(host: Host):
    for given in (
        {"region": "apac"},
        {"from_trigger": "no"},
        {"from_run": "yes"},
        {"execution_date": "2026-11-01", "env": "dev"},
        {},
    ):
        arguments = {"pipeline": "sales_daily", "trigger": "sales_api", "variables": given}
        run = (await host.call("trigger_pipeline", **arguments)).data
        assert "Nothing seems to know" not in run.get("note", ""), given


async def test_variables_are_looked_for_where_any_are_given(world: World, demo: Host):
    await demo.call("trigger_pipeline", pipeline="sales_daily", trigger="sales_api")
    before = len(world.requests)
    await demo.call("trigger_pipeline", pipeline="sales_daily", trigger="sales_api")
    without = len(world.requests) - before
    before = len(world.requests)
    await demo.call("trigger_pipeline", pipeline="sales_daily", trigger="sales_api", variables={"region": "apac"})
    assert len(world.requests) - before == without + 1


async def test_trigger_pipeline_keeps_to_one_trigger_of_its_own(host: Host):
    first = (await host.call("trigger_pipeline", pipeline="new_pipeline", wait_s=45)).data
    second = (await host.call("trigger_pipeline", pipeline="new_pipeline", wait_s=45)).data
    assert first["run"] != second["run"]
    assert "note" not in second
    ours = (await host.call("list_triggers", pipeline="new_pipeline")).data["items"]
    assert [(row["name"], row["type"], row["status"]) for row in ours] == [("mage-mcp", "event", "active")]
    assert "triggers" not in (await host.call("get_pipeline", pipeline="new_pipeline")).data
    (row,) = (await host.call("list_pipelines", search="new_pipeline")).data["items"]
    assert row["triggers"] == 0


async def test_trigger_pipeline_through_a_named_trigger(host: Host):
    run = (await host.call("trigger_pipeline", pipeline="sales_daily", trigger="sales_api", wait_s=45)).data
    assert run["trigger"] == "sales_api"


async def test_trigger_pipeline_never_wakes_an_inactive_trigger(host: Host):
    sentence = await host.refused("trigger_pipeline", pipeline="paused_reports", trigger="reports_daily")
    assert "inactive" in sentence
    assert "Nothing was started" in sentence
    assert (await host.call("list_runs", pipeline="paused_reports")).data["total"] == 0


async def test_trigger_pipeline_refuses_a_trigger_of_another_pipeline(host: Host):
    other = (await host.call("list_triggers", pipeline="orders_refresh")).data["items"][0]
    assert "belongs to pipeline 'orders_refresh'" in await host.refused(
        "trigger_pipeline", pipeline="sales_daily", trigger=other["trigger"]
    )
    assert "Did you mean 'sales_api'" in await host.refused(
        "trigger_pipeline", pipeline="sales_daily", trigger="sales_app"
    )


async def test_trigger_pipeline_for_a_date_gives_each_run_microseconds_of_its_own(host: Host):
    runs = [
        (
            await host.call("trigger_pipeline", pipeline="empty_pipeline", execution_date="2026-11-01T06:00:00+02:00")
        ).data
        for _ in range(2)
    ]
    assert runs[0]["run"] != runs[1]["run"]
    dates = {run["execution_date"] for run in runs}
    assert dates == {"2026-11-01T04:00:00Z"}


async def test_trigger_pipeline_refuses_what_is_no_variable_or_date(host: Host):
    assert "no variable's name" in await host.refused("trigger_pipeline", pipeline="sales_daily", variables={"a b": 1})
    assert "mask" in await host.refused("trigger_pipeline", pipeline="sales_daily", variables={"a": "•••"})
    assert "execution_date" in await host.refused("trigger_pipeline", pipeline="sales_daily", execution_date="today")

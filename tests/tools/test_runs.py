"""The tools that look at runs, explain, retry and cancel them, over both Mages and both protocol eras."""

from datetime import UTC, datetime

import anyio
import pytest

from tests.host import Host

pytestmark = pytest.mark.anyio


async def failed_run(host: Host, pipeline: str = "orders_refresh") -> int:
    """A run of a pipeline that fails, the latest there is or a new one."""
    known = (await host.call("list_runs", pipeline=pipeline, status="failed", limit=1)).data["items"]
    if known:
        return known[0]["run"]
    run = (await host.call("trigger_pipeline", pipeline=pipeline, wait_s=45)).data
    assert run["status"] == "failed"
    return run["run"]


async def under_way(host: Host, run: int) -> None:
    """Wait until a block of the run is running."""
    for _ in range(60):
        blocks = (await host.call("get_run", run=run)).data.get("blocks", [])
        if any(block["status"] == "running" for block in blocks):
            return
        if host.world:
            host.world.clock.advance(0.5)
        else:
            await anyio.sleep(0.5)
    raise AssertionError(f"run {run} did not get under way")


async def test_get_run_says_why_a_run_failed_in_one_call(host: Host):
    run = await failed_run(host)
    answer = await host.call("get_run", run=run)
    (failure,) = answer.data["failures"]
    assert failure["block"] == "divide_margins"
    assert failure["error_type"] == "ValueError"
    assert "has no revenue" in failure["message"]
    assert failure["file"] == "transformers/divide_margins.py"
    assert f">  {failure['line']} | " in failure["code"]
    assert "raise ValueError" in failure["code"]
    assert failure["cause"]["error_type"] == "ZeroDivisionError"
    assert failure["cause"]["code"] == "return row['profit'] / row['revenue']"
    assert f" {failure['cause']['line']} | " not in failure["code"]
    assert answer.data["never_ran"] == ["export_margins"]
    assert answer.data["history"]["failed_in_a_row"] >= 1
    assert f"retry_run(run={run})" in answer.data["next_steps"][0]
    assert answer.tokens <= 800
    assert "mage_ai" not in answer.text
    assert "site-packages" not in answer.text


async def test_get_run_of_a_pipeline_is_its_latest_run_in_the_wanted_state(host: Host):
    run = await failed_run(host)
    assert (await host.call("get_run", pipeline="orders_refresh", status="failed")).data["run"] == run
    assert "has no cancelled run" in await host.refused("get_run", pipeline="nested_import", status="cancelled")
    assert "trigger_pipeline starts one" in await host.refused("get_run", pipeline="paused_reports")


async def test_get_run_takes_a_link_to_this_mage_and_to_no_other(host: Host):
    run = await failed_run(host)
    sentence = await host.refused("get_run", run=f"https://elsewhere.example/pipelines/orders_refresh/runs/{run}")
    assert "elsewhere.example" in sentence
    assert "neither a run id nor a link" in await host.refused("get_run", run="the last one")
    assert "Which run?" in await host.refused("get_run")


async def test_get_run_of_an_unknown_run_says_what_to_do(host: Host):
    for tool, arguments in [
        ("get_run", {"run": 987654}),
        ("get_run_logs", {"run": 987654}),
        ("get_block_output", {"run": 987654, "block": "x"}),
        ("retry_run", {"run": 987654}),
        ("cancel_runs", {"runs": [987654]}),
    ]:
        assert "No run 987654" in await host.refused(tool, **arguments)


async def test_a_completed_run_tells_which_blocks_a_condition_kept_from_running(host: Host):
    run = (await host.call("get_run", pipeline="guarded_export", status="completed")).data
    (finding,) = run["findings"]
    assert finding["kind"] == "condition_false"
    assert len(finding["never_ran"]) == 2


async def test_a_nested_block_fails_under_its_own_name_and_file(host: Host):
    run = await failed_run(host, "nested_import")
    (failure,) = (await host.call("get_run", run=run)).data["failures"]
    assert failure["block"] == "sub/read_orders"
    assert failure["file"] == "data_loaders/sub/read_orders.py"
    assert failure["error_type"] == "FileNotFoundError"
    log = (await host.call("get_run_logs", run=run, block="sub/read_orders", level="error")).data["log"]
    assert "FileNotFoundError" in log


async def test_secrets_and_colours_of_an_error_stay_behind(host: Host):
    run = await failed_run(host, "leaky_sync")
    for answer in (
        await host.call("get_run", run=run),
        await host.call("get_run_logs", run=run),
        await host.call("list_runs", pipeline="leaky_sync"),
        await host.call("list_runs", group_by="cause"),
    ):
        assert "s3cret" not in answer.text
        assert "\x1b" not in answer.text
    assert "•••@" in (await host.call("get_run", run=run)).text


async def test_list_runs_is_newest_first_and_counts_by_status(host: Host):
    await failed_run(host)
    everything = [row["run"] for row in (await host.call("list_runs", limit=100)).data["items"]]
    assert everything == sorted(everything, reverse=True)
    page = (await host.call("list_runs", limit=3)).data
    assert [row["run"] for row in page["items"]] == everything[:3]
    assert page["next_offset"] == 3
    assert sum(page["counts"].values()) == page["total"]
    failed = (await host.call("list_runs", status="failed", limit=100)).data
    assert failed["total"] == page["counts"]["failed"]
    row = next(row for row in failed["items"] if row["pipeline"] == "orders_refresh")
    assert row["failed_block"] == "divide_margins"
    assert row["error"].startswith("ValueError: ")
    assert len(row["error"]) <= 120


async def test_list_runs_within_a_time_takes_ages_and_iso_times(host: Host):
    await failed_run(host)
    everything = (await host.call("list_runs")).data["total"]
    assert (await host.call("list_runs", since="400d")).data["total"] == everything
    assert (await host.call("list_runs", until="400d")).data["total"] == 0
    nothing = (await host.call("list_runs", since="2999-01-01T00:00:00Z")).data
    assert nothing["items"] == []
    assert "in that time" in nothing["note"]
    assert "It takes 24h" in await host.refused("list_runs", since="the other day")


async def test_list_runs_of_one_trigger_never_shows_those_of_others(host: Host):
    run = (await host.call("trigger_pipeline", pipeline="orders_refresh", trigger="orders_api", wait_s=45)).data
    page = (await host.call("list_runs", trigger="orders_api", limit=100)).data
    assert run["run"] in [row["run"] for row in page["items"]]
    assert {row["pipeline"] for row in page["items"]} == {"orders_refresh"}
    assert "No trigger 99999" in await host.refused("list_runs", trigger=99999)


async def test_list_runs_of_a_pipeline_that_never_ran_says_why(host: Host):
    page = (await host.call("list_runs", pipeline="paused_reports")).data
    assert page["items"] == []
    assert "triggers are all inactive" in page["note"]


async def test_failures_are_grouped_by_cause(host: Host):
    await failed_run(host)
    await failed_run(host, "nested_import")
    causes = (await host.call("list_runs", group_by="cause", since="400d")).data["causes"]
    by_block = {cause["block"]: cause for cause in causes}
    assert by_block["divide_margins"]["error"].startswith("ValueError")
    assert by_block["divide_margins"]["pipelines"] == ["orders_refresh"]
    assert by_block["sub/read_orders"]["count"] >= 1


async def test_causes_stand_alone_by_pages_and_are_of_failed_runs_only(host: Host):
    await failed_run(host)
    await failed_run(host, "nested_import")
    page = (await host.call("list_runs", group_by="cause")).data
    assert {"items", "total"}.isdisjoint(page)
    assert (await host.call("list_runs", group_by="cause", status="failed")).data["causes"] == page["causes"]
    first = (await host.call("list_runs", group_by="cause", limit=1)).data
    assert first["causes"] == page["causes"][:1]
    assert f"Shown are the 1 commonest of {len(page['causes'])} causes." in first["note"]
    second = (await host.call("list_runs", group_by="cause", limit=1, offset=first["next_offset"])).data
    assert second["causes"] == page["causes"][1:2]
    behind = (await host.call("list_runs", group_by="cause", offset=90)).data
    assert "past the end" in behind["note"]
    assert "next_offset" not in behind
    sentence = await host.refused("list_runs", group_by="cause", status="cancelled")
    assert "groups failed runs, and status='cancelled' was asked for. Leave one of the two out." in sentence


async def test_answers_in_which_times_matter_tell_the_time(host: Host):
    ended = await failed_run(host)
    clock = datetime.fromisoformat((await host.call("list_runs", limit=1)).data["now"])
    if host.world:
        assert clock == host.world.now.replace(microsecond=0)
    else:
        assert abs((datetime.now(UTC) - clock).total_seconds()) < 60
    assert "now" in (await host.call("list_runs", status="stuck")).data
    assert "now" in (await host.call("list_runs", group_by="cause")).data
    run = (await host.call("trigger_pipeline", pipeline="slow_report", variables={"sleep_seconds": 600})).data
    assert run["now"] >= run.get("started_at", "")
    assert "now" in (await host.call("get_run", run=run["run"])).data
    await host.call("cancel_runs", runs=[run["run"]])
    assert "now" not in (await host.call("get_run", run=ended)).data


async def test_get_run_logs_filters_by_block_level_and_text(host: Host):
    run = await failed_run(host)
    whole = (await host.call("get_run_logs", run=run)).data
    assert "divide_margins" in whole["log"]
    errors = (await host.call("get_run_logs", run=run, level="error")).data
    assert 0 < errors["matching"] < whole["matching"]
    assert "ValueError" in errors["log"]
    assert "INFO" not in errors["log"]
    first = (await host.call("get_run_logs", run=run, block="load_numbers")).data
    assert "divide_margins" not in first["log"]
    found = (await host.call("get_run_logs", run=run, search="no revenue")).data
    assert 0 < found["matching"] < whole["matching"]
    last = (await host.call("get_run_logs", run=run, tail_lines=1)).data
    assert last["shown"] == 1
    assert "earliest" in last["note"]
    none = (await host.call("get_run_logs", run=run, search="no such words")).data
    assert none["shown"] == 0
    assert "None of the" in none["note"]


async def test_an_unknown_block_is_told_with_the_nearest_names(host: Host):
    run = await failed_run(host)
    for tool, arguments in [
        ("get_run_logs", {"run": run, "block": "divide_margin"}),
        ("get_block_output", {"run": run, "block": "divide_margin"}),
        ("retry_run", {"run": run, "from_block": "divide_margin"}),
    ]:
        assert "Did you mean 'divide_margins'" in await host.refused(tool, **arguments)


async def test_get_block_output_shows_a_sample_and_the_real_size(host: Host):
    output = (await host.call("get_block_output", pipeline="sales_daily", block="load_orders", rows=1)).data
    (table,) = output["outputs"]
    assert [column["name"] for column in table["columns"]] == ["order_id", "region", "amount"]
    assert [column["type"] for column in table["columns"]] == ["integer", "string", "number"]
    assert len(table["rows"]) == 1
    assert table["total_rows"] >= 2
    exporter = (await host.call("get_block_output", pipeline="sales_daily", block="export_orders")).data
    assert "exporters have none" in exporter["note"]
    listed = (await host.call("get_block_output", run=await failed_run(host), block="load_numbers")).data["outputs"]
    assert listed[0]["total_rows"] == 2


async def test_retry_run_runs_what_had_not_completed_again(host: Host):
    run = (await host.call("trigger_pipeline", pipeline="flaky_import", wait_s=45)).data
    assert run["status"] == "failed"
    retried = (await host.call("retry_run", run=run["run"])).data
    assert retried["changed"]
    assert retried["before"] == "failed"
    assert retried["blocks"] == ["fail_once", "export_one"]
    assert host.person.asked == [] or "flaky_import" not in host.person.asked[-1]
    after = (await host.call("get_run", run=run["run"], wait_s=45)).data
    assert after["status"] == "completed"


async def test_retry_run_from_a_block_that_leaves_the_failed_one_out_is_refused(host: Host):
    run = await failed_run(host)
    sentence = await host.refused("retry_run", run=run, from_block="export_margins")
    assert "divide_margins (failed)" in sentence
    assert f"retry_run(run={run})" in sentence
    again = (await host.call("retry_run", run=run, from_block="divide_margins")).data
    assert again["blocks"] == ["divide_margins", "export_margins"]
    assert (await host.call("get_run", run=run, wait_s=45)).data["status"] == "failed"


async def test_retry_run_of_a_completed_run_needs_a_block_and_asks_before_exporters_run_again(host: Host):
    run = (await host.call("get_run", pipeline="sales_daily", status="completed")).data["run"]
    assert "Give from_block" in await host.refused("retry_run", run=run)
    preview = (await host.call("retry_run", run=run, from_block="add_tax", dry_run=True)).data
    assert preview["would"] == ["add_tax runs again", "export_orders runs again, and writes its data again"]
    assert preview["changed"] is False
    host.person.asked.clear()
    host.person.action = "decline"
    declined = (await host.call("retry_run", run=run, from_block="add_tax")).data
    assert declined["changed"] is False
    assert "declined" in declined["note"]
    assert "- export_orders writes its data again" in host.person.asked[-1]
    assert (await host.call("get_run", run=run)).data["status"] == "completed"
    host.person.action = "accept"
    retried = (await host.call("retry_run", run=run, from_block="add_tax")).data
    assert retried["changed"], retried
    assert retried["blocks"] == ["add_tax", "export_orders"]
    assert retried["wrote_before"] == ["export_orders"]
    assert (await host.call("get_run", run=run, wait_s=45)).data["status"] == "completed"


async def test_a_run_that_goes_on_is_not_retried_but_can_be_cancelled_once_a_person_agreed(host: Host):
    run = (await host.call("trigger_pipeline", pipeline="slow_report", variables={"sleep_seconds": 600})).data["run"]
    await under_way(host, run)
    assert "only a run that has ended" in await host.refused("retry_run", run=run)
    report = (await host.call("get_run", run=run)).data
    assert "sleep_a_while has been running for" in report["waits_for"]
    host.person.asked.clear()
    host.person.agree = False
    kept = (await host.call("cancel_runs", runs=[run])).data
    assert kept["changed"] is False
    (asked,) = host.person.asked
    assert asked.startswith("Cancel runs on Mage at ")
    assert asked.endswith(f"\n- cancel run {run} of slow_report")
    assert (await host.call("get_run", run=run)).data["status"] == "running"
    host.person.agree = True
    cancelled = (await host.call("cancel_runs", runs=[run])).data
    assert cancelled["runs"] == [{"run": run, "pipeline": "slow_report", "before": "running", "after": "cancelled"}]
    again = (await host.call("cancel_runs", runs=[run])).data
    assert again["changed"] is False
    assert "already ended" in again["note"]
    assert len(host.person.asked) == 2, "nobody is asked about what has ended"


async def test_a_worker_that_dies_for_ever_is_told_with_the_advice_to_cancel(host: Host):
    run = (await host.call("trigger_pipeline", pipeline="crash_loop")).data["run"]
    for _ in range(40):
        report = (await host.call("get_run", run=run, wait_s=3)).data
        found = [f for f in report.get("findings", []) if f["kind"] == "worker_dies" and f["times"] > 1]
        if found:
            break
    assert found[0]["block"] == "leave_early"
    assert report["next_steps"] == [f"cancel_runs(runs=[{run}])"]
    assert (await host.call("cancel_runs", runs=[run])).data["runs"][0]["after"] == "cancelled"


async def test_an_ended_run_is_deleted_once_a_person_agreed(host: Host):
    run = (await host.call("trigger_pipeline", pipeline="empty_pipeline", wait_s=45)).data["run"]
    host.person.asked.clear()
    host.person.agree = False
    assert (await host.call("delete_runs", runs=[run])).data["changed"] is False
    (asked,) = host.person.asked
    assert asked.startswith("Delete runs on Mage at ")
    assert asked.endswith(f"\n- delete run {run} of empty_pipeline (completed)")
    assert (await host.call("get_run", run=run)).data["status"] == "completed"
    host.person.agree = True
    deleted = (await host.call("delete_runs", runs=[run])).data
    assert deleted["runs"] == [{"run": run, "pipeline": "empty_pipeline", "before": "completed", "after": "deleted"}]
    assert f"No run {run}" in await host.refused("get_run", run=run)


async def test_a_run_that_goes_on_is_not_deleted_and_neither_is_one_named_beside_it(host: Host):
    ended = (await host.call("trigger_pipeline", pipeline="empty_pipeline", wait_s=45)).data["run"]
    run = (await host.call("trigger_pipeline", pipeline="slow_report", variables={"sleep_seconds": 600})).data["run"]
    await under_way(host, run)
    sentence = await host.refused("delete_runs", runs=[ended, run])
    assert f"{run} (running). Nothing was deleted." in sentence
    assert f"cancel_runs(runs=[{run}])" in sentence
    assert (await host.call("get_run", run=ended)).data["status"] == "completed"
    await host.call("cancel_runs", runs=[run])
    deleted = (await host.call("delete_runs", runs=[ended, run])).data
    assert [row["after"] for row in deleted["runs"]] == ["deleted", "deleted"]
    assert "No run 987654" in await host.refused("delete_runs", runs=[987654])

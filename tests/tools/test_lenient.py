"""What is not as the schema has it but certain is taken, and said where it changes the answer."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter

from mage_mcp.client.run_rows import parse_moment
from mage_mcp.tools._args import Limit, RunRefs
from tests.conftest import URL
from tests.host import Host
from tests.tools.test_runs import failed_run, under_way

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 25, 3, 14, 7, tzinfo=UTC)


async def test_statuses_are_taken_in_any_case_and_by_what_they_are_called_elsewhere(host: Host):
    await failed_run(host)
    failed = (await host.call("list_runs", status="failed")).data
    for word in ("FAILED", " Failed ", "error", "failure"):
        assert (await host.call("list_runs", status=word)).data["total"] == failed["total"], word
    completed = (await host.call("list_runs", status="completed")).data["total"]
    assert (await host.call("list_runs", status="success")).data["total"] == completed
    assert (await host.call("list_runs", status="all")).data["total"] == (await host.call("list_runs")).data["total"]
    assert (await host.call("get_run", pipeline="orders_refresh", status="ERROR")).data["status"] == "failed"
    assert "has no cancelled run" in await host.refused("get_run", pipeline="nested_import", status="canceled")
    log = (await host.call("get_run_logs", run=await failed_run(host), level="ERROR")).data
    assert "ValueError" in log["log"]
    assert "INFO" not in log["log"]
    assert (await host.call("list_pipelines", status="No triggers", type="Python")).data["total"] > 0


async def test_more_than_there_may_be_is_taken_as_the_most_and_said(host: Host):
    page = (await host.call("list_pipelines", limit=1000)).data
    assert page["note"].startswith("limit is at most 100, and was taken as that.")
    assert page["total"] == len(page["items"])
    run = await failed_run(host)
    report = (await host.call("get_run", run=run, wait_s=120)).data
    assert "wait_s is at most 45" in report["note"]
    assert "tail_lines is at most 500" in (await host.call("get_run_logs", run=run, tail_lines="9999")).data["note"]
    output = (await host.call("get_block_output", run=run, block="load_numbers", rows=1000)).data
    assert "rows is at most 100" in output["note"]
    assert "note" not in (await host.call("list_runs", limit=100)).data


async def test_one_run_or_several_in_one_text_are_a_list_of_runs(host: Host):
    run = (await host.call("get_run", pipeline="sales_daily", status="completed")).data["run"]
    other = await failed_run(host)
    for given in (run, str(run), [str(run)], f"[{run}]"):
        assert [row["run"] for row in (await host.call("cancel_runs", runs=given)).data["runs"]] == [run]
    for given in (f"{run}, {other}", f"{other} {run} {run}", [run, str(other)]):
        rows = (await host.call("cancel_runs", runs=given)).data["runs"]
        assert [row["run"] for row in rows] == sorted({run, other})


async def test_links_are_taken_by_what_changes_runs_and_must_fit_the_run(host: Host, request: pytest.FixtureRequest):
    url = URL if host.world else request.getfixturevalue("real_mage").url
    run = (await host.call("trigger_pipeline", pipeline="slow_report", variables={"sleep_seconds": 600})).data["run"]
    await under_way(host, run)
    host.person.asked.clear()
    wrong = f"{url}/pipelines/sales_daily/runs/{run}"
    for tool, arguments in [
        ("get_run", {"run": wrong}),
        ("retry_run", {"run": wrong}),
        ("cancel_runs", {"runs": [wrong]}),
        ("delete_runs", {"runs": wrong}),
    ]:
        sentence = await host.refused(tool, **arguments)
        assert f"The link says pipeline sales_daily, but run {run} is of slow_report." in sentence
    foreign = f"https://elsewhere.example/pipelines/slow_report/runs/{run}"
    assert "elsewhere.example" in await host.refused("cancel_runs", runs=[foreign])
    assert host.person.asked == []
    link = f"{url}/pipelines/slow_report/runs/{run}"
    cancelled = (await host.call("cancel_runs", runs=link)).data
    assert cancelled["runs"] == [{"run": run, "pipeline": "slow_report", "before": "running", "after": "cancelled"}]
    assert (await host.call("retry_run", run=link, dry_run=True)).data["run"] == run
    assert (await host.call("delete_runs", runs=[link, run])).data["runs"][0]["after"] == "deleted"


async def test_ages_are_taken_as_they_are_typed(host: Host):
    await failed_run(host)
    total = (await host.call("list_runs", since="400d")).data["total"]
    assert (await host.call("list_runs", since="last 400 days")).data["total"] == total
    assert (await host.call("list_runs", until="400 days ago")).data["total"] == 0


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("24h", "2026-11-24T03:14:07"),
        ("last 24 hours", "2026-11-24T03:14:07"),
        ("the past 24 hrs", "2026-11-24T03:14:07"),
        ("24 Hours ago", "2026-11-24T03:14:07"),
        ("-24h", "2026-11-24T03:14:07"),
        ("now-1d", "2026-11-24T03:14:07"),
        ("last hour", "2026-11-25T02:14:07"),
        ("30 minutes", "2026-11-25T02:44:07"),
        ("2W", "2026-11-11T03:14:07"),
        ("now", "2026-11-25T03:14:07"),
        ("today", "2026-11-25T00:00:00"),
        ("Yesterday", "2026-11-24T00:00:00"),
        ("2026-11-24", "2026-11-24T00:00:00"),
        ("2026-11-24T06:00:00+02:00", "2026-11-24T04:00:00"),
    ],
)
async def test_what_a_typed_age_means(typed: str, meant: str):
    moment = datetime.fromtimestamp(parse_moment(typed, name="since", now=NOW), UTC)
    assert moment.replace(tzinfo=None).isoformat() == meant


async def test_schemas_say_no_more_than_before():
    limit = TypeAdapter(Limit).json_schema()
    assert limit == {"description": "Most items.", "maximum": 100, "minimum": 1, "type": "integer"}
    runs = TypeAdapter(RunRefs).json_schema()
    assert runs["items"] == {"type": "string"}
    assert runs["maxItems"] == 20
    assert "anyOf" not in runs

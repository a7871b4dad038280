"""The simulated Mage answers as the real one: the shapes here were taken from a running Mage 0.9.80."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from mage_mcp.demo.app import create_app
from mage_mcp.demo.auth import API_KEY
from mage_mcp.demo.cloud import CloudWorld
from mage_mcp.demo.cron import is_interval, next_run_at
from mage_mcp.demo.project import PIPELINES
from mage_mcp.demo.serve import create_served_app
from mage_mcp.demo.times import Clock
from mage_mcp.demo.world import World

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LOGIN = ("admin@admin.com", "admin")
SALES_API, SALES_YEARLY, SALES_HOURLY, ORDERS_API, SLOW_API, CUSTOMER_API = 1, 2, 3, 4, 5, 9


def keys(text: str) -> list[str]:
    return text.split()


RUN_KEYS = keys(
    "backfill_id completed_at created_at event_variables execution_date executor_type id metrics passed_sla "
    "pipeline_schedule_id pipeline_uuid started_at status updated_at variables"
)
RUN_ROW_KEYS = RUN_KEYS + keys(
    "block_runs block_runs_count completed_block_runs_count pipeline_schedule_name pipeline_schedule_token "
    "pipeline_schedule_type pipeline_tags pipeline_type repo_path"
)
BLOCK_RUN_KEYS = keys(
    "pipeline_run_id block_uuid status started_at completed_at metrics id created_at updated_at "
    "pipeline_schedule_id pipeline_schedule_name"
)
BLOCK_RUN_ROW_KEYS = keys(
    "block_uuid completed_at created_at id pipeline_run_id started_at status updated_at "
    "pipeline_schedule_id pipeline_schedule_name"
)
TRIGGER_KEYS = keys(
    "created_at description global_data_product_uuid id last_enabled_at name pipeline_uuid repo_path "
    "schedule_interval schedule_type settings sla start_time status token updated_at variables"
)
TRIGGER_ROW_KEYS = TRIGGER_KEYS + keys(
    "event_matchers last_pipeline_run_status next_pipeline_run_date pipeline_in_progress_runs_count "
    "pipeline_runs_count tags"
)
PIPELINE_ROW_KEYS = keys(
    "cache_block_output_in_memory concurrency_config created_at data_integration description executor_config "
    "executor_count executor_type name notification_config remote_variables_dir retry_config "
    "run_pipeline_in_one_process settings tags type uuid variables_dir spark_config blocks callbacks conditionals "
    "widgets updated_at"
)
BLOCK_KEYS = keys(
    "all_upstream_blocks_executed color configuration downstream_blocks executor_config executor_type has_callback "
    "name language retry_config status timeout type upstream_blocks uuid"
)
LOG_KEYS = keys(
    "block_run_id block_uuid pipeline_run_id pipeline_schedule_id pipeline_uuid block_type level message timestamp uuid"
)


@pytest.fixture
def world() -> World:
    return World(Clock(NOON))


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(world) as client:
        yield client


def client_of(world: World) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(world)), base_url="http://mage.test")


async def get(http: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    return (await http.get(path, params=params)).json()


async def start(http: httpx.AsyncClient, trigger: int, **payload: Any) -> dict[str, Any]:
    path = f"/api/pipeline_schedules/{trigger}/pipeline_runs"
    return (await http.post(path, json={"pipeline_run": payload})).json()["pipeline_run"]


async def change_run(http: httpx.AsyncClient, run: int, **payload: Any) -> dict[str, Any]:
    return (await http.put(f"/api/pipeline_runs/{run}", json={"pipeline_run": payload})).json()["pipeline_run"]


async def statuses(http: httpx.AsyncClient, run: int) -> tuple[str, dict[str, str]]:
    detail = (await get(http, f"/api/pipeline_runs/{run}"))["pipeline_run"]
    return detail["status"], {block["block_uuid"]: block["status"] for block in detail["block_runs"]}


def newest(world: World, pipeline: str) -> int:
    return max(run.id for run in world.runs.values() if run.pipeline.uuid == pipeline)


def is_error_500(body: dict[str, Any], exception: str) -> bool:
    error = body["error"]
    assert list(error) == ["code", "errors", "exception", "message"]
    assert error["message"].startswith("Traceback")
    assert "status" not in body
    assert "type" not in error
    return error["code"] == 500 and error["exception"] == exception


# Pipelines and blocks


async def test_pipelines_page_in_their_own_way(http: httpx.AsyncClient) -> None:
    first = await get(http, "/api/pipelines", _limit=2, _offset=1)
    assert [row["uuid"] for row in first["pipelines"]] == ["customer_360", "empty_pipeline"]
    assert list(first["pipelines"][0]) == PIPELINE_ROW_KEYS
    assert list(first["pipelines"][0]["blocks"][0]) == BLOCK_KEYS
    total = len(PIPELINES)
    assert first["metadata"] == {"count": total, "results": 2, "next": True}
    assert (await get(http, "/api/pipelines"))["metadata"] == {"count": total, "results": total, "next": None}
    assert (await get(http, "/api/pipelines", _limit=0))["metadata"] == {"count": total, "results": total, "next": 0}
    last = await get(http, "/api/pipelines", _limit=30, _offset=total - 1)
    assert last["metadata"] == {"count": total, "results": 1, "next": False}


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"search": "ALES"}, ["sales_daily"]),
        ({"search": "tax"}, []),
        ({"tag[]": "daily,broken"}, ["orders_refresh", "sales_daily"]),
        ({"tag[]": "nope"}, []),
        ({"status[]": "inactive", "include_schedules": "true"}, ["paused_reports"]),
        ({"type[]": "streaming"}, []),
    ],
)
async def test_pipelines_are_filtered(http: httpx.AsyncClient, params: dict[str, str], found: list[str]) -> None:
    assert [row["uuid"] for row in (await get(http, "/api/pipelines", **params))["pipelines"]] == found


async def test_status_filter_does_nothing_without_schedules(http: httpx.AsyncClient) -> None:
    assert len((await get(http, "/api/pipelines", **{"status[]": "inactive"}))["pipelines"]) == len(PIPELINES)


async def test_pipeline_detail_has_switches(http: httpx.AsyncClient) -> None:
    full = (await get(http, "/api/pipelines/sales_daily"))["pipeline"]
    assert full["variables"] == {"region": "emea", "row_count": 5, "db_password": "not-shown"}
    assert "@data_loader" in full["blocks"][0]["content"]
    assert "schedules" not in full
    lean = {"includes_content": "false", "includes_outputs": "false", "include_schedules": "true"}
    pipeline = (await get(http, "/api/pipelines/sales_daily", **lean))["pipeline"]
    assert list(pipeline["blocks"][0]) == [*BLOCK_KEYS, "callback_blocks", "conditional_blocks", "metadata", "tags"]
    assert [row["start_time"] for row in pipeline["schedules"]] == [None, None, None]
    assert pipeline["schedules"][0]["created_at"] == "2026-10-25T12:00:00"


async def test_conditionals_stand_beside_the_blocks(http: httpx.AsyncClient) -> None:
    pipeline = (await get(http, "/api/pipelines/guarded_export"))["pipeline"]
    assert [block["conditional_blocks"] for block in pipeline["blocks"]] == [[], ["has_rows"], []]
    assert pipeline["conditionals"][0]["upstream_blocks"] == ["publish_summary"]


async def test_block_names_may_hold_a_slash(http: httpx.AsyncClient) -> None:
    block = (await get(http, "/api/pipelines/nested_import/blocks/sub%2Fread_orders"))["block"]
    assert list(block) == [*BLOCK_KEYS, "content", "outputs"]
    listed = (await get(http, "/api/pipelines/nested_import/blocks"))["blocks"]
    assert [row["uuid"] for row in listed] == ["sub/read_orders", "store_orders"]


async def test_variables_and_tags(http: httpx.AsyncClient) -> None:
    (group,) = (await get(http, "/api/pipelines/sales_daily/variables"))["variables"]
    assert group["block"] == {"uuid": "global"}
    assert {"uuid": "row_count", "type": "<class 'int'>", "value": 5} in group["variables"]
    assert (await get(http, "/api/pipelines/crash_loop/variables"))["variables"] == []
    tags = (await get(http, "/api/tags"))["tags"]
    assert {"description": None, "id": 1, "name": "ops", "uuid": "ops"} in tags
    assert {"description": None, "id": None, "name": "daily", "uuid": "daily"} in tags


async def test_files_read_as_empty_when_missing(world: World, http: httpx.AsyncClient) -> None:
    file = (await get(http, "/api/file_contents/transformers%2Fadd_tax.py"))["file_content"]
    assert (await get(http, "/api/file_contents/demo_project/transformers/add_tax.py"))["file_content"] == file
    assert list(file) == ["content", "modified_timestamp", "name", "path", "size"]
    missing = (await get(http, "/api/file_contents/nope.py"))["file_content"]
    assert (missing["content"], missing["size"]) == ("", None)
    outside = await get(http, "/api/file_contents/%2Fetc%2Fpasswd")
    assert outside["error"]["message"] == "File at path: /etc/passwd is not in the project directory."
    world.write_file("transformers/add_tax.py", "# changed")
    block = (await get(http, "/api/pipelines/sales_daily/blocks/add_tax"))["block"]
    assert block["content"] == "# changed"


# Errors


@pytest.mark.parametrize("path", ["/api/pipelines/nope", "/api/pipelines/nope/blocks/x", "/api/pipelines/nope/logs"])
async def test_unknown_pipeline_is_an_error_500_in_a_200(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path, params={"_http_error_codes": 1})
    assert response.status_code == 200
    assert is_error_500(response.json(), "Pipeline nope does not exist.")
    assert response.json()["url_parameters"]["pk"] == "nope"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/api/pipeline_runs/999", (404, "record_not_found", "Record not found.")),
        ("/api/pipeline_runs/abc", (404, "record_not_found", "Record not found.")),
        ("/api/pipeline_schedules/999", (404, "record_not_found", "Record not found.")),
        (
            "/api/pipelines/sales_daily/blocks/nope",
            (400, "record_invalid", "Block nope does not exist in pipeline sales_daily."),
        ),
        ("/api/block_runs/1", (403, "unauthorized_access", "The detail action is disabled for block_runs.")),
        (
            "/api/pipeline_runs?start_timestamp=yesterday",
            (400, "record_invalid", "Value is invalid for start_timestamp."),
        ),
    ],
)
async def test_foreseen_errors_are_200_unless_asked(
    http: httpx.AsyncClient, path: str, error: tuple[int, str, str]
) -> None:
    code, kind, message = error
    plain = await http.get(path)
    assert (plain.status_code, plain.json()["status"]) == (200, 200)
    assert plain.json()["error"] == {"code": code, "message": message, "type": kind}
    coded = await http.get(httpx.URL(path).copy_merge_params({"_http_error_codes": "1"}))
    assert (coded.status_code, coded.json()["status"]) == (code, code)


async def test_what_is_refused_before_it_is_read(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/pipelines/")).status_code == 404
    assert (await http.get("/api")).headers["content-type"].startswith("text/html")
    assert (await http.get("/api/pipelines/..%2F..%2Fetc")).text == "Error: Invalid path (path traversal detected)"
    query = await http.get("/api/pipelines", params={"search": "../x"})
    assert query.status_code == 400
    assert query.text == "Error: Invalid parameter value for 'search' (path traversal detected)"
    for response in (
        await http.head("/api/pipelines"),
        await http.patch("/api/pipelines/sales_daily"),
        await http.post("/api/pipelines/sales_daily"),
        await http.get("/api/pipeline_schedules/1/api_trigger"),
    ):
        assert (response.status_code, response.content) == (405, b"")


async def test_resources_that_this_edition_lacks_are_errors_500(http: httpx.AsyncClient) -> None:
    body = await get(http, "/api/deployment_settings")
    assert is_error_500(body, "No module named 'mage_ai.api.policies.DeploymentSettingPolicy'")


async def test_requests_are_noted(world: World, http: httpx.AsyncClient) -> None:
    await http.get("/api/pipelines/nested_import/blocks/sub%2Fread_orders?x=1")
    assert world.requests == [("GET", "/api/pipelines/nested_import/blocks/sub%2Fread_orders")]


# Runs


async def test_a_run_proceeds_by_the_clock(world: World, http: httpx.AsyncClient) -> None:
    run = await start(http, SALES_API, variables={"region": "latam"}, event_variables={"nonce": "n1"})
    assert list(run) == RUN_KEYS
    assert run["status"] == "initial"
    assert run["variables"] == {"region": "latam", "execution_partition": "1/20261124T120000_000020"}
    assert await statuses(http, run["id"]) == ("initial", {})
    seen = []
    for _ in range(14):
        world.clock.advance(0.3)
        status, blocks = await statuses(http, run["id"])
        seen.append((status, *blocks.values()))
    assert seen[2] == ("initial",)
    assert seen[3] == ("running", "initial", "initial", "initial")
    assert ("running", "completed", "running", "initial") in seen
    assert seen[-1] == ("completed", "completed", "completed", "completed")
    detail = (await get(http, f"/api/pipeline_runs/{run['id']}"))["pipeline_run"]
    assert detail["started_at"] == "2026-11-24 12:00:01"
    assert detail["completed_at"] == "2026-11-24 12:00:04.200000"
    assert detail["event_variables"] == {"nonce": "n1"}
    assert list(detail) == [*RUN_KEYS, "block_runs"]
    assert list(detail["block_runs"][0]) == BLOCK_RUN_KEYS
    assert detail["block_runs"][0]["metrics"] == {}


async def test_the_same_world_is_the_same_twice() -> None:
    first, second = World(Clock(NOON)), World(Clock(NOON))
    async with client_of(first) as one, client_of(second) as other:
        for path in ("/api/pipeline_runs", "/api/pipeline_schedules", "/api/pipelines/crash_loop/logs"):
            assert await get(one, path) == await get(other, path)


async def test_slow_report_takes_its_seconds_from_the_run(world: World, http: httpx.AsyncClient) -> None:
    run = await start(http, SLOW_API, variables={"sleep_seconds": 60})
    world.clock.advance(58)
    assert await statuses(http, run["id"]) == ("running", {"sleep_a_while": "running", "after_sleep": "initial"})
    basic = (await get(http, f"/api/pipeline_runs/{run['id']}", _format="with_basic_details"))["pipeline_run"]
    assert list(basic) == ["execution_date", "id", "status"]
    world.clock.advance(6)
    assert (await statuses(http, run["id"]))[0] == "completed"


async def test_a_failed_run_says_why_in_its_block(world: World, http: httpx.AsyncClient) -> None:
    run = (await get(http, f"/api/pipeline_runs/{newest(world, 'orders_refresh')}"))["pipeline_run"]
    assert (run["status"], run["completed_at"]) == ("failed", None)
    done, failed, cancelled = run["block_runs"]
    assert (failed["completed_at"], cancelled["started_at"], cancelled["metrics"]) == (None, None, None)
    assert [block["status"] for block in (done, failed, cancelled)] == ["completed", "failed", "cancelled"]
    error = failed["metrics"]["error"]
    assert error["error"] == "order 2 has no revenue"
    assert len(error["errors"]) == 51
    cause, _, last = error["message"].partition("The above exception was the direct cause")
    assert cause.endswith("ZeroDivisionError: float division by zero\n\n")
    assert last.endswith("ValueError: order 2 has no revenue\n")
    source = (await get(http, "/api/pipelines/orders_refresh/blocks/divide_margins"))["block"]["content"].splitlines()
    in_helper = int(re.findall(r'File "<string>", line (\d+), in margin', cause)[0])
    in_block = int(re.findall(r'File "<string>", line (\d+), in transform', last)[0])
    assert source[in_helper - 1].strip() == "return row['profit'] / row['revenue']"
    assert source[in_block - 1].strip().startswith("raise ValueError")


async def test_a_false_condition_leaves_a_green_run(world: World, http: httpx.AsyncClient) -> None:
    run = newest(world, "guarded_export")
    status, blocks = await statuses(http, run)
    assert status == "completed"
    assert list(blocks.values()) == ["completed", "condition_failed", "condition_failed"]


async def test_branches_run_side_by_side(world: World, http: httpx.AsyncClient) -> None:
    run = await start(http, CUSTOMER_API)
    world.clock.advance(2.6)
    _, blocks = await statuses(http, run["id"])
    assert (blocks["clean_users"], blocks["load_events"], blocks["join_profiles"]) == ("running", "running", "initial")
    world.clock.advance(10)
    assert (await statuses(http, run["id"]))[0] == "completed"


async def test_runs_wait_for_ever_on_an_inactive_trigger(world: World, http: httpx.AsyncClient) -> None:
    run = await start(http, SALES_HOURLY)
    world.clock.advance(3600)
    assert await statuses(http, run["id"]) == ("initial", {})
    await http.put(f"/api/pipeline_schedules/{SALES_HOURLY}", json={"pipeline_schedule": {"status": "active"}})
    world.clock.advance(60)
    assert (await statuses(http, run["id"]))[0] == "completed"


async def test_cancel_stops_what_is_under_way_and_only_that(world: World, http: httpx.AsyncClient) -> None:
    run = await start(http, SLOW_API)
    world.clock.advance(5)
    assert (await change_run(http, run["id"], status="cancelled"))["completed_at"] is None
    world.clock.advance(60)
    assert await statuses(http, run["id"]) == ("cancelled", {"sleep_a_while": "cancelled", "after_sleep": "cancelled"})
    completed = newest(world, "sales_daily")
    assert (await change_run(http, completed, status="cancelled"))["status"] == "completed"
    assert (await change_run(http, completed, status="running"))["status"] == "completed"


async def test_a_dying_worker_is_started_again_till_somebody_cancels(world: World, http: httpx.AsyncClient) -> None:
    run = newest(world, "crash_loop")
    status, blocks = await statuses(http, run)
    assert (status, blocks["load_small"]) == ("running", "completed")
    assert blocks["leave_early"] in ("running", "queued")
    log = await block_log(http, "crash_loop", run, "leave_early")
    starts = [record for record in log if record["message"].startswith("Start executing")]
    assert len(starts) > 500
    await change_run(http, run, status="cancelled")
    world.clock.advance(3600)
    assert await block_log(http, "crash_loop", run, "leave_early") == log


# Retries


async def test_retry_runs_what_had_not_completed_and_keeps_the_old_error(world: World, http: httpx.AsyncClient) -> None:
    run = newest(world, "flaky_import")
    answer = await change_run(http, run, pipeline_run_action="retry_blocks")
    assert answer["status"] == "running"
    assert await statuses(http, run) == (
        "running",
        {"load_one": "completed", "fail_once": "initial", "export_one": "initial"},
    )
    world.clock.advance(10)
    detail = (await get(http, f"/api/pipeline_runs/{run}"))["pipeline_run"]
    assert detail["status"] == "completed"
    assert detail["block_runs"][1]["status"] == "completed"
    assert detail["block_runs"][1]["metrics"]["error"]["error"] == "the import source was not ready"


async def test_retry_from_behind_the_failed_block_fails_again(world: World, http: httpx.AsyncClient) -> None:
    run = newest(world, "flaky_import")
    await change_run(http, run, pipeline_run_action="retry_blocks", from_block_uuid="export_one")
    world.clock.advance(10)
    assert await statuses(http, run) == (
        "failed",
        {"load_one": "completed", "fail_once": "failed", "export_one": "cancelled"},
    )


async def test_retry_of_a_completed_run_needs_a_block(world: World, http: httpx.AsyncClient) -> None:
    run = newest(world, "sales_daily")
    for block in ({}, {"from_block_uuid": "nope"}):
        before = (await get(http, f"/api/pipeline_runs/{run}"))["pipeline_run"]
        answer = await change_run(http, run, pipeline_run_action="retry_blocks", **block)
        assert (answer["status"], answer["completed_at"]) == ("running", before["completed_at"])
        world.clock.advance(5)
        after = (await get(http, f"/api/pipeline_runs/{run}"))["pipeline_run"]
        assert after["status"] == "completed"
        assert [b["started_at"] for b in after["block_runs"]] == [b["started_at"] for b in before["block_runs"]]
    await change_run(http, run, pipeline_run_action="retry_blocks", from_block_uuid="add_tax")
    world.clock.advance(5)
    again = (await get(http, f"/api/pipeline_runs/{run}"))["pipeline_run"]["block_runs"]
    moved = [new["started_at"] != old["started_at"] for new, old in zip(again, after["block_runs"], strict=True)]
    assert moved == [False, True, True]


async def test_a_timeout_of_the_trigger_fails_the_run_without_a_failed_block(
    world: World, http: httpx.AsyncClient
) -> None:
    await http.put(f"/api/pipeline_schedules/{SLOW_API}", json={"pipeline_schedule": {"settings": {"timeout": 3}}})
    run = await start(http, SLOW_API)
    world.clock.advance(30)
    status, blocks = await statuses(http, run["id"])
    assert (status, set(blocks.values())) == ("failed", {"cancelled"})
    logs = (await get(http, "/api/pipelines/slow_report/logs", **{"pipeline_run_id[]": run["id"]}))["logs"][0]
    last = json.loads(logs["pipeline_run_logs"][1]["content"].splitlines()[-1].partition(" ")[2])
    assert (last["level"], last["message"]) == ("ERROR", "Pipeline run timed out after 3 seconds")


# Lists of runs


async def test_runs_come_newest_first_and_carry_their_trigger(world: World, http: httpx.AsyncClient) -> None:
    page = await get(http, "/api/pipeline_runs", _limit=3)
    assert page["metadata"] == {"count": len(world.runs), "next": True}
    rows = page["pipeline_runs"]
    assert [row["execution_date"] for row in rows] == sorted((row["execution_date"] for row in rows), reverse=True)
    assert list(rows[0]) == RUN_ROW_KEYS
    assert list(rows[0]["block_runs"][0]) == BLOCK_RUN_KEYS[:-2]
    assert rows[0]["pipeline_schedule_name"] == "sales_api"
    assert (await get(http, "/api/pipeline_runs", _limit=0)) == {
        "pipeline_runs": [],
        "metadata": {"count": len(world.runs), "next": True},
    }
    assert len((await get(http, "/api/pipeline_runs", _limit=-5))["pipeline_runs"]) == len(world.runs) - 1


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"status": "failed"}, 6),
        ({"status": "FAILED"}, 6),
        ({"status": "bogus"}, 0),
        ({"status[]": "completed,running"}, 13),
        ({"pipeline_uuid": "orders_refresh"}, 5),
        ({"pipeline_uuid": "nope"}, 0),
        ({"pipeline_uuid[]": "orders_refresh,sales_daily"}, 10),
        ({"pipeline_tag[]": "broken"}, 5),
        ({"pipeline_tag[]": "nope"}, 19),
        ({"start_timestamp": int(NOON.timestamp()) - 4 * 3600}, 4),
        ({"end_timestamp": int(NOON.timestamp()) - 5 * 86400}, 2),
        ({"backfill_id": 1}, 0),
    ],
)
async def test_runs_are_filtered(http: httpx.AsyncClient, params: dict[str, Any], count: int) -> None:
    page = await get(http, "/api/pipeline_runs", _format="with_basic_details", **params)
    assert page["metadata"]["count"] == len(page["pipeline_runs"]) == count


async def test_runs_can_be_ordered(http: httpx.AsyncClient) -> None:
    page = await get(http, "/api/pipeline_runs", **{"order_by[]": "created_at asc", "_limit": 2})
    assert [row["id"] for row in page["pipeline_runs"]] == [1, 2]
    bad = await get(http, "/api/pipeline_runs", **{"order_by[]": "bogus asc"})
    assert is_error_500(bad, "type object 'PipelineRun' has no attribute 'bogus'")


async def test_pages_past_the_end_break_only_when_runs_are_grouped(http: httpx.AsyncClient) -> None:
    past = {"_limit": 3, "_offset": 500}
    assert (await get(http, "/api/pipeline_runs", **past))["pipeline_runs"] == []
    grouped = await get(http, "/api/pipeline_runs", pipeline_uuid="sales_daily", **past)
    assert is_error_500(grouped, "list index out of range")
    plain = {"disable_retries_grouping": "true", "pipeline_uuid": "sales_daily", **past}
    assert (await get(http, "/api/pipeline_runs", **plain))["pipeline_runs"] == []


async def test_runs_of_one_date_come_onto_one_page(http: httpx.AsyncClient) -> None:
    for _ in range(3):
        await start(http, ORDERS_API, execution_date="2026-11-24 13:00:00")
    grouped = await get(http, f"/api/pipeline_schedules/{ORDERS_API}/pipeline_runs", _limit=1)
    assert len(grouped["pipeline_runs"]) == 2
    flat = await get(
        http, f"/api/pipeline_schedules/{ORDERS_API}/pipeline_runs", _limit=1, disable_retries_grouping="true"
    )
    assert len(flat["pipeline_runs"]) == 1


async def test_an_unknown_trigger_has_all_runs(world: World, http: httpx.AsyncClient) -> None:
    everything = await get(http, "/api/pipeline_schedules/999/pipeline_runs", _limit=100)
    assert everything["metadata"]["count"] == len(world.runs)
    assert (await get(http, "/api/pipeline_schedules/1/pipeline_runs"))["metadata"]["count"] == 5
    posted = (await http.post("/api/pipeline_schedules/999/pipeline_runs", json={"pipeline_run": {}})).json()
    assert is_error_500(posted, "'NoneType' object has no attribute 'pipeline_uuid'")


async def test_deleted_runs_and_runs_of_deleted_triggers_vanish(world: World, http: httpx.AsyncClient) -> None:
    run = newest(world, "leaky_sync")
    assert (await http.delete(f"/api/pipeline_runs/{run}")).json()["pipeline_run"]["id"] == run
    assert (await get(http, f"/api/pipeline_runs/{run}"))["error"]["code"] == 404
    orphan = newest(world, "orders_refresh")
    deleted = (await http.delete(f"/api/pipeline_schedules/{ORDERS_API}")).json()["pipeline_schedule"]
    assert list(deleted) == TRIGGER_KEYS
    assert (await get(http, "/api/pipeline_runs", pipeline_uuid="orders_refresh"))["metadata"]["count"] == 0
    assert is_error_500(await get(http, f"/api/pipeline_runs/{orphan}"), "'NoneType' object has no attribute 'id'")


# Block runs, outputs, logs


async def test_block_runs_have_no_metrics(world: World, http: httpx.AsyncClient) -> None:
    run = newest(world, "orders_refresh")
    rows = (await get(http, "/api/block_runs", pipeline_run_id=run))["block_runs"]
    assert [row["block_uuid"] for row in rows] == ["divide_margins", "load_numbers", "export_margins"]
    assert list(rows[0]) == BLOCK_RUN_ROW_KEYS
    assert re.fullmatch(r"2026-11-24T\d\d:\d\d:\d\d(\.\d{6})?", rows[0]["started_at"])
    child = (await get(http, f"/api/pipeline_runs/{run}/block_runs"))["block_runs"]
    assert [row["pipeline_schedule_name"] for row in child] == [None] * 3
    assert (await get(http, "/api/block_runs", pipeline_run_id=999))["metadata"] == {"count": 0, "next": False}


async def test_outputs_are_tables_or_texts(world: World, http: httpx.AsyncClient) -> None:
    table = await outputs(http, newest(world, "sales_daily"), "add_tax")
    assert list(table[0]) == ["outputs", "sample_data", "shape", "text_data", "type", "variable_uuid"]
    assert table[0]["shape"] == [5, 4]
    assert table[0]["sample_data"]["rows"][1] == [2, "emea", 21.0, 4.2]
    numbers = await outputs(http, newest(world, "crash_loop"), "load_small")
    assert [(row["text_data"], row["type"], row["variable_uuid"]) for row in numbers] == [
        ("1", "text", "output_0"),
        ("2", "text", "output_1"),
        ("3", "text", "output_2"),
    ]
    assert await outputs(http, newest(world, "sales_daily"), "export_orders") == []
    assert await outputs(http, newest(world, "orders_refresh"), "divide_margins") == []
    assert (await get(http, "/api/block_runs/99999/outputs"))["outputs"] == []


async def outputs(http: httpx.AsyncClient, run: int, block: str) -> list[dict[str, Any]]:
    rows = (await get(http, "/api/block_runs", pipeline_run_id=run))["block_runs"]
    number = next(row["id"] for row in rows if row["block_uuid"] == block)
    return (await get(http, f"/api/block_runs/{number}/outputs"))["outputs"]


async def test_block_outputs_hold_only_frames_of_one_partition(world: World, http: httpx.AsyncClient) -> None:
    run = world.runs[newest(world, "customer_360")]
    asked = {"pipeline_uuid": "customer_360", "execution_partition": run.variables["execution_partition"]}
    (frame,) = (await get(http, "/api/block_outputs/clean_users", **asked))["block_output"]["outputs"]
    assert list(frame) == ["sample_data", "shape", "type", "variable_uuid"]
    assert frame["sample_data"]["rows"][0] == [1, "Ada Lovelace"]
    without = await get(http, "/api/block_outputs/clean_users", pipeline_uuid="customer_360")
    assert without["block_output"]["outputs"] == []
    sampled = await get(http, "/api/block_outputs/clean_users", sample_count=2, **asked)
    assert is_error_500(sampled, "'>' not supported between instances of 'int' and 'str'")


async def block_log(http: httpx.AsyncClient, pipeline: str, run: int, block: str) -> list[dict[str, Any]]:
    logs = (await get(http, f"/api/pipelines/{pipeline}/logs", **{"pipeline_run_id[]": run}))["logs"][0]
    (file,) = (file for file in logs["block_run_logs"] if file["name"] == f"{block}.log")
    return [json.loads(line[20:]) for line in file["content"].splitlines() if line.startswith("20")]


async def test_log_lines_are_a_time_and_a_record(world: World, http: httpx.AsyncClient) -> None:
    run = newest(world, "sales_daily")
    records = await block_log(http, "sales_daily", run, "export_orders")
    assert list(records[0]) == LOG_KEYS
    assert [record["message"] for record in records] == [
        "Start executing block with BlockExecutor.",
        "exported with",
        "{'region': 'emea', 'row_count': '5', 'env': 'prod', 'trigger_name': 'sales_api', 'from_trigger': 'yes'}",
        "Finish executing block with BlockExecutor.",
    ]
    loaded = await block_log(http, "sales_daily", run, "load_orders")
    assert [record["message"] for record in loaded[-3:]][1:] == ["1/1 tests passed.", loaded[-1]["message"]]


async def test_exceptions_are_followed_by_raw_lines(world: World, http: httpx.AsyncClient) -> None:
    run = newest(world, "orders_refresh")
    logs = (await get(http, "/api/pipelines/orders_refresh/logs", **{"pipeline_run_id[]": run}))["logs"][0]
    files = {file["name"]: file for file in logs["block_run_logs"] + logs["pipeline_run_logs"]}
    assert list(files) == [
        "divide_margins.log",
        "load_numbers.log",
        "export_margins.log",
        "pipeline.log",
        "scheduler.log",
    ]
    assert list(files["pipeline.log"]) == ["name", "path", "size", "modified_timestamp", "content"]
    assert files["pipeline.log"]["size"] == files["export_margins.log"]["size"] == 0
    text = files["divide_margins.log"]["content"]
    assert text.endswith("\nValueError: order 2 has no revenue\n")
    records = await block_log(http, "orders_refresh", run, "divide_margins")
    warning, exception = records[-2:]
    assert list(exception) == [*LOG_KEYS, "error", "error_stack", "error_stacktrace"]
    assert (warning["level"], exception["message"]) == ("WARNING", "Failed to execute block divide_margins")
    assert exception["error_stacktrace"] == "order 2 has no revenue"
    assert exception["error"].startswith("Traceback")
    assert "BlockRun" in files["scheduler.log"]["content"]
    assert logs["total_block_run_log_count"] == 3


async def test_logs_are_asked_for_in_brackets(world: World, http: httpx.AsyncClient) -> None:
    path = "/api/pipelines/sales_daily/logs"
    everything = (await get(http, path, pipeline_run_id=999))["logs"][0]
    assert (everything["total_block_run_log_count"], everything["total_pipeline_run_log_count"]) == (15, 5)
    nothing = (await get(http, path, **{"pipeline_run_id[]": 999}))["logs"][0]
    assert nothing["block_run_logs"] == nothing["pipeline_run_logs"] == []
    by_prefix = (await get(http, path, **{"block_uuid[]": "add"}))["logs"][0]
    assert {file["name"] for file in by_prefix["block_run_logs"]} == {"add_tax.log"}
    assert by_prefix["pipeline_run_logs"] == []
    limited = (await get(http, path, _limit=1, _offset=3))["logs"][0]
    assert (len(limited["block_run_logs"]), len(limited["pipeline_run_logs"])) == (1, 2)


async def test_a_nested_block_logs_under_a_flat_name(world: World, http: httpx.AsyncClient) -> None:
    records = await block_log(http, "nested_import", newest(world, "nested_import"), "sub_read_orders")
    assert records[-1]["block_uuid"] == "sub/read_orders"


# Triggers


async def test_triggers_are_listed_with_counts_of_their_runs(http: httpx.AsyncClient) -> None:
    page = await get(http, "/api/pipeline_schedules", _limit=3)
    assert page["metadata"] == {"count": 12, "next": True}
    api, yearly, hourly = page["pipeline_schedules"]
    assert list(api) == TRIGGER_ROW_KEYS
    assert (api["pipeline_runs_count"], api["pipeline_in_progress_runs_count"]) == (5, 0)
    assert (api["last_pipeline_run_status"], api["next_pipeline_run_date"]) == ("completed", None)
    assert (yearly["pipeline_runs_count"], yearly["last_pipeline_run_status"]) == (None, None)
    assert yearly["next_pipeline_run_date"] == "2027-01-01 03:00:00+00:00"
    assert (hourly["status"], hourly["next_pipeline_run_date"]) == ("inactive", "2026-11-24 13:00:00+00:00")
    assert hourly["last_enabled_at"] is None


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"status[]": "inactive"}, ["sales_hourly", "reports_daily"]),
        ({"schedule_type[]": "time", "schedule_interval[]": "@hourly"}, ["sales_hourly"]),
        ({"tag[]": "ops"}, ["sales_api"]),
        ({"tag[]": "ops,paused"}, []),
        ({"order_by": "name", "_limit": 2}, ["crash_api", "customer_api"]),
    ],
)
async def test_triggers_are_filtered(http: httpx.AsyncClient, params: dict[str, Any], names: list[str]) -> None:
    rows = (await get(http, "/api/pipeline_schedules", **params))["pipeline_schedules"]
    assert [row["name"] for row in rows] == names


async def test_triggers_of_a_pipeline_come_newest_first(http: httpx.AsyncClient) -> None:
    rows = (await get(http, "/api/pipelines/sales_daily/pipeline_schedules"))["pipeline_schedules"]
    assert [row["id"] for row in rows] == [3, 2, 1]
    assert (await get(http, "/api/pipelines/empty_pipeline/pipeline_schedules"))["pipeline_schedules"] == []


async def test_a_new_trigger_is_inactive_and_changes_by_merging(http: httpx.AsyncClient) -> None:
    payload = {"name": "ours", "schedule_type": "event", "variables": {"a": 1}}
    posted = await http.post("/api/pipelines/new_pipeline/pipeline_schedules", json={"pipeline_schedule": payload})
    created = posted.json()["pipeline_schedule"]
    assert list(created) == TRIGGER_KEYS
    assert (created["status"], created["last_enabled_at"], created["schedule_interval"]) == ("inactive", None, None)
    change = {"status": "active", "tags": ["b", "a"], "variables": {"b": 2}, "bogus": 1}
    path = f"/api/pipeline_schedules/{created['id']}"
    changed = (await http.put(path, json={"pipeline_schedule": change})).json()["pipeline_schedule"]
    assert (changed["variables"], changed["tags"]) == ({"b": 2}, ["a", "b"])
    assert changed["last_enabled_at"] == "2026-11-24 12:00:00"
    rotated = (await http.put(path, json={"pipeline_schedule": {"rotate_token": True}})).json()["pipeline_schedule"]
    assert rotated["token"] != created["token"]


@pytest.mark.parametrize(
    ("payload", "exception"),
    [
        ({"name": "x", "bogus": 1}, "'bogus' is an invalid keyword argument for PipelineSchedule"),
        ({"name": "x", "tags": ["a"]}, "'tags' is an invalid keyword argument for PipelineSchedule"),
        ({"name": "x", "schedule_interval": "every day"}, "Cron expression is invalid."),
        ({"name": "x", "start_time": "yesterdayish"}, "Unknown string format: yesterdayish"),
    ],
)
async def test_bad_triggers_are_not_stored(
    world: World, http: httpx.AsyncClient, payload: dict[str, Any], exception: str
) -> None:
    posted = await http.post("/api/pipelines/new_pipeline/pipeline_schedules", json={"pipeline_schedule": payload})
    assert is_error_500(posted.json(), exception)
    assert len(world.triggers) == 12


async def test_a_trigger_without_a_name_is_invalid_with_code_200(http: httpx.AsyncClient) -> None:
    posted = await http.post("/api/pipelines/new_pipeline/pipeline_schedules", json={"pipeline_schedule": {}})
    assert posted.json()["error"] == {
        "code": 200,
        "message": "Record is invalid.",
        "type": "record_invalid",
        "errors": {"error": "name cannot be empty.", "metadata": {"key": "name", "value": None}},
    }


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/pipelines/new_pipeline/pipeline_schedules", {"name": "x", "schedule_type": "nonsense"}),
        ("POST", "/api/pipelines/new_pipeline/pipeline_schedules", {"name": "x", "status": "paused"}),
        ("PUT", "/api/pipeline_schedules/1", {"status": "bogus"}),
        ("POST", "/api/pipeline_schedules/1/pipeline_runs", {"status": "bogus"}),
        ("POST", "/api/pipeline_schedules/1/pipeline_runs", {"executor_type": "bogus"}),
    ],
)
async def test_a_bad_enum_value_poisons_every_list(
    http: httpx.AsyncClient, method: str, path: str, body: dict[str, str]
) -> None:
    root = "pipeline_run" if path.endswith("runs") else "pipeline_schedule"
    answer = (await http.request(method, path, json={root: body})).json()
    exception = answer["error"]["exception"]
    assert "is not among the defined enum values" in exception
    for poisoned in ("/api/pipeline_runs", "/api/pipeline_schedules", "/api/pipelines?include_schedules=true"):
        assert is_error_500((await http.get(poisoned)).json(), exception)
    assert "error" not in await get(http, "/api/pipelines")
    assert (await get(http, "/api/status"))["statuses"][0]["scheduler_status"] == "stopped"


async def test_a_token_alone_starts_api_triggers_and_wakes_inactive_ones(world: World, http: httpx.AsyncClient) -> None:
    trigger = world.triggers[SALES_API]
    world.switch(trigger, "inactive")
    path = f"/api/pipeline_schedules/{SALES_API}/pipeline_runs/{trigger.token}"
    answer = (await http.post(path, json={"region": "top", "pipeline_run": {"variables": {"region": "in"}}})).json()
    assert list(answer) == ["pipeline_run"]
    assert answer["pipeline_run"]["event_variables"] == {"region": "top"}
    assert answer["pipeline_run"]["variables"]["region"] == "in"
    assert trigger.status == "active"
    bearer = {"Authorization": f"Bearer {trigger.token}"}
    started = await http.post(f"/api/pipeline_schedules/{SALES_API}/api_trigger", headers=bearer)
    assert started.json()["pipeline_run"]["event_variables"] is None
    wrong = (await http.post(f"/api/pipeline_schedules/{SALES_API}/pipeline_runs/wrong")).json()
    assert is_error_500(wrong, "Invalid token for pipeline schedule ID 1.")
    timed = (await http.post(f"/api/pipeline_schedules/{SALES_YEARLY}/pipeline_runs/x")).json()
    assert is_error_500(timed, "This endpoint is only supported for API trigger.")


@pytest.mark.parametrize(
    ("interval", "comes"),
    [
        ("@once", None),
        ("@weekly", datetime(2026, 11, 30, tzinfo=UTC)),
        ("@monthly", datetime(2026, 12, 1, tzinfo=UTC)),
        ("*/30 9-17 * * 1-5", datetime(2026, 11, 24, 12, 30, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("15 6 1 * 0", datetime(2026, 11, 29, 6, 15, tzinfo=UTC)),
    ],
)
def test_intervals_come_round(interval: str, comes: datetime | None) -> None:
    assert is_interval(interval)
    assert next_run_at(interval, NOON) == comes


# Sessions


@pytest.fixture
def locked() -> World:
    return World(Clock(NOON), login=LOGIN)


async def log_in(http: httpx.AsyncClient) -> tuple[str, str]:
    """The JWT, and the raw token inside it."""
    body = {"session": {"email": LOGIN[0], "password": LOGIN[1]}}
    session = (await http.post("/api/sessions", json=body, headers={"X-API-KEY": API_KEY})).json()["session"]
    assert list(session) == ["expires", "token", "user"]
    payload = session["token"].split(".")[1]
    return session["token"], json.loads(base64.urlsafe_b64decode(payload + "=="))["token"]


async def test_a_locked_mage_wants_a_key_and_a_session(locked: World) -> None:
    async with client_of(locked) as http:
        assert (await get(http, "/api/status"))["statuses"][0]["require_user_authentication"] is True
        refused = await http.get("/api/pipelines")
        assert (refused.status_code, refused.json()["status"]) == (401, 200)
        assert refused.json()["error"]["type"] == "invalid_api_key"
        http.headers["X-API-KEY"] = API_KEY
        private = (await http.get("/api/pipelines")).json()["error"]
        assert (private["code"], private["message"]) == (403, "Private access for list only, invalid scope.")
        jwt, raw = await log_in(http)
        assert "pipelines" in (await http.get("/api/pipelines", headers={"OAUTH-TOKEN": raw})).json()
        assert "pipelines" in (await http.get("/api/pipelines", headers={"Authorization": f"Bearer {raw}"})).json()
        assert "pipelines" in (await http.get("/api/pipelines", headers={"Cookie": f"oauth_token={jwt}"})).json()
        wrong = await http.get("/api/pipelines", headers={"OAUTH-TOKEN": jwt})
        assert (wrong.status_code, wrong.json()["error"]["type"]) == (401, "invalid_oauth_token")
        cookie = await http.get("/api/pipelines", headers={"Cookie": f"oauth_token={raw}"})
        assert is_error_500(cookie.json(), "Not enough segments")


async def test_sessions_end_when_they_expire_or_log_out(locked: World) -> None:
    async with client_of(locked) as http:
        http.headers["X-API-KEY"] = API_KEY
        for end in (locked.expire_sessions, lambda: locked.clock.advance(31 * 86400)):
            http.headers["OAUTH-TOKEN"] = (await log_in(http))[1]
            end()
            late = await http.get("/api/pipelines")
            assert (late.status_code, late.json()["error"]["type"]) == (401, "expired_oauth_token")
        http.headers["OAUTH-TOKEN"] = (await log_in(http))[1]
        assert "session" in (await http.put("/api/sessions/x", json={"session": {}})).json()
        assert (await http.get("/api/pipelines")).status_code == 401


async def test_a_failed_login_changes_the_words_of_every_later_404(world: World, http: httpx.AsyncClient) -> None:
    failed = await http.post("/api/sessions", json={"session": {"email": "a", "password": "b"}})
    assert (failed.status_code, failed.json()["error"]["code"]) == (200, 404)
    later = (await get(http, "/api/pipeline_runs/999"))["error"]
    assert later["message"] == "Email/username and/or password invalid."


# A process of its own


async def test_the_served_world_shows_its_state_and_takes_time(world: World) -> None:
    transport = httpx.ASGITransport(create_served_app(CloudWorld(world.clock)))
    async with httpx.AsyncClient(transport=transport, base_url="http://mage.test") as http:
        run = await start(http, SALES_API)
        assert (await http.post("/_demo/clock", json={"advance_s": 30})).json() == {
            "clock": "2026-11-24T12:00:30+00:00"
        }
        state = await get(http, "/_demo/state")
        assert state["runs"][-1]["id"] == run["id"]
        assert state["runs"][-1]["status"] == "completed"
        assert state["triggers"][0]["name"] == "sales_api"


def test_serve_says_where_it_listens() -> None:
    code = "from mage_mcp.demo.serve import serve; serve(0)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
            assert httpx.get(f"{url}/api/status", timeout=5).json()["statuses"][0]["scheduler_status"] == "running"
        finally:
            process.terminate()

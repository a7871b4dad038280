"""Every recorded kind of failure, asked for over MCP: what `get_run` and `list_runs` make of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from mcp import Client

from mage_mcp.server import build_server
from mage_mcp.settings import Cluster, Settings
from tests.failures.expectations import report_as_expected, row_as_expected
from tests.failures.kinds import KINDS
from tests.failures.replay import RUNS, Recordings
from tests.host import Host, Person

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MOST_REQUESTS = 7


@asynccontextmanager
async def host_of(wire: Recordings) -> AsyncIterator[Host]:
    server = build_server(Settings(clusters=(Cluster(url="http://mage.test"),)), wire=wire)
    async with Client(server) as client:
        yield Host(client, Person())


@pytest.mark.parametrize("name", sorted(KINDS))
async def test_get_run_says_it_all(name: str):
    wire = Recordings()
    async with host_of(wire) as host:
        answer = await host.call("get_run", run=str(RUNS[name]))
    report_as_expected(answer, KINDS[name])
    assert len(wire.requests) <= MOST_REQUESTS, wire.requests


async def test_the_list_of_runs_names_the_failing_block_and_a_short_error():
    async with host_of(Recordings()) as host:
        page = (await host.call("list_runs", limit=100)).data
    rows = {row["run"]: row for row in page["items"]}
    for name, kind in KINDS.items():
        row_as_expected(rows[RUNS[name]], kind)
    errors = {name: rows[RUNS[name]].get("error") for name in ("trigger_timeout", "late_retry", "integration")}
    assert errors == {
        "trigger_timeout": "no block failed, ended during sleep_long; get_run says why",
        "late_retry": "no block failed; get_run says why",
        "integration": "failed before any block; get_run says why",
    }


UNTOLD = {
    "one_process": "ValueError: 2 rows, at most 1 allowed",
    "dynamic_child": "ValueError: cannot handle item {'n': 2}",
    "dynamic_parent": "ValueError: nothing to feed",
    "block_timeout": "Block sleep_long_limited timed out after 3 seconds",
    "trigger_timeout": "Pipeline run timed out after 3 seconds",
    "integration": "ModuleNotFoundError: No module named 'mage_integrations'",
    "streaming_config": "Exception: Consuming data from no_such_connector is not supported in streaming pipelines yet.",
}
"""What the runs themselves do not tell."""


@pytest.mark.parametrize("name", UNTOLD)
async def test_a_cause_that_no_run_tells_is_read_from_the_log(name: str):
    wire = Recordings()
    async with host_of(wire) as host:
        answer = await host.call("list_runs", pipeline=f"failure_{name}", group_by="cause")
    (cause,) = answer.data["causes"]
    assert cause["error"] == UNTOLD[name]
    assert len(wire.requests) == 2


async def test_few_logs_are_read_for_many_causes():
    wire = Recordings()
    async with host_of(wire) as host:
        answer = await host.call("list_runs", group_by="cause")
    assert sum(path.endswith("/logs") for path in wire.requests) <= 8
    shown, causes = len(answer.data["causes"]), sum(kind.status == "failed" for kind in KINDS.values()) - 2
    assert f"Shown are the {shown} commonest of {causes} causes" in answer.data["note"]
    assert answer.tokens <= 1_500


async def test_a_retry_after_the_triggers_timeout_is_refused_and_not_advised():
    wire, run = Recordings(), RUNS["trigger_timeout"]
    async with host_of(wire) as host:
        (step,) = (await host.call("get_run", run=str(run))).data["next_steps"]
        sentence = await host.refused("retry_run", run=run)
    assert "the trigger's timeout raised" in step
    assert "trigger_pipeline(pipeline='failure_trigger_timeout')" in step
    assert "has a timeout of 3 s" in sentence
    assert "trigger_pipeline(pipeline='failure_trigger_timeout') starts a new run" in sentence


async def test_after_a_blocks_timeout_a_new_run_is_advised():
    async with host_of(Recordings()) as host:
        (step,) = (await host.call("get_run", run=str(RUNS["block_timeout"]))).data["next_steps"]
    assert "the timeout of sleep_long_limited raised" in step
    assert "trigger_pipeline(pipeline='failure_block_timeout')" in step


async def test_a_cancelled_run_says_that_somebody_did_it_unless_a_timeout_did():
    async with host_of(Recordings()) as host:
        by_hand = (await host.call("get_run", run=str(RUNS["cancelled"]))).data
        by_mage = (await host.call("get_run", run=str(RUNS["trigger_timeout_cancelled"]))).data
    assert "Somebody cancelled it" in by_hand["note"]
    assert "note" not in by_mage

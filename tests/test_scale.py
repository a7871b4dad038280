"""How large answers get: of every tool, with default arguments and with the largest allowed limits, on a real Mage."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client

from bench.big import Size, start_big
from mage_mcp.server import build_server
from mage_mcp.settings import Cluster, Settings
from tests.host import Host, Person
from tests.lab.mage import RealMage

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.slow]

DEFAULT_TOKENS, MOST_TOKENS = 1_500, 8_000
BIG = Size(pipelines=200, runs=500)
FULL_PAGES: dict[str, dict[str, Any]] = {
    "list_pipelines": {"limit": 100},
    "list_runs": {"limit": 100},
    "list_triggers": {"limit": 100},
    "get_run_logs": {"tail_lines": 500},
    "get_block_output": {"rows": 100},
}
CHANGES = {
    "trigger_pipeline",
    "retry_run",
    "cancel_runs",
    "delete_runs",
    "create_trigger",
    "update_triggers",
    "delete_trigger",
}
OF_THE_CLOUD = {
    "start_cluster",
    "stop_cluster",
    "restart_cluster",
    "update_cluster_env_vars",
    "update_cluster_config",
}
"""There is no real Mage Cloud to call these on."""


@pytest.fixture(scope="module")
def big_mage(real_mage: RealMage) -> Iterator[RealMage]:
    """A Mage with 200 pipelines and 500 runs, of this module alone."""
    with start_big(BIG, real_mage) as mage:
        yield mage


@asynccontextmanager
async def host_of(mage: RealMage) -> AsyncIterator[Host]:
    async with Client(build_server(Settings(clusters=(Cluster(url=mage.url),)))) as client:
        yield Host(client, Person())


async def reads(host: Host) -> list[tuple[str, dict[str, Any]]]:
    """Every tool that reads, with default arguments: on each pipeline that has run, its latest run, and its blocks."""
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_clusters", {}),
        ("get_cluster", {}),
        ("list_pipelines", {}),
        ("list_triggers", {}),
        ("list_runs", {}),
        ("list_runs", {"status": "failed"}),
        ("list_runs", {"group_by": "cause"}),
        ("list_runs", {"status": "stuck"}),
        ("list_pipelines", {"search": "a block's name"}),
    ]
    latest = {row["pipeline"]: row["run"] for row in (await host.call("list_runs")).data["items"]}
    for pipeline, run in latest.items():
        blocks = (await host.call("get_run", run=str(run))).data["blocks"]
        calls += [
            ("get_pipeline", {"pipeline": pipeline}),
            ("list_runs", {"pipeline": pipeline}),
            ("list_triggers", {"pipeline": pipeline}),
            ("get_run", {"run": str(run)}),
            ("get_run_logs", {"run": str(run)}),
            *(("get_block_output", {"run": str(run), "block": block["block"]}) for block in blocks),
        ]
    return calls


async def tokens_over(host: Host, calls: list[tuple[str, dict[str, Any]]], most: int) -> dict[str, int]:
    """The answers that are too large."""
    sizes = {f"{tool} {arguments}": (await host.call(tool, **arguments)).tokens for tool, arguments in calls}
    return {call: tokens for call, tokens in sizes.items() if tokens > most}


async def test_no_default_answer_is_over_1500_tokens_on_the_demo_project(real_mage: RealMage):
    async with host_of(real_mage) as host:
        assert await tokens_over(host, await reads(host), DEFAULT_TOKENS) == {}


async def test_no_default_answer_is_over_1500_tokens_with_200_pipelines_and_500_runs(big_mage: RealMage):
    async with host_of(big_mage) as host:
        assert await tokens_over(host, await reads(host), DEFAULT_TOKENS) == {}


async def test_no_answer_is_over_8000_tokens_with_the_largest_limits(big_mage: RealMage):
    async with host_of(big_mage) as host:
        full = [(tool, arguments | FULL_PAGES.get(tool, {})) for tool, arguments in await reads(host)]
        assert await tokens_over(host, full, MOST_TOKENS) == {}


async def test_the_limits_asked_for_are_the_largest_allowed_and_no_tool_is_left_out(big_mage: RealMage):
    async with host_of(big_mage) as host:
        tools = (await host.client.list_tools()).tools
        called = {tool for tool, _ in await reads(host)} | CHANGES
    assert {tool.name for tool in tools} == called | OF_THE_CLOUD
    limits = {
        tool.name: {
            name: argument["maximum"] for name, argument in tool.input_schema["properties"].items() if name in LIMITS
        }
        for tool in tools
    }
    assert {name: found for name, found in limits.items() if found} == FULL_PAGES


LIMITS = {name for arguments in FULL_PAGES.values() for name in arguments}


async def test_what_changes_something_answers_within_1500_tokens(big_mage: RealMage):
    async with host_of(big_mage) as host:
        failed = (await host.call("list_runs", status="failed")).data["items"]
        calls = [
            ("trigger_pipeline", {"pipeline": "big_0000"}),
            ("cancel_runs", {"runs": [row["run"] for row in failed]}),
            ("retry_run", {"run": failed[0]["run"]}),
        ]
        assert len(failed) == 20
        assert await tokens_over(host, calls, DEFAULT_TOKENS) == {}

"""Read-only, twice: what changes something is not offered, and the HTTP layer refuses it whoever asks."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from mage_mcp.client import Mage
from mage_mcp.client.workspaces.checks import Commit
from mage_mcp.commands._demo import demo_clusters
from mage_mcp.demo.cloud import CloudWorld
from mage_mcp.demo.cloud_app import CLOUD_PATH, create_cloud_app
from mage_mcp.demo.pro import Pro
from mage_mcp.errors import MageReadOnly
from tests.changes import CHANGES, calls
from tests.conftest import clock_of, cloud_host
from tests.host import Person
from tests.served import audit_of, connected, serving

pytestmark = pytest.mark.anyio

LOGIN = ("POST", f"{CLOUD_PATH}/sessions")
ARGUMENTS: dict[str, dict[str, Any]] = {
    "trigger_pipeline": {"pipeline": "sales_daily"},
    "retry_run": {"run": 1},
    "cancel_runs": {"runs": [1]},
    "update_cluster_env_vars": {"set": {"NEW": "planted-value"}},
    "update_cluster_config": {"patch": {"labels": {"team": "data", "token": "planted-value"}}},
}


def sent_changes(requests: list[Any]) -> list[tuple[str, str]]:
    return [(method, path) for method, path in requests if method != "GET" and (method, path) != LOGIN]


@pytest.mark.slow
async def test_no_change_is_offered_and_one_called_anyway_sends_nothing(tmp_path: Path, era: str):
    with serving(tmp_path) as cloud:
        before = {name: cloud.cluster(name) for name in ("prod", "staging")}
        async with connected(cloud, era, Person(), "--read-only", "--toolsets", "all", MAGE_CONFIRM="never") as host:
            names = {tool.name for tool in (await host.client.list_tools()).tools}
            assert {"list_clusters", "get_cluster", "list_runs"} <= names
            assert not names & CHANGES
            for tool in sorted(CHANGES):
                for cluster in ("prod", "staging"):
                    sentence = await host.refused(tool, cluster=cluster, **ARGUMENTS.get(tool, {}))
                    assert "read-only" in sentence
            row = (await host.call("list_clusters")).data["items"][0]
            assert row["read_only"] is True
            assert row["status"] == "Active"
        state = cloud.state()
        assert [tuple(request) for request in state["requests"]].count(LOGIN) == 1
        assert sent_changes([tuple(request) for request in state["requests"]]) == []
        for name, was in before.items():
            now = state["clusters"][name]
            assert (now["status"], now["config"]) == (was["status"], was["config"])
        outcomes = [line["outcome"] for line in audit_of(cloud) if line["phase"] == "after"]
        assert len(outcomes) == 2 * len(CHANGES)
        assert all(outcome.startswith("refused: ") for outcome in outcomes)
        assert "planted-value" not in str(audit_of(cloud))
        assert not (tmp_path / "state").exists()


async def test_whole_calls_of_every_change_send_nothing_to_a_read_only_cluster(cloud: CloudWorld, era: str):
    given = calls(cloud)
    assert set(given) == CHANGES
    async with cloud_host(cloud, era, Person(), confirm="never", marks={"prod": {"read_only": True}}) as host:
        for tool, arguments in given.items():
            assert "'prod' is read-only" in await host.refused(tool, cluster="prod", **arguments)
        assert host.person.asked == []
    assert [request for request in cloud.requests if request[0] != "GET"] == []


async def test_one_read_only_cluster_takes_no_change_and_another_does(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era, confirm="never", marks={"prod": {"read_only": True}}) as host:
        tools = {tool.name: tool for tool in (await host.client.list_tools()).tools}
        assert tools["stop_cluster"].input_schema["properties"]["cluster"]["enum"] == ["staging"]
        for tool in sorted(name for name in CHANGES if name.endswith(("_cluster", "_vars", "_config"))):
            assert "'prod' is read-only" in await host.refused(tool, cluster="prod", **ARGUMENTS.get(tool, {}))
        assert cloud.puts == []
        assert (await host.call("stop_cluster", cluster="staging")).data["changed"] is True
    assert {put["cluster"] for put in cloud.puts} == {"staging"}


@pytest.mark.parametrize(
    "act",
    [
        lambda mage: mage.clusters.start(replicas=3),
        lambda mage: mage.clusters.stop(),
        lambda mage: mage.clusters.restart(),
        lambda mage: mage.clusters.update_env_vars(set_={"NEW": "1"}),
        lambda mage: mage.clusters.update_config({"labels": {"team": "data"}}),
        lambda mage: mage.runs.start("sales_daily"),
        lambda mage: mage.runs.delete(["1"]),
        lambda mage: mage.triggers.create("sales_daily", "new", interval="@daily"),
        lambda mage: mage.triggers.update([1], status="inactive"),
        lambda mage: mage.triggers.delete(1),
        lambda mage: mage.backfills.create("sales_daily", "2026-03-01", "2026-03-02"),
        lambda mage: mage.pipelines.create("new"),
        lambda mage: mage.pipelines.update("sales_daily", description="new"),
        lambda mage: mage.pipelines.delete("paused_reports"),
        lambda mage: mage.blocks.create("sales_daily", "new", type="transformer"),
        lambda mage: mage.blocks.update("sales_daily", "export_orders", upstream_blocks=[]),
        lambda mage: mage.blocks.delete("sales_daily", "export_orders"),
        lambda mage: mage.variables.update("sales_daily", set_={"new": 1}, unset=()),
        lambda mage: mage.files.write("utils/new.py", content="x = 1"),
        lambda mage: mage.texts.delete("transformers/add_tax.py"),
        lambda mage: mage.workspaces.create("new"),
        lambda mage: mage.workspaces.update("sandbox", "resume"),
        lambda mage: mage.workspaces.delete("sandbox"),
        lambda mage: mage.workspaces.deploy("production", Commit("a" * 40, "main", "x", "staging", "main")),
    ],
    ids=lambda act: "-".join(act.__code__.co_names[:2]),
)
async def test_the_http_layer_refuses_by_itself(
    cloud: CloudWorld, tmp_path: Path, act: Callable[[Mage], Awaitable[Any]]
):
    """The client, asked directly, as if no tool stood before it; logging in is the exception."""
    prod = demo_clusters("http://mage.test")[0].model_copy(update={"read_only": True})
    cloud.clusters["prod"].world.pro = Pro()
    wire = httpx.ASGITransport(app=create_cloud_app(cloud))
    async with Mage(prod, wire=wire, clock=clock_of(cloud)) as mage:
        with pytest.raises(MageReadOnly):
            await act(mage)
        assert (await mage.clusters.get()).status == "Active"
    assert sent_changes(cloud.requests) == []
    assert LOGIN in cloud.requests
    assert not (tmp_path / "state").exists()

"""Several clusters behind one server: which one is meant is said, never guessed, before anything is changed."""

import json
import os

import pytest
from mcp import Client

from mage_mcp.client import Cluster
from mage_mcp.demo.cloud import CloudWorld
from mage_mcp.demo.cloud_app import CLOUD_PATH
from mage_mcp.demo.world import World
from tests.changes import CHANGES, calls
from tests.conftest import URL, cloud_host, demo_server
from tests.host import Host, Person

pytestmark = pytest.mark.anyio


async def schemas(host: Host) -> dict[str, dict]:
    return {tool.name: tool.input_schema for tool in (await host.client.list_tools()).tools}


async def test_with_one_cluster_nobody_is_bothered_with_the_argument(demo: Host):
    for schema in (await schemas(demo)).values():
        assert "cluster" not in schema["properties"]
    assert "'cluster' is unknown" in await demo.refused("list_pipelines", cluster="x")


async def test_reads_take_either_cluster_and_say_which_they_read(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era) as host:
        schema = (await schemas(host))["list_pipelines"]
        assert schema["properties"]["cluster"]["enum"] == ["prod", "staging"]
        assert "cluster" not in schema.get("required", [])
        assert schema["properties"]["cluster"]["description"] == "prod if not given."
        assert (await host.call("list_pipelines", limit=1)).data["cluster"] == "prod"
        answer = await host.call("list_pipelines", limit=1, cluster="staging")
        assert answer.data["cluster"] == "staging"
        assert json.loads(answer.text)["cluster"] == "staging"


async def test_a_change_names_its_cluster(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era) as host:
        schema = (await schemas(host))["trigger_pipeline"]
        assert "cluster" in schema["required"]
        assert schema["properties"]["cluster"]["description"] == "Cluster."
        sentence = await host.refused("trigger_pipeline", pipeline="sales_daily")
        assert "on which cluster?" in sentence
        assert "prod, staging" in sentence
        assert not any(method != "GET" for method, _ in cloud.requests)
        run = (await host.call("trigger_pipeline", pipeline="sales_daily", cluster="staging")).data
        assert run["cluster"] == "staging"
    assert any(method == "POST" and path.startswith("/staging/") for method, path in cloud.requests)
    assert not any(method == "POST" and path.startswith("/prod/") for method, path in cloud.requests)


async def test_a_wrong_cluster_is_told_with_the_nearest(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era) as host:
        assert "Did you mean 'staging'?" in await host.refused("list_runs", cluster="stagin")


async def test_a_read_only_cluster_takes_reads_only(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era, marks={"prod": {"read_only": True}}) as host:
        assert (await schemas(host))["cancel_runs"]["properties"]["cluster"]["enum"] == ["staging"]
        assert (await host.call("list_runs", cluster="prod")).data["total"]
        sentence = await host.refused("trigger_pipeline", pipeline="sales_daily", cluster="prod")
        assert "'prod' is read-only" in sentence
    assert not any(method != "GET" for method, path in cloud.requests if path.startswith("/prod/"))


async def test_a_protected_cluster_asks_before_anything_is_changed(cloud: CloudWorld, era: str):
    person = Person(agree=False)
    async with cloud_host(cloud, era, person, marks={"prod": {"protected": True}}, confirm="never") as host:
        kept = (await host.call("trigger_pipeline", pipeline="sales_daily", cluster="prod")).data
        assert kept["changed"] is False
        assert person.asked == [
            "Run a pipeline on cluster 'prod', which is protected?\n- trigger_pipeline(pipeline='sales_daily')"
        ]
        person.agree = True
        assert (await host.call("trigger_pipeline", pipeline="sales_daily", cluster="prod")).data["changed"] is True
        assert (await host.call("trigger_pipeline", pipeline="sales_daily", cluster="staging")).data["changed"] is True
        assert len(person.asked) == 2


async def test_a_protected_cluster_previews_where_nobody_can_be_asked(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era, marks={"prod": {"protected": True}}, confirm="never") as host:
        preview = (await host.call("trigger_pipeline", pipeline="sales_daily", cluster="prod")).data
        assert preview["changed"] is False
        again = await host.call("trigger_pipeline", pipeline="sales_daily", cluster="prod", confirm=preview["confirm"])
        assert again.data["changed"] is True


async def test_a_code_for_one_cluster_opens_no_other(cloud: CloudWorld, era: str):
    marks = {"prod": {"protected": True}, "staging": {"protected": True}}
    async with cloud_host(cloud, era, marks=marks) as host:
        code = (await host.call("trigger_pipeline", pipeline="sales_daily", cluster="staging")).data["confirm"]
        answer = await host.call("trigger_pipeline", pipeline="sales_daily", cluster="prod", confirm=code)
        assert answer.data["changed"] is False


async def test_every_change_leaves_two_audit_lines_also_when_it_was_declined(cloud: CloudWorld, era: str, tmp_path):
    file = tmp_path / "audit.jsonl"
    person = Person(action="decline")
    async with cloud_host(cloud, era, person, audit=str(file)) as host:
        run = (
            await host.call(
                "trigger_pipeline",
                pipeline="slow_report",
                cluster="staging",
                variables={"db_password": "hunter22", "n": 1},
            )
        ).data["run"]
        await host.call("cancel_runs", runs=[run], cluster="staging")
        await host.try_call("retry_run", run=run, cluster="staging")
        await host.call("list_runs", cluster="staging")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["tool"], line["phase"]) for line in lines] == [
        ("trigger_pipeline", "before"),
        ("trigger_pipeline", "after"),
        ("cancel_runs", "before"),
        ("cancel_runs", "after"),
        ("retry_run", "before"),
        ("retry_run", "after"),
    ]
    assert lines[0]["arguments"]["variables"] == {"db_password": "•••", "n": 1}
    assert lines[1]["outcome"] == "changed"
    assert lines[3]["outcome"] == "unchanged: declined"
    assert lines[5]["outcome"].startswith("refused: ")
    assert {line["cluster"] for line in lines} == {"staging"}
    assert "hunter22" not in file.read_text()
    assert os.name == "nt" or file.stat().st_mode & 0o077 == 0


async def test_every_change_of_a_protected_cluster_is_asked_about(cloud: CloudWorld, era: str):
    """A client that cannot ask gets a preview and a code, whatever the tool, and nothing is sent."""
    given = calls(cloud)
    assert set(given) == CHANGES, "a tool without a call here would change a protected cluster unasked, unseen"
    async with cloud_host(cloud, era, marks={"prod": {"protected": True}, "staging": {"protected": True}}) as host:
        window = given["create_backfill"]
        for tool, arguments in (
            ("create_backfill", window | {"start": "2026-01-01", "end": "2026-01-02"}),
            ("create_backfill", window | {"start": "2026-02-01", "end": "2026-02-02"}),
            ("cancel_backfill", {"backfill": 2}),
        ):
            code = (await host.call(tool, cluster="prod", **arguments)).data["confirm"]
            assert (await host.call(tool, cluster="prod", **arguments, confirm=code)).data["changed"] is True
        cloud.requests.clear()
        for tool, arguments in given.items():
            answer = (await host.try_call(tool, cluster="prod", **arguments)).data
            assert answer.get("confirm"), tool
            assert answer["changed"] is False
            assert answer["would"], tool
    assert {request for request in cloud.requests if request[0] != "GET"} <= {("POST", f"{CLOUD_PATH}/sessions")}


async def test_the_only_cluster_may_be_named_as_answers_name_it(world: World, era: str):
    only = (Cluster(name="prod", url=URL),)
    async with Client(demo_server(world, clusters=only), mode=era) as client:
        host = Host(client, Person())
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert "cluster" not in tools["get_cluster"].input_schema["properties"]
        assert (await host.call("get_cluster")).data["cluster"] == "prod"
        assert (await host.call("get_cluster", cluster="prod")).data["answers"] is True
        assert "'cluster' is unknown" in await host.refused("get_cluster", cluster="staging")

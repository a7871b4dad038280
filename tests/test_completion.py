"""Completion of every argument of every template, over both eras; over both Mages where one is enough."""

import time
from dataclasses import replace

import httpx
import pytest
from mcp import Client
from mcp.types import PromptReference, ResourceTemplateReference

from mage_mcp.client import Cluster
from mage_mcp.completion import matching
from mage_mcp.demo.cloud import CloudWorld
from mage_mcp.demo.world import World
from mage_mcp.server import build_server
from mage_mcp.settings import Settings
from tests.conftest import clock_of, cloud_host
from tests.host import Host, Person
from tests.resources.test_listing import Silent
from tests.wires import Wire, breaks

pytestmark = pytest.mark.anyio
PIPELINE = "mage://clusters/{cluster}/pipelines/{pipeline}"
BLOCK = f"{PIPELINE}/blocks/{{block}}"
RUN = "mage://clusters/{cluster}/runs/{run_id}"


async def test_pipelines_are_offered_by_their_beginning(host: Host):
    assert await host.complete(PIPELINE, "pipeline", "s", cluster="default") == ["sales_daily", "slow_report"]
    assert await host.complete(PIPELINE, "pipeline", "SALES", cluster="default") == ["sales_daily"]
    assert await host.complete(f"{PIPELINE}/graph", "pipeline", "zzz", cluster="default") == []
    every = await host.complete(PIPELINE, "pipeline", cluster="default")
    assert len(every) > 50
    assert every == sorted(every)


async def test_blocks_are_those_of_the_pipeline_with_conditionals_and_folders(host: Host):
    given = {"cluster": "default", "pipeline": "guarded_export"}
    assert await host.complete(BLOCK, "block", **given) == [
        "load_summary",
        "publish_summary",
        "archive_summary",
        "has_rows",
    ]
    assert await host.complete(BLOCK, "block", "p", **given) == ["publish_summary"]
    nested = await host.complete(BLOCK, "block", "sub", cluster="default", pipeline="nested_import")
    assert nested == ["sub/read_orders"]


async def test_runs_are_the_newest_first_and_of_the_pipeline_where_one_is_named(host: Host):
    latest = await host.complete(RUN, "run_id", cluster="default")
    assert [int(run) for run in latest] == sorted(map(int, latest), reverse=True)
    failed = (await host.call("list_runs", pipeline="orders_refresh", limit=100)).data["items"]
    of_one = await host.complete("a_prompt", "run", pipeline="orders_refresh")
    assert of_one == [str(row["run"]) for row in failed]
    assert all(run.startswith(of_one[0][0]) for run in await host.complete(RUN, "run_id", of_one[0][0]))


async def test_where_nothing_is_known_nothing_is_offered(host: Host):
    assert await host.complete(PIPELINE, "pipeline", cluster="no_such_cluster") == []
    assert await host.complete(BLOCK, "block", cluster="default") == []
    assert await host.complete(BLOCK, "block", cluster="default", pipeline="no_such_pipeline") == []
    assert await host.complete(BLOCK, "block", cluster="default", pipeline="../x") == []
    assert await host.complete("a_prompt", "run", pipeline="no_such_pipeline") == []
    assert await host.complete("mage://nothing/{at_all}", "at_all") == []
    assert await host.complete("no_such_prompt", "nothing") == []


async def test_the_cluster_that_was_named_narrows_the_rest(cloud: CloudWorld, era: str):
    world = cloud.clusters["staging"].world
    world.pipelines = {"sales_daily": world.pipelines["sales_daily"]}
    async with cloud_host(cloud, era) as host:
        assert await host.complete(RUN, "cluster") == ["prod", "staging"]
        assert await host.complete(RUN, "cluster", "st") == ["staging"]
        assert not cloud.requests
        assert await host.complete(PIPELINE, "pipeline", cluster="staging") == ["sales_daily"]
        assert len(await host.complete(PIPELINE, "pipeline", cluster="prod")) > 50
        assert len(await host.complete("a_prompt", "pipeline")) > 50, "the first cluster is meant where none is named"


def wired(wire: httpx.AsyncBaseTransport, world: World, era: str) -> Client:
    settings = Settings(clusters=(Cluster(url="http://mage.test"),))
    return Client(build_server(settings, wire=wire, clock=clock_of(world)), mode=era)


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("cluster", {}),
        ("pipeline", {}),
        ("block", {"pipeline": "sales_daily"}),
        ("block", {"pipeline": "no_such_pipeline"}),
        ("run_id", {}),
        ("run", {"pipeline": "sales_daily"}),
        ("run", {"pipeline": "no_such_pipeline"}),
    ],
)
async def test_each_takes_one_request_at_most_and_none_for_some_seconds_after_it(
    world: World, era: str, argument: str, given: dict[str, str]
):
    wire = Wire(world)
    once = 0 if argument == "cluster" else 1
    async with wired(wire, world, era) as client:
        host = Host(client, Person())
        for typed in ("", "s", "sa", "1"):
            await host.complete(BLOCK, argument, typed, **given)
        assert len(wire.requests) == once
        world.clock.advance(6)
        await host.complete(BLOCK, argument, **given)
        assert len(wire.requests) == 2 * once


async def test_more_than_a_hundred_are_a_hundred_and_say_so(world: World, era: str):
    one = world.pipelines["sales_daily"]
    world.pipelines |= {f"copy_{number:03}": one for number in range(250)}
    wire = Wire(world)
    async with wired(wire, world, era) as client:
        ref = ResourceTemplateReference(type="ref/resource", uri=PIPELINE)
        found = (await client.complete(ref, {"name": "pipeline", "value": ""})).completion
    assert len(found.values) == 100
    assert found.has_more
    assert found.total is not None
    assert found.total > 100


async def test_names_that_no_call_would_take_are_not_offered(world: World, era: str):
    one = world.pipelines["sales_daily"]
    named = ("good", "token=abc", "../bad", "hid\u200bden", "a/b", "")
    world.pipelines = {name: replace(one, uuid=name) for name in named}
    async with wired(Wire(world), world, era) as client:
        assert await Host(client, Person()).complete(PIPELINE, "pipeline") == ["good", "token=abc"]


async def test_a_mage_that_is_down_offers_nothing_and_is_not_asked_again_at_once(world: World, era: str):
    wire = Wire(world)
    wire.spoil("GET", "/api/pipelines", breaks(httpx.ConnectError), times=100)
    async with wired(wire, world, era) as client:
        host = Host(client, Person())
        assert await host.complete(PIPELINE, "pipeline") == []
        asked = len(wire.requests)
        assert await host.complete(PIPELINE, "pipeline", "s") == []
        assert len(wire.requests) == asked


@pytest.mark.slow
async def test_a_mage_that_does_not_answer_is_given_two_seconds(world: World, era: str):
    wire = Silent()
    async with wired(wire, world, era) as client:
        began = time.perf_counter()
        ref = PromptReference(type="ref/prompt", name="a_prompt")
        found = await client.complete(ref, {"name": "pipeline", "value": ""})
    assert found.completion.values == []
    assert time.perf_counter() - began < 3
    assert wire.requests == 1


async def test_without_a_configuration_nothing_is_offered(era: str):
    async with Client(build_server(Settings()), mode=era) as client:
        assert await Host(client, Person()).complete(PIPELINE, "pipeline") == []


def test_what_was_typed_is_a_beginning_in_either_case():
    assert matching("Ä", ["äb", "b"]).values == ["äb"]
    assert matching("", []).total == 0

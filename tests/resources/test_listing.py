"""`resources/list`: what hosts show people."""

import time

import anyio
import httpx
import pytest
from mcp import Client

from mage_mcp.client import Cluster
from mage_mcp.demo.cloud import CloudWorld
from mage_mcp.demo.world import World
from mage_mcp.resources.listing import MOST_PIPELINES, _shares
from mage_mcp.server import build_server
from mage_mcp.settings import Settings
from tests.conftest import clock_of, cloud_host
from tests.host import Host
from tests.wires import Wire

pytestmark = pytest.mark.anyio
TEMPLATES = {
    "mage://clusters/{cluster}/config",
    "mage://clusters/{cluster}/pipelines",
    "mage://clusters/{cluster}/pipelines/{pipeline}",
    "mage://clusters/{cluster}/pipelines/{pipeline}/graph",
    "mage://clusters/{cluster}/pipelines/{pipeline}/blocks/{block}",
    "mage://clusters/{cluster}/runs/{run_id}",
    "mage://clusters/{cluster}/runs/{run_id}/logs",
}


async def test_every_template_says_what_it_is(host: Host):
    templates = (await host.client.list_resource_templates()).resource_templates
    assert {template.uri_template for template in templates} == TEMPLATES
    for template in templates:
        assert template.title
        assert template.description
        assert template.mime_type
        assert template.annotations
    assert len({template.name for template in templates}) == len(templates)


async def test_the_pipelines_of_the_cluster_are_listed_and_can_be_read(host: Host):
    listed = (await host.client.list_resources()).resources
    uris = [resource.uri for resource in listed]
    assert uris[0] == "mage://clusters"
    assert "mage://clusters/default/config" not in uris, "it has no place in Mage Cloud"
    assert len(uris) == len(set(uris)) == 1 + (await host.call("list_pipelines", limit=1)).data["total"]
    (sales,) = [resource for resource in listed if resource.name == "sales_daily"]
    assert sales.title == "sales_daily"
    assert (await host.read_json(sales.uri))["pipeline"] == "sales_daily"


async def test_the_clusters_are_told_as_list_clusters_tells_them(host: Host):
    assert await host.read_json("mage://clusters") == (await host.call("list_clusters")).data


async def test_two_clusters_share_a_hundred_and_each_has_its_config(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era) as host:
        listed = (await host.client.list_resources()).resources
        uris = [resource.uri for resource in listed]
        for name in ("prod", "staging"):
            assert f"mage://clusters/{name}/config" in uris
            assert sum(uri.startswith(f"mage://clusters/{name}/pipelines/") for uri in uris) == MOST_PIPELINES // 2
        assert len(uris) == 1 + 2 + MOST_PIPELINES
        (one,) = [resource for resource in listed if resource.uri == "mage://clusters/staging/pipelines/sales_daily"]
        assert one.title == "sales_daily on staging"
        assert (await host.read_json(one.uri))["cluster"] == "staging"


async def test_a_cluster_that_is_down_has_no_pipelines_and_the_others_have_more(cloud: CloudWorld, era: str):
    staging = cloud.clusters["staging"]
    staging.save(staging.config, "Stopped")
    async with cloud_host(cloud, era) as host:
        uris = [resource.uri for resource in (await host.client.list_resources()).resources]
    assert "mage://clusters/staging/config" in uris
    assert not [uri for uri in uris if uri.startswith("mage://clusters/staging/pipelines")]
    assert len([uri for uri in uris if uri.startswith("mage://clusters/prod/pipelines")]) > MOST_PIPELINES // 2


def wired(world: World, wire: httpx.AsyncBaseTransport) -> Client:
    settings = Settings(clusters=(Cluster(url="http://mage.test"),))
    return Client(build_server(settings, wire=wire, clock=clock_of(world)))


async def test_the_list_is_remembered_for_seconds(world: World):
    wire = Wire(world)
    async with wired(world, wire) as client:
        for _ in range(3):
            await client.list_resources()
        assert wire.count("GET") == 1
        world.clock.advance(6)
        await client.list_resources()
        assert wire.count("GET") == 2


class Silent(httpx.AsyncBaseTransport):
    """Never answers."""

    def __init__(self) -> None:
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        await anyio.sleep_forever()
        raise AssertionError


@pytest.mark.slow
async def test_a_mage_that_does_not_answer_is_left_out_in_three_seconds_and_not_asked_again_at_once(world: World):
    wire = Silent()
    async with wired(world, wire) as client:
        began = time.perf_counter()
        listed = (await client.list_resources()).resources
        assert [resource.uri for resource in listed] == ["mage://clusters"]
        assert time.perf_counter() - began < 3
        await client.list_resources()
        assert wire.requests == 1


def test_shares_are_equal_where_all_need_more_and_else_go_to_who_needs_them():
    assert _shares({"a": 500, "b": 500, "c": 500}, 100) == {"a": 33, "b": 33, "c": 34}
    assert _shares({"a": 500, "b": 10}, 100) == {"a": 90, "b": 10}
    assert _shares({"a": 1, "b": 2}, 100) == {"a": 1, "b": 2}
    assert _shares({}, 100) == {}

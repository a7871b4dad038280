"""Clusters as resources, over the simulated Mage Cloud and both protocol eras."""

import json

import pytest
from mcp import MCPError
from mcp.types import ResourceTemplateReference

from mage_mcp.demo.cloud import CloudWorld
from tests.conftest import cloud_host

pytestmark = pytest.mark.anyio
CONFIG = "mage://clusters/{cluster}/config"


async def test_the_config_of_a_cluster_shows_names_and_no_secret(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era) as host:
        (content,) = (await host.client.read_resource("mage://clusters/prod/config")).contents
    told = json.loads(content.text)
    assert told["name"] == "Production"
    config = told["config"]
    assert content.mime_type == "application/json"
    assert config["replicaCount"] == 2
    names = [item["name"] for item in config["extraEnvs"]]
    assert names == [item["name"] for item in cloud.clusters["prod"].config["extraEnvs"]]
    for secret in cloud.secrets().values():
        assert secret not in content.text
    assert all(item.get("value") in {None, "•••"} for item in config["extraEnvs"])


async def test_an_unknown_cluster_is_told_with_the_nearest(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era) as host:
        with pytest.raises(MCPError, match=r"Did you mean 'staging'"):
            await host.client.read_resource("mage://clusters/stagin/config")


async def test_a_refusal_of_the_cloud_is_a_sentence(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era, marks={"prod": {"team_id": ""}}) as host:
        with pytest.raises(MCPError, match="team_id"):
            await host.client.read_resource("mage://clusters/prod/config")


async def test_the_cluster_is_completed_from_the_configuration(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era) as host:
        ref = ResourceTemplateReference(type="ref/resource", uri=CONFIG)
        for typed, expected in [("", ["prod", "staging"]), ("st", ["staging"]), ("x", [])]:
            found = await host.client.complete(ref, {"name": "cluster", "value": typed})
            assert found.completion.values == expected
        assert (await host.client.complete(ref, {"name": "nothing", "value": ""})).completion.values == []
    assert not cloud.requests

"""Clusters as resources, over the simulated Mage Cloud, beside the real Mage too, and both protocol eras."""

import json
from pathlib import Path

import pytest
from mcp import MCPError
from mcp.types import ResourceTemplateReference

from mage_mcp.commands._demo import demo_clusters
from mage_mcp.demo.cloud import CloudWorld
from tests.conftest import cloud_host, stdio_host
from tests.lab.mage import RealMage
from tests.served import serving

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


async def test_a_long_config_is_cut_and_says_so(cloud: CloudWorld, era: str):
    config = cloud.clusters["prod"].config
    config["notes"] = {f"note {number}": "a word or two " * 20 for number in range(500)}
    config["deep"] = [[["x" * 900] * 30] * 30] * 3
    async with cloud_host(cloud, era) as host:
        told = await host.read_json("mage://clusters/prod/config")
    assert "Too large to show whole" in told["cut"]
    assert told["config"]["replicaCount"] == 2
    assert told["untrusted"] == ["config", "name"]


@pytest.mark.real
async def test_a_real_cluster_and_its_place_in_the_cloud(real_mage: RealMage, tmp_path: Path, era: str):
    with serving(tmp_path) as cloud:
        prod, _ = demo_clusters(cloud.url)
        assert prod.cloud_password
        settings = {
            "MAGE_URL": real_mage.url,
            "MAGE_CLOUD_URL": prod.cloud_url,
            "MAGE_TEAM_ID": prod.team_id,
            "MAGE_CLUSTER_ID": prod.cluster_id,
            "MAGE_CLOUD_EMAIL": prod.cloud_email,
            "MAGE_CLOUD_PASSWORD": prod.cloud_password.get_secret_value(),
        }
        async with stdio_host(era, **settings) as host:
            uris = [resource.uri for resource in (await host.client.list_resources()).resources]
            assert uris[:2] == ["mage://clusters", "mage://clusters/default/config"]
            assert "mage://clusters/default/pipelines/sales_daily" in uris
            config = await host.read_json(uris[1])
            (row,) = (await host.read_json(uris[0]))["items"]
    assert config["config"]["replicaCount"] == 2
    assert row["answers"]
    assert row["status"] == "Active"

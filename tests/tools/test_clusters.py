"""The tools that look at clusters, switch them and change their configuration, over the simulated Mage Cloud.

Through real subprocesses: the simulated Cloud is one, the server another, so that what happened is read from the Cloud
itself.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mage_mcp.commands._demo import demo_clusters
from tests.host import Host, Person
from tests.served import ServedCloud, connected, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[ServedCloud]:
    with serving(tmp_path) as served:
        yield served


@pytest.fixture(params=["asks", "previews"])
def how(request: pytest.FixtureRequest) -> str:
    """Whether the client can ask a person, or lives by previews and codes."""
    return request.param


async def agreed(host: Host, how: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool and agree to what it would do, in the way this client can."""
    answer = (await host.call(tool, **arguments)).data
    if how == "previews" and answer.get("confirm"):
        answer = (await host.call(tool, **arguments, confirm=answer["confirm"])).data
    return answer


async def test_stop_start_restart_and_configure_a_cluster(cloud: ServedCloud, era: str, how: str):
    person = Person()
    async with connected(cloud, era, person if how == "asks" else None, MAGE_MCP_SECRET_NEW="n3w-value") as host:
        rows = {row["cluster"]: row for row in (await host.call("list_clusters")).data["items"]}
        assert rows["prod"]["status"] == "Active"
        assert rows["prod"]["answers"] is True
        before = (await host.call("get_cluster", cluster="prod")).data
        assert before["runs_running"] == 1

        stopped = await agreed(host, how, "stop_cluster", cluster="prod", wait_s=20)
        assert stopped["after"] == "Stopped", stopped
        assert stopped["replicas_before"] == 2
        assert cloud.cluster("prod")["status"] == "Stopped"
        assert cloud.cluster("prod")["config"]["replicaCount"] == 0
        if how == "asks":
            assert "Production (cl-prod)" in person.asked[-1]
            assert "crash_loop" in person.asked[-1]
        again = await agreed(host, how, "stop_cluster", cluster="prod")
        assert again["changed"] is False
        assert len(cloud.puts()) == 1

        started = await agreed(host, how, "start_cluster", cluster="prod", wait_s=30)
        assert started["answers"] is True, started
        assert started["replicas"] == 2
        assert (await host.call("list_pipelines", cluster="prod", limit=1)).data["total"] > 0

        restarted = await agreed(host, how, "restart_cluster", cluster="prod", wait_s=30)
        assert restarted["after"] == "Active", restarted
        assert cloud.cluster("prod")["config"]["replicaCount"] == 2

        changed = await agreed(
            host,
            how,
            "update_cluster_env_vars",
            cluster="staging",
            set={"DEFAULT_EXECUTOR_TYPE": "k8s"},
            set_from={"NEW_ONE": "MAGE_MCP_SECRET_NEW"},
            unset=["FEATURE_FLAGS"],
            wait_s=20,
        )
        assert changed["changed"] is True, changed
        assert changed["added"] == ["NEW_ONE"]
        assert changed["removed"] == ["FEATURE_FLAGS"]
        env = cloud.env("staging")
        assert env["NEW_ONE"]["value"] == "n3w-value"
        assert env["DEFAULT_EXECUTOR_TYPE"]["value"] == "k8s"
        assert "FEATURE_FLAGS" not in env
        assert "n3w-value" not in json.dumps(changed)

        patched = await agreed(
            host, how, "update_cluster_config", cluster="staging", patch={"labels": {"team": "data"}}, wait_s=20
        )
        assert patched["changed"] is True, patched
        assert cloud.cluster("staging")["config"]["labels"]["team"] == "data"
    audit = cloud.folder.joinpath("audit.jsonl").read_text(encoding="utf-8")
    assert "n3w-value" not in audit
    assert '"k8s"' not in audit


async def test_a_dry_run_asks_nobody_and_writes_nothing(cloud: ServedCloud, era: str):
    person = Person()
    async with connected(cloud, era, person) as host:
        told = (
            await host.call(
                "update_cluster_env_vars", cluster="prod", set={"NEW_ONE": "x"}, unset=["NOPE"], dry_run=True
            )
        ).data
    assert told["changed"] is False
    assert "NEW_ONE" in json.dumps(told)
    assert person.asked == []
    assert cloud.puts() == []


async def test_a_cluster_with_half_a_configuration_works_by_halves(cloud: ServedCloud, era: str):
    prod, staging = demo_clusters(cloud.url)
    password = prod.cloud_password.get_secret_value() if prod.cloud_password else ""
    cloud.config.write_text(
        f'[clusters.only_url]\nurl = "{prod.url}"\n\n[clusters.only_cloud]\nteam_id = "{staging.team_id}"\n'
        f'cluster_id = "{staging.cluster_id}"\ncloud_url = "{staging.cloud_url}"\n'
        f'cloud_email = "{staging.cloud_email}"\ncloud_password = "{password}"\n',
        encoding="utf-8",
    )
    async with connected(cloud, era, Person()) as host:
        assert (await host.call("list_pipelines", cluster="only_url", limit=1)).data["total"]
        assert "team_id" in await host.refused("stop_cluster", cluster="only_url")
        assert "url" in await host.refused("list_pipelines", cluster="only_cloud")
        assert (await host.call("get_cluster", cluster="only_cloud")).data["status"] == "Active"
        assert (await host.call("stop_cluster", cluster="only_cloud", wait_s=20)).data["after"] == "Stopped"


async def test_who_may_not_is_told_which_role_may(cloud: ServedCloud, era: str):
    text = cloud.config.read_text(encoding="utf-8")
    text = text.replace("admin@demo.invalid", "viewer@demo.invalid").replace("demo-password", "demo-viewer-3Kc9eL")
    cloud.config.write_text(text, encoding="utf-8")
    async with connected(cloud, era, Person()) as host:
        sentence = await host.refused("stop_cluster", cluster="staging")
    assert "Admin" in sentence
    assert cloud.cluster("staging")["status"] == "Active"

"""Workspaces and deployments, which only Mage Pro has: over the simulated one, and what the real open source says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from mcp import Client
from starlette.types import Receive, Scope, Send

from mage_mcp.demo.app import create_app
from mage_mcp.demo.planted import PLANTED
from mage_mcp.demo.pro import STARTS_WITHIN_S, Pro
from mage_mcp.demo.world import World
from mage_mcp.server import build_server
from mage_mcp.settings import TOOLSETS, Cluster, Settings
from tests.conftest import URL, clock_of, demo_server
from tests.host import Host, Person

pytestmark = pytest.mark.anyio
SECRET = PLANTED["workspace variable DB_PASSWORD"]
SHA = "4f1c2a9be07d3358a6ce1d20f9b8e7c6d5a40312"


@pytest.fixture
def pro(world: World) -> Pro:
    """The simulated Mage as the main project of a Mage Pro."""
    world.pro = Pro()
    return world.pro


@asynccontextmanager
async def hosting(world: World, era: str, person: Person | None = None, **settings: Any) -> AsyncIterator[Host]:
    """A host; without a person its client cannot ask one."""
    async with Client(demo_server(world, **settings), mode=era, elicitation_callback=person) as client:
        yield Host(client, person or Person(), world=world)


async def test_workspaces_are_listed_with_status_and_names_of_variables(world: World, pro: Pro, era: str):
    async with hosting(world, era) as host:
        answer = await host.call("list_workspaces")
        assert answer.data["items"] == [
            {
                "workspace": "analytics",
                "status": "RUNNING",
                "type": "k8s",
                "url": "https://mage.example.com/analytics",
                "namespace": "mage",
                "image_tag": "0.9.80",
                "env_vars": ["ENV", "DB_PASSWORD"],
                "auto_termination_s": 3600,
            },
            {
                "workspace": "sandbox",
                "status": "STOPPED",
                "type": "k8s",
                "url": "https://mage.example.com/sandbox",
                "namespace": "mage",
            },
        ]
        assert SECRET not in answer.text
        assert (await host.call("list_workspaces", search="sand")).data["total"] == 1
        assert "contains 'zz'" in (await host.call("list_workspaces", search="zz")).data["note"]


async def test_a_mage_without_workspaces_says_so_in_a_sentence(host: Host):
    for tool, arguments in (
        ("list_workspaces", {}),
        ("create_workspace", {"name": "team-a"}),
        ("update_workspace", {"workspace": "team-a", "action": "stop"}),
        ("delete_workspace", {"workspace": "team-a"}),
    ):
        sentence = await host.refused(tool, **arguments)
        assert "has no workspaces: it is a project of its own." in sentence
        assert "Mage Pro" in sentence
    deployment = {"setting": "prod", "commit": SHA, "branch": "main", "message": "x"}
    host.person.asked.clear()
    sentence = await host.refused("deploy_commit", **deployment, environment="staging", target_branch="main")
    assert "has no deployments. They belong to Mage Pro." in sentence
    assert host.person.asked == []


async def test_that_there_are_none_is_found_out_once(world: World):
    async with hosting(world, "auto") as host:
        await host.refused("list_workspaces")
        asked = len(world.requests)
        await host.refused("list_workspaces")
        assert len(world.requests) == asked


@asynccontextmanager
async def workspace_below(main: World, era: str) -> AsyncIterator[Host]:
    """A server that knows a workspace, whose main project stands one part of the address higher."""
    below = World()
    below.is_workspace = True
    apps = {"/team-a": create_app(below), "": create_app(main)}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        base = next(base for base in apps if scope["path"].startswith(base))
        raw = scope["raw_path"][len(base) :]
        await apps[base]({**scope, "path": scope["path"][len(base) :], "raw_path": raw}, receive, send)

    clusters = (Cluster(url=f"{URL}/team-a"),)
    wire = httpx.ASGITransport(app=app)
    server = build_server(Settings(clusters=clusters, toolsets=TOOLSETS), wire=wire, clock=clock_of(main))
    async with Client(server, mode=era) as client:
        yield Host(client, Person())


async def test_a_workspace_finds_its_main_project_one_part_of_the_address_higher(world: World, pro: Pro, era: str):
    async with workspace_below(world, era) as host:
        answer = await host.call("list_workspaces")
        assert answer.data["managed_at"] == URL
        assert answer.data["total"] == 2


async def test_what_stands_above_a_workspace_may_be_no_main_project(world: World):
    async with workspace_below(world, "auto") as host:
        assert "what stands above it is no main project" in await host.refused("list_workspaces")


async def test_a_workspace_is_created_once(world: World, pro: Pro, era: str):
    async with hosting(world, era) as host:
        made = await host.call("create_workspace", name="team-b", set_env={"ENV": "test"}, namespace="mage")
        assert (made.data["changed"], made.data["after"]) == (True, "PENDING")
        assert pro.workspaces["team-b"].container_config == "env:\n- name: ENV\n  value: test\n"
        world.clock.advance(STARTS_WITHIN_S + 1)
        rows = (await host.call("list_workspaces", search="team-b")).data["items"]
        assert rows[0]["status"] == "RUNNING"
        assert "There is a workspace" in await host.refused("create_workspace", name="team-b")


@pytest.mark.parametrize("name", ["", "Team A", "../users/1", "a" * 60, "-a", "a/b"])
async def test_a_name_that_leads_elsewhere_is_not_sent(world: World, pro: Pro, name: str):
    async with hosting(world, "auto") as host:
        asked = len(world.requests)
        assert "cannot be the name of a workspace" in await host.refused("create_workspace", name=name)
        assert len(world.requests) == asked


async def test_stopping_a_workspace_asks_and_stopping_it_again_does_nothing(world: World, pro: Pro, era: str):
    person = Person()
    async with hosting(world, era, person) as host:
        stopped = await host.call("update_workspace", workspace="analytics", action="stop")
        assert (stopped.data["before"], stopped.data["after"]) == ("RUNNING", "STOPPED")
        assert "Stop workspace analytics of Mage at" in person.asked[0]
        again = await host.call("update_workspace", workspace="analytics", action="stop")
        assert again.data["changed"] is False
        assert len(person.asked) == 1
        resumed = await host.call("update_workspace", workspace="analytics", action="start")
        assert resumed.data["after"] == "PENDING"
        assert len(person.asked) == 1


async def test_a_client_that_cannot_ask_gets_a_preview_and_a_code(world: World, pro: Pro, era: str):
    async with hosting(world, era) as host:
        preview = await host.call("delete_workspace", workspace="sandbox")
        assert preview.data["changed"] is False
        assert "sandbox" in pro.workspaces
        done = await host.call("delete_workspace", workspace="sandbox", confirm=preview.data["confirm"])
        assert done.data["after"] == "deleted"
        assert set(pro.workspaces) == {"analytics"}


async def test_a_patch_is_merged_into_what_is_there_and_told_without_values(world: World, pro: Pro, era: str):
    person = Person()
    patch = {"container_config": {"image_tag": "0.9.81"}, "set_env": {"ENV": "Pr1vate-value-77"}}
    async with hosting(world, era, person) as host:
        dry = await host.call("update_workspace", workspace="analytics", action="patch", dry_run=True, **patch)
        assert dry.data["changed"] is False
        assert dry.data["would"] == ['image_tag: "0.9.80" → "0.9.81"', "env: overwrite ENV"]
        assert person.asked == []
        done = await host.call("update_workspace", workspace="analytics", action="patch", **patch)
        assert done.data["diff"] == dry.data["would"]
        assert "came back" not in done.data["note"]
    config = pro.workspaces["analytics"].container_config
    assert config
    assert f"- name: DB_PASSWORD\n  value: {SECRET}\n" in config
    assert "image_tag: 0.9.81" in config
    for text in (dry.text, done.text, *person.asked):
        assert SECRET not in text
        assert "Pr1vate-value-77" not in text


async def test_lifecycle_settings_are_merged_too(world: World, pro: Pro):
    async with hosting(world, "auto", Person()) as host:
        patch = {"termination_policy": {"max_idle_seconds": 600}}
        await host.call("update_workspace", workspace="analytics", action="patch", lifecycle_config=patch)
    stored = pro.workspaces["analytics"].lifecycle_config
    assert stored == {"termination_policy": {"enable_auto_termination": True, "max_idle_seconds": 600}}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"action": "patch"}, "A patch of nothing"),
        ({"action": "patch", "container_config": {"env": []}}, "container_config does not change env"),
        ({"action": "patch", "set_env": {"A": "•••"}}, "•••"),
        ({"action": "stop", "set_env": {"A": "b"}}, "stop takes no configuration"),
        ({"action": "restart"}, "'stop', 'resume', 'patch' or 'add_to_ingress'"),
        ({"action": "stop", "workspace": "analitics"}, "Did you mean 'analytics'?"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    world: World, pro: Pro, arguments: dict[str, Any], sentence: str
):
    before = [vars(each).copy() for each in pro.workspaces.values()]
    async with hosting(world, "auto", Person()) as host:
        assert sentence in await host.refused("update_workspace", **{"workspace": "analytics", **arguments})
    assert [vars(each) for each in pro.workspaces.values()] == before


async def test_a_container_config_that_cannot_be_read_is_not_overwritten(world: World, pro: Pro):
    pro.workspaces["analytics"].container_config = "image_tag: [0.9\n"
    async with hosting(world, "auto", Person()) as host:
        patch = {"container_config": {"image_tag": "0.9.81"}}
        sentence = await host.refused("update_workspace", workspace="analytics", action="patch", **patch)
    assert "is no YAML object; nothing was changed" in sentence
    assert pro.workspaces["analytics"].container_config == "image_tag: [0.9\n"


COMMIT = {
    "setting": "production",
    "commit": SHA,
    "branch": "main",
    "message": "Fix the margin",
    "environment": "production",
    "target_branch": "deploy-main",
}


async def test_a_commit_is_deployed_once_a_person_agreed(world: World, pro: Pro, era: str):
    person = Person()
    async with hosting(world, era, person) as host:
        answer = await host.call("deploy_commit", **COMMIT)
    assert answer.data["changed"] is True
    assert "whether it succeeds is shown" in answer.data["note"]
    assert '"status":"pending"' in answer.data["answered"]
    assert f"deploy commit {SHA} of branch main" in person.asked[0]
    assert pro.deployments == [
        {
            "setting": "production",
            "source": {"head": {"name": "main"}, "name": "Fix the margin", "version": SHA},
            "stage": {"branch": {"name": "deploy-main"}, "environment": "production"},
        }
    ]


async def test_a_declined_deployment_is_not_sent(world: World, pro: Pro, era: str):
    async with hosting(world, era, Person(action="decline")) as host:
        assert (await host.call("deploy_commit", **COMMIT)).data["changed"] is False
    assert pro.deployments == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"commit": "4f1c2a9"}, "no whole commit SHA"),
        ({"branch": "../main"}, "no name of a branch"),
        ({"setting": "../users"}, "cannot be the name"),
        ({"environment": " "}, "environment is empty"),
        ({"target_directory": "/home/src/../.."}, "leads out of the project"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_commit_that_cannot_be_deployed_is_refused(
    world: World, pro: Pro, wrong: dict[str, str], sentence: str
):
    async with hosting(world, "auto", Person()) as host:
        assert sentence in await host.refused("deploy_commit", **{**COMMIT, **wrong})
    assert pro.deployments == []


async def test_an_unknown_deployment_setting_is_said(world: World, pro: Pro):
    async with hosting(world, "auto", Person()) as host:
        assert "no such record" in await host.refused("deploy_commit", **{**COMMIT, "setting": "nowhere"})


async def test_read_only_offers_the_list_alone(world: World, pro: Pro, era: str):
    async with hosting(world, era, toolsets=("workspaces",), read_only=True) as host:
        assert [tool.name for tool in (await host.client.list_tools()).tools] == ["list_workspaces"]

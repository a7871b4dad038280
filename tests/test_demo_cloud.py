"""The simulated Cloud: what its documentation says, and what it leaves open, at a test's choice."""

import json
import time
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from mage_mcp.demo.cloud import CloudCluster, CloudWorld, Delays, Fault, Switches
from mage_mcp.demo.cloud_app import create_cloud_app
from mage_mcp.demo.cloud_edits import Edit, merged
from mage_mcp.demo.planted import CLOUD_API_KEY, PLANTED
from mage_mcp.demo.serve import create_served_app
from mage_mcp.demo.times import Clock

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
API = "/cloud/api/v1"
PROD, STAGING = f"{API}/teams/team-demo/clusters/cl-prod", f"{API}/teams/team-demo/clusters/cl-staging"
PIPELINES = "/api/pipelines"
SLOW_API, SALES_HOURLY = 5, 3


@pytest.fixture
def cloud() -> CloudWorld:
    return CloudWorld(Clock(NOON))


@pytest.fixture
def prod(cloud: CloudWorld) -> CloudCluster:
    return cloud.clusters["prod"]


@pytest.fixture
def staging(cloud: CloudWorld) -> CloudCluster:
    return cloud.clusters["staging"]


def client_of(cloud: CloudWorld) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_served_app(cloud))
    return httpx.AsyncClient(transport=transport, base_url="http://mage.test", headers={"X-API-KEY": CLOUD_API_KEY})


async def log_in(http: httpx.AsyncClient, role: str = "admin") -> dict[str, Any]:
    given = {"email": f"{role}@demo.invalid", "password": PLANTED[f"cloud password, {role}"]}
    session = (await http.post(f"{API}/sessions", json={"session": given})).json()["session"]
    http.headers["Cookie"] = f"oauth_token={session['token']}"
    return session


@pytest.fixture
async def http(cloud: CloudWorld) -> AsyncIterator[httpx.AsyncClient]:
    """Logged in as the admin."""
    async with client_of(cloud) as client:
        await log_in(client)
        yield client


async def read(http: httpx.AsyncClient, path: str) -> Any:
    return (await http.get(path)).json()


async def config_of(http: httpx.AsyncClient, path: str) -> Any:
    return (await read(http, path))["cluster"]["config"]


async def put(http: httpx.AsyncClient, path: str, config: Any, **more: Any) -> Any:
    return (await http.put(path, json={"cluster": {"config": config, **more}})).json()


async def stop(http: httpx.AsyncClient, path: str = PROD) -> Any:
    return await put(http, path, await config_of(http, path) | {"replicaCount": 0}, status="Stopped")


async def start(http: httpx.AsyncClient, path: str = PROD) -> Any:
    return await put(http, path, await config_of(http, path) | {"replicaCount": 1}, status="Active")


async def control(http: httpx.AsyncClient, name: str, /, **body: Any) -> Any:
    return (await http.post(f"/_demo/{name}", json=body)).json()


# What a cluster is


async def test_a_cluster_has_a_status_a_config_and_more(http: httpx.AsyncClient) -> None:
    cluster = (await read(http, PROD))["cluster"]
    assert (cluster["id"], cluster["name"], cluster["status"]) == ("cl-prod", "Production", "Active")
    assert cluster["config"]["replicaCount"] == 2
    assert {"agent", "region", "created_at"} < set(cluster)
    assert (await read(http, STAGING))["cluster"]["config"]["replicaCount"] == 1


async def test_variables_have_all_the_shapes_that_a_client_must_keep(prod: CloudCluster, staging: CloudCluster) -> None:
    of_prod, of_staging = ([item["name"] for item in c.config["extraEnvs"]] for c in (prod, staging))
    assert len(of_prod) == 6
    assert set(of_prod) - set(of_staging) == {"SLACK_WEBHOOK_URL", "SENTRY_DSN"}
    assert set(of_staging) - set(of_prod) == {"LOG_TARGET", "FEATURE_FLAGS"}
    assert of_staging.count("LOG_TARGET") == 2
    assert ["valueFrom" in item for item in prod.config["extraEnvs"]].count(True) == 1
    assert set(prod.config["extraEnvs"][4]) == {"name", "value", "managedBy"}


async def test_every_planted_secret_stands_somewhere_and_is_told_apart(http: httpx.AsyncClient) -> None:
    assert len(set(PLANTED.values())) == len(PLANTED)
    everything = json.dumps([await read(http, PROD), await read(http, STAGING)], ensure_ascii=False)
    elsewhere = (
        "cloud password",
        "cloud key",
        "mage password",
        "pipeline variable",
        "workspace variable",
        "password in an error",
    )
    for what, secret in PLANTED.items():
        assert secret in everything or what.startswith(elsewhere), what


async def test_secrets_that_come_to_be_are_known_as_well(cloud: CloudWorld, http: httpx.AsyncClient) -> None:
    session = await log_in(http)
    secrets = (await read(http, "/_demo/state"))["secrets"]
    assert {session["token"], cloud.clusters["prod"].world.triggers[1].token} < set(secrets.values())


async def test_teams_and_clusters_can_be_listed_or_not(cloud: CloudWorld, http: httpx.AsyncClient) -> None:
    assert [team["id"] for team in (await read(http, f"{API}/teams"))["teams"]] == ["team-demo"]
    rows = (await read(http, f"{API}/teams/team-demo/clusters"))["clusters"]
    assert [(row["id"], row["status"]) for row in rows] == [("cl-prod", "Active"), ("cl-staging", "Active")]
    cloud.switches = Switches(lists=False)
    for path in (f"{API}/teams", f"{API}/teams/team-demo/clusters"):
        assert (await http.get(path)).status_code == 404
    assert "cluster" in await read(http, PROD)


# Who may


@pytest.mark.parametrize("http_errors", [False, True])
@pytest.mark.parametrize(
    ("headers", "code", "kind"),
    [
        ({"X-API-KEY": "wrong"}, 401, "invalid_api_key"),
        ({"Cookie": "oauth_token=wrong"}, 401, "invalid_oauth_token"),
        ({"Cookie": ""}, 403, "unauthorized_access"),
    ],
)
async def test_errors_stand_in_the_body_whatever_the_status_says(
    cloud: CloudWorld, http: httpx.AsyncClient, headers: dict[str, str], code: int, kind: str, http_errors: bool
) -> None:
    cloud.switches = Switches(http_errors=http_errors)
    response = await http.get(PROD, headers=headers)
    assert response.status_code == (code if http_errors else 200)
    assert (response.json()["error"]["code"], response.json()["error"]["type"]) == (code, kind)


async def test_a_private_key_does_as_well(http: httpx.AsyncClient) -> None:
    assert "cluster" in (await http.get(PROD, headers={"X-API-KEY": PLANTED["cloud key, private"]})).json()


@pytest.mark.parametrize("path", [PROD.replace("demo", "other"), PROD.replace("prod", "nope")])
async def test_unknown_teams_and_clusters_are_not_found(http: httpx.AsyncClient, path: str) -> None:
    assert (await read(http, path))["error"]["message"] == "Record not found."


async def test_wrong_credentials_and_bad_bodies_are_refused(cloud: CloudWorld, http: httpx.AsyncClient) -> None:
    cloud.switches = Switches(text_errors=True, echoes=True)
    wrong = {"session": {"email": "admin@demo.invalid", "password": "guess"}}
    error = (await http.post(f"{API}/sessions", json=wrong)).json()["error"]
    assert error == f"Email/username and/or password invalid. Parameters: {json.dumps(wrong)}"
    for sent in (b"{", b"[]", b'{"cluster": {"status": "Paused"}}', b'{"cluster": {"config": 1}}'):
        assert "error" in (await http.put(PROD, content=sent)).json()


@pytest.mark.parametrize("ends", [CloudWorld.expire_sessions, lambda cloud: cloud.clock.advance(13 * 3600)])
async def test_sessions_end(cloud: CloudWorld, http: httpx.AsyncClient, ends: Callable[[CloudWorld], None]) -> None:
    ends(cloud)
    assert (await read(http, PROD))["error"]["type"] == "expired_oauth_token"
    await log_in(http)
    assert "cluster" in await read(http, PROD)


@pytest.mark.parametrize(
    ("role", "change", "allowed"),
    [
        ("viewer", {"git": {}}, False),
        ("editor", {"git": {}}, True),
        ("editor", {"extraEnvs": []}, False),
        ("editor", {"replicaCount": 0}, False),
        ("admin", {"extraEnvs": []}, True),
    ],
)
async def test_roles_differ_in_what_they_may_change(
    cloud: CloudWorld, http: httpx.AsyncClient, role: str, change: dict[str, Any], allowed: bool
) -> None:
    await log_in(http, role)
    before = await config_of(http, PROD)
    answer = await put(http, PROD, before | change)
    assert ("error" not in answer) is allowed
    assert await config_of(http, PROD) == (before | change if allowed else before)
    assert bool(cloud.puts[-1]["refused"]) is not allowed
    stopped = await put(http, PROD, await config_of(http, PROD), status="Stopped")
    assert ("error" not in stopped) is (role == "admin")


# The whole config


async def test_what_is_not_sent_is_gone(http: httpx.AsyncClient) -> None:
    await put(http, STAGING, {"extraEnvs": []})
    assert await config_of(http, STAGING) == {"extraEnvs": []}


async def test_what_is_sent_comes_back_as_it_was(cloud: CloudWorld, http: httpx.AsyncClient) -> None:
    config = await config_of(http, STAGING) | {"x": {"z": [None, 0.5, "é"], "a": 2**60}}
    answer = await put(http, STAGING, config)
    assert json.dumps(answer["cluster"]["config"]) == json.dumps(await config_of(http, STAGING)) == json.dumps(config)
    assert cloud.puts[0]["body"] == {"cluster": {"config": config}}
    assert (cloud.puts[0]["cluster"], cloud.puts[0]["user"]) == ("staging", "admin@demo.invalid")


@pytest.mark.parametrize("config", [None, {}, {"extraEnvs": None}, {"replicaCount": None}])
async def test_a_config_may_lack_anything(http: httpx.AsyncClient, config: Any) -> None:
    await control(http, "edit", cluster="staging", config=config)
    assert await config_of(http, STAGING) == config


# Time


async def test_a_stop_and_a_start_take_their_time(
    cloud: CloudWorld, http: httpx.AsyncClient, prod: CloudCluster
) -> None:
    assert (await stop(http))["cluster"]["status"] == "Stopping"
    seen = [(prod.status, prod.is_up)]
    for step in (19, 1):
        cloud.clock.advance(step)
        seen.append((prod.status, prod.is_up))
    assert seen == [("Stopping", False), ("Stopping", False), ("Stopped", False)]
    assert (await start(http))["cluster"]["status"] == "Starting"
    seen = []
    for step in (59, 1, 9, 1):
        cloud.clock.advance(step)
        seen.append((prod.status, prod.is_up))
    assert seen == [("Starting", False), ("Active", False), ("Active", False), ("Active", True)]
    assert (await http.get(PIPELINES)).status_code == 200


async def test_a_saved_config_restarts_what_runs_and_only_that(
    cloud: CloudWorld, http: httpx.AsyncClient, staging: CloudCluster
) -> None:
    answer = await put(http, STAGING, await config_of(http, STAGING))
    assert (answer["cluster"]["status"], staging.is_up) == ("Restarting", False)
    cloud.clock.advance(30)
    assert (staging.status, staging.is_up) == ("Active", False)
    cloud.clock.advance(10)
    assert staging.is_up
    await stop(http, STAGING)
    cloud.clock.advance(20)
    assert (await put(http, STAGING, {"replicaCount": 0}))["cluster"]["status"] == "Stopped"


async def test_the_latest_change_wins_unless_the_cloud_is_busy(cloud: CloudWorld, http: httpx.AsyncClient) -> None:
    await stop(http)
    assert (await start(http))["cluster"]["status"] == "Starting"
    cloud.switches = Switches(refuses_while_changing=True)
    assert (await stop(http))["error"]["code"] == 409
    cloud.clock.advance(60)
    assert (await stop(http))["cluster"]["status"] == "Stopping"


async def test_stopping_the_stopped_changes_nothing(cloud: CloudWorld, http: httpx.AsyncClient) -> None:
    await stop(http)
    cloud.clock.advance(15)
    await stop(http)
    cloud.clock.advance(5)
    assert (await stop(http))["cluster"]["status"] == "Stopped"


async def test_a_cluster_without_replicas_is_active_and_silent(
    cloud: CloudWorld, http: httpx.AsyncClient, prod: CloudCluster
) -> None:
    await put(http, PROD, await config_of(http, PROD) | {"replicaCount": 0})
    cloud.clock.advance(100)
    assert (prod.status, prod.is_up) == ("Active", False)


async def test_delays_can_be_set(http: httpx.AsyncClient, cloud: CloudWorld) -> None:
    assert await control(http, "slow", stop_s=0, api_s=1) == {"stop_s": 0, "start_s": 60, "restart_s": 30, "api_s": 1}
    assert (await stop(http))["cluster"]["status"] == "Stopped"
    cloud.delays = Delays(start_s=0, api_s=0)
    await start(http)
    assert (await http.get(f"/prod{PIPELINES}")).status_code == 200


# The clusters' own APIs


async def test_each_cluster_has_an_api_of_its_own_and_prods_is_at_the_root(http: httpx.AsyncClient) -> None:
    runs = [(await read(http, f"{base}/api/pipeline_runs?_limit=1"))["metadata"] for base in ("", "/prod", "/staging")]
    assert runs[0] == runs[1] == {"count": 19, "next": True}
    assert runs[2] == {"count": 0, "next": False}
    block = await read(http, "/staging/api/pipelines/nested_import/blocks/sub%2Fread_orders")
    assert block["block"]["uuid"] == "sub/read_orders"


async def test_a_cluster_that_is_down_is_a_page_of_its_ingress(http: httpx.AsyncClient) -> None:
    await stop(http)
    for base in ("", "/prod"):
        response = await http.get(f"{base}{PIPELINES}")
        assert (response.status_code, response.headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert "<h1>503 Service Temporarily Unavailable</h1>" in response.text
    assert (await http.get(f"/staging{PIPELINES}")).status_code == 200


async def save(http: httpx.AsyncClient) -> None:
    await put(http, PROD, await config_of(http, PROD))


async def stop_and_start(http: httpx.AsyncClient) -> None:
    await stop(http)
    await control(http, "clock", advance_s=600)
    await start(http)


@pytest.mark.parametrize(("goes_down", "up_after_s"), [(stop_and_start, 670), (save, 40)])
async def test_runs_under_way_fail_without_a_failed_block_and_waiting_ones_wait_on(
    cloud: CloudWorld, http: httpx.AsyncClient, prod: CloudCluster, goes_down: Callable[..., Any], up_after_s: int
) -> None:
    world = prod.world
    under_way, paused = world.create_run(world.triggers[SLOW_API]), world.create_run(world.triggers[SALES_HOURLY])
    cloud.clock.advance(5)
    queued = world.create_run(world.triggers[SLOW_API])
    cloud.clock.advance(0.5)
    await goes_down(http)
    cloud.clock.advance(75)
    detail = (await read(http, f"/api/pipeline_runs/{under_way.id}"))["pipeline_run"]
    assert (detail["status"], {block["status"] for block in detail["block_runs"]}) == ("failed", {"cancelled"})
    assert detail["updated_at"] == "2026-11-24 12:00:05"
    assert queued.started_at is not None
    assert (queued.started_at - NOON).total_seconds() == 5.5 + up_after_s + 1
    assert (queued.status(cloud.now) in ("running", "completed"), paused.status(cloud.now)) == (True, "initial")
    assert not [run for run in world.runs.values() if run.status(cloud.now) == "running" and run is not queued]


# Others


async def test_an_edit_before_a_put_is_overwritten_and_one_after_it_stays(
    cloud: CloudWorld, http: httpx.AsyncClient
) -> None:
    cloud.before_next_put(Edit(set_env={"THEIRS": "lost"}))
    cloud.after_next_put(Edit(set_env={"THEIRS": "kept"}, merge={"git": None}))
    config = await config_of(http, STAGING)
    answer = await put(http, STAGING, config)
    assert answer["cluster"]["config"] == config
    now = await config_of(http, STAGING)
    assert now["extraEnvs"] == [*config["extraEnvs"], {"name": "THEIRS", "value": "kept"}]
    assert "git" not in now
    await put(http, STAGING, config)
    assert await config_of(http, STAGING) == config


async def test_hooks_wait_for_their_cluster_and_come_one_a_request(http: httpx.AsyncClient) -> None:
    for value in ("1", "2"):
        await control(http, "hook", when="after_get", cluster="staging", set_env={"N": value})
    await read(http, PROD)
    seen = [(await config_of(http, STAGING))["extraEnvs"][-1] for _ in range(3)]
    assert [item["value"] for item in seen if item["name"] == "N"] == ["1", "2"]


async def test_somebody_else_may_stop_a_cluster_or_save_it(http: httpx.AsyncClient) -> None:
    edited = await control(
        http, "edit", cluster="staging", unset_env=["LOG_TARGET"], restarts=True, name="Stage \u202e"
    )
    assert (edited["status"], edited["name"]) == ("Restarting", "Stage \u202e")
    assert [item["name"] for item in edited["config"]["extraEnvs"]].count("LOG_TARGET") == 0
    assert (await control(http, "edit", cluster="staging", status="Stopped"))["status"] == "Stopping"


@pytest.mark.parametrize(
    ("stored", "patch", "result"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1]}, {"a": [2, 3], "n": {"x": None}}, {"a": [2, 3], "n": {}}),
        (None, {"a": 1}, {"a": 1}),
    ],
)
def test_edits_merge_as_json_does(stored: Any, patch: Any, result: Any) -> None:
    before = deepcopy(stored)
    assert merged(stored, patch) == result
    assert stored == before


async def test_an_answer_may_be_lost_after_the_change_or_before_it(
    cloud: CloudWorld, http: httpx.AsyncClient, prod: CloudCluster
) -> None:
    config = await config_of(http, PROD)
    cloud.faults = [Fault(status=502, applied=False), Fault()]
    for status in (502, 504):
        response = await http.put(PROD, json={"cluster": {"config": config | {"replicaCount": 0}, "status": "Stopped"}})
        assert response.status_code == status
        assert prod.status == ("Active" if status == 502 else "Stopping")
    assert len(cloud.puts) == 1
    await control(http, "fault", method="GET", status=200, delay_s=0.01)
    assert "cluster" in await read(http, PROD)


# From outside the process


async def test_the_state_shows_the_cloud_and_the_clock_moves_it(http: httpx.AsyncClient) -> None:
    await stop(http)
    await control(http, "clock", advance_s=20)
    state = await read(http, "/_demo/state")
    assert set(state) == {"clock", "runs", "triggers", "requests", "cloud", "secrets"}
    cloud = state["cloud"]
    assert [(key, one["status"], one["is_up"]) for key, one in cloud["clusters"].items()] == [
        ("prod", "Stopped", False),
        ("staging", "Active", True),
    ]
    assert cloud["clusters"]["prod"]["config"]["replicaCount"] == 0
    assert cloud["clusters"]["prod"]["runs"] == state["runs"]
    assert cloud["puts"][0]["body"]["cluster"]["status"] == "Stopped"
    assert cloud["requests"] == [["POST", f"{API}/sessions"], ["GET", PROD], ["PUT", PROD]]


async def test_switches_are_set_from_outside(http: httpx.AsyncClient) -> None:
    assert (await control(http, "switch", http_errors=True, mage_login=True, expire_sessions=True))["http_errors"]
    assert (await http.get(PROD)).status_code == 401
    assert (await read(http, "/staging/api/status"))["statuses"][0]["require_user_authentication"] is True
    await control(http, "switch", mage_login=False)
    assert (await http.get(PIPELINES)).status_code == 200


async def test_requests_take_about_a_millisecond(cloud: CloudWorld) -> None:
    transport = httpx.ASGITransport(create_cloud_app(cloud))
    async with httpx.AsyncClient(transport=transport, base_url="http://mage.test") as http:
        http.headers["X-API-KEY"] = CLOUD_API_KEY
        await log_in(http)
        taken = []
        for _ in range(20):
            began = time.perf_counter()
            await http.get(PROD)
            taken.append(time.perf_counter() - began)
    assert min(taken) < 0.005

"""Logins to Mage Cloud that a person left in the store: one for all its clusters."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest
from pydantic import SecretStr

from mage_mcp import errors
from mage_mcp.client import Cluster, Mage
from mage_mcp.client.login import open_session, try_token
from mage_mcp.credentials import KeptLogin, Store, cloud_key
from mage_mcp.demo.cloud import USERS, CloudWorld
from mage_mcp.demo.cloud_app import create_cloud_app
from tests.clouds import clock_of, requests_to_cloud, settings_of
from tests.keyrings import Memory, using

pytestmark = pytest.mark.anyio

ADMIN = USERS[0]
NOTHING = {"cloud_email": "", "cloud_password": None}


@pytest.fixture
def memory() -> Iterator[Memory]:
    backend = Memory()
    with using(backend):
        yield backend


@pytest.fixture
def store(tmp_path: Path, memory: Memory) -> Store:
    return Store(limit_s=5, file=tmp_path / "credentials.json")


def cluster_of(key: str = "prod", **more: object) -> Cluster:
    return settings_of(key, **{**NOTHING, **more})


def mage_in(cloud: CloudWorld, store: Store, key: str = "prod", wire: object = None, **more: object) -> Mage:
    wire = wire or httpx.ASGITransport(create_cloud_app(cloud))
    return Mage(cluster_of(key, **more), wire=wire, clock=clock_of(cloud), credentials=store)


async def log_in(cloud: CloudWorld, store: Store, *, keep_password: bool = False) -> KeptLogin:
    wire = httpx.ASGITransport(create_cloud_app(cloud))
    opened = await open_session(cluster_of(), ADMIN.email, ADMIN.password, cloud=True, wire=wire)
    login = KeptLogin(opened.token, opened.expires, ADMIN.email, ADMIN.password if keep_password else "", ours=True)
    store.keep_login(cloud_key(cluster_of()), login)
    cloud.requests.clear()
    return login


async def test_the_kept_token_serves_all_clusters_of_the_cloud(cloud: CloudWorld, store: Store, memory: Memory):
    await log_in(cloud, store)
    wire = httpx.ASGITransport(create_cloud_app(cloud))
    memory.asked.clear()
    async with mage_in(cloud, store, wire=wire) as prod, mage_in(cloud, store, "staging", wire=wire) as staging:
        assert (await prod.clusters.get()).status == "Active"
        assert (await staging.clusters.get()).status == "Active"
    assert requests_to_cloud(cloud, "POST") == 0
    assert memory.asked == [cloud_key(cluster_of())]


async def test_nothing_kept_says_what_to_run(cloud: CloudWorld, store: Store):
    async with mage_in(cloud, store) as mage:
        with pytest.raises(errors.MageNotConfigured) as caught:
            await mage.clusters.variables()
        assert str(caught.value) == (
            "No login to Mage Cloud is configured or kept for cluster 'prod'. Ask the person to run "
            "`mage-mcp login --cluster prod --cloud` in a terminal, then call again; or to set cloud_email and "
            "cloud_password in [clusters.prod]."
        )
        row = await mage.clusters.row()
    assert row.answers, "its own API is not in the way"
    assert "mage-mcp login --cluster prod --cloud" in row.note
    assert requests_to_cloud(cloud, "GET") == 0


async def test_the_cluster_of_the_environment_is_told_whole(cloud: CloudWorld, store: Store):
    async with mage_in(cloud, store, name="default") as mage:
        with pytest.raises(errors.MageNotConfigured) as caught:
            await mage.clusters.variables()
    url = cluster_of().cloud_url
    assert f"`MAGE_CLOUD_URL={url} mage-mcp login --cloud`" in str(caught.value)


async def test_where_the_place_is_missing_too_that_comes_first(cloud: CloudWorld, store: Store):
    async with mage_in(cloud, store, team_id="") as mage:
        with pytest.raises(errors.MageNotConfigured, match="set team_id"):
            await mage.clusters.variables()


async def test_a_token_that_ended_is_replaced_by_the_one_that_was_kept_meanwhile(cloud: CloudWorld, store: Store):
    await log_in(cloud, store)
    async with mage_in(cloud, store) as mage:
        await mage.clusters.variables()
        cloud.expire_sessions()
        with pytest.raises(errors.MageAuthRequired) as caught:
            await mage.clusters.variables()
        assert "does not accept the token (expired or revoked)" in str(caught.value)
        assert "`mage-mcp login --cluster prod --cloud`" in str(caught.value)
        await log_in(cloud, store)
        await mage.clusters.variables()
        assert requests_to_cloud(cloud, "POST") == 0


async def test_with_the_password_kept_one_login_is_made_and_kept_in_turn(cloud: CloudWorld, store: Store):
    first = await log_in(cloud, store, keep_password=True)
    cloud.expire_sessions()
    async with mage_in(cloud, store) as mage, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(mage.clusters.variables)
    assert requests_to_cloud(cloud, "POST") == 1
    kept = store.login(cloud_key(cluster_of()))
    assert kept.token != first.token
    assert kept.password == ADMIN.password
    assert kept.expires == pytest.approx(cloud.sessions[kept.token][1].timestamp())


async def test_a_change_after_the_token_ended_is_written_once_from_a_fresh_read(cloud: CloudWorld, store: Store):
    await log_in(cloud, store, keep_password=True)
    async with mage_in(cloud, store) as mage:
        await mage.clusters.variables()
        cloud.after_next_get(lambda _: cloud.expire_sessions())
        await mage.clusters.update_env_vars(set_={"NEW": "value"})
    assert requests_to_cloud(cloud, "POST") == 1
    assert len(cloud.puts) == 1


async def test_what_is_configured_comes_first_and_another_email_is_not_used(
    cloud: CloudWorld, store: Store, memory: Memory
):
    await log_in(cloud, store)
    memory.asked.clear()
    configured = {"cloud_email": ADMIN.email, "cloud_password": SecretStr(ADMIN.password)}
    async with mage_in(cloud, store, **configured) as mage:
        await mage.clusters.variables()
    assert memory.asked == []
    async with mage_in(cloud, store, cloud_email="other@demo.invalid") as mage:
        with pytest.raises(errors.MageNotConfigured, match="is of another email than the configured one"):
            await mage.clusters.variables()


async def test_a_token_is_tried_with_one_read_where_a_cluster_is_configured(cloud: CloudWorld, store: Store):
    wire = httpx.ASGITransport(create_cloud_app(cloud))
    login = await log_in(cloud, store)
    assert (await try_token(cluster_of(), login.token, cloud=True, wire=wire)).token == login.token
    assert requests_to_cloud(cloud, "GET") == 1
    with pytest.raises(errors.MageAuthRequired, match=r"expired or revoked"):
        await try_token(cluster_of(), "made-up", cloud=True, wire=wire)
    cloud.requests.clear()
    assert await try_token(cluster_of(cluster_id=""), "not-tried", cloud=True, wire=wire)
    assert cloud.requests == []


async def test_a_wrong_password_is_refused_in_words(cloud: CloudWorld):
    wire = httpx.ASGITransport(create_cloud_app(cloud))
    with pytest.raises(errors.MageAuthRequired, match="Mage Cloud refused the email or the password"):
        await open_session(cluster_of(), ADMIN.email, "planted-and-wrong", cloud=True, wire=wire)

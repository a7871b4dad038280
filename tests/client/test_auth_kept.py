"""Logins that a person left in the store: asked for when Mage wants one, replaced while serving, never in the way."""

import logging
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from mage_mcp import errors
from mage_mcp.client import Cluster, Mage
from mage_mcp.client.auth import PAUSE_AFTER_REFUSAL_S
from mage_mcp.client.login import end_session, open_session, try_token
from mage_mcp.credentials import KeptLogin, Store, cluster_key
from mage_mcp.demo.world import World
from tests.conftest import clock_of
from tests.keyrings import Broken, Hanging, Memory, using
from tests.wires import Time, Wire

pytestmark = pytest.mark.anyio

URL = "http://mage.test"
EMAIL, PASSWORD = "admin@example.com", "planted-password"
CLUSTER = Cluster(url=URL)
KEY = cluster_key(CLUSTER)


@pytest.fixture
def locked() -> World:
    """A Mage that asks for a login."""
    return World(login=(EMAIL, PASSWORD))


@pytest.fixture
def memory() -> Iterator[Memory]:
    backend = Memory()
    with using(backend):
        yield backend


@pytest.fixture
def store(tmp_path: Path, memory: Memory) -> Store:
    return Store(limit_s=5, file=tmp_path / "credentials.json")


def mage_over(world: World, store: Store, time: Time | None = None, **cluster: object) -> tuple[Mage, Wire]:
    wire = Wire(world)
    clock = time.clock if time else clock_of(world)
    return Mage(CLUSTER.model_copy(update=cluster), wire=wire, clock=clock, credentials=store), wire


async def log_in(world: World, store: Store, *, keep_password: bool = False) -> KeptLogin:
    """What `mage-mcp login` does."""
    opened = await open_session(CLUSTER, EMAIL, world.login[1], wire=Wire(world))
    login = KeptLogin(opened.token, opened.expires, EMAIL, world.login[1] if keep_password else "", ours=True)
    store.keep_login(KEY, login)
    return login


async def test_a_mage_that_needs_no_login_never_asks_the_store(world: World, store: Store, memory: Memory):
    mage, wire = mage_over(world, store)
    await mage.pipelines.list()
    assert memory.asked == []
    assert wire.count("GET", "/api/status") == 0


async def test_the_kept_token_is_taken_when_mage_wants_a_login_and_then_held(
    locked: World, store: Store, memory: Memory
):
    await log_in(locked, store)
    mage, wire = mage_over(locked, store)
    memory.asked.clear()
    for _ in range(3):
        assert (await mage.pipelines.list()).total > 50
    assert wire.count("POST") == 0
    assert memory.asked == [KEY]
    assert [bool(request.headers.get("oauth-token")) for request in wire.requests] == [False, True, True, True]


async def test_five_calls_that_find_out_together_ask_the_store_once(locked: World, store: Store, memory: Memory):
    await log_in(locked, store)
    mage, _ = mage_over(locked, store)
    memory.asked.clear()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(mage.pipelines.list)
    assert memory.asked == [KEY]


async def test_a_token_that_ended_is_replaced_by_the_one_that_was_kept_meanwhile(locked: World, store: Store):
    await log_in(locked, store)
    mage, wire = mage_over(locked, store)
    await mage.pipelines.list()
    locked.expire_sessions()
    with pytest.raises(errors.MageAuthRequired) as caught:
        await mage.pipelines.list()
    assert "does not accept the token (expired or revoked)" in str(caught.value)
    assert "run `mage-mcp login --url http://mage.test` in a terminal, then call again" in str(caught.value)
    await log_in(locked, store)
    assert (await mage.pipelines.list()).total > 50
    assert wire.count("POST") == 0


async def test_a_write_after_the_token_ended_is_made_once(locked: World, store: Store):
    await log_in(locked, store)
    mage, _ = mage_over(locked, store)
    await mage.runs.start("sales_daily")
    runs = len(locked.runs)
    locked.expire_sessions()
    await log_in(locked, store)
    await mage.runs.start("sales_daily")
    assert len(locked.runs) == runs + 1


async def test_with_the_password_kept_one_login_is_made_and_kept_in_turn(locked: World, store: Store, memory: Memory):
    first = await log_in(locked, store, keep_password=True)
    mage, wire = mage_over(locked, store)
    await mage.pipelines.list()
    locked.expire_sessions()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(mage.pipelines.list)
    assert wire.count("POST", "/api/sessions") == 1
    kept = store.login(KEY)
    assert kept.token != first.token
    assert (kept.email, kept.password, kept.ours) == (EMAIL, PASSWORD, True)
    assert kept.expires == pytest.approx(locked.sessions[list(locked.sessions)[-1]].timestamp())
    other, wire = mage_over(locked, store)
    await other.pipelines.list()
    assert wire.count("POST") == 0, "the next process takes it from there"


async def test_a_kept_token_that_had_ended_before_the_first_call_gives_way_to_the_password(locked: World, store: Store):
    await log_in(locked, store, keep_password=True)
    locked.expire_sessions()
    mage, wire = mage_over(locked, store)
    assert (await mage.pipelines.list()).total > 50
    assert wire.count("POST", "/api/sessions") == 1


async def test_a_kept_token_that_had_ended_and_no_password_say_what_to_run(locked: World, store: Store):
    await log_in(locked, store)
    locked.expire_sessions()
    mage, wire = mage_over(locked, store, name="prod", file="/a b/mage.toml")
    store.keep_login(cluster_key(Cluster(name="prod", url=URL)), store.login(KEY))
    with pytest.raises(errors.MageAuthRequired) as caught:
        await mage.pipelines.list()
    assert "`mage-mcp login --cluster prod --config '/a b/mage.toml'`" in str(caught.value)
    assert len(wire.requests) == 2


async def test_nothing_kept_says_what_to_run(locked: World, store: Store):
    mage, wire = mage_over(locked, store)
    with pytest.raises(errors.MageAuthRequired) as caught:
        await mage.pipelines.list()
    assert str(caught.value) == (
        "Mage at mage.test needs a login and none is configured or kept. Ask the person to run "
        "`mage-mcp login --url http://mage.test` in a terminal, then call again; or to set MAGE_EMAIL and "
        "MAGE_PASSWORD, or a fresh MAGE_TOKEN."
    )
    assert len(wire.requests) == 1


async def test_what_is_configured_comes_first(locked: World, store: Store, memory: Memory):
    await log_in(locked, store)
    memory.asked.clear()
    mage, wire = mage_over(locked, store, email=EMAIL, password=SecretStr(PASSWORD))
    await mage.pipelines.list()
    locked.expire_sessions()
    await mage.pipelines.list()
    assert memory.asked == []
    assert wire.count("POST", "/api/sessions") == 2


async def test_a_configured_token_that_ended_gives_way_to_the_kept_one(locked: World, store: Store, memory: Memory):
    await log_in(locked, store)
    memory.asked.clear()
    mage, _ = mage_over(locked, store, token=SecretStr("planted-and-ended"))
    assert (await mage.pipelines.list()).total > 50
    assert memory.asked == [KEY]


async def test_a_login_of_somebody_else_than_is_configured_is_not_used(locked: World, store: Store):
    await log_in(locked, store)
    mage, _ = mage_over(locked, store, email="another@example.com")
    with pytest.raises(errors.MageAuthRequired, match="is of another email than the configured one"):
        await mage.pipelines.list()
    mage, _ = mage_over(locked, store, email=EMAIL.upper())
    await mage.pipelines.list()


async def test_a_cluster_of_another_name_or_url_gets_no_kept_token(locked: World, store: Store):
    await log_in(locked, store)
    for other in ({"name": "staging"}, {"url": "http://elsewhere.test"}):
        mage, wire = mage_over(locked, store, **other)
        with pytest.raises(errors.MageAuthRequired, match="none is configured or kept"):
            await mage.pipelines.list()
        assert not any("oauth-token" in request.headers for request in wire.requests)


async def test_a_kept_password_that_is_refused_is_tried_once_a_minute_and_another_one_at_once(
    locked: World, store: Store
):
    await log_in(locked, store, keep_password=True)
    locked.expire_sessions()
    locked.login = (EMAIL, "planted-and-changed")
    time = Time()
    mage, wire = mage_over(locked, store, time)
    for _ in range(3):
        with pytest.raises(errors.MageAuthRequired, match=r"refused the email or the password\. Ask the person to run"):
            await mage.pipelines.list()
    assert wire.count("POST", "/api/sessions") == 1
    time.advance(PAUSE_AFTER_REFUSAL_S + 1)
    with pytest.raises(errors.MageAuthRequired):
        await mage.pipelines.list()
    assert wire.count("POST", "/api/sessions") == 2
    await log_in(locked, store, keep_password=True)
    locked.expire_sessions()
    assert (await mage.pipelines.list()).total > 50
    assert wire.count("POST", "/api/sessions") == 3


async def test_a_broken_keyring_is_a_sentence_without_its_text_and_the_file_still_counts(
    locked: World, store: Store, caplog: pytest.LogCaptureFixture
):
    mage, _ = mage_over(locked, store)
    with using(Broken()), caplog.at_level(logging.DEBUG):
        with pytest.raises(errors.MageAuthRequired) as caught:
            await mage.pipelines.list()
        assert "none is configured or kept. The system's keyring failed (KeyringLocked). Ask" in str(caught.value)
        assert "planted" not in f"{caught.value}{caplog.text}"
        assert "KeyringLocked" in caplog.text
        await log_in(locked, store)
        assert (await mage.pipelines.list()).total > 50


async def test_a_keyring_that_hangs_stops_neither_the_call_nor_the_loop(locked: World, tmp_path: Path):
    Hanging.unlocked.clear()
    with using(Hanging()):
        mage, _ = mage_over(locked, Store(limit_s=0.15, file=tmp_path / "credentials.json"))
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await anyio.sleep(0.01)
                turns += 1

        async with anyio.create_task_group() as group:
            group.start_soon(count)
            with pytest.raises(errors.MageAuthRequired, match=r"keyring did not answer within 0\.15 s"):
                await mage.pipelines.list()
            group.cancel_scope.cancel()
        Hanging.unlocked.set()
    assert turns >= 5


async def test_a_fresh_session_that_cannot_be_kept_is_used_all_the_same(
    locked: World, store: Store, memory: Memory, caplog: pytest.LogCaptureFixture
):
    await log_in(locked, store, keep_password=True)
    locked.expire_sessions()
    memory.largest = 10
    mage, _ = mage_over(locked, store)
    assert (await mage.pipelines.list()).total > 50
    assert "A fresh session could not be kept: The system's keyring failed (PasswordSetError)." in caplog.text
    assert "planted" not in caplog.text


# Sessions for the command line


async def test_a_session_is_opened_with_its_end(locked: World):
    opened = await open_session(CLUSTER, EMAIL, PASSWORD, wire=Wire(locked))
    (ends,) = locked.sessions.values()
    assert opened.expires == pytest.approx(ends.timestamp())
    assert opened.token not in repr(opened)


async def test_a_session_is_opened_with_what_was_typed_and_nothing_that_is_configured(locked: World):
    wire = Wire(locked)
    cluster = CLUSTER.model_copy(update={"email": EMAIL, "password": SecretStr(PASSWORD), "token": SecretStr("old")})
    with pytest.raises(errors.MageAuthRequired, match="refused the email or the password"):
        await open_session(cluster, "x@example.com", "planted-and-wrong", wire=wire)
    assert wire.count("POST", "/api/sessions") == 1


async def test_where_no_login_is_needed_none_is_opened(world: World):
    assert await open_session(CLUSTER, EMAIL, PASSWORD, wire=Wire(world)) is None
    assert await try_token(CLUSTER, "some-token", wire=Wire(world)) is None


async def test_a_read_only_cluster_is_logged_in_to_as_well(locked: World):
    cluster = CLUSTER.model_copy(update={"read_only": True})
    opened = await open_session(cluster, EMAIL, PASSWORD, wire=Wire(locked))
    assert await end_session(cluster, opened.token, wire=Wire(locked))


async def test_a_token_is_tried_with_one_read(locked: World):
    opened = await open_session(CLUSTER, EMAIL, PASSWORD, wire=Wire(locked))
    wire = Wire(locked)
    assert await try_token(CLUSTER, opened.token, wire=wire) == opened
    assert {request.method for request in wire.requests} == {"GET"}
    (raw,) = locked.sessions
    assert (await try_token(CLUSTER, raw, wire=wire)).expires is None
    locked.expire_sessions()
    with pytest.raises(errors.MageAuthRequired, match="expired or revoked"):
        await try_token(CLUSTER, opened.token, wire=wire)


@pytest.mark.parametrize("token", ["", "two words", "two\nlines", "ключ-ключ", 'a"b', "a;b"])
async def test_what_cannot_be_a_token_is_not_sent(locked: World, token: str):
    wire = Wire(locked)
    with pytest.raises(errors.MageInvalid, match="is no token") as caught:
        await try_token(CLUSTER, token, wire=wire)
    assert not token or token not in str(caught.value)
    assert wire.requests == []


async def test_a_session_is_ended_for_everybody(locked: World):
    opened = await open_session(CLUSTER, EMAIL, PASSWORD, wire=Wire(locked))
    wire = Wire(locked)
    assert await end_session(CLUSTER, opened.token, wire=wire)
    assert [(request.method, request.url.path) for request in wire.requests] == [("PUT", "/api/sessions/x")]
    with pytest.raises(errors.MageAuthRequired):
        await try_token(CLUSTER, opened.token, wire=wire)
    assert not await end_session(CLUSTER, opened.token, wire=wire)

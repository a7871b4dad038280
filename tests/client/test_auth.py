"""Sessions: opened where one is needed, renewed once however many find out, and never by trying a password twice."""

import base64
import json

import anyio
import httpx
import pytest
from pydantic import SecretStr

from mage_mcp import errors, text
from mage_mcp.client import Cluster, Mage
from mage_mcp.client.auth import PAUSE_AFTER_REFUSAL_S, raw_token
from mage_mcp.demo.world import World
from tests.conftest import clock_of
from tests.wires import Answer, Script, Time, Wire, breaks, says

pytestmark = pytest.mark.anyio

URL = "http://mage.test"
EMAIL, PASSWORD = "admin@example.com", "planted-password"
NEEDS_LOGIN = says({"statuses": [{"require_user_authentication": True}]})
EMPTY = says({"pipelines": [], "metadata": {"count": 0}})
EXPIRED = says({"error": {"code": 401, "message": "Expired.", "type": "expired_oauth_token"}, "status": 200}, 401)
LOGGED_IN = says({"session": {"token": "raw"}})


@pytest.fixture
def locked() -> World:
    """A Mage that asks for a login."""
    return World(login=(EMAIL, PASSWORD))


def mage_over(world: World, time: Time | None = None, **cluster: object) -> tuple[Mage, Wire]:
    wire = Wire(world)
    return Mage(Cluster(**{"url": URL} | cluster), wire=wire, clock=time.clock if time else clock_of(world)), wire


def with_password(password: str = PASSWORD, **more: object) -> dict[str, object]:
    return {"email": EMAIL, "password": SecretStr(password)} | more


def scripted(*steps: Answer, time: Time | None = None, **cluster: object) -> tuple[Mage, Script]:
    wire = Script(*steps)
    return Mage(
        Cluster(**{"url": URL} | with_password() | cluster), wire=wire, clock=time.clock if time else None
    ), wire


async def test_where_no_login_is_needed_none_is_made(world: World):
    mage, wire = mage_over(world, **with_password())
    for _ in range(3):
        await mage.pipelines.list()
    assert wire.count("POST") == 0
    assert wire.count("GET", "/api/status") == 1
    assert not any("oauth-token" in request.headers for request in wire.requests)


async def test_a_login_is_made_at_the_first_call_and_kept(locked: World):
    mage, wire = mage_over(locked, **with_password())
    assert wire.requests == []
    for _ in range(3):
        assert (await mage.pipelines.list()).total > 50
    assert wire.count("POST", "/api/sessions") == 1
    login = next(request for request in wire.requests if request.method == "POST")
    assert json.loads(login.content) == {"session": {"email": EMAIL, "password": PASSWORD}}
    assert "oauth-token" not in login.headers
    (token,) = locked.sessions
    assert {request.headers.get("oauth-token") for request in wire.requests[2:]} == {token}
    assert text.redact(f"a {token} b") == f"a {text.MASK} b", "the token is masked wherever it turns up"


async def test_calls_that_start_together_log_in_once(locked: World):
    mage, wire = mage_over(locked, **with_password())
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(mage.pipelines.get, "sales_daily")
    assert wire.count("POST", "/api/sessions") == 1


async def test_five_calls_with_a_stale_session_renew_it_once(locked: World):
    mage, wire = mage_over(locked, **with_password())
    await mage.pipelines.list()
    locked.expire_sessions()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(mage.pipelines.list)
    assert wire.count("POST", "/api/sessions") == 2
    assert wire.count("GET", "/api/status") == 1


async def test_a_session_that_expires_in_the_middle_makes_no_second_run(locked: World):
    mage, wire = mage_over(locked, **with_password())
    await mage.runs.start("sales_daily")
    runs, triggers = len(locked.runs), len(locked.triggers)

    wire.spoil("POST", "/pipeline_runs", EXPIRED)
    await mage.runs.start("sales_daily")
    assert len(locked.runs) == runs + 1
    assert wire.count("POST", "/pipeline_runs") == 3
    locked.expire_sessions()
    await mage.runs.start("sales_daily")
    assert len(locked.runs) == runs + 2
    assert len(locked.triggers) == triggers
    assert wire.count("POST", "/api/sessions") == 3


async def test_a_write_with_a_stale_session_is_sent_again_once_and_no_more():
    mage, wire = scripted(EXPIRED, LOGGED_IN, EXPIRED, token=SecretStr("old"))
    with pytest.raises(errors.MageAuthRequired, match="does not accept a fresh session"):
        await mage._transport.write("PUT", "api/pipeline_runs/1", {})
    assert wire.sent == [
        ("PUT", "/api/pipeline_runs/1"),
        ("POST", "/api/sessions"),
        ("PUT", "/api/pipeline_runs/1"),
    ]
    assert [request.headers.get("oauth-token") for request in wire.requests] == ["old", None, "raw"]


async def test_a_mage_that_begins_to_ask_for_a_login_gets_one(world: World):
    mage, wire = mage_over(world, **with_password())
    await mage.pipelines.list()
    world.login = (EMAIL, PASSWORD)
    assert (await mage.pipelines.list()).total > 50
    assert wire.count("POST", "/api/sessions") == 1


async def test_a_wrong_password_gets_one_try_a_minute(locked: World):
    time = Time()
    mage, wire = mage_over(locked, time, **with_password("wrong-password"))
    for _ in range(3):
        with pytest.raises(errors.MageAuthRequired) as caught:
            await mage.pipelines.list()
        assert "refused the email or the password" in str(caught.value)
        assert "Correct MAGE_EMAIL and MAGE_PASSWORD" in str(caught.value)
        assert "wrong-password" not in str(caught.value)
        assert EMAIL not in str(caught.value)
        time.advance(PAUSE_AFTER_REFUSAL_S / 3 - 1)
    assert wire.count("POST", "/api/sessions") == 1
    time.advance(4)
    with pytest.raises(errors.MageAuthRequired):
        await mage.pipelines.list()
    assert wire.count("POST", "/api/sessions") == 2
    locked.login = (EMAIL, "wrong-password")
    time.advance(PAUSE_AFTER_REFUSAL_S + 1)
    assert (await mage.pipelines.list()).total > 50


async def test_a_wrong_password_found_out_together_is_tried_once(locked: World):
    mage, wire = mage_over(locked, **with_password("wrong-password"))
    refused = 0

    async def call() -> None:
        nonlocal refused
        with pytest.raises(errors.MageAuthRequired):
            await mage.pipelines.list()
        refused += 1

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(call)
    assert refused == 5
    assert wire.count("POST", "/api/sessions") == 1


async def test_a_password_that_was_changed_meanwhile_is_tried_once(locked: World):
    mage, wire = mage_over(locked, **with_password())
    await mage.pipelines.list()
    locked.expire_sessions()
    locked.login = (EMAIL, "another")
    for _ in range(3):
        with pytest.raises(errors.MageAuthRequired, match="refused the email or the password"):
            await mage.pipelines.list()
    assert wire.count("POST", "/api/sessions") == 2


async def test_the_text_that_mage_spoils_by_a_failed_login_is_not_passed_on(locked: World):
    bad, _ = mage_over(locked, **with_password("wrong-password"))
    with pytest.raises(errors.MageAuthRequired):
        await bad.pipelines.list()
    assert "password" in locked.not_found
    good, _ = mage_over(locked, **with_password())
    with pytest.raises(errors.MageNotFound) as caught:
        await good.runs.record(987654)
    assert "No run 987654" in str(caught.value)
    assert "password" not in str(caught.value)


async def test_a_wrong_api_key_is_told_apart(locked: World):
    mage, wire = mage_over(locked, **with_password(api_key=SecretStr("planted-key")))
    with pytest.raises(errors.MageAuthRequired, match=r"refused the API key\. Correct MAGE_API_KEY") as caught:
        await mage.pipelines.list()
    assert "planted" not in str(caught.value)
    assert wire.count("POST", "/api/sessions") == 1


@pytest.mark.parametrize("token", ["never-given-out", "expired"])
async def test_a_token_without_a_password_cannot_be_renewed(locked: World, token: str):
    locked.sessions["expired"] = locked.now
    mage, wire = mage_over(locked, token=SecretStr(token))
    with pytest.raises(errors.MageAuthRequired) as caught:
        await mage.pipelines.list()
    assert "does not accept the token (expired or revoked)" in str(caught.value)
    assert "MAGE_TOKEN" in str(caught.value)
    assert token not in str(caught.value).replace("expired or revoked", "")
    assert len(wire.requests) == 1


async def test_a_token_with_a_password_beside_it_is_renewed(locked: World):
    mage, wire = mage_over(locked, **with_password(token=SecretStr("stale")))
    await mage.pipelines.list()
    assert wire.count("POST", "/api/sessions") == 1


async def test_a_locked_mage_without_credentials_says_that_it_needs_a_login(locked: World):
    mage, wire = mage_over(locked)
    with pytest.raises(errors.MageAuthRequired, match=r"needs a login and none is configured\. Ask the person"):
        await mage.pipelines.list()
    assert [request.method for request in wire.requests] == ["GET"]


# Logins that go wrong in other ways


@pytest.mark.parametrize(
    "reply",
    [{"session": {}}, {"session": {"token": None}}, {"session": {"token": ""}}, {"session": {"token": 7}}, {"x": 1}],
)
async def test_a_login_without_a_token_is_an_error_and_no_session(reply: dict[str, object]):
    mage, wire = scripted(NEEDS_LOGIN, says(reply), EMPTY)
    with pytest.raises(errors.MageReplyInvalid):
        await mage.pipelines.list()
    assert len(wire.requests) == 2


async def test_a_login_whose_answer_is_lost_is_not_called_a_change():
    mage, wire = scripted(NEEDS_LOGIN, breaks(httpx.ReadTimeout))
    with pytest.raises(errors.MageUnreachable, match="did not answer the login") as caught:
        await mage.pipelines.list()
    assert "change" not in str(caught.value)
    assert len(wire.requests) == 2


@pytest.mark.parametrize("type_", ["expired_oauth_token", "invalid_oauth_token", "odd"])
async def test_a_login_that_is_refused_as_if_it_were_a_stale_session_ends(type_: str):
    refusal = says({"error": {"code": 401, "message": "?", "type": type_}}, 401)
    mage, wire = scripted(NEEDS_LOGIN, refusal)
    with pytest.raises(errors.MageAuthRequired, match="refuses the login itself"):
        await mage.pipelines.list()
    assert len(wire.requests) == 2
    mage, _ = scripted(refusal)
    with pytest.raises(errors.MageAuthRequired, match="refuses the login itself"):
        await mage.pipelines.list()


@pytest.mark.parametrize("status", [{}, {"statuses": "x"}, {"statuses": ["x"]}])
async def test_a_status_that_cannot_be_read_is_an_error_in_words(status: dict[str, object]):
    mage, _ = scripted(says(status), LOGGED_IN, EMPTY)
    with pytest.raises(errors.MageReplyInvalid):
        await mage.pipelines.list()


async def test_a_status_that_does_not_tell_leads_to_a_login():
    mage, wire = scripted(says({"statuses": []}), LOGGED_IN, EMPTY)
    await mage.pipelines.list()
    assert wire.sent[1] == ("POST", "/api/sessions")


@pytest.mark.parametrize("value", ["two\nlines", "ключ", "•••", "a\x00b"])
async def test_a_key_or_token_that_no_header_takes_is_a_setting_to_correct(value: str):
    for name in ("token", "api_key"):
        mage, wire = scripted(EMPTY, **{name: SecretStr(value), "email": ""})
        with pytest.raises(errors.MageAuthRequired, match=f"MAGE_{name.upper()} holds characters") as caught:
            await mage.pipelines.list()
        assert value not in str(caught.value)
        assert wire.requests == []


def jwt(payload: object) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{middle}.c2ln"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (jwt({"expires": 1, "token": "raw"}), "raw"),
        ("raw", "raw"),
        ("raw.with.dots", "raw.with.dots"),
        ("a.%%%.c", "a.%%%.c"),
        ("", ""),
        (jwt({"expires": 1}), jwt({"expires": 1})),
        (jwt(["token"]), jwt(["token"])),
        (jwt({"token": None}), jwt({"token": None})),
        ("a.ключ.c", "a.ключ.c"),
        ("a._w.c", "a._w.c"),
    ],
)
def test_the_raw_token_is_taken_out_of_a_jwt_and_anything_else_stays(given: str, sent: str):
    assert raw_token(given) == sent


async def test_the_raw_token_inside_a_configured_jwt_is_a_secret_too():
    scripted(EMPTY, token=SecretStr(jwt({"token": "planted-raw-token"})))
    assert "planted-raw" not in text.redact("Mage said: planted-raw-token is expired")

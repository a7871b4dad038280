"""Speaking to Mage Cloud: login, roles, errors in every shape, and settings that are missing."""

import json
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from pydantic import SecretStr

from mage_mcp.client import Cluster, Mage
from mage_mcp.client.clusters import list_clusters
from mage_mcp.client.clusters.replies import read_cloud_reply
from mage_mcp.client.replies import StaleSession
from mage_mcp.demo.cloud import CloudWorld, Fault, Switches
from mage_mcp.demo.cloud_app import create_cloud_app
from mage_mcp.demo.planted import CLOUD_API_KEY, PLANTED
from mage_mcp.errors import (
    MageAuthRequired,
    MageError,
    MageFailed,
    MageForbidden,
    MageInvalid,
    MageNotConfigured,
    MageNotFound,
    MageReadOnly,
    MageReplyInvalid,
    MageUnreachable,
    MageWriteUncertain,
)
from tests.clouds import URL, clock_of, mage_in, requests_to_cloud, settings_of

pytestmark = pytest.mark.anyio

ADMIN = "admin@demo.invalid"
SHAPES = [
    Switches(http_errors=http, text_errors=text, echoes=echoes)
    for http in (False, True)
    for text in (False, True)
    for echoes in (False, True)
]


# What is sent


class Recording(httpx.AsyncBaseTransport):
    """Keeps requests and answers each with the next body."""

    def __init__(self, *bodies: Any) -> None:
        self.requests: list[httpx.Request] = []
        self._bodies = list(bodies)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        headers = {"Set-Cookie": "oauth_token=planted; Path=/", "Location": "https://elsewhere.test/"}
        return httpx.Response(200, json=self._bodies.pop(0), headers=headers)


def cluster_body(config: Any) -> dict[str, Any]:
    return {"cluster": {"id": "c-1", "name": "One", "status": "Active", "config": config}}


async def test_requests_carry_the_key_and_the_token_as_a_cookie_that_is_never_stored():
    config = {"extraEnvs": [], "x": [1.5, None]}
    written = {**config, "extraEnvs": [{"name": "A", "value": "ü"}]}
    bodies = [{"session": {"token": "T.1"}}, *[cluster_body(config)] * 2, cluster_body(written), cluster_body(written)]
    wire = Recording(*bodies)
    given = settings_of(
        cloud_url="https://cloud.test/v1/", team_id="t-1", cluster_id="c-1", headers={"X-Proxy": SecretStr("proxy-zq8")}
    )
    async with Mage(given, wire=wire) as mage:
        await mage.clusters.update_env_vars(set_={"A": "ü"})
    login, *others = wire.requests
    assert (login.method, str(login.url)) == ("POST", "https://cloud.test/v1/sessions")
    password = PLANTED["cloud password, admin"]
    assert json.loads(login.content) == {"session": {"email": ADMIN, "password": password}}
    assert "cookie" not in login.headers
    assert [request.method for request in others] == ["GET", "GET", "PUT", "GET"]
    for request in others:
        assert str(request.url) == "https://cloud.test/v1/teams/t-1/clusters/c-1"
        assert request.headers["cookie"] == "oauth_token=T.1"
        assert "OAUTH-TOKEN" not in request.headers
    for request in wire.requests:
        assert request.headers["x-api-key"] == CLOUD_API_KEY
        assert request.headers["content-type"] == "application/json"
        assert request.headers["x-proxy"] == "proxy-zq8"
    assert json.loads(others[2].content) == {"cluster": {"config": written}}


async def test_the_clusters_own_api_gets_the_extra_headers_but_not_the_clouds_key_and_cookie(cloud: CloudWorld):
    wire = Recording({"statuses": []})
    async with Mage(settings_of(headers={"X-Proxy": SecretStr("p")}, cloud_email=""), wire=wire) as mage:
        await mage.clusters.row()
    (request,) = wire.requests
    assert request.headers["x-proxy"] == "p"
    assert "cookie" not in request.headers
    assert request.headers["x-api-key"] != CLOUD_API_KEY


async def test_a_ca_bundle_that_cannot_be_read_is_a_setting_to_correct(tmp_path: Path):
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path in (str(tmp_path / "nowhere.pem"), str(empty)):
        async with Mage(settings_of(ca_bundle=path)) as mage:
            with pytest.raises(MageNotConfigured, match=r"`ca_bundle` of \[clusters.prod\] cannot be used"):
                await mage.pipelines.list()


async def test_extra_headers_that_no_library_takes_are_told_without_their_value():
    for name, value in (("X-A", "line\nzq8"), ("X B", "zq8"), ("X-A", "ü-zq8")):
        async with Mage(settings_of(headers={name: SecretStr(value)})) as mage:
            with pytest.raises(MageNotConfigured, match="no header has") as refused:
                await mage.pipelines.list()
            assert "zq8" not in str(refused.value)


# Who logs in, and when


async def test_many_calls_share_one_login(cloud: CloudWorld):
    async with mage_in(cloud) as mage, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(mage.clusters.masked_config)
    assert requests_to_cloud(cloud, "POST") == 1


@pytest.mark.parametrize("switches", SHAPES)
async def test_an_expired_session_is_renewed_once_and_the_call_goes_on(cloud: CloudWorld, switches: Switches):
    cloud.switches = switches
    async with mage_in(cloud, "staging") as mage:
        await mage.clusters.masked_config()
        cloud.expire_sessions()
        cloud.after_next_get(lambda _: cloud.expire_sessions())
        answer = await mage.clusters.update_env_vars(set_={"A": "1"})
    assert answer.added == ["A"]
    assert requests_to_cloud(cloud, "POST") == 3
    assert [put["refused"] for put in cloud.puts] == [""]


async def test_clusters_with_the_same_login_share_it_and_one_wrong_password(cloud: CloudWorld):
    wire = httpx.ASGITransport(create_cloud_app(cloud))
    wrong = SecretStr("wrong-zq8-pass")
    async with (
        Mage(settings_of("prod"), wire=wire) as prod,
        Mage(settings_of("staging"), wire=wire) as staging,
        Mage(settings_of("prod", cloud_password=wrong), wire=wire, clock=clock_of(cloud)) as third,
        Mage(settings_of("staging", cloud_password=wrong), wire=wire, clock=clock_of(cloud)) as fourth,
    ):
        page = await list_clusters([prod.clusters, staging.clusters])
        assert requests_to_cloud(cloud, "POST") == 1
        assert [row.status for row in page.items] == ["Active", "Active"]
        page = await list_clusters([third.clusters, fourth.clusters])
        assert requests_to_cloud(cloud, "POST") == 2
        assert all("refused the email or the password" in row.note for row in page.items)


async def test_many_calls_that_find_a_session_expired_renew_it_once(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        await mage.clusters.masked_config()
        cloud.expire_sessions()
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(mage.clusters.masked_config)
    assert requests_to_cloud(cloud, "POST") == 2


@pytest.mark.parametrize("switches", SHAPES)
async def test_a_wrong_password_gets_one_try_a_minute_and_is_never_shown(cloud: CloudWorld, switches: Switches):
    cloud.switches = switches
    async with mage_in(cloud, cloud_password=SecretStr("wrong-zq8-pass")) as mage:
        for _ in range(3):
            with pytest.raises(MageAuthRequired, match="refused the email or the password") as refused:
                await mage.clusters.masked_config()
        assert "cloud_email and cloud_password in [clusters.prod]" in str(refused.value)
        assert "zq8" not in f"{refused.value!r}{refused.value}"
        assert requests_to_cloud(cloud, "POST") == 1
        cloud.clock.advance(61)
        with pytest.raises(MageAuthRequired):
            await mage.clusters.masked_config()
    assert requests_to_cloud(cloud, "POST") == 2


@pytest.mark.parametrize("switches", SHAPES)
async def test_a_wrong_api_key_is_told_as_that(cloud: CloudWorld, switches: Switches):
    cloud.switches = switches
    async with mage_in(cloud, cloud_api_key=SecretStr("wrong-key-zq8")) as mage:
        with pytest.raises(MageAuthRequired, match="refused the API key") as refused:
            await mage.clusters.masked_config()
    assert "MAGE_CLOUD_API_KEY" in str(refused.value)
    assert "zq8" not in str(refused.value)


async def test_a_key_that_no_header_can_hold_is_told_without_it(cloud: CloudWorld):
    async with mage_in(cloud, cloud_api_key=SecretStr("key\n-zq8")) as mage:
        with pytest.raises(MageAuthRequired, match="cloud_api_key") as refused:
            await mage.clusters.masked_config()
    assert "zq8" not in str(refused.value)


@pytest.mark.parametrize("session", [{}, {"token": ""}, {"token": None}, {"token": "a;b"}, {"token": "a\nb"}, None])
async def test_a_login_without_a_usable_token_is_no_login(session: Any):
    async with Mage(settings_of(), wire=Recording({"session": session})) as mage:
        with pytest.raises(MageReplyInvalid):
            await mage.clusters.masked_config()


async def test_a_session_that_is_refused_as_soon_as_it_is_made_ends_in_a_sentence():
    stale = {"error": {"code": 401, "type": "expired_oauth_token", "message": "Expired OAuth token."}}
    wire = Recording({"session": {"token": "a"}}, stale, {"session": {"token": "b"}}, stale)
    async with Mage(settings_of(), wire=wire) as mage:
        with pytest.raises(MageAuthRequired, match="does not accept a fresh session") as refused:
            await mage.clusters.masked_config()
    assert "cloud_email" in str(refused.value)
    assert len(wire.requests) == 4


async def test_a_lost_login_is_no_lost_write(cloud: CloudWorld):
    cloud.faults = [Fault(method="POST", status=504)]
    async with mage_in(cloud) as mage:
        with pytest.raises(MageUnreachable, match="did not answer the login"):
            await mage.clusters.masked_config()
        assert await mage.clusters.masked_config()


# What is missing


@pytest.mark.parametrize(
    ("lacks", "named"),
    [
        (["team_id"], "team_id in [clusters.prod]"),
        (["team_id", "cluster_id"], "team_id and cluster_id in"),
        (["cloud_email", "cloud_password"], "cloud_email and cloud_password in"),
        (["cluster_id", "cloud_password"], "cluster_id and cloud_password in"),
    ],
)
async def test_half_a_configuration_says_which_half_is_missing(cloud: CloudWorld, lacks: list[str], named: str):
    given = {key: None if key == "cloud_password" else "" for key in lacks}
    async with mage_in(cloud, **given) as mage:
        for act in (mage.clusters.start, mage.clusters.stop, mage.clusters.restart, mage.clusters.plan_stop):
            with pytest.raises(MageNotConfigured) as refused:
                await act()
            assert named in str(refused.value)
    assert not cloud.requests


async def test_without_a_file_it_is_the_environment_that_is_named(cloud: CloudWorld):
    async with mage_in(cloud, name="default", team_id="", cloud_password=None) as mage:
        with pytest.raises(MageNotConfigured, match="MAGE_TEAM_ID and MAGE_CLOUD_PASSWORD"):
            await mage.clusters.start()


async def test_an_empty_password_counts_as_missing(cloud: CloudWorld):
    async with mage_in(cloud, cloud_password=SecretStr("")) as mage:
        with pytest.raises(MageNotConfigured, match="cloud_password"):
            await mage.clusters.start()


@pytest.mark.parametrize("id_", ["../users/1", "a/b", "a?b", "a#b", "a%2Fb", ".", "..", "a b", "a\n", "ü", "x" * 200])
async def test_ids_are_looked_at_before_a_url_is_made_of_them(cloud: CloudWorld, id_: str):
    for key in ("team_id", "cluster_id"):
        async with mage_in(cloud, **{key: id_}) as mage:
            with pytest.raises(MageNotConfigured, match=f"{key} in"):
                await mage.clusters.stop()
    assert not [path for method, path in cloud.requests if method != "POST"]


async def test_a_cluster_without_a_url_says_so_with_its_name(cloud: CloudWorld):
    async with mage_in(cloud, url="") as mage:
        with pytest.raises(MageNotConfigured, match=r"cluster 'prod' has no URL. Set `url` of \[clusters.prod\]"):
            await mage.pipelines.list()
    async with Mage(Cluster()) as mage:
        with pytest.raises(MageNotConfigured, match="MAGE_URL"):
            await mage.clusters.get()


@pytest.mark.parametrize("key", ["team_id", "cluster_id"])
async def test_ids_that_do_not_exist_are_told_as_settings_to_check(cloud: CloudWorld, key: str):
    async with mage_in(cloud, **{key: "nope"}) as mage:
        with pytest.raises(MageNotFound, match="team_id and cluster_id"):
            await mage.clusters.masked_config()


# Who may


@pytest.mark.parametrize("switches", SHAPES)
async def test_a_refused_write_names_the_role_it_needs_and_nothing_that_was_sent(cloud: CloudWorld, switches: Switches):
    cloud.switches = switches
    before = json.dumps([cluster.config for cluster in cloud.clusters.values()])
    refusals = []
    for role in ("viewer", "editor"):
        async with mage_in(cloud, role=role) as mage:
            assert (await mage.clusters.get()).status == "Active"
            for act in (
                mage.clusters.stop(),
                mage.clusters.start(replicas=3),
                mage.clusters.restart(),
                mage.clusters.update_env_vars(set_={"API_TOKEN": "zq8-Secret"}),
            ):
                with pytest.raises(MageForbidden, match="needs the team's role Admin") as refused:
                    await act
                refusals.append(str(refused.value))
    async with mage_in(cloud, role="viewer") as mage:
        with pytest.raises(MageForbidden, match="role Editor or Admin") as refused:
            await mage.clusters.update_config({"git": {"branch": "zq8-branch"}})
        refusals.append(str(refused.value))
    assert "viewer@demo.invalid to stop Production (cl-prod); nothing was changed" in refusals[0]
    assert "zq8" not in "".join(refusals)
    assert not [what for what, secret in PLANTED.items() if secret in "".join(refusals)]
    assert json.dumps([cluster.config for cluster in cloud.clusters.values()]) == before


async def test_an_editor_may_change_the_rest_of_the_config(cloud: CloudWorld):
    async with mage_in(cloud, role="editor") as mage:
        assert (await mage.clusters.update_config({"git": {"branch": "next"}})).changed


async def test_read_only_sends_no_write_whatever_is_called(cloud: CloudWorld):
    async with mage_in(cloud, read_only=True) as mage:
        for act in (
            mage.clusters.stop(),
            mage.clusters.start(replicas=3),
            mage.clusters.restart(),
            mage.clusters.update_env_vars(set_={"A": "1"}),
            mage.clusters.update_config({"git": None}),
        ):
            with pytest.raises(MageReadOnly):
                await act
        assert (await mage.clusters.update_env_vars(set_={"A": "1"}, dry_run=True)).added == ["A"]
        assert (await mage.clusters.get()).read_only
    assert not cloud.puts
    assert requests_to_cloud(cloud, "PUT") == 0


# Errors in every shape


def refusal(body: Any, *, status: int = 200, what: str = "PUT /teams/t/clusters/c", sent: Any = None) -> Exception:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises((MageError, StaleSession)) as refused:
        read_cloud_reply(status, content, what=what, label="Mage Cloud", sent=sent)
    return refused.value


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 403, "type": "unauthorized_access", "message": "You are not allowed to do this."}, MageForbidden),
        ({"code": 403, "message": "Private access only, invalid scope."}, StaleSession),
        ({"code": "401"}, StaleSession),
        ({"code": 404}, MageNotFound),
        ({"code": 409, "message": "The cluster is Stopping."}, MageFailed),
        ({"type": "invalid_api_key"}, MageAuthRequired),
        ("Invalid API key.", MageAuthRequired),
    ],
)
def test_the_body_tells_the_error_whatever_the_status_says(error: Any, kind: type, status: int) -> None:
    assert isinstance(refusal({"error": error}, status=status), kind)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Expired OAuth token.", StaleSession),
        ("You need to be signed in", StaleSession),
        ("You are not allowed to do this to the cluster.", MageForbidden),
        ("Record not found.", MageNotFound),
        ("The cluster is Stopping; try again when it is not.", MageFailed),
        (True, MageFailed),
        (["a"], MageFailed),
        ({"message": {"a": 1}}, MageFailed),
        ({"errors": [1]}, MageFailed),
    ],
)
def test_an_error_without_a_code_is_told_by_its_words(words: Any, kind: type) -> None:
    assert isinstance(refusal({"error": words}), kind)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 200, MageReplyInvalid),
        (b"<html>", 200, MageReplyInvalid),
        (b"<html>", 401, StaleSession),
        (b"[]", 200, MageReplyInvalid),
        (b"{}", 302, MageReplyInvalid),
        (b"{}", 403, MageForbidden),
        (b"{}", 500, MageWriteUncertain),
        (b"[" * 200_000, 200, MageReplyInvalid),
    ],
)
def test_answers_that_are_none_are_errors(body: bytes, status: int, kind: type) -> None:
    assert isinstance(refusal(body, status=status), kind)


def test_what_the_cloud_repeats_of_a_request_is_masked() -> None:
    sent = {"cluster": {"status": "Stopped", "config": {"e": [{"name": "A", "value": "ab"}, {"value": 'zq8"\n'}]}}}
    told = str(refusal({"error": 'Cannot be Stopped with ab or zq8"\n or zq8\\"\\n in cab; {"value": "zq8'}, sent=sent))
    assert "/clusters/c: Cannot be Stopped with ••• or ••• or ••• in cab" in told
    assert "zq8" not in told


def test_a_repeated_request_does_not_decide_what_kind_of_error_it_is() -> None:
    echo = 'The cluster is Stopping. Parameters: {"config": {"api_key": "x", "role": "not found", "session": 1}}'
    assert isinstance(refusal({"error": echo}), MageFailed)


def test_a_refused_login_is_that_unless_the_cloud_itself_fails() -> None:
    uncertain = {"error": {"code": 500, "message": "Stopped halfway"}}
    assert isinstance(refusal(uncertain), MageWriteUncertain)
    assert isinstance(refusal(uncertain, what="GET /teams"), MageFailed)
    for error in ("Email/username and/or password invalid.", {"code": 404}, {"code": 401}, {"code": 403}, True):
        assert isinstance(refusal({"error": error}, what="POST /sessions"), StaleSession)
    assert isinstance(refusal({"error": {"code": 500}}, what="POST /sessions"), MageFailed)


async def test_a_cloud_that_is_down_is_told_as_such_with_its_own_setting(cloud: CloudWorld):
    cloud.faults = [Fault(method="GET", status=502, applied=False)] * 3
    async with mage_in(cloud) as mage:
        with pytest.raises(MageUnreachable, match="Mage Cloud is not available") as refused:
            await mage.clusters.masked_config()
    assert "cloud_url" in str(refused.value)
    assert "MAGE_URL" not in str(refused.value)


async def test_a_config_that_is_none_is_not_replaced():
    for told in ({"config": "text"}, {"config": [1]}, {}):
        body = {"cluster": {"id": "c-1", "status": "Active", **told}}
        wire = Recording({"session": {"token": "a"}}, body, body)
        async with Mage(settings_of(), wire=wire) as mage:
            with pytest.raises(MageReplyInvalid, match="nothing was written"):
                await mage.clusters.update_env_vars(set_={"A": "1"})
        assert {request.method for request in wire.requests} == {"POST", "GET"}


async def test_a_config_that_cannot_be_sent_as_it_was_is_not_sent():
    body = b'{"cluster": {"id": "c", "status": "Active", "config": {"x": "\\ud800"}}}'

    class Raw(Recording):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return httpx.Response(200, content=body if request.method == "GET" else b'{"session": {"token": "a"}}')

    wire = Raw()
    async with Mage(settings_of(), wire=wire) as mage:
        with pytest.raises(MageInvalid, match="cannot be sent as JSON"):
            await mage.clusters.update_env_vars(set_={"A": "1"})
    assert "PUT" not in {request.method for request in wire.requests}


async def test_an_error_in_the_body_of_a_block_comes_out_as_it_went_in(cloud: CloudWorld):
    with pytest.raises(MageNotFound, match=r"^mine"):
        async with mage_in(cloud):
            raise MageNotFound("mine")


def test_nothing_secret_is_in_a_repr_of_the_settings() -> None:
    told = repr(settings_of(headers={"X": SecretStr("zq8")}))
    assert URL in told
    assert "zq8" not in told
    assert PLANTED["cloud password, admin"] not in told

"""The conversation with Mage: what is sent, what is repeated, what is never repeated, and what is told of it."""

from collections.abc import Iterator

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from pydantic import SecretStr
from pytest_httpx import HTTPXMock
from stamina import _core as stamina_core
from stamina import set_testing

from mage_mcp import errors
from mage_mcp.client import Cluster, Mage, transport
from mage_mcp.client.deadline import call_deadline
from mage_mcp.client.transport import REQUESTS_AT_ONCE, Transport
from mage_mcp.settings import PUBLIC_API_KEY
from tests.wires import Answer, Script, Time, breaks, says

pytestmark = pytest.mark.anyio

URL = "http://mage.test"
EMPTY = {"pipelines": [], "metadata": {"count": 0}}
BROKEN = (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)
NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
GATEWAY = (429, 502, 503, 504)


def transport_over(*steps: Answer, time: Time | None = None, **cluster: object) -> tuple[Transport, Script]:
    wire = Script(*steps)
    return Transport(Cluster(**{"url": URL} | cluster), wire=wire, clock=time.clock if time else None), wire


# What is sent


async def test_requests_keep_the_base_path_and_carry_key_and_raw_token(httpx_mock: HTTPXMock):
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJleHBpcmVzIjogMSwgInRva2VuIjogInJhdy10b2tlbiJ9.c2ln"
    for token in (jwt, "raw-token"):
        httpx_mock.add_response(json=EMPTY)
        httpx_mock.add_response(json=EMPTY)
        async with Mage(Cluster(url="https://host.test/workspace", token=SecretStr(token))) as mage:
            await mage.pipelines.list(limit=7, search="a b&c")
    first = httpx_mock.get_requests()[0]
    assert first.method == "GET"
    assert first.url.copy_with(query=None) == "https://host.test/workspace/api/pipelines"
    assert dict(first.url.params) == {"_limit": "7", "_offset": "0", "include_schedules": "true", "search": "a b&c"}
    for request in httpx_mock.get_requests():
        assert request.headers["X-API-KEY"] == PUBLIC_API_KEY
        assert request.headers["OAUTH-TOKEN"] == "raw-token"
        assert "authorization" not in request.headers
        assert "cookie" not in request.headers


async def test_lists_of_runs_are_ordered_and_not_grouped(httpx_mock: HTTPXMock):
    httpx_mock.add_response(json={"pipeline_runs": [{"id": 1, "status": "failed"}], "metadata": {"count": 1}})
    async with Mage(Cluster(url=URL)) as mage:
        await mage.runs.list(status="failed")
    (request,) = httpx_mock.get_requests()
    assert request.url.path == "/api/pipeline_runs"
    assert dict(request.url.params) == {
        "order_by[]": "id desc",
        "disable_retries_grouping": "true",
        "status": "failed",
        "_limit": "20",
        "_offset": "0",
    }
    assert "OAUTH-TOKEN" not in request.headers


async def test_a_write_sends_its_body_under_mages_root_key(httpx_mock: HTTPXMock):
    httpx_mock.add_response(json={"pipeline_run": {"id": 3, "status": "cancelled"}})
    sender = Transport(Cluster(url=f"{URL}/base", api_key=SecretStr("own-key")))
    await sender.write("PUT", "api/pipeline_runs/3", {"pipeline_run": {"status": "cancelled"}})
    await sender.aclose()
    (request,) = httpx_mock.get_requests()
    assert request.method == "PUT"
    assert request.url == f"{URL}/base/api/pipeline_runs/3"
    assert request.content == b'{"pipeline_run":{"status":"cancelled"}}'
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["X-API-KEY"] == "own-key"


async def test_cookies_are_neither_stored_nor_sent():
    sender, wire = transport_over(says(EMPTY, Set_Cookie="oauth_token=planted; Path=/; Domain=mage.test"))
    await sender.read("api/pipelines")
    await sender.read("api/pipelines")
    assert "cookie" not in wire.requests[1].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_never_followed(status: int):
    sender, wire = transport_over(says(b"", status, Location="http://elsewhere.test/api/pipelines"))
    with pytest.raises(errors.MageReplyInvalid, match="redirect"):
        await sender.read("api/pipelines")
    with pytest.raises(errors.MageReplyInvalid, match="redirect"):
        await sender.write("POST", "api/pipelines", {})
    assert {request.url.host for request in wire.requests} == {"mage.test"}
    assert len(wire.requests) == 2


async def test_nothing_is_opened_before_the_first_request_and_without_a_url_never():
    sender = Transport(Cluster())
    assert sender._http is None
    with pytest.raises(errors.MageNotConfigured, match="Set MAGE_URL"):
        await sender.read("api/pipelines")
    with pytest.raises(errors.MageNotConfigured):
        await sender.write("POST", "api/pipelines", {})
    await sender.aclose()


@pytest.mark.parametrize("url", ["http://[::1", "http://host:port", "http://\x7f", "http://xn--a.test"])
async def test_a_url_that_no_library_takes_is_a_setting_to_correct(url: str):
    with pytest.raises(errors.MageNotConfigured, match="MAGE_URL is not a URL"):
        await Transport(Cluster(url=url)).read("api/pipelines")


async def test_read_only_sends_no_write_but_still_logs_in():
    login = {"session": {"token": "raw"}}
    sender, wire = transport_over(
        says({"statuses": [{"require_user_authentication": True}]}),
        says(login),
        says(EMPTY),
        read_only=True,
        email="bob@example.com",
        password=SecretStr("planted-password"),
    )
    with pytest.raises(errors.MageReadOnly, match="PUT api/pipelines/x was not sent"):
        await sender.write("PUT", "api/pipelines/x", {})
    assert wire.sent == []
    await sender.read("api/pipelines")
    assert [method for method, _ in wire.sent] == ["GET", "POST", "GET"]


# Reads


@pytest.mark.parametrize("error", [*BROKEN, *NOT_CONNECTED])
async def test_a_read_is_repeated_when_the_network_fails(error: type[httpx.TransportError]):
    sender, wire = transport_over(breaks(error), breaks(error), says(EMPTY))
    assert await sender.read("api/pipelines") == EMPTY
    assert len(wire.requests) == 3
    sender, wire = transport_over(breaks(error))
    with pytest.raises(errors.MageUnreachable) as caught:
        await sender.read("api/pipelines")
    assert len(wire.requests) == 3
    assert "planted" not in str(caught.value)
    assert "mage.test" in str(caught.value)
    assert "Check that Mage is running" in str(caught.value)


@pytest.mark.parametrize("status", GATEWAY)
async def test_a_read_is_repeated_when_a_gateway_answers(status: int):
    page = b"<html>nginx</html>"
    sender, wire = transport_over(says(page, status), says(page, status), says(EMPTY))
    assert await sender.read("api/pipelines") == EMPTY
    assert len(wire.requests) == 3
    sender, wire = transport_over(says(page, status))
    with pytest.raises(errors.MageUnreachable, match=f"HTTP {status}"):
        await sender.read("api/pipelines")
    assert len(wire.requests) == 3


async def test_a_pipeline_whose_file_mage_is_writing_is_read_again():
    half = says({"error": {"code": 500, "exception": "Invalid pipeline config: {}", "message": "", "errors": []}})
    whole = {"pipeline": {"uuid": "x"}}
    time = Time()
    sender, wire = transport_over(half, half, says(whole), time=time)
    assert await sender.read("api/pipelines/x") == whole
    assert len(wire.requests) == 3
    sender, wire = transport_over(half, time=time)
    with pytest.raises(errors.MageFailed, match="Invalid pipeline config"):
        await sender.read("api/pipelines/x")
    assert len(wire.requests) == 4
    assert sum(time.slept) == pytest.approx(1.0)


async def test_a_read_that_timed_out_is_not_repeated_since_mage_is_busy():
    sender, wire = transport_over(breaks(httpx.ReadTimeout))
    with pytest.raises(errors.MageTimeout, match="did not answer GET /api/pipelines in time"):
        await sender.read("api/pipelines")
    assert len(wire.requests) == 1


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The pauses between tries, which nobody really makes."""
    set_testing(False)
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(stamina_core, "_smart_sleep", sleep)
    return made


async def test_retry_after_is_honoured(waits: list[float]):
    sender, _ = transport_over(says(b"", 503, Retry_After="7"), says(b"", 429, Retry_After="0"), says(EMPTY))
    await sender.read("api/pipelines")
    assert waits == [7.0, 0.0]


@pytest.mark.parametrize("told", ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "", "-3", "nan"])
async def test_a_retry_after_that_says_nothing_is_a_short_pause(waits: list[float], told: str):
    sender, _ = transport_over(says(b"", 503, Retry_After=told), says(EMPTY))
    await sender.read("api/pipelines")
    assert len(waits) == 1
    assert 0 <= waits[0] <= 1


@pytest.mark.parametrize("told", ["60", "1e9", "inf"])
async def test_what_lies_past_the_deadline_is_not_waited_for(waits: list[float], told: str):
    sender, wire = transport_over(says(b"", 503, Retry_After=told), says(EMPTY))
    with call_deadline(50), pytest.raises(errors.MageUnreachable, match="HTTP 503"):
        await sender.read("api/pipelines")
    assert waits == []
    assert len(wire.requests) == 1


async def test_after_the_deadline_nothing_is_read():
    time = Time()
    sender, wire = transport_over(says(EMPTY), time=time)
    with call_deadline(50, time.clock):
        time.advance(51)
        with pytest.raises(errors.MageTimeout, match="was over before GET /api/pipelines was sent"):
            await sender.read("api/pipelines")
    assert wire.sent == []


# Writes


@pytest.mark.parametrize("error", NOT_CONNECTED)
async def test_a_write_that_never_left_is_sent_again(error: type[httpx.TransportError]):
    sender, wire = transport_over(breaks(error), breaks(error), says({"pipeline": {}}))
    await sender.write("POST", "api/pipelines", {})
    assert len(wire.requests) == 3
    sender, _ = transport_over(breaks(error))
    with pytest.raises(errors.MageUnreachable, match="cannot be reached"):
        await sender.write("POST", "api/pipelines", {})


async def test_a_write_that_was_turned_away_for_now_is_sent_again():
    sender, wire = transport_over(says(b"", 429), says({"pipeline": {}}))
    await sender.write("POST", "api/pipelines", {})
    assert len(wire.requests) == 2


LOST = [
    *(pytest.param(breaks(error), id=error.__name__) for error in (*BROKEN, httpx.ReadTimeout, httpx.WriteTimeout)),
    *(pytest.param(says(b"<html>", status), id=str(status)) for status in (502, 503, 504)),
    pytest.param(says(b'{"pipeline": {"uuid', 200), id="half a JSON"),
    pytest.param(says(b'{"pipeline": {"uuid', 500), id="half a JSON with 500"),
    pytest.param(says(b"", 200), id="nothing"),
    pytest.param(says(b"[1]", 200), id="a list"),
    pytest.param(says(b"<html>500</html>", 500), id="a page with 500"),
    pytest.param(says(b"[" * 100_000), id="too deep"),
    pytest.param(says(b"\xff\xfe\x00", 200), id="no text"),
    pytest.param(says(b"x", 200, Content_Encoding="gzip"), id="no gzip"),
]


@pytest.mark.parametrize("answer", LOST)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_write_whose_answer_is_lost_is_not_repeated_and_said_to_be_uncertain(method: str, answer: Answer):
    sender, wire = transport_over(answer)
    with pytest.raises(errors.MageWriteUncertain) as caught:
        await sender.write(method, "api/pipelines", {})
    assert len(wire.requests) == 1
    assert "may or may not have happened" in str(caught.value)
    assert "Look at the present state" in str(caught.value)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
async def test_a_write_that_was_refused_is_not_called_uncertain(status: int):
    sender, _ = transport_over(says(b"", status))
    with pytest.raises(errors.MageReplyInvalid, match=f"HTTP {status}"):
        await sender.write("POST", "api/pipelines", {})


async def test_too_late_for_a_write_means_that_nothing_is_sent():
    time = Time()
    sender, wire = transport_over(says({"pipeline": {}}), time=time)
    with call_deadline(50, time.clock):
        time.advance(49)
        with pytest.raises(errors.MageTimeout, match="nothing was changed"):
            await sender.write("POST", "api/pipelines", {})
    assert wire.sent == []


async def test_a_login_that_took_all_the_time_leaves_the_write_unsent():
    time = Time()

    def slow_login(request: httpx.Request) -> httpx.Response:
        time.advance(49)
        return says({"session": {"token": "raw"}})(request)

    sender, wire = transport_over(
        says({"statuses": [{"require_user_authentication": True}]}),
        slow_login,
        says({"pipeline": {}}),
        time=time,
        email="bob@example.com",
        password=SecretStr("planted-password"),
    )
    with (
        call_deadline(50, time.clock),
        pytest.raises(errors.MageTimeout, match=r"POST /api/pipelines was sent; nothing"),
    ):
        await sender.write("POST", "api/pipelines", {})
    assert wire.sent[-1] == ("POST", "/api/sessions")


# Many at once, and calls that are given up


class Slow(httpx.AsyncBaseTransport):
    """Holds every request until it is let go."""

    def __init__(self) -> None:
        self.now = self.most = self.done = 0
        self.arrived, self.go = anyio.Event(), anyio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == REQUESTS_AT_ONCE or request.method != "GET":
            self.arrived.set()
        try:
            await self.go.wait()
            self.done += 1
        finally:
            self.now -= 1
        return says(EMPTY)(request)


async def test_no_more_than_four_requests_are_under_way():
    wire = Slow()
    sender = Transport(Cluster(url=URL), wire=wire)
    async with anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(sender.read, "api/pipelines")
        await wire.arrived.wait()
        for _ in range(20):
            await checkpoint()
        assert wire.most == REQUESTS_AT_ONCE
        wire.go.set()
    assert wire.done == 12
    assert wire.most == REQUESTS_AT_ONCE


async def test_a_cancelled_call_never_cuts_a_write():
    wire = Slow()
    sender = Transport(Cluster(url=URL), wire=wire)
    async with anyio.create_task_group() as group:

        async def call() -> None:
            with anyio.CancelScope() as scope:
                group.start_soon(give_up, scope)
                await sender.write("POST", "api/pipelines", {})
                await checkpoint()
                raise AssertionError("the call itself ends where it was cancelled")
            assert scope.cancelled_caught

        async def give_up(scope: anyio.CancelScope) -> None:
            await wire.arrived.wait()
            scope.cancel()
            for _ in range(10):
                await checkpoint()
            assert wire.done == 0
            wire.go.set()

        group.start_soon(call)
    assert wire.done == 1


async def test_a_cancelled_call_does_end_a_read_and_frees_its_place():
    wire = Slow()
    sender = Transport(Cluster(url=URL), wire=wire)
    for _ in range(2):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                for _ in range(REQUESTS_AT_ONCE + 2):
                    group.start_soon(sender.read, "api/pipelines")
                await wire.arrived.wait()
                scope.cancel()
        assert scope.cancelled_caught
        assert wire.now == 0
        wire.arrived = anyio.Event()
    wire.go.set()
    assert await sender.read("api/pipelines") == EMPTY
    assert wire.done == 1


# Size


class Endless(httpx.AsyncByteStream):
    def __init__(self) -> None:
        self.chunks = 0
        self.closed = False

    async def __aiter__(self):
        while True:
            self.chunks += 1
            yield b"x" * 1000

    async def aclose(self) -> None:
        self.closed = True


async def test_an_answer_without_end_is_left_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "LARGEST_REPLY", 10_000)
    body = Endless()
    sender, _ = transport_over(lambda request: httpx.Response(200, stream=body, request=request))
    with pytest.raises(errors.MageReplyInvalid, match=r"too large to read\. Ask for less"):
        await sender.read("api/pipelines/x/logs")
    assert body.chunks == 11
    assert body.closed
    with pytest.raises(errors.MageWriteUncertain):
        await sender.write("POST", "api/pipelines", {})


async def test_no_sentence_shows_who_logs_in_or_how():
    """Even where a program made the cluster from a URL that settings would refuse."""
    sender, _ = transport_over(
        breaks(httpx.ConnectError),
        url="http://bob:planted-password@mage.test",
        token=SecretStr("planted-token"),
        api_key=SecretStr("planted-key"),
        email="bob@example.com",
    )
    with pytest.raises(errors.MageUnreachable) as caught:
        await sender.read("api/pipelines")
    assert "Mage at mage.test" in str(caught.value)
    for secret in ("planted", "bob"):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value.__cause__)

"""Who gets in over HTTP, under which names, and what the others are told; a real process on loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.host import Person
from tests.http.running import ALICE, BOB, Served, host_at, serve_and_fail, serving_http, token_file
from tests.served import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PING = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
WANTS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


@asynccontextmanager
async def served(folder: Path, *options: str, lines: tuple[str, ...] = (f"alice: {ALICE}",)) -> AsyncIterator[Served]:
    tokens = token_file(folder, *lines)
    async with serving_http(folder / "server", "--demo", "--token-file", str(tokens), *options) as server:
        yield server


async def asked(url: str, token: str = "", method: str = "POST", body: Any = PING, **headers: str) -> httpx.Response:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.request(method, url, json=body, headers={**WANTS, **bearer, **sent})


async def test_a_token_lets_in_and_its_name_stands_in_the_audit_lines(tmp_path: Path, era: str):
    async with (
        served(tmp_path, "--log-level", "DEBUG", lines=(f"alice: {ALICE}", BOB)) as server,
        host_at(server.url, era, Person(), token=ALICE) as alice,
        host_at(server.url, era, Person(), token=BOB) as bob,
    ):
        assert (await alice.call("list_clusters")).data["items"]
        await alice.call("trigger_pipeline", cluster="staging", pipeline="orders_refresh")
        await bob.call("trigger_pipeline", cluster="staging", pipeline="orders_refresh")
        assert [line["caller"] for line in server.audit()] == ["alice", "alice", "unnamed", "unnamed"]
        assert ALICE not in server.log()
        assert BOB not in server.log()


async def test_strangers_are_told_what_to_do_and_the_log_holds_no_token(tmp_path: Path):
    async with served(tmp_path, "--log-level", "DEBUG") as server:
        assert (await asked(server.url, ALICE)).status_code == 200
        nobody = await asked(server.url)
        assert nobody.status_code == 401
        assert nobody.headers["WWW-Authenticate"] == 'Bearer realm="mage-mcp"'
        assert "Authorization: Bearer" in nobody.text
        for wrong in (BOB, ALICE[:-1], f"{ALICE}x", f"alice: {ALICE}", "ä" * 40):
            header = f"Bearer {wrong}".encode()
            async with httpx.AsyncClient() as client:
                stranger = await client.post(server.url, json=PING, headers=[(b"Authorization", header)])
            assert stranger.status_code == 401, wrong
            assert 'error="invalid_token"' in stranger.headers["WWW-Authenticate"]
            assert "does not know this token" in stranger.text
            assert "jsonrpc" not in stranger.text
        assert (await asked(server.url, Authorization=f"Basic {ALICE}")).status_code == 401
        assert (await asked(f"{server.base}/.well-known/oauth-protected-resource")).status_code == 401
        for secret in (ALICE, ALICE[:12], BOB):
            assert secret not in server.log()


async def test_foreign_names_and_foreign_pages_are_refused_with_a_token_or_without(tmp_path: Path):
    async with served(tmp_path) as server:
        for token in (ALICE, ""):
            for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil"):
                foreign = await asked(server.url, token, Host=host)
                assert foreign.status_code == 421, host
                assert "--allowed-host" in foreign.text
            for origin in ("http://evil.example", "https://127.0.0.1.evil.example", "null", "http://localhost.evil"):
                page = await asked(server.url, token, Origin=origin)
                assert page.status_code == 403, origin
                assert "--allowed-origin" in page.text
        assert (await asked(server.url, ALICE, Host="localhost:1234")).status_code == 200


async def test_a_header_that_stands_twice_is_refused_whichever_would_count(tmp_path: Path):
    async with served(tmp_path) as server:
        right = ("Authorization", f"Bearer {ALICE}")
        for twice in ([right, ("Authorization", "Bearer x")], [right, ("Origin", "null"), ("Origin", server.base)]):
            for headers in (twice, twice[::-1]):
                async with httpx.AsyncClient() as client:
                    answer = await client.post(server.url, json=PING, headers=[*WANTS.items(), *headers])
                assert answer.status_code == 400
                assert "one header each" in answer.text


async def test_allowed_names_and_origins_are_let_in_on_every_address(tmp_path: Path):
    """Bound to all addresses, where the SDK by itself would check neither."""
    names = ("--allowed-host", "Mage.Example.test", "--allowed-origin", "https://app.example.test/")
    async with served(tmp_path, "--host", "0.0.0.0", *names) as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        for host in ("mage.example.test", "mage.example.test:443", "localhost"):
            assert (await asked(url, ALICE, Host=host)).status_code == 200
        assert (await asked(url, ALICE, Host="evil.example")).status_code == 421
        page = await asked(url, ALICE, Origin="https://app.example.test")
        assert page.status_code == 200
        assert page.headers["Access-Control-Allow-Origin"] == "https://app.example.test"
        assert (await asked(url, ALICE, Origin="https://evil.example")).status_code == 403
        preflight = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization"}
        before = await asked(url, method="OPTIONS", Origin="https://app.example.test", **preflight)
        assert before.status_code == 200
        assert "authorization" in before.headers["Access-Control-Allow-Headers"]
        assert (await asked(url, method="OPTIONS", Origin="https://evil.example", **preflight)).status_code == 400


async def test_health_is_for_everybody_and_says_nothing_of_the_clusters(tmp_path: Path):
    async with served(tmp_path) as server:
        for host in ("10.1.2.3:8080", "evil.example"):
            alive = await asked(f"{server.base}/health", method="GET", Host=host)
            assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
        assert (await asked(f"{server.base}/health")).status_code == 405
        assert (await asked(f"{server.base}/healthy", method="GET")).status_code == 401


async def test_other_methods_and_large_bodies_are_refused_and_the_server_goes_on(tmp_path: Path):
    async with served(tmp_path) as server:
        for method in ("GET", "DELETE", "PUT"):
            answer = await asked(server.url, ALICE, method=method)
            assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
            assert "MCP client" in answer.text
        large = {**PING, "params": {"padding": "x" * (4 * 1024 * 1024)}}
        assert (await asked(server.url, ALICE, body=large)).status_code == 413
        assert (await asked(server.url, ALICE)).status_code == 200


async def test_tokens_are_exchanged_without_a_restart(tmp_path: Path):
    """A name that keeps its caller, an editor's half-written file, a file that is gone."""
    new = f"new{ALICE}"
    async with served(tmp_path) as server:
        file = tmp_path / "tokens"

        async def states() -> list[int]:
            return [(await asked(server.url, token)).status_code for token in (ALICE, new)]

        assert await states() == [200, 401]
        token_file(tmp_path, f"alice: {ALICE}", f"alice: {new}")
        assert await states() == [200, 200]
        token_file(tmp_path, f"alice: {new}", "half: short")
        assert await states() == [401, 200]
        assert "line 2 is shorter" in server.log()
        file.unlink()
        assert await states() == [401, 401]
        assert "cannot be read" in server.log()
        elsewhere = tmp_path / "mounted"
        elsewhere.write_text(f"{new}\n")
        file.symlink_to(elsewhere)
        assert await states() == [401, 200]


async def test_what_was_asked_stays_open_while_the_caller_changes_tokens(tmp_path: Path):
    new = f"new{ALICE}"
    async with served(tmp_path, lines=(f"alice: {ALICE}", f"alice: {new}")) as server:
        async with host_at(server.url, "auto", token=ALICE) as host:
            code = (await host.call("stop_cluster", cluster="prod")).data["confirm"]
        async with host_at(server.url, "auto", token=new) as host:
            assert (await host.call("stop_cluster", cluster="prod", confirm=code)).data["changed"] is True


async def test_a_first_try_needs_no_account_and_no_token(tmp_path: Path, era: str):
    async with (
        serving_http(tmp_path, "--demo", "--no-auth") as server,
        host_at(server.url, era, Person()) as host,
    ):
        assert (await host.call("list_pipelines", cluster="prod")).data["total"]
        assert (await asked(server.url, Host="evil.example")).status_code == 421
        await host.call("trigger_pipeline", cluster="staging", pipeline="orders_refresh")
        assert "caller" not in server.audit()[0]
        assert "Nobody is asked for a token" in server.log()
        assert "Without --keys-file run one process only" in server.log()


async def test_a_taken_port_is_a_sentence(tmp_path: Path):
    async with serving_http(tmp_path, "--demo", "--no-auth") as server:
        port = server.base.rpartition(":")[2]
        code, said = await serve_and_fail(tmp_path, "--http", "--demo", "--no-auth", "--port", port)
    assert code == 2
    assert f"port {port} cannot be listened on" in said
    assert "Traceback" not in said


async def test_a_run_is_listened_to_over_http_and_a_server_that_ends_says_so(tmp_path: Path):
    async with (
        serving_http(tmp_path, "--demo", "--no-auth") as server,
        host_at(server.url, "auto", Person()) as host,
    ):
        started = await host.call("trigger_pipeline", cluster="prod", pipeline="slow_report")
        uri = f"mage://clusters/prod/runs/{started.data['run']}"
        async with host.client.listen(resource_subscriptions=[uri]) as listener:
            assert listener.honored.resource_subscriptions == [uri]
            with anyio.fail_after(30):
                assert (await anext(aiter(listener))).uri == uri
            began = anyio.current_time()
            server.process.terminate()
            with anyio.fail_after(10):
                async for event in listener:
                    assert event.uri == uri
            await until(lambda: server.process.returncode is not None, within_s=10)
            assert anyio.current_time() - began < 10

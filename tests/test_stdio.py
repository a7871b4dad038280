"""The server as a process: what a host launches, over real pipes, on both protocol eras."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import httpx
import pytest
from anyio.streams.text import TextReceiveStream
from mcp import Client, StdioServerParameters

from tests.conftest import stdio_host
from tests.host import Host

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
MODULE = [sys.executable, "-m", "mage_mcp"]


@pytest.fixture
def served_demo() -> Iterator[str]:
    """The simulated Mage as a process of its own, which outlives the server under test; its URL."""
    process = subprocess.Popen([*MODULE, "demo", "--serve", "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture
async def host(served_demo: str, era: str) -> AsyncIterator[Host]:
    async with stdio_host(era, MAGE_URL=served_demo) as host:
        yield host


async def test_demo_serves_the_simulated_mage_to_a_client(era: str):
    command = StdioServerParameters(command=sys.executable, args=["-m", "mage_mcp", "--demo"], env={"MAGE_URL": ""})
    async with Client(command, mode=era) as client:
        result = await client.call_tool("get_run", {"pipeline": "orders_refresh"})
    assert result.structured_content["failures"][0]["block"] == "divide_margins"


async def test_another_call_is_answered_at_once_while_a_run_is_awaited(host: Host, era: str):
    run = (await host.call("trigger_pipeline", pipeline="slow_report", variables={"sleep_seconds": 600})).data["run"]
    await host.client.list_tools()
    taken: list[float] = []
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: host.try_call("get_run", run=run, wait_s=30))
        await anyio.sleep(1.5)
        for _ in range(10):
            began = time.perf_counter()
            await (host.client.session.send_ping() if era == "legacy" else host.client.list_tools())
            taken.append(time.perf_counter() - began)
        group.cancel_scope.cancel()
    assert sorted(taken)[len(taken) // 2] < 0.05, taken


async def test_cancelling_a_wait_stops_its_polling(host: Host, served_demo: str):
    run = (await host.call("trigger_pipeline", pipeline="slow_report", variables={"sleep_seconds": 600})).data["run"]
    with anyio.move_on_after(2.5):
        await host.try_call("get_run", run=run, wait_s=45)
    await anyio.sleep(0.5)
    before = await _requests(served_demo)
    assert before > 3
    await anyio.sleep(3)
    assert await _requests(served_demo) == before


async def _requests(url: str) -> int:
    async with httpx.AsyncClient() as http:
        seen = (await http.get(f"{url}/_demo/state")).json()["requests"]
    return sum(not path.startswith("/_demo") for _, path in seen)


async def test_a_wait_ends_with_the_run_and_reports_progress(host: Host, served_demo: str):
    run = (await host.call("trigger_pipeline", pipeline="slow_report", variables={"sleep_seconds": 300})).data["run"]
    messages: list[str] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        messages.append(message or "")

    async def time_passes() -> None:
        await anyio.sleep(1.5)
        async with httpx.AsyncClient() as http:
            await http.post(f"{served_demo}/_demo/clock", json={"advance_s": 400})

    async with anyio.create_task_group() as group:
        group.start_soon(time_passes)
        answer = await host.try_call("get_run", progress, run=run, wait_s=45)
    assert answer.data["status"] == "completed"
    assert any("running" in message for message in messages)


async def test_without_configuration_the_server_starts_and_the_first_call_says_what_is_missing(era: str):
    async with stdio_host(era) as host:
        assert (await host.client.list_tools()).tools
        sentence = await host.refused("list_pipelines")
    assert "No Mage server is configured" in sentence
    assert "MAGE_URL" in sentence


@asynccontextmanager
async def raw_server(*arguments: str) -> AsyncIterator[Any]:
    """Spoken to by hand, line by line."""
    async with await anyio.open_process([*MODULE, *arguments], stderr=subprocess.DEVNULL) as process:
        lines = TextReceiveStream(process.stdout)
        rest = ""

        async def ask(number: int, method: str, params: object) -> list[dict]:
            nonlocal rest
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            await process.stdin.send((json.dumps(message) + "\n").encode())
            seen: list[dict] = []
            while not any(line.get("id") == number for line in seen):
                with anyio.fail_after(20):
                    rest += await lines.receive()
                *whole, rest = rest.split("\n")
                seen += [json.loads(line) for line in whole]
            return seen

        yield ask
        await process.stdin.aclose()
        await process.wait()


@pytest.fixture
def cut_emoji() -> Iterator[str]:
    """A Mage whose texts were cut in the middle of an emoji, as log lines are."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            row = {"uuid": "half", "description": "half an emoji \ud83d", "blocks": [], "schedules": []}
            body = json.dumps({"pipelines": [row], "metadata": {"count": 1}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_a_lone_surrogate_does_not_end_the_server_and_stdout_holds_only_json_rpc(cut_emoji: str):
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}
    async with raw_server("--url", cut_emoji, "--log-level", "DEBUG") as ask:
        seen = await ask(1, "initialize", hello)
        seen += await ask(2, "tools/call", {"name": "list_pipelines", "arguments": {}})
        seen += await ask(3, "tools/list", {})
    assert all(line["jsonrpc"] == "2.0" for line in seen)
    assert "half an emoji" in json.dumps(seen)
    assert seen[-1]["result"]["tools"]


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_older_protocol_versions_are_spoken(version: str):
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}
    async with raw_server("--demo") as ask:
        (answer,) = await ask(1, "initialize", hello)
    assert answer["result"]["protocolVersion"] == version
    assert answer["result"]["serverInfo"]["name"] == "mage-mcp"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MODULE, *arguments], capture_output=True, text=True, env=environment or None, check=False)


def test_version_and_help_help():
    from mage_mcp import __version__

    assert run("--version").stdout.strip() == f"mage-mcp {__version__}"
    text = run("--help").stdout
    for word in ("MAGE_URL", "--demo", "--read-only", "--toolsets"):
        assert word in text


def test_a_bad_setting_is_told_in_one_line_on_stderr():
    done = run("--toolsets", "pipelins")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("mage-mcp: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "pipelines" in done.stderr


def test_a_closed_stdin_ends_the_server():
    done = subprocess.run([*MODULE, "--demo"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0

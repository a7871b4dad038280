"""`mage-mcp serve --http` as real processes, clients that bear a token, and a round-robin proxy before several."""

import json
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import uvicorn
from anyio.abc import Process
from mcp import Client
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.conftest import ERAS, NO_KEYRING
from tests.host import Host, Person
from tests.served import MODULE

ALICE, BOB = "alice-" + "a1B2" * 10, "bob_" + "c3D4" * 10


@dataclass
class Served:
    """A server that answers. Its standard error, audit lines among it, is in `errors`."""

    url: str
    process: Process
    errors: Path

    @property
    def base(self) -> str:
        return self.url.removesuffix("/mcp")

    def log(self) -> str:
        return self.errors.read_text(encoding="utf-8")

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log().splitlines() if line.startswith('{"audit"')]


@asynccontextmanager
async def serving_http(folder: Path, *arguments: str, **environment: str) -> AsyncIterator[Served]:
    """A server on a free port of loopback, from the line that says where it serves; killed if it does not end."""
    folder.mkdir(parents=True, exist_ok=True)
    nothing_of_ours = {"XDG_CONFIG_HOME": str(folder), "MAGE_MCP_STATE_DIR": str(folder / "state"), "MAGE_AUDIT": ""}
    nothing_of_ours["PYTHON_KEYRING_BACKEND"] = NO_KEYRING
    env = {**get_default_environment(), **nothing_of_ours, **environment}
    command = [*MODULE, "serve", "--http", "--port", "0", *arguments]
    with (folder / "stderr").open("w") as errors:
        process = await anyio.open_process(command, env=env, stderr=errors)
    try:
        assert process.stdout
        with anyio.fail_after(20):
            url = (await process.stdout.receive()).decode().strip()
        yield Served(url, process, folder / "stderr")
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.terminate()
                with anyio.move_on_after(10):
                    await process.wait()
            if process.returncode is None:
                process.kill()
            await process.aclose()


@asynccontextmanager
async def host_at(url: str, era: str, person: Person | None = None, *, token: str = "") -> AsyncIterator[Host]:
    """A host that speaks to a server over HTTP, with a token if one is given; without a person it can ask none."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=era, elicitation_callback=person) as client:
            assert client.protocol_version == ERAS[era]
            yield Host(client, person or Person())


def token_file(folder: Path, *lines: str) -> Path:
    file = folder / "tokens"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    file.chmod(0o600)
    return file


@dataclass
class Proxy:
    """Sends each request to the next server. `tools` tells where each call of a tool went."""

    url: str
    bodies: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def tools(self, name: str) -> list[int]:
        return [to for to, body in self.bodies if (body.get("params") or {}).get("name") == name]


@asynccontextmanager
async def proxy_before(servers: Sequence[str]) -> AsyncIterator[Proxy]:
    """A reverse proxy on loopback, strictly round robin; answers pass as they stream."""
    async with httpx.AsyncClient(timeout=60) as to_servers:
        listener = socket.create_server(("127.0.0.1", 0))
        proxy = Proxy(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp")

        async def forward(request: Request) -> Response:
            body = await request.body()
            to = len(proxy.bodies) % len(servers)
            proxy.bodies.append((to, json.loads(body or b"{}")))
            sent = to_servers.build_request("POST", servers[to], headers=request.headers.raw, content=body)
            answer = await to_servers.send(sent, stream=True)
            headers = {name: value for name, value in answer.headers.items() if name != "transfer-encoding"}
            return StreamingResponse(
                answer.aiter_raw(), answer.status_code, headers, background=BackgroundTask(answer.aclose)
            )

        app = Starlette(routes=[Route("/mcp", forward, methods=["POST"])])
        config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        http = uvicorn.Server(config)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: http.serve(sockets=[listener]))
            yield proxy
            http.should_exit = True


async def serve_and_fail(folder: Path, *arguments: str) -> tuple[int, str]:
    """Start `mage-mcp serve` with options that it refuses; its exit code and what it says."""
    env = {**get_default_environment(), "XDG_CONFIG_HOME": str(folder)}
    with anyio.fail_after(20):
        done = await anyio.run_process([sys.executable, "-m", "mage_mcp", "serve", *arguments], env=env, check=False)
    assert done.stdout == b""
    return done.returncode, done.stderr.decode().strip()

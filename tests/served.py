"""Real subprocesses: the simulated Cloud in one, the server in another, so that either can be killed or looked into."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
from anyio.abc import Process
from mcp import Client, StdioServerParameters
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from mage_mcp.commands._demo import demo_clusters
from tests.conftest import ERAS, NO_KEYRING
from tests.host import Host, Person

MODULE = [sys.executable, "-m", "mage_mcp"]


class ServedCloud:
    """The simulated Cloud in a process of its own, with the configuration of a server that uses it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.config = folder / "config.toml"
        tables = []
        for cluster in demo_clusters(url):
            password = cluster.cloud_password.get_secret_value() if cluster.cloud_password else ""
            tables.append(
                f'[clusters.{cluster.name}]\nurl = "{cluster.url}"\nteam_id = "{cluster.team_id}"\n'
                f'cluster_id = "{cluster.cluster_id}"\ncloud_url = "{cluster.cloud_url}"\n'
                f'cloud_email = "{cluster.cloud_email}"\ncloud_password = "{password}"\n'
            )
        self.config.write_text("\n".join(tables), encoding="utf-8")

    def post(self, what: str, **body: Any) -> None:
        httpx.post(f"{self.url}/_demo/{what}", json=body).raise_for_status()

    def state(self) -> dict[str, Any]:
        return httpx.get(f"{self.url}/_demo/state").json()["cloud"]

    def cluster(self, name: str) -> dict[str, Any]:
        return self.state()["clusters"][name]

    def puts(self) -> list[dict[str, Any]]:
        return self.state()["puts"]

    def env(self, name: str) -> dict[str, Any]:
        return {item["name"]: item for item in self.cluster(name)["config"]["extraEnvs"]}

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MAGE_CONFIG": str(self.config),
            "MAGE_MCP_STATE_DIR": str(self.folder / "state"),
            "PYTHON_KEYRING_BACKEND": NO_KEYRING,
            "MAGE_AUDIT": str(self.folder / "audit.jsonl"),
        }


@contextmanager
def serving(folder: Path) -> Iterator[ServedCloud]:
    """The simulated Cloud, whose clusters change within a second."""
    process = subprocess.Popen([*MODULE, "demo", "--serve", "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        served = ServedCloud(process.stdout.readline().strip(), folder)
        served.post("slow", stop_s=0.3, start_s=0.3, restart_s=0.3, api_s=0.2)
        yield served
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@asynccontextmanager
async def connected(
    cloud: ServedCloud, era: str, person: Person | None, *arguments: str, **environment: str
) -> AsyncIterator[Host]:
    """A host with the server as its subprocess; without a person its client cannot ask one."""
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "mage_mcp", *arguments], env={**cloud.environment, **environment}
    )
    async with Client(command, mode=era, elicitation_callback=person) as client:
        assert client.protocol_version == ERAS[era]
        yield Host(client, person or Person())


@asynccontextmanager
async def launched(
    cloud: ServedCloud, era: str, person: Person | None = None, **environment: str
) -> AsyncIterator[tuple[Host, Process]]:
    """The same with the process at hand. Leaving closes its stdin and waits for its end, which nothing hurries."""
    env = {**get_default_environment(), **cloud.environment, **environment}
    process = await anyio.open_process(MODULE, env=env, stderr=None)
    try:
        async with Client(_pipes(process), mode=era, elicitation_callback=person) as client:
            assert client.protocol_version == ERAS[era]
            yield Host(client, person or Person()), process
    finally:
        with anyio.move_on_after(30, shield=True):
            await process.aclose()


@asynccontextmanager
async def _pipes(process: Process) -> AsyncIterator[Any]:
    """The SDK's stdio transport without its leash: that one kills a server which goes on after its stdin was closed."""
    to_client, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](100)
    outgoing, from_client = anyio.create_memory_object_stream[SessionMessage](100)

    async def read() -> None:
        rest = b""
        with to_client:
            async for chunk in process.stdout or ():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    await to_client.send(SessionMessage(jsonrpc_message_adapter.validate_json(line)))

    async def write() -> None:
        async for message in from_client:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # it was killed
                assert process.stdin
                await process.stdin.send(f"{text}\n".encode())

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        group.start_soon(write)
        with to_client, incoming, outgoing, from_client:
            yield incoming, outgoing
        group.cancel_scope.cancel()


async def until(so: Callable[[], bool], *, within_s: float = 15) -> None:
    """Look again and again; for what another process does in its own time."""
    with anyio.fail_after(within_s):
        while not so():  # noqa: ASYNC110 - nobody here could set an event
            await anyio.sleep(0.1)


def audit_of(cloud: ServedCloud) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (cloud.folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()]

"""A server over HTTP that is told to end: calls under way are answered, a restart half done is finished."""

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.http.running import Served, host_at, serving_http
from tests.served import ServedCloud, serving, until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[ServedCloud]:
    """A stop takes longer than any call, until the clock is moved."""
    with serving(tmp_path) as served:
        served.post("slow", stop_s=3600)
        yield served


@asynccontextmanager
async def served(cloud: ServedCloud) -> AsyncIterator[Served]:
    options = ("--no-auth", "--config", str(cloud.config), "--confirm", "never")
    async with serving_http(cloud.folder / "server", *options) as server:
        yield server


def told(cloud: ServedCloud) -> list[str]:
    return [put["body"]["cluster"]["status"] for put in cloud.puts()]


async def ended(server: Served, within_s: float = 15) -> int | None:
    with anyio.fail_after(within_s):
        return await server.process.wait()


async def goes_on(server: Served) -> None:
    await anyio.sleep(1)
    assert server.process.returncode is None


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_with_nothing_under_way_it_ends_at_once(cloud: ServedCloud, sent: signal.Signals):
    async with served(cloud) as server, host_at(server.url, "auto") as host:
        await host.call("list_clusters")
        server.process.send_signal(sent)
        assert await ended(server, 3) == (-signal.SIGTERM if sent is signal.SIGTERM else 130)
        assert "Traceback" not in server.log()


async def test_a_call_under_way_is_answered_and_nobody_else_is_let_in(cloud: ServedCloud, era: str):
    answers: list[dict[str, Any]] = []
    told_meanwhile: list[str] = []

    async def progress(done: float, most: float | None, sentence: str | None) -> None:
        told_meanwhile.append(sentence or "")

    async with served(cloud) as server, host_at(server.url, era) as host:
        await host.call("list_clusters")

        async def stop() -> None:
            answers.append((await host.try_call("stop_cluster", progress, cluster="prod", wait_s=45)).data)

        async with anyio.create_task_group() as group:
            group.start_soon(stop)
            await until(lambda: told(cloud) == ["Stopped"])
            server.process.terminate()
            await goes_on(server)
            async with httpx.AsyncClient() as client:
                with pytest.raises(httpx.ConnectError):
                    await client.get(f"{server.base}/health")
            assert answers == []
            cloud.post("clock", advance_s=3600)
        (answer,) = answers
        assert answer["changed"] is True
        assert answer["after"] == "Stopped"
        assert any("Stopping" in sentence for sentence in told_meanwhile)
        assert await ended(server) == -signal.SIGTERM
        assert [line["phase"] for line in server.audit()] == ["before", "after"]


async def test_a_restart_half_done_is_finished_first(cloud: ServedCloud, era: str):
    async with served(cloud) as server:
        async with host_at(server.url, era) as host:
            answer = (await host.call("restart_cluster", cluster="prod")).data
        assert answer["changed"] is True
        assert told(cloud) == ["Stopped"]
        server.process.terminate()
        await goes_on(server)
        assert "A restart is half done" in server.log()
        cloud.post("clock", advance_s=3600)
        assert await ended(server) == -signal.SIGTERM
    assert told(cloud) == ["Stopped", "Active"]

"""A restart that has begun starts the cluster again, whatever becomes of the call, the client and the server."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process

from tests.host import Host
from tests.served import ServedCloud, connected, launched, serving, until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
UNATTENDED = {"MAGE_CONFIRM": "never"}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[ServedCloud]:
    """A stop takes longer than any call, until the clock is moved."""
    with serving(tmp_path) as served:
        served.post("slow", stop_s=3600)
        yield served


def sent(cloud: ServedCloud) -> list[tuple[str, int]]:
    """What prod was told, in order: status and replicas."""
    return [
        (put["body"]["cluster"]["status"], put["body"]["cluster"]["config"]["replicaCount"]) for put in cloud.puts()
    ]


STOP, START = ("Stopped", 0), ("Active", 2)


async def begun(host: Host) -> dict[str, Any]:
    answer = (await host.call("restart_cluster", cluster="prod")).data
    assert answer["changed"] is True
    assert answer["after"] == "Stopping"
    assert "goes on by itself" in answer["note"]
    return answer


async def test_a_server_killed_between_the_halves_leaves_a_word_and_one_call_mends_it(cloud: ServedCloud, era: str):
    async with launched(cloud, era, **UNATTENDED) as (host, server):
        await begun(host)
        server.kill()
        await server.wait()
    cloud.post("clock", advance_s=3600)
    assert sent(cloud) == [STOP]
    assert cloud.cluster("prod")["status"] == "Stopped"
    async with connected(cloud, era, None, **UNATTENDED) as host:
        rows = {row["cluster"]: row for row in (await host.call("list_clusters")).data["items"]}
        assert "left half done" in rows["prod"]["note"]
        assert "left half done" not in rows["staging"].get("note", "")
        told = (await host.call("get_cluster", cluster="prod")).data
        assert "start_cluster finishes it with 2 replicas" in told["note"]
        mended = (await host.call("start_cluster", cluster="prod", wait_s=30)).data
        assert mended["after"] == "Active", mended
        assert mended["replicas"] == 2
        assert mended["answers"] is True
        assert "finishes the restart" in mended["note"]
        assert "left half done" not in (await host.call("get_cluster", cluster="prod")).data.get("note", "")
    assert sent(cloud) == [STOP, START]


async def test_cancelling_the_call_cancels_the_waiting_only_and_a_second_one_joins(cloud: ServedCloud, era: str):
    async with launched(cloud, era, **UNATTENDED) as (host, _):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: host.try_call("restart_cluster", cluster="prod", wait_s=45))
            await until(lambda: sent(cloud) == [STOP])
            group.cancel_scope.cancel()
        assert "under way" in (await host.call("get_cluster", cluster="prod")).data["note"]
        assert "under way" in await host.refused("stop_cluster", cluster="prod")
        async with anyio.create_task_group() as group:
            joined: list[dict[str, Any]] = []

            async def join(tool: str) -> None:
                joined.append((await host.call(tool, cluster="prod", wait_s=30)).data)

            group.start_soon(join, "restart_cluster")
            group.start_soon(join, "start_cluster")
            await anyio.sleep(0.5)
            cloud.post("clock", advance_s=3600)
    for answer in joined:
        assert answer["changed"] is False
        assert answer["after"] == "Active", answer
        assert answer["replicas"] == 2
    assert sent(cloud) == [STOP, START]


async def goes_on(server: Process) -> None:
    await anyio.sleep(1)
    assert server.returncode is None


@pytest.mark.parametrize(("era", "then"), [("auto", signal.SIGTERM), ("legacy", None)])
async def test_a_closed_stdin_ends_the_server_after_the_second_half(cloud: ServedCloud, era: str, then: int | None):
    """The SDK's client, for one, sends SIGTERM two seconds after it closed stdin."""
    async with launched(cloud, era, **UNATTENDED) as (host, server):
        await begun(host)
        assert server.stdin
        await server.stdin.aclose()
        await goes_on(server)
        if then is not None:
            server.send_signal(then)
            await goes_on(server)
        assert sent(cloud) == [STOP]
        cloud.post("clock", advance_s=3600)
        with anyio.fail_after(15):
            assert await server.wait() == -(then or 0)
    assert sent(cloud) == [STOP, START]


async def test_sigterm_ends_the_server_after_the_second_half(cloud: ServedCloud, era: str):
    async with launched(cloud, era, **UNATTENDED) as (host, server):
        await begun(host)
        server.send_signal(signal.SIGTERM)
        await goes_on(server)
        assert sent(cloud) == [STOP]
        cloud.post("clock", advance_s=3600)
        with anyio.fail_after(15):
            assert await server.wait() == -signal.SIGTERM
    assert sent(cloud) == [STOP, START]


async def test_with_nothing_under_way_both_end_it_at_once(cloud: ServedCloud):
    async with launched(cloud, "auto", **UNATTENDED) as (host, server):
        await host.call("list_clusters")
        server.send_signal(signal.SIGTERM)
        with anyio.fail_after(2):
            assert await server.wait() == -signal.SIGTERM
    async with launched(cloud, "legacy", **UNATTENDED) as (host, server):
        await host.call("list_clusters")
        assert server.stdin
        await server.stdin.aclose()
        with anyio.fail_after(2):
            assert await server.wait() == 0

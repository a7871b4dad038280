"""A restart never leaves a cluster down unnoticed."""

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from mage_mcp.client import Mage
from mage_mcp.client.clusters.notes import Notes, NotesFile
from mage_mcp.client.deadline import call_deadline
from mage_mcp.demo.cloud import CloudWorld, Delays, Fault, Switches
from mage_mcp.demo.cloud_app import create_cloud_app
from mage_mcp.demo.cloud_edits import Edit
from mage_mcp.errors import MageForbidden, MageInvalid
from tests.clouds import clock_of, mage_in, settings_of

pytestmark = pytest.mark.anyio

STOP_AND_START = [("Stopped", 0), ("Active", 2)]


def sent(cloud: CloudWorld) -> list[tuple[Any, Any]]:
    clusters = [put["body"]["cluster"] for put in cloud.puts if not put["refused"]]
    return [(cluster.get("status"), cluster["config"].get("replicaCount")) for cluster in clusters]


async def test_a_restart_stops_waits_and_starts_with_the_former_replicas(cloud: CloudWorld, state_folder: Path):
    cloud.delays = Delays(stop_s=5, start_s=5, api_s=1)
    before = dict(cloud.clusters["prod"].config)
    async with mage_in(cloud) as mage:
        answer = await mage.clusters.restart(wait_s=45)
        await mage.idle()
        assert not mage.busy
    assert (answer.changed, answer.before, answer.after, answer.replicas, answer.answers, answer.note) == (
        True,
        "Active",
        "Active",
        2,
        True,
        "",
    )
    assert sent(cloud) == STOP_AND_START
    assert cloud.clusters["prod"].config == before
    assert not list(state_folder.iterdir())


async def test_a_restart_goes_on_after_a_call_that_does_not_wait(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        answer = await mage.clusters.restart()
        assert mage.busy
        row = await mage.clusters.row()
        await mage.idle()
        assert not mage.busy
    assert "goes on by itself" in answer.note
    assert "A restart is under way." in row.note
    assert sent(cloud) == STOP_AND_START


async def test_closing_the_client_waits_for_the_start(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        await mage.clusters.restart()
        assert sent(cloud) == STOP_AND_START[:1]
    assert sent(cloud) == STOP_AND_START


@pytest.mark.parametrize("when", ["before_put", "after_put"])
async def test_a_cancelled_call_cancels_no_start(cloud: CloudWorld, when: Any):
    async with mage_in(cloud) as mage:
        with anyio.CancelScope() as scope:
            cloud.hook(when, lambda _: scope.cancel())
            await mage.clusters.restart(wait_s=45)
        assert scope.cancelled_caught
        assert len(sent(cloud)) <= 1
        await mage.idle()
    assert sent(cloud) == STOP_AND_START


async def test_a_cancelled_client_sends_the_start_all_the_same(cloud: CloudWorld):
    with anyio.CancelScope() as scope:
        async with mage_in(cloud) as mage:
            cloud.after_next_put(lambda _: scope.cancel())
            await mage.clusters.restart(wait_s=45)
    assert scope.cancelled_caught
    assert sent(cloud) == STOP_AND_START


async def test_an_error_in_the_client_sends_the_start_all_the_same_and_stays_what_it_is(cloud: CloudWorld):
    async def fail() -> None:
        async with mage_in(cloud) as mage:
            await mage.clusters.restart()
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert sent(cloud) == STOP_AND_START


async def test_a_stop_that_takes_longer_than_any_call_is_followed_by_the_start(cloud: CloudWorld):
    cloud.delays = Delays(stop_s=300)
    async with mage_in(cloud) as mage:
        with call_deadline(50, clock_of(cloud)):
            answer = await mage.clusters.restart(wait_s=45)
        assert "under way" in answer.note
    assert sent(cloud) == STOP_AND_START


async def test_a_cloud_that_fails_in_between_is_asked_until_it_answers(cloud: CloudWorld, state_folder: Path):
    async with mage_in(cloud) as mage:
        cloud.after_next_put(lambda _: cloud.faults.extend([Fault(method="GET", applied=False)] * 30))
        await mage.clusters.restart()
        cloud.faults += [Fault(method="PUT", applied=False), Fault(method="PUT", applied=True)]
        cloud.expire_sessions()
    assert sent(cloud) == STOP_AND_START
    assert cloud.clusters["prod"].status == "Starting"
    assert not list(state_folder.iterdir())


class Gone(httpx.AsyncBaseTransport):
    """A Cloud that is never heard of again once it has taken the stop."""

    def __init__(self, cloud: CloudWorld) -> None:
        self._wire = httpx.ASGITransport(create_cloud_app(cloud))
        self._gone = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._gone:
            raise httpx.ConnectError("planted")
        self._gone = request.method == "PUT"
        return await self._wire.handle_async_request(request)


async def test_a_process_that_ends_waits_for_a_cloud_that_is_gone_but_not_for_ever(
    cloud: CloudWorld, caplog: pytest.LogCaptureFixture
):
    async with Mage(settings_of(), wire=Gone(cloud), clock=clock_of(cloud)) as mage:
        answer = await mage.clusters.restart()
        cloud.clock.advance(3600)
        assert mage.busy
        began = cloud.now
        await mage.idle()
        assert 900 < (cloud.now - began).total_seconds() < 2000
    assert answer.after == "unknown"
    assert "start_cluster starts it" in caplog.text
    async with mage_in(cloud) as another:
        assert "left half done" in await another.clusters.unfinished()
        assert (await another.clusters.start()).replicas == 2


async def test_a_start_that_is_refused_while_the_cluster_stops_is_sent_again(cloud: CloudWorld):
    cloud.switches = Switches(refuses_while_changing=True)
    cloud.delays = Delays(stop_s=2000)
    async with mage_in(cloud) as mage:
        await mage.clusters.restart()
    assert sent(cloud)[0] == ("Stopped", 0)
    assert any(put["refused"] for put in cloud.puts)


@pytest.mark.parametrize("applied", [False, True])
async def test_a_stop_whose_answer_was_lost_ends_in_a_cluster_that_runs(cloud: CloudWorld, applied: bool):
    cloud.faults = [Fault(status=504, applied=applied)]
    async with mage_in(cloud) as mage:
        await mage.clusters.restart()
    assert sent(cloud) == STOP_AND_START
    cloud.clock.advance(100)
    assert (cloud.clusters["prod"].status, cloud.clusters["prod"].replicas) == ("Active", 2)


async def test_somebody_who_starts_it_in_between_is_not_stopped_again_and_again(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        cloud.after_next_put(Edit(merge={"replicaCount": 2}, status="Active"))
        await mage.clusters.restart()
    assert sent(cloud).count(("Stopped", 0)) <= 2
    cloud.clock.advance(100)
    assert cloud.clusters["prod"].is_up


async def test_a_refused_stop_is_told_by_the_call_and_leaves_nothing_behind(cloud: CloudWorld, state_folder: Path):
    async with mage_in(cloud, role="editor") as mage:
        with pytest.raises(MageForbidden, match="restart Production"):
            await mage.clusters.restart(wait_s=45)
        assert not mage.busy
        assert "restart" not in (await mage.clusters.row()).note
    assert sent(cloud) == []
    assert not list(state_folder.iterdir())


async def test_a_restart_that_cannot_be_noted_stops_nothing(
    cloud: CloudWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAGE_MCP_STATE_DIR", str(tmp_path / "file" / "below"))
    async with mage_in(cloud) as mage:
        with pytest.raises(MageInvalid, match="nothing was stopped"):
            await mage.clusters.restart()
    assert not cloud.puts


async def test_it_is_noted_before_the_stop(cloud: CloudWorld):
    seen: list[Notes] = []
    async with mage_in(cloud) as mage:
        notes = NotesFile(mage.clusters.place)
        cloud.before_next_put(lambda _: seen.append(notes.read()))
        await mage.clusters.restart()
    assert seen == [Notes(replicas=2, restart_began="2026-11-24T12:00:00Z")]


async def test_a_stopped_cluster_is_not_restarted(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        await mage.clusters.stop(wait_s=45)
        answer = await mage.clusters.restart()
    assert (answer.changed, answer.note) == (False, "It is stopped; start_cluster starts it.")
    assert len(cloud.puts) == 1


async def test_a_second_restart_joins_the_first_and_a_stop_has_to_wait(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        await mage.clusters.restart()
        second = await mage.clusters.restart()
        started = await mage.clusters.start()
        with pytest.raises(MageInvalid, match="restart of this cluster is under way"):
            await mage.clusters.stop()
    assert (second.changed, started.changed) == (False, False)
    assert "under way already" in second.note
    assert sent(cloud) == STOP_AND_START


async def test_many_restarts_at_once_are_one(cloud: CloudWorld):
    async with mage_in(cloud) as mage, anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(mage.clusters.restart)
    assert sent(cloud) == STOP_AND_START


# A process that ended in between


async def half_done(mage: Mage, cloud: CloudWorld) -> None:
    """What a process leaves behind that was killed after the stop."""
    await mage.clusters.stop(wait_s=45)
    NotesFile(mage.clusters.place).write(Notes(replicas=2, restart_began="2026-11-24T11:59:00Z"))
    cloud.puts.clear()


@pytest.mark.parametrize("act", ["start", "restart"])
async def test_one_call_mends_what_a_killed_process_left(cloud: CloudWorld, state_folder: Path, act: str):
    async with mage_in(cloud) as mage:
        await half_done(mage, cloud)
    async with mage_in(cloud) as another:
        answer = await getattr(another.clusters, act)()
        assert "finishes the restart begun at 2026-11-24T11:59:00Z" in answer.note
    assert sent(cloud) == [("Active", 2)]
    assert not list(state_folder.iterdir())


async def test_a_stop_takes_back_what_a_killed_process_owed(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        await half_done(mage, cloud)
        Edit(merge={"replicaCount": 2}, status="Active")(cloud.clusters["prod"])
        await mage.clusters.stop(wait_s=45)
        assert await mage.clusters.unfinished() == ""
        assert (await mage.clusters.start()).replicas == 2


async def test_without_a_block_around_it_a_client_begins_no_restart(cloud: CloudWorld):
    mage = mage_in(cloud)
    with pytest.raises(RuntimeError, match="async with Mage"):
        await mage.clusters.restart()
    assert not cloud.puts
    assert "under way" not in (await mage.clusters.row()).note


class Failing(httpx.AsyncBaseTransport):
    """Answers PUTs with an error of the Cloud, whatever became of them."""

    def __init__(self, cloud: CloudWorld) -> None:
        self._wire = httpx.ASGITransport(create_cloud_app(cloud))
        self.times = 1

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._wire.handle_async_request(request)
        if request.method == "PUT" and self.times:
            self.times -= 1
            return httpx.Response(200, json={"error": {"code": 422, "message": "Half of it failed"}})
        return response


async def test_a_stop_that_is_called_failed_and_happened_is_followed_by_the_start(cloud: CloudWorld):
    async with Mage(settings_of(), wire=Failing(cloud), clock=clock_of(cloud)) as mage:
        await mage.clusters.restart()
    assert sent(cloud) == STOP_AND_START

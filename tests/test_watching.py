"""Runs that somebody listens to: one poller however many do, none when nobody does, ever slower where Mage is down."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
import uvicorn
from mcp import Client, MCPError
from mcp.client.subscriptions import ListenNotSupportedError
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp.types import METHOD_NOT_FOUND

from mage_mcp.client import Clock, Cluster, Mage
from mage_mcp.demo.app import create_app
from mage_mcp.demo.world import World
from mage_mcp.errors import MageInvalid
from mage_mcp.server import MageServer, build_server
from mage_mcp.settings import Settings
from mage_mcp.watching import DOWN_S, FIRST_S, MOST_WATCHED, SLOWEST_S, Watcher
from tests.conftest import stdio_host
from tests.host import Host
from tests.served import ServedCloud, serving
from tests.wires import Wire, breaks, says

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
MAGE = "http://mage.test"


class Ticks:
    """Time that passes only when the test lets it: then for as long as the first sleeper wants."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.slept: list[float] = []
        self._gate = anyio.Event()

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self._gate.wait()

    async def tick(self) -> None:
        """Whoever sleeps wakes up, and does what it does until it sleeps again."""
        if self.slept:
            self.world.clock.advance(self.slept[-1])
        gate, self._gate = self._gate, anyio.Event()
        gate.set()
        await anyio.wait_all_tasks_blocked()

    @property
    def clock(self) -> Clock:
        now = self.world.clock.now
        return Clock(now=lambda: now().timestamp(), sleep=self._sleep, utc=now)


class Watched:
    """A watcher over the simulated Mage, with what it published."""

    def __init__(self, world: World) -> None:
        self.world, self.wire, self.time = world, Wire(world), Ticks(world)
        self.bus = InMemorySubscriptionBus()
        self.heard: list[str] = []
        self.bus.subscribe(lambda event: self.heard.append(event.uri) if isinstance(event, ResourceUpdated) else None)
        self.mage = Mage(Cluster(url=MAGE), wire=self.wire, clock=self.time.clock)
        self.watcher = Watcher(self.bus, {"default": self.mage})

    def start(self, pipeline: str = "slow_report", **variables: object) -> int:
        """A run that has begun; its first block sleeps."""
        (trigger,) = [t for t in self.world.triggers.values() if t.pipeline_uuid == pipeline]
        return self.world.create_run(trigger, variables).id

    @property
    def asked(self) -> int:
        return len(self.wire.requests)


@pytest.fixture
async def watched(world: World) -> AsyncIterator[Watched]:
    watched = Watched(world)
    async with watched.mage, watched.watcher:
        yield watched


def uri(run: int) -> str:
    return f"mage://clusters/default/runs/{run}"


async def test_two_listeners_cause_one_poller_and_after_both_left_nothing_is_asked(watched: Watched):
    run = watched.start(sleep_seconds=3600)
    async with watched.watcher.listening([uri(run)]):
        async with watched.watcher.listening([uri(run), "mage://clusters"]):
            assert watched.asked == 1, "the first look came before anybody could have read the run"
            await watched.time.tick()
            await watched.time.tick()
            assert watched.asked == 3
        await watched.time.tick()
        assert watched.asked == 4, "one still listens"
    for _ in range(5):
        await watched.time.tick()
    assert watched.asked == 4
    async with watched.watcher.listening([uri(run)]):
        assert watched.asked == 5, "and it begins anew with the next"


async def test_changes_of_the_run_and_of_its_blocks_are_heard_and_the_end_ends_it(watched: Watched):
    run = watched.start(sleep_seconds=20)
    states = [watched.world.runs[run].status(watched.world.now)]
    async with watched.watcher.listening([uri(run)]):
        told = []
        for _ in range(40):
            before = len(watched.heard)
            await watched.time.tick()
            told.append(len(watched.heard) - before)
            states.append(watched.world.runs[run].status(watched.world.now))
        assert set(watched.heard) == {uri(run)}
        assert states[-1] == "completed"
        assert len(watched.heard) > len(set(states)) - 1, "blocks change too"
        assert 0 in told[: max(i for i, each in enumerate(told) if each)], "and nothing is told where nothing changed"
        asked = watched.asked
        await watched.time.tick()
        assert watched.asked == asked, "it has ended, so nobody asks"


async def test_every_address_that_is_listened_to_hears(watched: Watched):
    run = watched.start(sleep_seconds=3)
    other = f"mage://clusters/d%65fault/runs/0{run}"
    async with watched.watcher.listening([uri(run), other]):
        assert watched.asked == 1
        for _ in range(10):
            await watched.time.tick()
    assert watched.heard.count(uri(run)) == watched.heard.count(other) > 0


async def test_a_run_that_has_ended_before_is_told_once(watched: Watched):
    run = watched.start("orders_refresh")
    watched.world.clock.advance(600)
    async with watched.watcher.listening([uri(run)]):
        assert watched.heard == [], "nobody can have heard it yet"
        for _ in range(5):
            await watched.time.tick()
        assert watched.heard == [uri(run)]
        assert watched.asked == 1


async def test_a_run_that_is_deleted_is_told_and_no_longer_asked_for(watched: Watched):
    run = watched.start(sleep_seconds=3600)
    async with watched.watcher.listening([uri(run)]):
        del watched.world.runs[run]
        await watched.time.tick()
        assert watched.heard == [uri(run)]
        asked = watched.asked
        await watched.time.tick()
        assert watched.asked == asked


async def test_a_quiet_run_is_asked_more_slowly_and_a_lively_one_fast_again(watched: Watched):
    run = watched.start(sleep_seconds=120)
    async with watched.watcher.listening([uri(run)]):
        for _ in range(12):
            await watched.time.tick()
        quiet = watched.time.slept[2:]
        assert quiet == sorted(quiet)
        assert quiet[-1] == SLOWEST_S
        watched.world.clock.advance(120)
        await watched.time.tick()
    assert SLOWEST_S in watched.time.slept
    assert watched.time.slept[0] == FIRST_S


async def test_a_mage_that_is_down_is_asked_ever_more_slowly_and_its_return_is_told(watched: Watched):
    run = watched.start(sleep_seconds=36_000)
    watched.world.clock.advance(60)
    async with watched.watcher.listening([uri(run)]):
        watched.wire.spoil("GET", f"/pipeline_runs/{run}", breaks(httpx.ConnectError), times=10_000)
        for _ in range(9):
            await watched.time.tick()
        slept = watched.time.slept[1:]
        assert slept == sorted(slept)
        assert slept[:3] == [4.0, 8.0, 16.0]
        assert slept[-1] == DOWN_S
        assert watched.heard == []
        watched.wire.mend()
        watched.world.clock.advance(36_000)
        await watched.time.tick()
        assert watched.heard == [uri(run)]


async def test_who_listens_before_mage_answers_hears_when_it_does(watched: Watched):
    run = watched.start(sleep_seconds=3600)
    watched.wire.spoil("GET", f"/pipeline_runs/{run}", says(b"<html>busy</html>", 503), times=3)
    async with watched.watcher.listening([uri(run)]):
        assert watched.heard == []
        await watched.time.tick()
        assert watched.heard == [uri(run)]


async def test_a_slow_mage_is_left_alone_for_five_times_as_long_as_it_took(watched: Watched):
    run = watched.start(sleep_seconds=36_000)
    send = watched.wire.handle_async_request

    async def slowly(request: httpx.Request) -> httpx.Response:
        watched.world.clock.advance(6)
        return await send(request)

    watched.wire.handle_async_request = slowly  # type: ignore[method-assign]
    async with watched.watcher.listening([uri(run)]):
        await watched.time.tick()
    assert watched.time.slept == pytest.approx([30.0, 30.0], abs=0.1)


async def test_what_is_no_run_of_ours_is_never_asked_for(watched: Watched):
    others = [
        "mage://clusters",
        "mage://clusters/default/pipelines",
        "mage://clusters/nowhere/runs/1",
        "mage://clusters/default/runs/1/logs",
        "mage://clusters/default/runs/x",
        "https://mage.test/runs/1",
        "",
    ]
    async with watched.watcher.listening(others):
        await watched.time.tick()
    assert watched.asked == 0


async def test_more_than_fifty_at_once_are_refused_and_leave_nothing_behind(watched: Watched):
    runs = [uri(watched.start(sleep_seconds=3600)) for _ in range(MOST_WATCHED + 1)]
    with pytest.raises(MageInvalid, match="50 runs are watched already"):
        async with watched.watcher.listening(runs):
            pass
    asked = watched.asked
    await watched.time.tick()
    assert watched.asked == asked
    async with watched.watcher.listening(runs[:MOST_WATCHED]):
        assert watched.asked == asked + MOST_WATCHED


# Over MCP


async def next_of(events: AsyncIterator[object]) -> object:
    with anyio.fail_after(30):
        return await anext(events)


def polls(world: World, run: int) -> int:
    return sum(path.endswith(f"/pipeline_runs/{run}") for _, path in world.requests)


def server_of(world: World, time: Ticks) -> MageServer:
    wire = httpx.ASGITransport(app=create_app(world))
    return build_server(Settings(clusters=(Cluster(url=MAGE),)), wire=wire, clock=time.clock)


@asynccontextmanager
async def served_over_http(world: World, time: Ticks) -> AsyncIterator[str]:
    """One server that any number of clients can connect to; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        app = server_of(world, time).streamable_http_app()
        http = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        async with anyio.create_task_group() as group:
            free.listen()
            group.start_soon(lambda: http.serve(sockets=[free]))
            yield f"http://127.0.0.1:{free.getsockname()[1]}/mcp"
            http.should_exit = True


@pytest.mark.slow
async def test_two_clients_of_one_server_cause_one_poller(world: World):
    time = Ticks(world)
    run = Watched(world).start(sleep_seconds=3600)
    async with served_over_http(world, time) as url:
        async with Client(url) as one, Client(url) as other:
            async with (
                one.listen(resource_subscriptions=[uri(run)]) as first,
                other.listen(resource_subscriptions=[uri(run)]) as second,
            ):
                assert first.honored.resource_subscriptions == [uri(run)]
                assert polls(world, run) == 1
                world.clock.advance(1000)
                await time.tick()
                assert await next_of(first) == await next_of(second) == ResourceUpdated(uri(run))
                assert polls(world, run) == 2
            await one.list_tools()
        asked = len(world.requests)
        await time.tick()
        assert len(world.requests) == asked


async def test_a_client_hears_reads_and_hears_the_end(world: World):
    time = Ticks(world)
    run = Watched(world).start(sleep_seconds=60)
    async with Client(server_of(world, time)) as client:
        assert client.server_capabilities.resources.subscribe
        async with client.listen(resource_subscriptions=[uri(run)]) as events:
            seen = []
            while not seen or seen[-1] != "completed":
                await time.tick()
                with anyio.move_on_after(0.05):
                    assert await anext(events) == ResourceUpdated(uri(run))
                    (content,) = (await client.read_resource(uri(run))).contents
                    seen.append(content.text.partition('"status":"')[2].partition('"')[0])
                assert len(time.slept) < 100
            assert "running" in seen
        asked = polls(world, run)
        await time.tick()
        assert polls(world, run) == asked


async def test_too_many_are_refused_with_a_sentence(world: World):
    watched = Watched(world)
    runs = [uri(watched.start(sleep_seconds=3600)) for _ in range(MOST_WATCHED + 1)]
    async with Client(server_of(world, Ticks(world))) as client:
        with pytest.raises(MCPError, match="50 runs are watched already"):
            async with client.listen(resource_subscriptions=runs):
                pass


async def test_older_clients_cannot_subscribe_and_are_told_so(demo_legacy: Host):
    """The SDK has no public way to serve them; README, "Watching a run"."""
    assert not demo_legacy.client.server_capabilities.resources.subscribe
    with pytest.raises(MCPError) as refused, pytest.warns(match="resources/subscribe is removed"):
        await demo_legacy.client.subscribe_resource(uri(1))
    assert refused.value.error.code == METHOD_NOT_FOUND
    with pytest.raises(ListenNotSupportedError):
        async with demo_legacy.client.listen(resource_subscriptions=[uri(1)]):
            pass
    assert not demo_legacy.world.requests


@pytest.fixture
def served(tmp_path) -> Iterator[ServedCloud]:
    with serving(tmp_path) as served:
        yield served


@pytest.mark.slow
async def test_over_a_real_process_the_run_is_watched_as_long_as_somebody_listens(served: ServedCloud):
    def asked() -> int:
        state = httpx.get(f"{served.url}/_demo/state").json()
        return sum(not path.startswith("/_demo") for _, path in state["requests"])

    async with stdio_host("auto", MAGE_URL=f"{served.url}/prod") as host:
        variables = {"sleep_seconds": 600}
        run = (await host.call("trigger_pipeline", pipeline="slow_report", variables=variables)).data["run"]
        async with host.client.listen(resource_subscriptions=[uri(run)]) as events:
            served.post("clock", advance_s=30)
            assert await next_of(events) == ResourceUpdated(uri(run))
            assert (await host.read_json(uri(run)))["status"] == "running"
        before = asked()
        await anyio.sleep(2 * FIRST_S + 1)
        assert asked() == before
        async with host.client.listen(resource_subscriptions=[uri(run)]) as events:
            served.post("clock", advance_s=900)
            assert await next_of(events) == ResourceUpdated(uri(run))
            assert (await host.read_json(uri(run)))["status"] == "completed"


@pytest.mark.real
async def test_a_run_on_the_real_mage_is_heard_until_its_end(real_auto: Host):
    run = (await real_auto.call("trigger_pipeline", pipeline="sales_daily")).data["run"]
    async with real_auto.client.listen(resource_subscriptions=[uri(run)]) as events:
        status = ""
        with anyio.fail_after(90):
            while status != "completed":
                assert await anext(events) == ResourceUpdated(uri(run))
                status = (await real_auto.read_json(uri(run)))["status"]

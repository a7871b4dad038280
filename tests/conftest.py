"""Two Mages and two protocol eras behind one fixture, so that one source of tests holds them all."""

import gc
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx
import pytest
import stamina
from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters

from mage_mcp.client import Clock, Cluster, Mage
from mage_mcp.commands._demo import demo_clusters
from mage_mcp.credentials import Store
from mage_mcp.demo.app import create_app
from mage_mcp.demo.cloud import CloudWorld
from mage_mcp.demo.cloud_app import create_cloud_app
from mage_mcp.demo.world import World
from mage_mcp.server import MageServer, build_server
from mage_mcp.settings import TOOLSETS, Settings
from tests.host import Host, Person
from tests.lab.mage import RealMage

pytest_plugins = ["tests.lab.plugin", "tests.packaged"]

URL = "http://mage.test"
NO_KEYRING = "keyring.backends.fail.Keyring"
_numbers = count()
ERAS = {"auto": "2026-07-28", "legacy": "2025-11-25"}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay till the end: no garbage collection need look at them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _schemas_are_checked_once() -> Iterator[None]:
    """The SDK's client checks the schema of each tool's answers in each test, which takes longer than the call."""
    check, known = Draft202012Validator.check_schema, set()

    def check_once(schema: Any, *how: Any, **more: Any) -> None:
        text = json.dumps(schema, sort_keys=True)
        if text not in known:
            check(schema, *how, **more)
            known.add(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", check_once)
        yield


@pytest.fixture(autouse=True)
def _no_waits_between_retries() -> Iterator[None]:
    stamina.set_testing(True, attempts=3, cap=True)
    yield
    stamina.set_testing(False)


@pytest.fixture(autouse=True)
def _notes_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noted on a stopped cluster outlives a process, and must not outlive a test. Made only when written to."""
    monkeypatch.setenv("MAGE_MCP_STATE_DIR", str(tmp_path_factory.getbasetemp() / f"state-{next(_numbers)}"))
    # Whose keyring it is that the tests run beside is nobody's business: there is none.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", NO_KEYRING)


@pytest.fixture
def world() -> World:
    """A fresh simulated Mage with its history."""
    return World()


def clock_of(world: World | CloudWorld) -> Clock:
    """Waiting makes the world's time pass, and nobody waits."""

    async def sleep(seconds: float) -> None:
        world.clock.advance(seconds)

    return Clock(now=lambda: world.clock.now().timestamp(), sleep=sleep, utc=world.clock.now)


def mage_of(world: World, **cluster: object) -> Mage:
    """A client of the simulated Mage, in process."""
    wire = httpx.ASGITransport(app=create_app(world))
    return Mage(Cluster(url=URL, **cluster), wire=wire, clock=clock_of(world))


def demo_server(world: World, *, clusters: tuple[Cluster, ...] = (Cluster(url=URL),), **settings: object) -> MageServer:
    """A server over the simulated Mage, in process."""
    wire = httpx.ASGITransport(app=create_app(world))
    return build_server(_everything(clusters=clusters, **settings), wire=wire, clock=clock_of(world))


def _everything(**settings: object) -> Settings:
    return Settings(**{"toolsets": TOOLSETS, **settings})


@pytest.fixture
def cloud() -> CloudWorld:
    """A fresh simulated Mage Cloud: prod and staging."""
    return CloudWorld()


def cloud_server(
    cloud: CloudWorld,
    *,
    marks: dict[str, dict[str, object]] | None = None,
    credentials: Store | None = None,
    **settings: object,
) -> MageServer:
    """A server over the simulated Cloud and its two clusters, in process; `marks` changes their settings by name."""
    clusters = tuple(cluster.model_copy(update=(marks or {}).get(cluster.name, {})) for cluster in demo_clusters(URL))
    wire = httpx.ASGITransport(app=create_cloud_app(cloud))
    settings_ = _everything(clusters=clusters, **settings)
    return build_server(settings_, wire=wire, clock=clock_of(cloud), credentials=credentials)


@asynccontextmanager
async def cloud_host(cloud: CloudWorld, mode: str, person: Person | None = None, **how: object) -> AsyncIterator[Host]:
    """A host over the simulated Cloud; without a person its client cannot ask one."""
    async with Client(cloud_server(cloud, **how), mode=mode, elicitation_callback=person) as client:
        yield Host(client, person or Person())


@pytest.fixture
async def mage(world: World) -> AsyncIterator[Mage]:
    async with mage_of(world) as client:
        yield client


@pytest.fixture(params=list(ERAS))
def era(request: pytest.FixtureRequest) -> str:
    return request.param


@asynccontextmanager
async def demo_host(world: World, mode: str) -> AsyncIterator[Host]:
    """A host with a person at it, connected in process to a server over the simulated Mage."""
    person = Person()
    async with Client(demo_server(world), mode=mode, elicitation_callback=person) as client:
        assert client.protocol_version == ERAS[mode]
        yield Host(client, person, world=world)


@asynccontextmanager
async def stdio_host(mode: str, **environment: str) -> AsyncIterator[Host]:
    """The same over a real subprocess, as an MCP client's configuration launches it."""
    person = Person()
    nothing_of_ours = {
        "XDG_CONFIG_HOME": "/nonexistent",
        "MAGE_MCP_STATE_DIR": "/nonexistent",
        "PYTHON_KEYRING_BACKEND": NO_KEYRING,
        "MAGE_TOOLSETS": "all",
    }
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "mage_mcp"], env={**nothing_of_ours, **environment}
    )
    async with Client(command, mode=mode, elicitation_callback=person) as client:
        assert client.protocol_version == ERAS[mode]
        yield Host(client, person)


@pytest.fixture
async def demo(world: World, era: str) -> AsyncIterator[Host]:
    async with demo_host(world, era) as host:
        yield host


@pytest.fixture
async def demo_auto(world: World) -> AsyncIterator[Host]:
    async with demo_host(world, "auto") as host:
        yield host


@pytest.fixture
async def demo_legacy(world: World) -> AsyncIterator[Host]:
    async with demo_host(world, "legacy") as host:
        yield host


@pytest.fixture(scope="session")
async def real_auto(real_mage: RealMage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    state = tmp_path_factory.mktemp("state")
    async with stdio_host("auto", MAGE_URL=real_mage.url, MAGE_MCP_STATE_DIR=str(state)) as host:
        yield host


@pytest.fixture(scope="session")
async def real_legacy(real_mage: RealMage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    state = tmp_path_factory.mktemp("state")
    async with stdio_host("legacy", MAGE_URL=real_mage.url, MAGE_MCP_STATE_DIR=str(state)) as host:
        yield host


@pytest.fixture(
    params=[
        "demo-auto",
        "demo-legacy",
        pytest.param("real-auto", marks=pytest.mark.real),
        pytest.param("real-legacy", marks=pytest.mark.real),
    ]
)
def host(request: pytest.FixtureRequest) -> Host:
    """The same host over both Mages and both eras. The real one is spoken to through a real stdio subprocess."""
    which, _, mode = request.param.partition("-")
    return request.getfixturevalue(f"demo_{mode}" if which == "demo" else f"real_{mode}")

"""The simulated Mage as a configuration: two clusters of a simulated Mage Cloud."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import SecretStr

from mage_mcp.client import Clock
from mage_mcp.demo import times
from mage_mcp.demo.cloud import TEAM, USERS, CloudWorld
from mage_mcp.demo.cloud_app import create_cloud_app
from mage_mcp.settings import Cluster, Settings

if TYPE_CHECKING:
    import httpx


def in_demo(settings: Settings) -> tuple[Settings, "httpx.AsyncBaseTransport", Clock | None]:
    """The same settings over a fresh simulated world, the wire to it, in process, and the clock to wait by.

    With a pace the world's time stands still but while a call waits, and passes that many times as fast as ours: what
    happens is then the same each time.
    """
    import httpx

    world, clock = CloudWorld(), None
    if settings.demo_pace is not None:
        world = CloudWorld(times.Clock(datetime.now(UTC).replace(microsecond=0)))
        clock = _paced(world, settings.demo_pace)
    wire = httpx.ASGITransport(app=create_cloud_app(world))
    return settings.model_copy(update={"clusters": demo_clusters("http://demo.mage.invalid")}), wire, clock


def _paced(world: CloudWorld, pace: float) -> Clock:
    import anyio

    async def sleep(seconds: float) -> None:
        await anyio.sleep(seconds / pace)
        world.clock.advance(seconds)

    return Clock(now=lambda: world.now.timestamp(), sleep=sleep, utc=world.clock.now)  # noqa: PLW0108 - each time anew


def demo_clusters(base: str) -> tuple[Cluster, ...]:
    """The two clusters of the simulated Cloud that is served at `base`."""
    return tuple(
        Cluster(
            name=name,
            url=f"{base}/{name}",
            team_id=TEAM,
            cluster_id=f"cl-{name}",
            cloud_url=f"{base}/cloud/api/v1",
            cloud_email=USERS[0].email,
            cloud_password=SecretStr(USERS[0].password),
        )
        for name in ("prod", "staging")
    )

"""The simulated Mage as a configuration: two clusters of a simulated Mage Cloud."""

from typing import TYPE_CHECKING

from pydantic import SecretStr

from mage_mcp.demo.cloud import TEAM, USERS, CloudWorld
from mage_mcp.demo.cloud_app import create_cloud_app
from mage_mcp.settings import Cluster, Settings

if TYPE_CHECKING:
    import httpx


def in_demo(settings: Settings) -> tuple[Settings, "httpx.AsyncBaseTransport"]:
    """The same settings over a fresh simulated world, and the wire to it, in process."""
    import httpx

    wire = httpx.ASGITransport(app=create_cloud_app(CloudWorld()))
    return settings.model_copy(update={"clusters": demo_clusters("http://demo.mage.invalid")}), wire


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

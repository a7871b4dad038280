"""Clients of the simulated Mage Cloud, in process, whose waits take no time."""

from typing import Any

import anyio
import httpx
from pydantic import SecretStr

from mage_mcp.client import Clock, Cluster, Mage
from mage_mcp.client.models import Answer
from mage_mcp.demo.cloud import TEAM, CloudWorld
from mage_mcp.demo.cloud_app import CLOUD_PATH, create_cloud_app
from mage_mcp.demo.planted import PLANTED

URL = "http://mage.test"


def clock_of(cloud: CloudWorld) -> Clock:
    """Waiting makes the Cloud's time pass, and lets others have their turn."""

    async def sleep(seconds: float) -> None:
        cloud.clock.advance(seconds)
        await anyio.lowlevel.checkpoint()

    return Clock(now=lambda: cloud.clock.now().timestamp(), sleep=sleep, utc=cloud.clock.now)


def settings_of(key: str = "prod", *, role: str = "admin", **more: Any) -> Cluster:
    known = {
        "name": key,
        "url": f"{URL}/{key}",
        "team_id": TEAM,
        "cluster_id": f"cl-{key}",
        "cloud_url": f"{URL}{CLOUD_PATH}",
        "cloud_email": f"{role}@demo.invalid",
        "cloud_password": SecretStr(PLANTED[f"cloud password, {role}"]),
    }
    return Cluster(**(known | more))


def mage_in(cloud: CloudWorld, key: str = "prod", *, role: str = "admin", **more: Any) -> Mage:
    wire = httpx.ASGITransport(create_cloud_app(cloud))
    return Mage(settings_of(key, role=role, **more), wire=wire, clock=clock_of(cloud))


def requests_to_cloud(cloud: CloudWorld, method: str) -> int:
    return sum(sent == method and path.startswith(CLOUD_PATH) for sent, path in cloud.requests)


def shown(answer: Answer) -> str:
    """All that a reader, or a log with a repr in it, could see of an answer."""
    return f"{answer.lean()} {answer!r}"

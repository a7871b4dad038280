"""The two writes that switch a cluster on and off: read, compare, put back, look."""

from dataclasses import dataclass

import anyio

from mage_mcp.client.clusters.cloud import ACTIVE, STOPPED, Cloud, CloudState
from mage_mcp.errors import MageError, MageWriteUncertain

_ROLE = "Admin"


@dataclass(frozen=True)
class Switched:
    """`sent` is whether a PUT was needed; `after` is None where it could not be read back."""

    before: CloudState
    after: CloudState | None
    sent: bool
    note: str = ""


async def bring_up(cloud: Cloud, replicas: int | None) -> Switched:
    """Put `Active` and the number of replicas, unless both are so already; None means whatever it has.

    Raises MageWriteUncertain where the answer was lost and the cluster does not look started, and other MageErrors.
    Source: Mage Pro API, "Start a cluster".
    """

    async def act() -> Switched:
        before = await cloud.state()
        if before.is_up and replicas in (None, before.replicas):
            return Switched(before, before, sent=False)
        config = {**before.writable_config(), "replicaCount": replicas or before.replicas or 1}
        return await _switch(cloud, before, config, ACTIVE)

    async with cloud.writing():
        return await cloud.again_if_not_taken(act)


async def bring_down(cloud: Cloud) -> Switched:
    """Put `Stopped` and no replicas, unless both are so already.

    Raises as `bring_up` does. Source: Mage Pro API, "Stop a cluster".
    """

    async def act() -> Switched:
        before = await cloud.state()
        if before.is_down:
            return Switched(before, before, sent=False)
        return await _switch(cloud, before, {**before.writable_config(), "replicaCount": 0}, STOPPED)

    async with cloud.writing():
        return await cloud.again_if_not_taken(act)


async def _switch(cloud: Cloud, before: CloudState, config: dict[str, object], status: str) -> Switched:
    verb = "start" if status == ACTIVE else "stop"
    lost: MageWriteUncertain | None = None
    with anyio.CancelScope(shield=True):
        cloud.wrote(("replicaCount",))
        try:
            await cloud.put(config, status=status, what=f"{verb} {before.title}", role=_ROLE)
        except MageWriteUncertain as error:
            lost = error
        try:
            after = await cloud.state()
        except MageError as error:
            if lost is not None:
                raise lost from None
            return Switched(before, None, sent=True, note=f"It could not be read back: {error.what}")
    if lost is None:
        return Switched(before, after, sent=True)
    came_true = after.replicas == config["replicaCount"] and (after.is_up if status == ACTIVE else after.is_down)
    if not came_true:
        raise lost
    return Switched(before, after, sent=True, note="Mage Cloud's answer was lost; this is what was read afterwards.")

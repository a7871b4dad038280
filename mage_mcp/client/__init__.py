"""Typed async client for one Mage cluster. Knows nothing of MCP.

async with Mage(Cluster(url="http://localhost:6789")) as mage:
    page = await mage.pipelines.list(search="daily")
"""

from functools import cached_property
from typing import TYPE_CHECKING, Self

import anyio

from mage_mcp.client.background import Background
from mage_mcp.client.clusters import Clusters
from mage_mcp.client.clusters.cloud import Cloud
from mage_mcp.client.deadline import Clock
from mage_mcp.client.graphs import Graphs
from mage_mcp.client.logs import Logs
from mage_mcp.client.names import Names
from mage_mcp.client.outputs import Outputs
from mage_mcp.client.peer import own_api
from mage_mcp.client.pipelines import Pipelines
from mage_mcp.client.runs import Runs
from mage_mcp.client.transport import Transport
from mage_mcp.client.triggers import Triggers
from mage_mcp.credentials import Store
from mage_mcp.settings import Cluster

if TYPE_CHECKING:
    import httpx

    from mage_mcp.client.backfills import Backfills
    from mage_mcp.client.blocks import Blocks
    from mage_mcp.client.files import Files
    from mage_mcp.client.health import Health
    from mage_mcp.client.texts import Texts
    from mage_mcp.client.variables import Variables
    from mage_mcp.client.workspaces import Workspaces

__all__ = ["Clock", "Cluster", "Mage"]


class Mage:
    """One cluster: one connection pool, one session, one attribute for each of Mage's nouns.

    `wire` replaces the network (a simulated Mage, in process), `clock` replaces time. `credentials` is where a person
    may have left a login; without it only what the cluster's settings hold is used.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        wire: "httpx.AsyncBaseTransport | None" = None,
        clock: Clock | None = None,
        credentials: Store | None = None,
    ) -> None:
        self._transport = Transport(cluster, wire=wire, clock=clock, peer=own_api(cluster, credentials))
        self.name = cluster.name
        self.label = cluster.label
        self.protected = cluster.protected
        self.read_only = cluster.read_only
        self.clock = self._transport.clock
        self.triggers = Triggers(self._transport)
        self.pipelines = Pipelines(self._transport, self.triggers)
        self.runs = Runs(self._transport, self.pipelines, self.triggers)
        self.logs = Logs(self._transport, self.runs)
        self.outputs = Outputs(self._transport, self.runs)
        self.graphs = Graphs(self.pipelines, self.runs)
        self.names = Names(self._transport)
        self._background = Background()
        self._cloud = Cloud(cluster, wire=wire, clock=clock, credentials=credentials)
        self.clusters = Clusters(self._transport, self._cloud, self._background)
        self._wire = wire

    # What the default toolsets do not need is imported when it is first asked for.

    @property
    def health(self) -> "Health":
        from mage_mcp.client.health import Health

        return Health(self._transport, wire=self._wire)

    @cached_property
    def texts(self) -> "Texts":
        from mage_mcp.client.texts import Texts

        return Texts(self._transport)

    @cached_property
    def blocks(self) -> "Blocks":
        from mage_mcp.client.blocks import Blocks

        return Blocks(self._transport, self.texts)

    @cached_property
    def variables(self) -> "Variables":
        from mage_mcp.client.variables import Variables

        return Variables(self._transport, self.pipelines)

    @cached_property
    def backfills(self) -> "Backfills":
        """Of a toolset that is off at first, hence not made before it is used."""
        from mage_mcp.client.backfills import Backfills

        return Backfills(self._transport, self.pipelines, self.triggers)

    @cached_property
    def files(self) -> "Files":
        from mage_mcp.client.files import Files

        return Files(self._transport, self.texts)

    @cached_property
    def workspaces(self) -> "Workspaces":
        from mage_mcp.client.workspaces import Workspaces

        return Workspaces(self._transport)

    @property
    def busy(self) -> bool:
        """Whether something goes on that must not be cut short: a restart that owes the cluster its start."""
        return self._background.busy

    async def idle(self) -> None:
        """Wait until nothing of that kind goes on. The process is to end: what cannot be done is given up in time.

        Closing the client waits for it too.
        """
        await self._background.finish()

    async def __aenter__(self) -> Self:
        await self._background.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._background.__aexit__(*exc)
        finally:
            with anyio.CancelScope(shield=True):
                if "workspaces" in vars(self):
                    await self.workspaces.aclose()
                await self._transport.aclose()
                await self._cloud.aclose()

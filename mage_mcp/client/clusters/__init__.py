"""Clusters: as Mage Cloud has them, and as their own APIs answer. One noun, by what is done with it."""

from collections.abc import Iterable

import anyio

from mage_mcp.client.clusters.changing import ClusterConfig
from mage_mcp.client.clusters.models import (
    ClusterDetail,
    ClusterPage,
    ClusterRow,
    ConfigChange,
    EnvVarsChange,
    Planned,
    PowerChange,
)

__all__ = [
    "ClusterDetail",
    "ClusterPage",
    "ClusterRow",
    "Clusters",
    "ConfigChange",
    "EnvVarsChange",
    "Planned",
    "PowerChange",
    "list_clusters",
]


class Clusters(ClusterConfig):
    """Look at, start, stop, restart and configure the one cluster of a client."""


async def list_clusters(clusters: Iterable[Clusters]) -> ClusterPage:
    """Every one of them, in their order, all asked at once, within five seconds."""
    asked = list(clusters)
    rows: dict[int, ClusterRow] = {}

    async def ask(place: int, cluster: Clusters) -> None:
        rows[place] = await cluster.row()

    async with anyio.create_task_group() as group:
        for place, cluster in enumerate(asked):
            group.start_soon(ask, place, cluster)
    items = [rows[place] for place in range(len(asked))]
    return ClusterPage(items=items, total=len(items))

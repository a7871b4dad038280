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
from mage_mcp.client.clusters.reading import TeamList

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


_MOST_OTHERS = 10


class Clusters(ClusterConfig):
    """Look at, start, stop, restart and configure the one cluster of a client."""


async def list_clusters(clusters: Iterable[Clusters]) -> ClusterPage:
    """Every one of them, in their order, all asked at once, within five seconds.

    Where the Cloud lists a team's clusters, which is not documented, those that are not configured here are named.
    """
    asked = list(clusters)
    rows: dict[int, ClusterRow] = {}
    teams: dict[tuple[str, str], TeamList] = {}

    async def ask(place: int, cluster: Clusters) -> None:
        rows[place] = await cluster.row()

    async def ask_team(cluster: Clusters) -> None:
        teams[cluster.place[:2]] = await cluster.team()

    async with anyio.create_task_group() as group:
        for place, cluster in enumerate(asked):
            group.start_soon(ask, place, cluster)
        for cluster in {cluster.place[:2]: cluster for cluster in asked if cluster.knows_team}.values():
            group.start_soon(ask_team, cluster)
    items = [rows[place] for place in range(len(asked))]
    known = {cluster.place for cluster in asked}
    others = [title for key, team in teams.items() for id_, title in team.clusters if (*key, id_) not in known]
    notes = [f"In the team and not configured here: {', '.join(others[:_MOST_OTHERS])}."] if others else []
    if not all(team.answers for team in teams.values()):
        notes.append("Mage Cloud does not list the team's clusters; these are the configured ones.")
    return ClusterPage(items=items, total=len(items), note=" ".join(notes))

"""A check-up of a configuration: reads only, each cluster in bounded time, all of them side by side.

As JSON it is one object, whose keys stay what they are while `schema` is 1:

    {"schema": 1, "version": "0.1.0", "ok": false,
     "counts": {"ok": 9, "warning": 1, "failed": 1, "not tried": 4},
     "settings": [{"name": "prod.url", "value": "https://…", "source": "[clusters.prod] in …"}, …],
     "checks": [{"group": "cluster 'prod'", "check": "login", "state": "failed", "says": "…", "do": "…"}, …]}

`settings` are the values that are no defaults; of a secret the value is `set`. `state` is one of the keys of `counts`;
`do`, what mends it, may be missing. `ok` says that nothing failed, as the exit code does.
"""

from typing import TYPE_CHECKING

import anyio

from mage_mcp.client import Clock
from mage_mcp.credentials import Store
from mage_mcp.doctor.cloud import missing_in_cloud
from mage_mcp.doctor.clusters import check_up
from mage_mcp.doctor.installation import check_installation
from mage_mcp.doctor.kept import kept_values
from mage_mcp.doctor.report import Check, Report, Value
from mage_mcp.doctor.values import told_values
from mage_mcp.settings import DEFAULT_CLUSTER, Cluster, Settings
from mage_mcp.tools._secrets import remember_environment

if TYPE_CHECKING:
    import httpx

__all__ = ["Report", "examine"]


async def examine(
    settings: Settings,
    *,
    wire: "httpx.AsyncBaseTransport | None" = None,
    clock: Clock | None = None,
    store: Store | None = None,
) -> Report:
    """Everything there is to check. `wire` and `clock` replace network and time, as they do for a server; `store` is
    where a person may have left logins.
    """
    remember_environment()
    values, wrong = told_values(settings)
    kept: list[Value] = []
    by_cluster: dict[int, list[Check]] = {}
    here: list[Check] = []

    async def ask(place: int, cluster: Cluster) -> None:
        by_cluster[place] = await check_up(cluster, wire=wire, clock=clock, store=store)

    async def look_around() -> None:
        here.extend(await check_installation(settings))

    async def look_into_store() -> None:
        told, unreadable = await kept_values(store, settings)
        kept.extend(told)
        wrong.extend(unreadable)

    asked = [cluster for cluster in settings.clusters if cluster.url or missing_in_cloud(cluster) is not None]
    async with anyio.create_task_group() as group:
        for place, cluster in enumerate(asked):
            group.start_soon(ask, place, cluster)
        group.start_soon(look_around)
        group.start_soon(look_into_store)
    checks = [check for place in range(len(asked)) for check in by_cluster[place]]
    empty = [_nothing_configured(cluster) for cluster in settings.clusters if cluster not in asked]
    return Report((*values, *kept), (*wrong, *empty, *checks, *here))


def _nothing_configured(cluster: Cluster) -> Check:
    if cluster.name != DEFAULT_CLUSTER:
        says = f"{cluster.label} has neither a URL nor a place in Mage Cloud."
        return Check("Clusters", "configured", "failed", says, f"Set `url` of [clusters.{cluster.name}].")
    return Check(
        "Clusters",
        "configured",
        "failed",
        "No Mage server is configured.",
        "Set MAGE_URL (http://localhost:6789, or a link copied from the browser), then `mage-mcp login` if that Mage "
        "asks for one. To look around without a Mage: `mage-mcp demo`. What an MCP client's configuration sets is "
        "not seen from here.",
    )

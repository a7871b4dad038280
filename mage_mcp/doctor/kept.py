"""What a person left for the server, in the keyring or in a file: logins and secrets, told without a part of them."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio.to_thread

from mage_mcp.client.auth import token_ends
from mage_mcp.credentials import SECRET_PREFIX, Store, StoreUnusable, cloud_key, cluster_key
from mage_mcp.doctor.report import Check, Value
from mage_mcp.doctor.values import GROUP, SET
from mage_mcp.settings import DEFAULT_CLUSTER, Cluster, Settings
from mage_mcp.text import one_line


@dataclass(frozen=True)
class Kept:
    """One login in the store. `renews` says that the password lies there too."""

    ends: datetime | None
    renews: bool


async def kept_login(store: Store | None, cluster: Cluster) -> Kept | None:
    """The one for the cluster's own API; None where there is none, or where it cannot be read, which is told once."""
    try:
        return await _read(store, cluster_key(cluster))
    except StoreUnusable:
        return None


async def _read(store: Store | None, key: str) -> Kept | None:
    found = None if store is None else await anyio.to_thread.run_sync(store.login, key)
    if found is None:
        return None
    ends = datetime.fromtimestamp(found.expires, UTC) if found.expires else token_ends(found.token)
    return Kept(ends, found.can_renew)


async def kept_values(store: Store | None, settings: Settings) -> tuple[list[Value], list[Check]]:
    """Every login that is kept for these clusters, and every secret for `set_from`, with where it lies; and why that
    cannot be told, if it cannot.
    """
    values: list[Value] = []
    if store is None:
        return values, []
    secrets, problem = await anyio.to_thread.run_sync(store.secrets)
    values += [Value(one_line(name, 60), SET, f"the {kind}") for name, kind in secrets.items()]
    here = sorted(name for name, value in os.environ.items() if name.startswith(SECRET_PREFIX) and value)
    values += [Value(one_line(name, 60), SET, "this shell's environment, which no client has") for name in here]
    keys = {}
    for cluster in settings.clusters:
        of = "" if cluster.name == DEFAULT_CLUSTER else f"{one_line(cluster.name, 40)}."
        if cluster.url:
            keys[cluster_key(cluster)] = f"{of}login"
        if cluster.team_id or cluster.cluster_id:
            keys.setdefault(cloud_key(cluster), f"{of}login to Mage Cloud")
    try:
        for key, name in keys.items():
            if (kept := await _read(store, key)) and (place := await anyio.to_thread.run_sync(store.place_of, key)):
                ends = f", until {kept.ends:%Y-%m-%d}" if kept.ends and not kept.renews else ""
                values.append(Value(name, f"{SET}{ends}", place.title))
    except StoreUnusable as error:
        problem = str(error)
    if not problem:
        return values, []
    do = "Unlock or mend it; until then set logins and secrets in the client's configuration."
    return values, [Check(GROUP, "kept", "warning", f"What is kept cannot be read. {problem}", do)]

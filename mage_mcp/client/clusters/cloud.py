"""One cluster in Mage Cloud, as the Cloud tells of it and as it takes changes: the whole config, each time."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

import anyio

from mage_mcp.client.clusters.masking import remember_secrets
from mage_mcp.client.clusters.replies import read_cloud_reply
from mage_mcp.client.clusters.same import mentions_host
from mage_mcp.client.clusters.session import CloudSession, Login, login_of
from mage_mcp.client.clusters.settings import require_place, require_team, settings_of
from mage_mcp.client.deadline import Clock, remaining_s
from mage_mcp.client.peer import Peer
from mage_mcp.client.replies import root, rows
from mage_mcp.client.secrets import remember_named
from mage_mcp.client.transport import Transport
from mage_mcp.credentials import Store
from mage_mcp.errors import (
    MageForbidden,
    MageInvalid,
    MageNotConfigured,
    MageReplyInvalid,
    MageTimeout,
    MageUnreachable,
)
from mage_mcp.settings import Cluster
from mage_mcp.text import one_line, quoted

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

LABEL = "Mage Cloud"
ACTIVE, STOPPED = "Active", "Stopped"
_LEAST_TO_WRITE_S = 8.0
_PAUSES = (0.5, 1.0)
_ON_THE_WAY_DOWN = frozenset({"stopping", "stopped"})
_ON_THE_WAY_UP = frozenset({"active", "starting", "restarting", "updating", "pending"})
"""`Active` and `Stopped` are documented; the others are what a cluster may be called meanwhile."""

_locks: WeakValueDictionary[tuple[str, str, str], anyio.Lock] = WeakValueDictionary()
"""Writes to one cluster's config are serial in this process, under however many names it is configured."""


class NotTaken(Exception):  # a signal: the Cloud did not act, and what was to be written may be out of date by now
    def __init__(self, error: MageUnreachable) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class CloudState:
    """What the Cloud says about a cluster. `config` is what will be sent back, so nothing in it is touched."""

    id: str
    name: str
    status: str
    config: Any = field(repr=False)
    mentions_url: bool = False
    """Whether anything that the Cloud tells of it holds the host of the cluster's own URL."""

    @property
    def title(self) -> str:
        """The Cloud's own name and id, so that a person sees which cluster is really meant."""
        return f"{quoted(self.name)} ({self.id})" if self.name else self.id

    @property
    def replicas(self) -> int | None:
        """None where the config does not say."""
        told = self.config.get("replicaCount") if isinstance(self.config, dict) else None
        return told if isinstance(told, int) and not isinstance(told, bool) else None

    @property
    def is_down(self) -> bool:
        """Stopped, or on the way there, with nothing that would run."""
        return self.status.casefold() in _ON_THE_WAY_DOWN and self.replicas == 0

    @property
    def is_stopped(self) -> bool:
        return self.status.casefold() == STOPPED.casefold()

    @property
    def is_off(self) -> bool:
        """Nothing runs there, or soon will not."""
        return self.is_down or self.is_stopped

    @property
    def is_active(self) -> bool:
        return self.status.casefold() == ACTIVE.casefold() and self.replicas != 0

    @property
    def is_up(self) -> bool:
        """Active, or on the way there."""
        return self.status.casefold() in _ON_THE_WAY_UP and self.replicas != 0

    @property
    def is_coming_up(self) -> bool:
        """It starts or restarts."""
        return self.is_up and not self.is_active

    def writable_config(self) -> dict[str, Any]:
        """The config as an object; an empty one where it is null.

        Raises MageReplyInvalid where it is anything else: what cannot be read must not be replaced.
        """
        if self.config is None:
            return {}
        if not isinstance(self.config, dict):
            raise MageReplyInvalid(
                f"{LABEL} tells no config of {self.title} that could be changed; nothing was written.",
                next_step="Look at the cluster in Mage's portal.",
            )
        return self.config


class Cloud:
    """Reads and writes one cluster's place in Mage Cloud. Opens nothing before the first request."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        wire: "httpx.AsyncBaseTransport | None" = None,
        clock: Clock | None = None,
        credentials: Store | None = None,
    ) -> None:
        self.cluster = cluster
        peer = cloud_api(cluster, login_of(cluster, wire, credentials), credentials)
        self._transport = Transport(cluster, wire=wire, clock=clock, peer=peer)
        self.clock = self._transport.clock
        self.place = (cluster.cloud_url.rstrip("/"), cluster.team_id, cluster.cluster_id)
        self._lock = _locks.setdefault(self.place, anyio.Lock())
        self._writes = 0
        self._written: dict[str, int] = {}

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def state(self) -> CloudState:
        """Read the cluster.

        Raises MageNotConfigured and other MageErrors. Source: Mage Pro API, `GET /teams/{id}/clusters/{id}`.
        """
        return self._state(root(await self._transport.read(self._path()), "cluster"))

    async def put(self, config: dict[str, Any], *, status: str | None = None, what: str, role: str) -> None:
        """Replace the whole config, and the status where given. `what` and `role` are for the sentence of a refusal.

        Raises NotTaken where it certainly was not taken and may be made anew, MageForbidden with the role that is
        needed, MageInvalid for what is no JSON, MageWriteUncertain and other MageErrors. Source: Mage Pro API,
        `PUT /teams/{id}/clusters/{id}`.
        """
        try:
            json.dumps(config, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise MageInvalid(
                "The config cannot be sent as JSON (half a character, NaN, or too deep); nothing was written.",
                next_step="Give plain texts, numbers, lists and objects.",
            ) from None
        body: dict[str, Any] = {"config": config}
        if status is not None:
            body["status"] = status
        try:
            await self._transport.write("PUT", self._path(), {"cluster": body}, only_now=True)
        except MageTimeout:
            raise
        except MageUnreachable as error:
            raise NotTaken(error) from None
        except MageForbidden:
            raise MageForbidden(
                f"{LABEL} does not allow {self.cluster.cloud_email} to {what}; nothing was changed.",
                next_step=f"It needs the team's role {role}. Ask an Admin of the team in Mage's portal.",
            ) from None

    async def again_if_not_taken(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do `act`, which reads and then writes, from its read on where its write was not taken: a config that is sent
        again must not be the one of before the wait.

        Raises MageUnreachable after some tries.
        """
        for pause in _PAUSES:
            try:
                return await act()
            except NotTaken:
                await self.clock.sleep(pause)
        try:
            return await act()
        except NotTaken as not_taken:
            raise not_taken.error from None

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Held from the read before a write until the look after it.

        Raises MageTimeout where other writers of this process take all the time of the call.
        """
        with anyio.move_on_after(max(0.0, remaining_s() - _LEAST_TO_WRITE_S)) as scope:
            await self._lock.acquire()
        if scope.cancelled_caught:
            raise MageTimeout(
                "Other changes of this cluster took all the time of this call; nothing was written.",
                next_step="Try again.",
            )
        try:
            yield
        finally:
            self._lock.release()

    @property
    def writes(self) -> int:
        """How many writes there were so far: a mark for `ours_since`."""
        return self._writes

    def wrote(self, names: Iterable[str]) -> None:
        """Note what this process changed, so that it is not told as somebody else's."""
        self._writes += 1
        self._written.update(dict.fromkeys(names, self._writes))

    def ours_since(self, mark: int) -> set[str]:
        return {name for name, number in self._written.items() if number > mark}

    async def team(self) -> Sequence[CloudState]:
        """The clusters of the team. That the Cloud lists them is not documented.

        Raises MageError where it does not.
        """
        team = require_team(self.cluster)
        found = rows(await self._transport.read(f"teams/{team}/clusters"), "clusters")
        return [self._state(row) for row in found if row.get("id")]

    async def role(self) -> str:
        """What the Cloud calls this user's role in the team; empty where it does not say. Not documented.

        Raises MageError where it does not list the user's teams.
        """
        team = require_team(self.cluster)
        found = rows(await self._transport.read("teams"), "teams")
        told = next((row.get("role") for row in found if str(row.get("id")) == team), None)
        return one_line(told, 40) if isinstance(told, str) else ""

    def _path(self) -> str:
        team, cluster = require_place(self.cluster)
        return f"teams/{team}/clusters/{cluster}"

    def _state(self, row: dict[str, Any]) -> CloudState:
        # A config that is not told at all is no config of null, which a write may replace.
        config = row.get("config", "not told")
        remember_secrets(config)
        remember_named("", {key: value for key, value in row.items() if key != "config"})
        return CloudState(
            id=one_line(str(row.get("id") or self.cluster.cluster_id), 80),
            name=one_line(row["name"], 60) if isinstance(row.get("name"), str) else "",
            status=one_line(str(row.get("status") or "unknown"), 40),
            config=config,
            mentions_url=mentions_host(row, self.cluster.url),
        )


def cloud_api(cluster: Cluster, login: Login, store: Store | None = None) -> Peer:
    """Mage Cloud's API; `store` is where a person may have left a login."""
    setting = settings_of(cluster, "cloud_url")
    missing = MageNotConfigured(f"{LABEL} has no URL.", next_step=f"Leave {setting} unset: Mage's own is used.")
    return Peer(
        cluster.cloud_url.rstrip("/"),
        LABEL,
        setting,
        missing,
        partial(CloudSession, login=login, store=store),
        read_cloud_reply,
        if_silent=f"Try again in a moment; check {setting} if that is set.",
        if_refused=f"Check {settings_of(cluster, 'cloud_email', 'cloud_password')}.",
    )

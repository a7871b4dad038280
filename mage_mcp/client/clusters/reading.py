"""Looking at a cluster through both of its APIs: Mage Cloud's and its own, whichever answers."""

from dataclasses import dataclass, field
from typing import Any

import anyio

from mage_mcp.client.background import Background
from mage_mcp.client.clusters.cloud import Cloud, CloudState
from mage_mcp.client.clusters.env_vars import names, references
from mage_mcp.client.clusters.masking import ENVS, masked_config
from mage_mcp.client.clusters.models import ClusterDetail, ClusterRow
from mage_mcp.client.clusters.notes import Notes, NotesFile
from mage_mcp.client.clusters.settings import what_is_missing
from mage_mcp.client.clusters.under_way import runs_under_way
from mage_mcp.client.paths import api
from mage_mcp.client.records import parse_time
from mage_mcp.client.replies import count, rows
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageError, MageNotFound, MageRefused, MageReplyInvalid, MageUnreachable, MageUnsupported
from mage_mcp.text import one_line

ROW_WITHIN_S = 5.0
_DETAIL_WITHIN_S = 20.0
_MOST_NAMES = 200
_OVER_AFTER_S = 3600


@dataclass
class Look:
    """What was found out so far; each part may be missing, and then `notes` may say why."""

    state: CloudState | None = None
    answers: bool = False
    version: str = ""
    scheduler: str = ""
    runs: dict[str, int] = field(default_factory=dict)
    cloud_asked: bool = False
    api_asked: bool = False
    api_silent: bool = False
    api_note: str = ""
    cloud_note: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def note(self) -> str:
        return " ".join(note for note in (self.api_note, self.cloud_note, *self.notes) if note)


@dataclass(frozen=True)
class TeamList:
    """The clusters that the Cloud lists for a team, by id and by what they are called, if it does."""

    answers: bool
    clusters: tuple[tuple[str, str], ...] = ()


class ClusterReader:
    """One cluster, as far as it is only looked at."""

    def __init__(self, transport: Transport, cloud: Cloud, background: Background) -> None:
        self._transport = transport
        self._cloud = cloud
        self._background = background
        self._cluster = transport.cluster
        self._notes = NotesFile(cloud.place)
        self._restarting = False
        """A restart of this process owes it its start."""

    async def row(self) -> ClusterRow:
        """The cluster as a row of a list, within five seconds. Never raises a MageError: what is down is a row too."""
        look = await self._look(within_s=ROW_WITHIN_S, fully=False)
        return ClusterRow(**self._told(look))

    async def get(self) -> ClusterDetail:
        """Whatever the Cloud and the cluster's own API tell, and what is missing for the rest.

        Raises MageNotConfigured where neither is configured. Source: Mage Pro API; Mage StatusResource,
        ProjectResource, PipelineRunResource.collection.
        """
        if not self._cluster.url and not self._cluster.in_cloud:
            raise self._transport.peer.missing
        look = await self._look(within_s=_DETAIL_WITHIN_S, fully=True)
        if not self._cluster.in_cloud:
            look.notes.append(f"{what_is_missing(self._cluster)} Without them it can neither be started nor stopped.")
        envs = _envs(look.state)
        listed = names(envs)
        if len(listed) > _MOST_NAMES:
            look.notes.append(f"{len(listed) - _MOST_NAMES} more variables are not shown.")
        return ClusterDetail(
            **self._told(look),
            replicas=look.state.replicas if look.state else None,
            version=look.version,
            scheduler=look.scheduler,
            runs_running=look.runs.get("running"),
            runs_queued=look.runs.get("initial"),
            env_vars=listed[:_MOST_NAMES],
            references=references(envs)[:_MOST_NAMES],
        )

    async def masked_config(self) -> dict[str, Any]:
        """The Cloud's config: every variable's value masked, and whatever else has a telling name.

        Raises MageError.
        """
        state = await self._cloud.state()
        return {"id": state.id, "name": state.name, "status": state.status, "config": masked_config(state.config)}

    async def state(self) -> CloudState:
        """The cluster as the Cloud tells of it.

        Raises MageError.
        """
        return await self._cloud.state()

    async def role(self) -> str:
        """The user's role in the team; empty where the Cloud does not say.

        Raises MageError.
        """
        return await self._cloud.role()

    async def variables(self) -> tuple[list[str], list[str]]:
        """The names of its environment variables, and of those among them that refer to a secret.

        Raises MageError.
        """
        envs = _envs(await self._cloud.state())
        return names(envs), references(envs)

    async def unfinished(self) -> str:
        """A sentence where a restart was left half done by a process that is gone; empty otherwise."""
        if not self._cluster.in_cloud:
            return ""
        under_way = self._restarting
        notes = await self._noted()
        if not notes.restart_began or under_way or self._restarting:
            return ""
        try:
            state = await self._cloud.state()
        except MageError:
            state = None
        return _half_done(notes, state)

    @property
    def place(self) -> tuple[str, str, str]:
        """Which cluster of which team in which Cloud it is."""
        return self._cloud.place

    @property
    def knows_team(self) -> bool:
        """Whether the Cloud can be asked for the team's clusters; this one's own id may be missing."""
        return bool(self._cluster.team_id)

    async def team(self) -> TeamList:
        """The team's clusters, within five seconds."""
        with anyio.move_on_after(ROW_WITHIN_S):
            try:
                return TeamList(True, tuple((state.id, state.title) for state in await self._cloud.team()))
            except (MageNotFound, MageReplyInvalid, MageUnsupported):
                return TeamList(False)
            except MageError:
                pass  # the rows say what is wrong
        return TeamList(True)

    async def _look(self, *, within_s: float, fully: bool) -> Look:
        look = Look()
        with anyio.move_on_after(within_s):
            async with anyio.create_task_group() as group:
                group.start_soon(self._ask_cloud, look)
                group.start_soon(self._ask_cluster, look, fully)
        if self._cluster.url and not look.api_asked:
            look.api_silent, look.api_note = True, f"Its own API did not answer within {within_s:.0f} s."
        if self._has_cloud and not look.cloud_asked:
            look.cloud_note = f"Mage Cloud did not answer within {within_s:.0f} s."
        if look.api_silent and look.state is not None and look.state.is_off:
            look.api_note = ""  # as is to be expected
        elif look.api_silent and look.state is not None and look.state.is_coming_up:
            look.api_note = "Its own API does not answer yet."
        if self._cluster.in_cloud:
            await self._tell_notes(look)
        return look

    @property
    def _has_cloud(self) -> bool:
        return self._cluster.in_cloud

    async def _ask_cloud(self, look: Look) -> None:
        if not self._has_cloud:
            if self._cluster.team_id or self._cluster.cluster_id:
                look.cloud_note = what_is_missing(self._cluster)
            return
        try:
            look.state = await self._cloud.state()
        except MageError as error:
            look.cloud_note = str(error)
        look.cloud_asked = True

    async def _ask_cluster(self, look: Look, fully: bool) -> None:
        if not self._cluster.url:
            look.api_note = f"{self._transport.peer.setting} is not set, so its own API was not asked."
            return
        try:
            statuses = rows(await self._transport.read(api("status")), "statuses")
            look.answers = True
            look.scheduler = one_line(str(statuses[0].get("scheduler_status") or ""), 40) if statuses else ""
            if fully:
                await self._ask_more(look)
        except MageRefused as error:
            look.answers = True
            look.api_note = f"Its own API answers, but: {error}"
        except MageUnreachable as error:
            look.api_silent, look.api_note = True, error.what
        except MageError as error:
            look.api_note = error.what
        look.api_asked = True

    async def _ask_more(self, look: Look) -> None:
        """Counts of runs, and the version, which a Mage without the package index may take seconds to tell."""
        look.api_asked = True
        for status in ("running", "initial"):
            reply = await self._transport.read(api("pipeline_runs"), status=status, _limit=0)
            look.runs[status] = count(reply, fallback=0)
        projects = rows(await self._transport.read(api("projects")), "projects")
        look.version = one_line(str(projects[0].get("version") or ""), 40) if projects else ""

    async def _tell_notes(self, look: Look) -> None:
        under_way = self._restarting  # looked at before the notes, which a restart that ends meanwhile takes away
        notes = await self._noted()
        if notes.unreadable:
            look.notes.append(f"The notes on its restarts ({self._notes.path()}) cannot be read and count as none.")
        if under_way or self._restarting:
            look.notes.append("A restart is under way.")
        elif notes.restart_began and (sentence := _half_done(notes, look.state)):
            look.notes.append(sentence)
        elif notes.restart_began and self._is_old(notes):
            # It is up, so nothing is owed. Left there, the note would speak of a later stop.
            await anyio.to_thread.run_sync(self._notes.forget)

    def _is_old(self, notes: Notes) -> bool:
        """Whether no other process can still be at it."""
        began = parse_time(notes.restart_began)
        return began is None or (self._cloud.clock.utc() - began).total_seconds() > _OVER_AFTER_S

    async def _noted(self) -> Notes:
        return await anyio.to_thread.run_sync(self._notes.read)

    def _told(self, look: Look) -> dict[str, Any]:
        state = look.state
        return {
            "cluster": self._cluster.name,
            "kind": "cloud" if self._cluster.in_cloud else "self-hosted",
            "answers": look.answers,
            "status": state.status if state else "",
            "cloud_name": state.name if state else "",
            "cloud_id": state.id if state else self._cluster.cluster_id,
            "read_only": self._cluster.read_only,
            "protected": self._cluster.protected,
            "note": look.note,
        }

    async def _runs_under_way(self, state: CloudState) -> list[str]:
        return await runs_under_way(self._transport, self._cloud, state)


def _envs(state: CloudState | None) -> Any:
    return state.config.get(ENVS) if state and isinstance(state.config, dict) else None


def _half_done(notes: Notes, state: CloudState | None) -> str:
    """A restart whose cluster is up owes nothing."""
    if state is not None and state.is_up:
        return ""
    replicas = f" with {notes.replicas} replicas" if notes.replicas and notes.replicas > 1 else ""
    sure = "was" if state is not None else "may have been"
    return (
        f"A restart begun at {notes.restart_began} {sure} left half done by a server that ended: the cluster was "
        f"stopped and not started again. start_cluster finishes it{replicas}."
    )

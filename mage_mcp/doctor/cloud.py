"""The cluster's place in Mage Cloud: login, cluster, role, and whether it is the one that the URL means."""

from collections.abc import Sequence
from dataclasses import replace

from mage_mcp.client import Mage
from mage_mcp.client.clusters.cloud import CloudState
from mage_mcp.client.clusters.settings import has_login, missing_settings, settings_of
from mage_mcp.doctor.reach import reach
from mage_mcp.doctor.report import Check, Finding, Step
from mage_mcp.errors import MageAuthRequired, MageError, MageNotConfigured, MageRefused
from mage_mcp.settings import Cluster, login_command

_LOGIN = ("cloud_email", "cloud_password")
_UNREACHED = ("dns", "port", "mage")
_CAN = {
    "admin": "starts, stops and changes everything",
    "editor": "changes parts of it; to start, to stop and to change variables takes an Admin",
    "viewer": "only reads; to start, to stop and to change anything takes an Admin",
}


def missing_in_cloud(cluster: Cluster) -> list[str] | None:
    """The keys without which the Cloud cannot be asked about it; None where it was not meant to be in the Cloud."""
    has_place = bool(cluster.team_id or cluster.cluster_id)
    has_login = bool(cluster.cloud_email or cluster.cloud_password)
    return missing_settings(cluster) if has_place or (has_login and not cluster.url) else None


class CloudChecks:
    """Its place in the Cloud, step by step; each leaves what the next needs."""

    def __init__(self, cluster: Cluster, mage: Mage) -> None:
        self._cluster, self._mage = cluster, mage
        self._state: CloudState | None = None
        self._not_read: MageError | None = None

    def steps(self, *, simulated: bool) -> list[Step]:
        setting = settings_of(self._cluster, "cloud_url")
        reached = [] if simulated else reach(self._cluster, self._cluster.cloud_url, setting)
        return [
            Step("settings", self._settings),
            *(replace(step, needs=("settings", *step.needs)) for step in reached),
            Step("login", self._login, ("settings", "tls"), within_s=8.0),
            Step("cluster", self._read, ("login",)),
            Step("role", self._role, ("login",)),
            Step("restart", self._restart, ("settings",)),
        ]

    async def _settings(self) -> Finding:
        if missing := [key for key in ("team_id", "cluster_id") if not getattr(self._cluster, key)]:
            says = f"Missing: {settings_of(self._cluster, *missing)}."
            return Finding(says, "failed", "Both ids stand in the address of the cluster's page in Mage's portal.")
        return Finding("Complete.")

    async def _login(self) -> Finding:
        """By reading the cluster: one try, shared by all clusters that log in alike."""
        login = settings_of(self._cluster, *_LOGIN)
        command = f"run `{login_command(self._cluster, cloud=True)}`"
        try:
            self._state = await self._mage.clusters.state()
        except MageAuthRequired as error:
            if "API key" in error.what:
                return Finding(error.what, "failed", error.next_step)
            if has_login(self._cluster):
                return Finding(error.what, "failed", f"Correct {login}, or take them away and {command}.")
            return Finding(error.what, "failed", f"{command[:1].upper()}{command[1:]}.")
        except MageNotConfigured as error:
            if has_login(self._cluster):
                raise
            return Finding(error.what, "failed", f"{command[:1].upper()}{command[1:]}, or set {login}.")
        except MageRefused as error:  # let in, and then refused this cluster
            self._not_read = error
        return Finding(f"By {login}." if has_login(self._cluster) else "By the login that is kept.")

    async def _read(self) -> Finding:
        if self._not_read is not None:
            raise self._not_read
        state = self._state or await self._mage.clusters.state()
        replicas = "" if state.replicas is None else f", replicas {state.replicas}"
        says = f"{state.title} is {state.status}{replicas}."
        if state.is_off:
            return Finding(says, "warning", "An assistant starts it with start_cluster, if that is wanted.")
        return Finding(says)

    async def _role(self) -> Finding:
        try:
            role = await self._mage.clusters.role()
        except MageError:
            role = ""
        if not role:
            return Finding("Mage Cloud does not tell it; what it does not allow is told when it is tried.")
        can = _CAN.get(role.casefold(), "what it may do is told when it is tried")
        is_enough = role.casefold() == "admin" or role.casefold() not in _CAN or self._cluster.read_only
        return Finding(
            f"{role}: {can}.", "ok" if is_enough else "warning", "" if is_enough else "Ask an Admin of the team."
        )

    async def _restart(self) -> Finding:
        if sentence := await self._mage.clusters.unfinished():
            return Finding(
                sentence, "failed", "Ask an assistant to start the cluster: start_cluster finishes the restart."
            )
        return Finding("None is left half done.")

    def seen_with(self, own: Sequence[Check]) -> list[Check]:
        """The checks of its own API: that a cluster which is stopped does not answer is no failure."""
        if self._state is None or not self._state.is_off:
            return list(own)
        return [
            replace(
                check, state="warning", says=f"{check.says} Mage Cloud says that it is {self._state.status}.", do=""
            )
            if check.state == "failed" and check.name in _UNREACHED
            else check
            for check in own
        ]

    def compared(self, own: Sequence[Check], cloud: Sequence[Check]) -> list[Check]:
        """Whether both APIs speak of one cluster, as far as that can be told: Mage documents no id that both tell."""
        if not cloud or not own:
            return []
        group, answers = cloud[0].group, any(check.name == "mage" and check.state == "ok" for check in own)
        state = self._state
        if state is None:
            return [
                Check(group, "same cluster", "not tried", "Not tried, since the Cloud told nothing of the cluster.")
            ]
        if state.is_stopped and answers:
            says = f"{state.title} is {state.status}, and yet {self._cluster.url} answers: they are two clusters."
            return [
                Check(
                    group, "same cluster", "failed", says, f"Correct {settings_of(self._cluster, 'url', 'cluster_id')}."
                )
            ]
        if state.mentions_url:
            return [
                Check(group, "same cluster", "ok", f"What the Cloud tells of {state.title} names the host of the URL.")
            ]
        if not answers:
            return [Check(group, "same cluster", "not tried", "Not tried, since the cluster's own API did not answer.")]
        says = "Both are up and nothing speaks against it; Mage tells no id that would prove it."
        return [Check(group, "same cluster", "ok", says)]

"""One cluster: whether its own API is reached, is a Mage, lets us in and works; and its place in Mage Cloud."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio

from mage_mcp.client import Clock, Mage
from mage_mcp.client.auth import token_ends
from mage_mcp.client.health import Status
from mage_mcp.client.pipelines import PipelinePage
from mage_mcp.credentials import Store
from mage_mcp.doctor.cloud import CloudChecks, missing_in_cloud
from mage_mcp.doctor.kept import kept_login
from mage_mcp.doctor.reach import reach
from mage_mcp.doctor.report import Check, Finding, Step, go_through
from mage_mcp.doctor.values import how_to_set
from mage_mcp.errors import MageAuthRequired, MageError, MageRefused, MageReplyInvalid, MageUnreachable
from mage_mcp.settings import DEFAULT_CLUSTER, Cluster, login_command, setting_of
from mage_mcp.text import one_line

if TYPE_CHECKING:
    import httpx

WITHIN_S = 13.0
"""For all of one API; both APIs of all clusters are asked side by side."""
_SOON = timedelta(days=3)


async def check_up(
    cluster: Cluster,
    *,
    wire: "httpx.AsyncBaseTransport | None" = None,
    clock: Clock | None = None,
    store: Store | None = None,
) -> list[Check]:
    """Both of its APIs, side by side."""
    own: list[Check] = []
    cloud: list[Check] = []
    title = _begun(cluster.label)
    async with Mage(cluster, wire=wire, clock=clock, credentials=store) as mage:
        of_its_own, of_cloud = _OwnApi(cluster, mage, store), CloudChecks(cluster, mage)

        async def ask_cluster() -> None:
            own.extend(await go_through(title, of_its_own.steps(simulated=wire is not None), within_s=WITHIN_S))

        async def ask_cloud() -> None:
            group = f"Mage Cloud of {cluster.label}" if cluster.name != DEFAULT_CLUSTER else "Mage Cloud"
            cloud.extend(await go_through(group, of_cloud.steps(simulated=wire is not None), within_s=WITHIN_S))

        async with anyio.create_task_group() as tasks:
            if cluster.url:
                tasks.start_soon(ask_cluster)
            else:
                own.append(_without_url(title, cluster))
            if missing_in_cloud(cluster) is not None:
                tasks.start_soon(ask_cloud)
    return [*of_cloud.seen_with(own), *cloud, *of_cloud.compared(own, cloud)]


def _without_url(title: str, cluster: Cluster) -> Check:
    url = setting_of(cluster, "url")
    says = f"{url} is not set: it can be started and stopped, but its pipelines and runs are out of reach."
    return Check(title, "url", "warning", says, f"Set {url}.")


class _OwnApi:
    """Its own API, step by step; each leaves what the next needs."""

    def __init__(self, cluster: Cluster, mage: Mage, store: Store | None) -> None:
        self._cluster, self._mage, self._store = cluster, mage, store
        self._url = setting_of(cluster, "url")
        self._log_in = f"run `{login_command(cluster)}`"
        self._status = Status("", None)
        self._page: PipelinePage | None = None
        self._not_listed: MageError | None = None

    def steps(self, *, simulated: bool) -> list[Step]:
        reached = [] if simulated else reach(self._cluster, self._cluster.url, self._url)
        return [
            *reached,
            Step("mage", self._is_mage, ("tls",)),
            Step("login", self._login, ("mage",)),
            Step("version", self._version, ("login",)),
            Step("pipelines", self._pipelines, ("login",)),
            Step("scheduler", self._scheduler, ("mage",)),
        ]

    async def _is_mage(self) -> Finding:
        try:
            self._status = await self._mage.health.status()
        except MageReplyInvalid as error:
            elsewhere = await self._mage.health.nearby()
            do = f"Check host, port, http or https, and base path of {self._url}."
            if elsewhere:
                do = f"A Mage answers at {elsewhere}: put that into {self._url}."
            return Finding(error.what, "failed", do)
        except MageUnreachable as error:
            return Finding(error.what, "failed", f"Check that Mage is running, and that {self._url} is right.")
        except MageRefused as error:
            return Finding(error.what, "failed", f"Check {self._url}; a Mage tells its status to everybody.")
        return Finding(f"A Mage answers at {self._cluster.url}.")

    async def _login(self) -> Finding:
        """By the first list that needs one. Never a second try: the client makes none for a minute."""
        if self._status.needs_login is False:
            unused = [key for key in ("token", "password") if getattr(self._cluster, key)]
            told = f"; {how_to_set(self._cluster, *unused)} is not used" if unused else ""
            return Finding(f"None needed{told}.")
        try:
            self._page = await self._mage.pipelines.list(limit=1)
        except MageAuthRequired as error:
            return self._refused(error)
        except MageRefused as error:  # let in, and then refused this list
            self._not_listed = error
        return await self._logged_in()

    async def _logged_in(self) -> Finding:
        cluster = self._cluster
        if cluster.token is not None:
            token, ends = setting_of(cluster, "token"), token_ends(cluster.token.get_secret_value())
            if await self._mage.health.uses(cluster.token.get_secret_value()):
                return self._by_token(token, ends)
            with_password = cluster.email and cluster.password
            by = how_to_set(cluster, "email", "password") if with_password else "the login that is kept"
            why = f"ended on {ends:%Y-%m-%d}" if ends and ends < datetime.now(UTC) else "was refused"
            return Finding(f"By {by}: {token} {why}.", "warning", f"Take {token} away.")
        if cluster.email and cluster.password:
            return Finding(f"By {how_to_set(cluster, 'email', 'password')}.")
        if kept := await kept_login(self._store, cluster):
            return self._by_token("the login that is kept", None if kept.renews else kept.ends)
        return Finding("None needed.")

    def _by_token(self, token: str, ends: datetime | None) -> Finding:
        if ends is None:
            return Finding(f"By {token}.")
        says = f"By {token}, which says that it is good until {ends:%Y-%m-%d %H:%M} UTC."
        if ends - datetime.now(UTC) < _SOON:
            return Finding(says, "warning", f"{_begun(self._log_in)} before that.")
        return Finding(says)

    def _refused(self, error: MageAuthRequired) -> Finding:
        cluster = self._cluster
        if "API key" in error.what:
            return Finding(error.what, "failed", f"Correct {setting_of(cluster, 'api_key')}, or leave it unset.")
        says = error.what
        if cluster.email and cluster.password:
            do = f"Correct {how_to_set(cluster, 'email', 'password')}, or take them away and {self._log_in}."
        elif cluster.token is not None:
            ends = token_ends(cluster.token.get_secret_value())
            says += f" {_end_of(ends)}" if ends else ""
            do = f"{_begun(self._log_in)}, or set a fresh {setting_of(cluster, 'token')}."
        else:
            do = f"{_begun(self._log_in)}, or set {how_to_set(cluster, 'email', 'password')}."
        return Finding(says, "failed", do)

    async def _version(self) -> Finding:
        try:
            version = await self._mage.health.version()
        except MageError as error:  # it looks on the package index first, and a role may not be allowed to ask
            return Finding(error.what, "warning")
        return Finding(f"Mage {version}." if version else "Mage does not tell it.")

    async def _pipelines(self) -> Finding:
        if self._not_listed is not None:
            raise self._not_listed
        page = self._page or await self._mage.pipelines.list(limit=1)
        return Finding(f"Listed: {page.total}.")

    async def _scheduler(self) -> Finding:
        if self._status.scheduler == "running":
            return Finding("Running.")
        restart = "`restart_cluster`, or restart Mage" if self._cluster.in_cloud else "Restart Mage"
        return Finding(
            f"It is {one_line(self._status.scheduler, 40)!r}: no run makes progress.",
            "failed",
            f"{restart}. If it stops again, Mage's own log says why (a row in its database that it cannot read?).",
        )


def _end_of(ends: datetime) -> str:
    when = "is good until" if ends > datetime.now(UTC) else "ended at"
    return f"It says that it {when} {ends:%Y-%m-%d %H:%M} UTC."


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]

"""The state of the simulated Mage Cloud: one team, its users and its two clusters, at the time that its clock shows.

Mage documents little of its Cloud. What is not on its page is made up here, and made awkward: see `Switches`.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from mage_mcp.demo.cloud_config import CONFIGS, NAMES
from mage_mcp.demo.planted import CLOUD_API_KEY, PLANTED
from mage_mcp.demo.pro import Pro
from mage_mcp.demo.runs import Timeline
from mage_mcp.demo.times import Clock, after
from mage_mcp.demo.world import World

TEAM = "team-demo"
HOUR = 3600.0
MAGE_LOGIN = ("admin@demo.invalid", PLANTED["mage password"])
"""For the clusters' own APIs, once they ask for a login."""

When = Literal["before_put", "after_put", "after_get"]


@dataclass(frozen=True)
class User:
    email: str
    password: str
    role: Literal["admin", "editor", "viewer"]


USERS = (
    User("admin@demo.invalid", PLANTED["cloud password, admin"], "admin"),
    User("editor@demo.invalid", PLANTED["cloud password, editor"], "editor"),
    User("viewer@demo.invalid", PLANTED["cloud password, viewer"], "viewer"),
)


@dataclass(frozen=True)
class Delays:
    """How long changes take, by the clock."""

    stop_s: float = 20.0
    start_s: float = 60.0
    restart_s: float = 30.0
    """After a change of the config, which the documentation says ends in a restart."""
    api_s: float = 10.0
    """From `Active` until the cluster's own API answers."""


@dataclass(frozen=True)
class Switches:
    """Where Mage's page leaves open what the Cloud does, a test chooses."""

    http_errors: bool = False
    """Errors come with their own HTTP status; else with 200, and only the body tells."""
    text_errors: bool = False
    """`"error"` is a sentence; else an object."""
    echoes: bool = False
    """Errors repeat what was sent, secrets included."""
    lists: bool = True
    """Teams and clusters can be listed."""
    refuses_while_changing: bool = False
    """A cluster that starts or stops takes no other change until it has; else the latest change wins."""
    session_s: float = 12 * HOUR


@dataclass(frozen=True)
class Fault:
    """The gateway fails a request to the Cloud, before or after it had its effect."""

    method: str = "PUT"
    status: int = 504
    applied: bool = True
    delay_s: float = 0.0
    """Real seconds. With `status=200` the answer is only late."""


@dataclass(eq=False)
class CloudCluster:
    """A cluster as the Cloud has it. `world` is what its own API speaks for."""

    cloud: "CloudWorld"
    key: str
    id: str
    name: str
    world: World
    config: Any
    attributes: dict[str, Any]
    """What else the Cloud tells of it."""
    timeline: Timeline = field(default_factory=Timeline)
    api: Timeline = field(default_factory=Timeline)

    @property
    def status(self) -> str:
        return self.timeline.status(self.world.now)

    @property
    def is_up(self) -> bool:
        """Whether its own API answers. Without replicas nothing does, whatever the status says."""
        return self.api.status(self.world.now) == "up" and self.replicas != 0

    @property
    def replicas(self) -> Any:
        return self.config.get("replicaCount", 1) if isinstance(self.config, dict) else 1

    def save(self, config: Any, status: str | None = None) -> None:
        """Store the whole config. What runs restarts by that, unless the status says to stop."""
        self.config = config
        delays, resting = self.cloud.delays, self.status in ("Stopped", "Stopping")
        if status == "Stopped" and not resting:
            self._go(("Stopping", "Stopped"), delays.stop_s, comes_up=False)
        elif status == "Active" and resting:
            self._go(("Starting", "Active"), delays.start_s)
        elif self.status in ("Active", "Restarting") and status != "Stopped":
            self._go(("Restarting", "Active"), delays.restart_s)

    def _go(self, states: tuple[str, str], seconds: float, *, comes_up: bool = True) -> None:
        now, (first, then) = self.world.now, states
        for timeline in (self.timeline, self.api):
            timeline.drop_after(now)
        self.timeline.add(now, first)
        self.timeline.add(after(now, seconds), then)
        self.api.add(now, "down")
        self.world.go_down()
        if comes_up:
            up = after(now, seconds + self.cloud.delays.api_s)
            self.api.add(up, "up")
            self.world.come_up(up)

    def body(self) -> dict[str, Any]:
        head = {"id": self.id, "name": self.name, "status": self.status, "team_id": TEAM}
        return {**head, "config": self.config, **self.attributes}


class CloudWorld:
    """The Cloud and the clusters in it, all on one clock. Tests read and change it directly.

    `login` (email, password) makes the clusters' own APIs ask for it. `prod` has a history of runs, one of them still
    under way; in `staging` nothing has run yet.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        login: tuple[str, str] | None = None,
        delays: Delays | None = None,
        switches: Switches | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.delays, self.switches = delays or Delays(), switches or Switches()
        self.users = {user.email: user for user in USERS}
        self.sessions: dict[str, tuple[User, datetime]] = {}
        """Tokens, whose they are, and when they end."""
        self.api_keys = {CLOUD_API_KEY, PLANTED["cloud key, private"]}
        self.clusters = {key: self._cluster(key, login) for key in CONFIGS}
        self.requests: list[tuple[str, str]] = []
        """Method and path, as sent, of every request to the Cloud and to the clusters' own APIs."""
        self.puts: list[dict[str, Any]] = []
        """Every PUT of a cluster: `cluster`, `user`, `at`, `body` as sent, and `refused` ("" when it was not)."""
        self.faults: list[Fault] = []
        """What is to go wrong next, each of them once."""
        self._hooks: list[tuple[When, str, Callable[[CloudCluster], None]]] = []

    def _cluster(self, key: str, login: tuple[str, str] | None) -> CloudCluster:
        world = World(self.clock, login=login, history=key == "prod")
        world.pro = Pro() if key == "prod" else None
        attributes = {
            "created_at": "2026-01-15 09:00:00.000000",
            "region": "eu-central-1",
            "type": "kubernetes",
            "agent": {"version": "3.2", "token": PLANTED["cloud agent token"]},
        }
        cluster = CloudCluster(self, key, f"cl-{key}", NAMES[key], world, CONFIGS[key](), attributes)
        cluster.timeline.add(self.now, "Active")
        cluster.api.add(self.now, "up")
        return cluster

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def cluster_of(self, id_: str) -> CloudCluster | None:
        return next((cluster for cluster in self.clusters.values() if cluster.id == id_), None)

    def log_in(self, email: object, password: object) -> str | None:
        """A token, unless the credentials are wrong."""
        user = self.users.get(email) if isinstance(email, str) else None
        if user is None or user.password != password:
            return None
        number = len(self.sessions) + 1
        token = f"cloud-{number}-{hashlib.sha256(f'cloud session {number}'.encode()).hexdigest()[:32]}"
        self.sessions[token] = (user, after(self.now, self.switches.session_s))
        return token

    def expire_sessions(self) -> None:
        """Make every token given out so far an expired one."""
        self.sessions = {token: (user, self.now) for token, (user, _) in self.sessions.items()}

    def ask_for_login(self, login: tuple[str, str] | None = MAGE_LOGIN) -> None:
        """Make the clusters' own APIs ask for a login, or for none."""
        for cluster in self.clusters.values():
            cluster.world.login = login

    def before_next_put(self, act: Callable[[CloudCluster], None], cluster: str = "") -> None:
        """Let somebody else act when the next PUT has come but is not yet stored, which then overwrites their change.

        With `cluster` (`prod`, `staging`), the next PUT of that one. Several are done one a request, in order.
        """
        self.hook("before_put", act, cluster)

    def after_next_put(self, act: Callable[[CloudCluster], None], cluster: str = "") -> None:
        """Let somebody else act right after the next PUT, whose answer does not show it yet."""
        self.hook("after_put", act, cluster)

    def after_next_get(self, act: Callable[[CloudCluster], None], cluster: str = "") -> None:
        """Let somebody else act right after the next GET of a cluster, whose answer does not show it yet."""
        self.hook("after_get", act, cluster)

    def hook(self, when: When, act: Callable[[CloudCluster], None], cluster: str = "") -> None:
        self._hooks.append((when, cluster, act))

    def reach(self, when: When, cluster: CloudCluster) -> None:
        """Do what was scheduled for this moment, if anything was."""
        for hook in self._hooks:
            if hook[0] == when and hook[1] in ("", cluster.key):
                self._hooks.remove(hook)
                hook[2](cluster)
                return

    def take_fault(self, method: str) -> Fault | None:
        fault = next((fault for fault in self.faults if fault.method == method), None)
        if fault is not None:
            self.faults.remove(fault)
        return fault

    def secrets(self) -> Mapping[str, str]:
        """All that must never be shown: what was planted, and the tokens that came to be since."""
        found = dict(PLANTED)
        found |= {f"cloud session {number}": token for number, token in enumerate(self.sessions, start=1)}
        for key, cluster in self.clusters.items():
            triggers = cluster.world.triggers.values()
            found |= {f"{key} session {number}": token for number, token in enumerate(cluster.world.sessions, start=1)}
            found |= {f"{key} trigger token {trigger.id}": trigger.token for trigger in triggers}
        return found

"""What the store keeps, and under which names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mage_mcp.settings import Cluster

SECRET_PREFIX = "MAGE_MCP_SECRET_"  # noqa: S105 - how their names begin
_LOGIN, _SECRET = "login", "secret"
_END_OF_TIME = 10**12


@dataclass(frozen=True)
class KeptLogin:
    """A session's token, with its end where that is known (seconds since 1970), and only if asked for the password.

    `ours` says that the session was opened to be kept here: then it may be ended when it is forgotten. One that was
    pasted may be the one of the person's browser.
    """

    token: str = field(default="", repr=False)
    expires: float | None = None
    email: str = ""
    password: str = field(default="", repr=False)
    ours: bool = False

    @property
    def can_renew(self) -> bool:
        return bool(self.email and self.password)

    def told(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {key: value for key, value in vars(self).items() if value not in ("", None)}


def is_time(value: Any) -> bool:
    """Whether it is a number of seconds: neither NaN nor one that no float holds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _END_OF_TIME


def login_from(told: Mapping[str, Any]) -> KeptLogin:
    """The login that was kept as this. What another version wrote differently counts as not kept."""
    expires: Any = told.get("expires")
    texts = {key: value for key in ("token", "email", "password") if isinstance(value := told.get(key), str)}
    return KeptLogin(expires=float(expires) if is_time(expires) else None, ours=told.get("ours") is True, **texts)


def cluster_key(cluster: Cluster) -> str:
    """One name for each cluster at its URL: whoever has another URL, or is called otherwise, gets no token of it."""
    return f"{_LOGIN} {cluster.name} {cluster.url}"


def cloud_key(cluster: Cluster) -> str:
    """All clusters of one Mage Cloud have one login there."""
    return f"{_LOGIN} to Mage Cloud {cluster.cloud_url.rstrip('/')}"


def secret_key(name: str) -> str:
    return f"{_SECRET} {name}"


def secret_of(key: str) -> str:
    """The secret's name; empty where the key is of something else."""
    kind, _, name = key.partition(" ")
    return name if kind == _SECRET else ""

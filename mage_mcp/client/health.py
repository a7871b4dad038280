"""What a check-up asks of a cluster's own API: each thing by itself, and reads only."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mage_mcp.client.auth import raw_token
from mage_mcp.client.paths import api
from mage_mcp.client.replies import rows
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageError, MageReplyInvalid
from mage_mcp.settings import Cluster
from mage_mcp.text import one_line

if TYPE_CHECKING:
    import httpx

_MOST_PARENTS = 3


@dataclass(frozen=True)
class Status:
    """What Mage tells without a login. `needs_login` is None where it does not say."""

    scheduler: str
    needs_login: bool | None


class Health:
    """A check-up of one cluster."""

    def __init__(self, transport: Transport, *, wire: "httpx.AsyncBaseTransport | None") -> None:
        self._transport = transport
        self._wire = wire

    async def status(self) -> Status:
        """Whether it is a Mage, asked without a login, so that a wrong password is not in the way.

        Raises MageError; MageReplyInvalid where something else answers. Source: Mage StatusResource.
        """
        return await self._status_at(self._transport.cluster.url)

    async def nearby(self) -> str:
        """A shorter URL at which a Mage does answer; empty where there is none."""
        url = urlsplit(self._transport.cluster.url)
        parts = [part for part in url.path.split("/") if part]
        for kept in [*reversed(range(len(parts)))][:_MOST_PARENTS]:
            shorter = f"{url.scheme}://{url.netloc}/{'/'.join(parts[:kept])}".rstrip("/")
            try:
                await self._status_at(shorter)
            except MageError:
                continue
            return shorter
        return ""

    async def version(self) -> str:
        """Mage's version; empty where it does not say.

        Raises MageError. Source: Mage ProjectResource.
        """
        projects = rows(await self._transport.read(api("projects")), "projects")
        return one_line(str(projects[0].get("version") or ""), 40) if projects else ""

    async def uses(self, token: str) -> bool:
        """Whether requests go with this token, JWT or raw: one that was refused may have been replaced by a login."""
        _, used = await self._transport.session.headers()
        return used == raw_token(token)

    async def _status_at(self, url: str) -> Status:
        nobody: dict[str, object] = {"url": url, "email": "", "password": None, "token": None}
        cluster: Cluster = self._transport.cluster.model_copy(update=nobody)
        transport = Transport(cluster, wire=self._wire, clock=self._transport.clock)
        try:
            statuses = rows(await transport.read(api("status")), "statuses")
        finally:
            await transport.aclose()
        if not statuses or "scheduler_status" not in statuses[0]:
            raise MageReplyInvalid(f"{cluster.label} answers, but not as Mage does.")
        told = statuses[0].get("require_user_authentication")
        return Status(
            scheduler=one_line(str(statuses[0].get("scheduler_status") or "not told"), 40),
            needs_login=told if isinstance(told, bool) else None,
        )

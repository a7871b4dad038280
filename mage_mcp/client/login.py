"""Sessions that are opened to be kept, and ended again: for the command line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

import anyio
from pydantic import SecretStr

from mage_mcp.client.auth import Opened, Session, ends_at
from mage_mcp.client.clusters.cloud import cloud_api
from mage_mcp.client.clusters.session import Login, is_cookie
from mage_mcp.client.clusters.settings import require_place
from mage_mcp.client.paths import api
from mage_mcp.client.peer import Peer, own_api
from mage_mcp.client.replies import StaleSession
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageForbidden, MageInvalid, MageNotFound
from mage_mcp.settings import Cluster
from mage_mcp.text import remember_secret

if TYPE_CHECKING:
    import httpx


async def open_session(
    cluster: Cluster, email: str, password: str, *, cloud: bool = False, wire: "httpx.AsyncBaseTransport | None" = None
) -> Opened | None:
    """Log in to the cluster's own API, or to Mage Cloud; None where the cluster says that it needs no login.

    Raises MageAuthRequired where the email or the password is refused, and other MageErrors.
    """
    remember_secret(password)
    async with _transport(cluster, "", cloud=cloud, wire=wire) as transport:
        return await transport.session.open(email, password)


async def try_token(
    cluster: Cluster, token: str, *, cloud: bool = False, wire: "httpx.AsyncBaseTransport | None" = None
) -> Opened | None:
    """The same with a ready token (a JWT, or the raw one inside), which one read is made with: of the Cloud only where
    a cluster of it is configured.

    Raises MageAuthRequired where it is refused, MageInvalid where it cannot be one, and other MageErrors.
    """
    remember_secret(token)
    if not is_cookie(token):
        raise MageInvalid("That is no token: it holds characters that none has.", next_step="Copy it again, whole.")
    async with _transport(cluster, token, cloud=cloud, wire=wire) as transport:
        if isinstance(transport.session, Session) and await transport.session.needs_no_login():
            return None
        with suppress(MageForbidden, MageNotFound):  # whose it is is known; what they may see is another matter
            if not cloud:
                await transport.read(api("pipeline_schedules"), _limit=1)
            elif cluster.in_cloud:
                team, cluster_id = require_place(cluster)
                await transport.read(f"teams/{team}/clusters/{cluster_id}")
    return Opened(token, ends_at(token))


async def end_session(cluster: Cluster, token: str, *, wire: "httpx.AsyncBaseTransport | None" = None) -> bool:
    """End a session at the cluster's own Mage; False where it had ended already.

    Raises MageError. That Mage Cloud ends sessions is not documented.
    """
    async with _transport(cluster, token, cloud=False, wire=wire) as transport:
        try:
            await cast("Session", transport.session).end()
        except StaleSession:
            return False
    return True


@asynccontextmanager
async def _transport(
    cluster: Cluster, token: str, *, cloud: bool, wire: "httpx.AsyncBaseTransport | None"
) -> AsyncIterator[Transport]:
    """One with this token and nothing else to log in with, so that nothing else is tried."""
    nothing: dict[str, object] = {"email": "", "password": None, "token": None}
    nothing |= {"cloud_email": "", "cloud_password": None}
    bare: Cluster = cluster.model_copy(update=nothing | ({"token": SecretStr(token)} if token else {}))
    peer: Peer = cloud_api(bare, Login(token=token)) if cloud else own_api(bare)
    transport = Transport(bare, wire=wire, peer=peer)
    try:
        yield transport
    finally:
        with anyio.CancelScope(shield=True):
            await transport.aclose()

"""The login to Mage Cloud: one token, shared by all requests, which travels as a cookie that is never stored."""

import hashlib
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import anyio
from pydantic import SecretStr

from mage_mcp import errors
from mage_mcp.client.auth import PAUSE_AFTER_REFUSAL_S, Exchange, raw_token
from mage_mcp.client.clusters.settings import require_login, settings_of
from mage_mcp.client.deadline import Clock
from mage_mcp.client.replies import StaleSession, root
from mage_mcp.settings import PUBLIC_CLOUD_API_KEY, Cluster
from mage_mcp.text import remember_secret


@dataclass(eq=False)
class Login:
    """What all clusters that log in alike share: one token, one lock, one wrong password."""

    token: str = ""
    refused_at: float | None = None
    lock: anyio.Lock = field(default_factory=anyio.Lock)


_logins: WeakValueDictionary[tuple[str, ...], Login] = WeakValueDictionary()


def login_of(cluster: Cluster, wire: object) -> Login:
    """The login for this Cloud, user and password (over this wire, in tests), shared as long as somebody uses it."""
    secrets = (cluster.cloud_password or SecretStr(""), cluster.cloud_api_key)
    digests = (hashlib.sha256(secret.get_secret_value().encode(errors="replace")).hexdigest() for secret in secrets)
    key = (cluster.cloud_url, cluster.cloud_email, *digests, str(id(wire)) if wire is not None else "")
    return _logins.setdefault(key, Login())


class CloudSession:
    """Logs in at the first need, and again when the Cloud calls the token stale: once, however many find out together.

    Source: Mage Pro API, "Sessions": `POST /sessions`; the token goes into the cookie `oauth_token`.
    """

    def __init__(self, cluster: Cluster, exchange: Exchange, clock: Clock, *, login: Login) -> None:
        self._cluster = cluster
        self._exchange = exchange
        self._clock = clock
        self._login = login

    async def headers(self) -> tuple[dict[str, str], str]:
        """The headers to send, and the token in them.

        Raises MageNotConfigured where there is nothing to log in with, MageAuthRequired where that is refused.
        """
        if not self._login.token:
            require_login(self._cluster)
            async with self._login.lock:
                if not self._login.token:
                    await self._log_in()
        return self._key() | {"Cookie": f"oauth_token={self._login.token}"}, self._login.token

    async def renew(self, stale: str) -> None:
        """Replace the token `stale`, unless another request just did."""
        async with self._login.lock:
            if self._login.token == stale:
                self._login.token = ""
                await self._log_in()

    def _key(self) -> dict[str, str]:
        key = self._cluster.cloud_api_key.get_secret_value()
        if not _is_sendable(key):
            raise errors.MageAuthRequired(
                f"{settings_of(self._cluster, 'cloud_api_key')} holds characters that no such key has.",
                next_step="Copy it again, without line breaks.",
            )
        if key != PUBLIC_CLOUD_API_KEY:
            remember_secret(key)
        return {"X-API-KEY": key, "Content-Type": "application/json"}

    async def _log_in(self) -> None:
        self._respect_refusal()
        password = require_login(self._cluster)
        remember_secret(password)
        credentials = {"email": self._cluster.cloud_email, "password": password}
        try:
            reply = await self._exchange("POST", "sessions", headers=self._key(), body={"session": credentials})
        except StaleSession:
            self._login.refused_at = self._clock.now()
            self._respect_refusal()
        except errors.MageWriteUncertain as error:  # a lost login changed nothing that matters
            raise errors.MageUnreachable("Mage Cloud did not answer the login.", next_step="Try again.") from error
        else:
            token = root(reply, "session").get("token")
            if not isinstance(token, str) or not _is_sendable(token) or not token or set(token) & set(' ;,"'):
                raise errors.MageReplyInvalid(
                    "Mage Cloud answered the login without a usable token.", next_step="Check MAGE_CLOUD_URL."
                )
            remember_secret(token)
            remember_secret(raw_token(token))
            self._login.token = token

    def _respect_refusal(self) -> None:
        if self._login.refused_at is None:
            return
        if self._clock.now() - self._login.refused_at < PAUSE_AFTER_REFUSAL_S:
            raise errors.MageAuthRequired(
                "Mage Cloud refused the email or the password.",
                next_step=(
                    f"Correct {settings_of(self._cluster, 'cloud_email', 'cloud_password')} and restart the server; "
                    "it makes no new try for 60 s."
                ),
            )
        self._login.refused_at = None


def _is_sendable(value: str) -> bool:
    return value.isascii() and value.isprintable()

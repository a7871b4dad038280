"""The login to Mage Cloud: one token, shared by all requests, which travels as a cookie that is never stored."""

import anyio

from mage_mcp import errors
from mage_mcp.client.auth import PAUSE_AFTER_REFUSAL_S, Exchange, raw_token
from mage_mcp.client.clusters.settings import require_login, settings_of
from mage_mcp.client.deadline import Clock
from mage_mcp.client.replies import StaleSession, root
from mage_mcp.settings import PUBLIC_CLOUD_API_KEY, Cluster
from mage_mcp.text import remember_secret


class CloudSession:
    """Logs in at the first need, and again when the Cloud calls the token stale: once, however many find out together.

    Source: Mage Pro API, "Sessions": `POST /sessions`; the token goes into the cookie `oauth_token`.
    """

    def __init__(self, cluster: Cluster, exchange: Exchange, clock: Clock) -> None:
        self._cluster = cluster
        self._exchange = exchange
        self._clock = clock
        self._lock = anyio.Lock()
        self._token = ""
        self._refused_at: float | None = None

    async def headers(self) -> tuple[dict[str, str], str]:
        """The headers to send, and the token in them.

        Raises MageNotConfigured where there is nothing to log in with, MageAuthRequired where that is refused.
        """
        if not self._token:
            require_login(self._cluster)
            async with self._lock:
                if not self._token:
                    await self._log_in()
        return self._key() | {"Cookie": f"oauth_token={self._token}"}, self._token

    async def renew(self, stale: str) -> None:
        """Replace the token `stale`, unless another request just did."""
        async with self._lock:
            if self._token == stale:
                self._token = ""
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
            self._refused_at = self._clock.now()
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
            self._token = token

    def _respect_refusal(self) -> None:
        if self._refused_at is None:
            return
        if self._clock.now() - self._refused_at < PAUSE_AFTER_REFUSAL_S:
            raise errors.MageAuthRequired(
                "Mage Cloud refused the email or the password.",
                next_step=(
                    f"Correct {settings_of(self._cluster, 'cloud_email', 'cloud_password')} and restart the server; "
                    "it makes no new try for 60 s."
                ),
            )
        self._refused_at = None


def _is_sendable(value: str) -> bool:
    return value.isascii() and value.isprintable()

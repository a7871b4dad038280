"""How a request proves who sends it: Mage's API key always, a session's token where the cluster needs a login."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from mage_mcp import errors
from mage_mcp.client.deadline import Clock
from mage_mcp.client.paths import api
from mage_mcp.client.replies import StaleSession, root, rows
from mage_mcp.settings import PUBLIC_API_KEY, Cluster, setting_of
from mage_mcp.text import remember_secret

PAUSE_AFTER_REFUSAL_S = 60.0
"""A login costs Mage a second of bcrypt that blocks the whole server: a wrong password gets one try."""

Exchange = Callable[..., Awaitable[dict[str, Any]]]


class Session:
    """One login, shared by all requests to a cluster.

    With a password it logs in at the first need, unless the cluster says that it needs no login, and again when Mage
    calls the token stale: once, however many requests find out together. A ready token may be the JWT that
    `POST /api/sessions` answers or the raw token inside it; Mage takes only the raw one in a header.
    """

    def __init__(self, cluster: Cluster, exchange: Exchange, clock: Clock) -> None:
        self._cluster = cluster
        self._exchange = exchange
        self._clock = clock
        self._lock = anyio.Lock()
        self._token = raw_token(cluster.token.get_secret_value()) if cluster.token else ""
        remember_secret(self._token)  # the raw token inside a JWT is as good as the JWT
        for secret in (cluster.password, cluster.token, cluster.api_key):
            if secret is not None and secret.get_secret_value() != PUBLIC_API_KEY:
                remember_secret(secret.get_secret_value())
        self._open = False  # the cluster said that it needs no login
        self._refused_at: float | None = None

    async def headers(self) -> tuple[dict[str, str], str]:
        """The headers to send, and the token in them, which `renew` wants back."""
        if not self._token and self._can_log_in and not self._open:
            async with self._lock:
                if not self._token and not self._open:
                    await self._log_in(first=True)
        headers = self._key()
        if self._token:
            headers["OAUTH-TOKEN"] = _sendable(self._token, self._setting("token"))
        return headers, self._token

    async def renew(self, stale: str) -> None:
        """Replace the token `stale`, unless another request just did.

        Raises MageAuthRequired where there is no password to log in with.
        """
        if not self._can_log_in:
            if stale:
                raise self._needs_login(f"{self._cluster.label} does not accept the token: expired or revoked.")
            raise self._needs_login(f"{self._cluster.label} needs a login and none is configured.")
        async with self._lock:
            if self._token == stale:
                self._token, self._open = "", False
                await self._log_in(first=False)

    def _key(self) -> dict[str, str]:
        return {"X-API-KEY": _sendable(self._cluster.api_key.get_secret_value(), self._setting("api_key"))}

    @property
    def _can_log_in(self) -> bool:
        return bool(self._cluster.email and self._cluster.password)

    async def _log_in(self, *, first: bool) -> None:
        self._respect_refusal()
        try:
            if first and await self._needs_no_login():
                self._open = True
                return
            token = await self._fresh_token()
        except errors.MageNotFound:  # a wrong password is a record that is not found
            self._refused_at = self._clock.now()
            self._respect_refusal()
        except errors.MageWriteUncertain as error:  # a lost login changed nothing that matters
            raise errors.MageUnreachable(f"{self._cluster.label} did not answer the login.") from error
        except StaleSession:
            raise self._needs_login(f"{self._cluster.label} refuses the login itself.") from None
        else:
            self._token = token
            remember_secret(token)

    def _needs_login(self, what: str) -> errors.MageAuthRequired:
        email, password, token = map(self._setting, ("email", "password", "token"))
        return errors.MageAuthRequired(
            what, next_step=f"Ask the person to set {email} and {password}, or a fresh {token}."
        )

    def _setting(self, key: str) -> str:
        return setting_of(self._cluster, key)

    async def _fresh_token(self) -> str:
        password = self._cluster.password
        credentials = {"email": self._cluster.email, "password": password.get_secret_value() if password else ""}
        reply = await self._exchange("POST", api("sessions"), headers=self._key(), body={"session": credentials})
        token = root(reply, "session").get("token")
        if not token or not isinstance(token, str):
            raise errors.MageReplyInvalid(f"{self._cluster.label} answered the login without a token.")
        return raw_token(token)

    def _respect_refusal(self) -> None:
        if self._refused_at is None:
            return
        if self._clock.now() - self._refused_at < PAUSE_AFTER_REFUSAL_S:
            raise errors.MageAuthRequired(
                f"{self._cluster.label} refused the email or the password.",
                next_step=(
                    f"Correct {self._setting('email')} and {self._setting('password')} and restart the server; "
                    "it makes no new try for 60 s."
                ),
            )
        self._refused_at = None

    async def _needs_no_login(self) -> bool:
        """Ask the one endpoint that never needs a login; a Mage that does not tell may need one."""
        statuses = rows(await self._exchange("GET", api("status"), headers=self._key()), "statuses")
        return bool(statuses) and statuses[0].get("require_user_authentication") is False


def _sendable(value: str, name: str) -> str:
    """A header's value, or an error: an HTTP library would break on it, with the value in its text."""
    if not value.isascii() or not value.isprintable():
        raise errors.MageAuthRequired(
            f"{name} holds characters that no such key has.", next_step=f"Copy {name} again, without line breaks."
        )
    return value


def raw_token(token: str) -> str:
    """The raw token inside a session's JWT, or the text itself where it is none. The signature is Mage's business."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return token
    return str(claims["token"]) if isinstance(claims, dict) and claims.get("token") else token

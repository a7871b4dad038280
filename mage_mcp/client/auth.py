"""How a request proves who sends it: Mage's API key always, a session's token where the cluster needs a login."""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import anyio

from mage_mcp import errors
from mage_mcp.client.deadline import Clock
from mage_mcp.client.kept import Kept
from mage_mcp.client.paths import api
from mage_mcp.client.records import parse_time
from mage_mcp.client.replies import StaleSession, root, rows
from mage_mcp.credentials import Store, cluster_key
from mage_mcp.settings import PUBLIC_API_KEY, Cluster, login_command, setting_of
from mage_mcp.text import remember_secret

PAUSE_AFTER_REFUSAL_S = 60.0
"""A login costs Mage a second of bcrypt that blocks the whole server: a wrong password gets one try."""

Exchange = Callable[..., Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Opened:
    """A session just opened: its token, and when it ends (seconds since 1970) where that is told."""

    token: str = field(repr=False)
    expires: float | None


class Session:
    """One login, shared by all requests to a cluster.

    With a password it logs in at the first need, unless the cluster says that it needs no login, and again when Mage
    calls the token stale: once, however many requests find out together. Without one it goes without, and when Mage
    refuses that takes what a person left in `store`: a token, else the password. A ready token may be the JWT that
    `POST /api/sessions` answers or the raw token inside it; Mage takes only the raw one in a header.
    """

    def __init__(self, cluster: Cluster, exchange: Exchange, clock: Clock, *, store: Store | None = None) -> None:
        self._cluster = cluster
        self._exchange = exchange
        self._clock = clock
        self._kept = Kept(store, cluster_key(cluster), cluster.email)
        self._lock = anyio.Lock()
        self._token = raw_token(cluster.token.get_secret_value()) if cluster.token else ""
        remember_secret(self._token)  # the raw token inside a JWT is as good as the JWT
        for secret in (cluster.password, cluster.token, cluster.api_key):
            if secret is not None and secret.get_secret_value() != PUBLIC_API_KEY:
                remember_secret(secret.get_secret_value())
        self._is_fresh = False
        self._open = False  # the cluster said that it needs no login
        self._refused = Refusal()

    async def headers(self) -> tuple[dict[str, str], str]:
        """The headers to send, and the token in them, which `renew` wants back."""
        if not self._token and self._can_log_in and not self._open:
            async with self._lock:
                if not self._token and not self._open:
                    await self._log_in(*self._configured, first=True)
        headers = self._key()
        if self._token:
            headers["OAUTH-TOKEN"] = _sendable(self._token, self._setting("token"))
        return headers, self._token

    async def renew(self, stale: str) -> bool:
        """Replace the token `stale`, unless another request just did. Whether the new one is of a login just made, so
        that another would bring nothing if this one is refused too.

        Raises MageAuthRequired where there is nothing to log in with.
        """
        if not self._can_log_in and not self._kept.may_be:
            raise self._nothing_left(stale)
        async with self._lock:
            if self._token == stale:
                if self._can_log_in:
                    self._token, self._open = "", False
                    await self._log_in(*self._configured, first=False)
                else:
                    await self._take_kept(stale)
            return self._is_fresh

    async def open(self, email: str, password: str) -> Opened | None:
        """Log in as this person; None where the cluster says that it needs no login.

        Raises MageAuthRequired where that is refused, and other MageErrors. Source: Mage SessionResource.create.
        """
        async with self._lock:
            return await self._log_in(email, password, first=True)

    async def end(self) -> None:
        """End the session of the token, for everybody who uses it.

        Raises StaleSession where it has ended already, MageError. Source: Mage SessionResource.update.
        """
        headers, _ = await self.headers()
        await self._exchange("PUT", api("sessions", "x"), headers=headers, body={"session": {}})
        self._token = ""

    def _key(self) -> dict[str, str]:
        return {"X-API-KEY": _sendable(self._cluster.api_key.get_secret_value(), self._setting("api_key"))}

    @property
    def _can_log_in(self) -> bool:
        return bool(self._cluster.email and self._cluster.password)

    @property
    def _configured(self) -> tuple[str, str]:
        password = self._cluster.password
        return self._cluster.email, password.get_secret_value() if password else ""

    async def _take_kept(self, stale: str) -> None:
        """The token that is kept, if it is another one; else the password, whose new token is kept in turn."""
        kept = await self._kept.read()
        token = raw_token(kept.token) if kept else ""
        if token != stale and _is_sendable(token):
            remember_secret(token)
            self._token, self._is_fresh = token, False
            return
        if not kept or not kept.can_renew:
            raise self._nothing_left(stale)
        opened = await self._log_in(kept.email, kept.password, first=False)
        if opened:
            await self._kept.renew(kept, replace(kept, token=opened.token, expires=opened.expires, ours=True))

    async def _log_in(self, email: str, password: str, *, first: bool) -> Opened | None:
        if self._refused.holds(email, password, self._clock.now()):
            raise self._wrong()
        try:
            if first and await self.needs_no_login():
                self._open = True
                return None
            opened = await self._opened(email, password)
        except errors.MageNotFound:  # a wrong password is a record that is not found
            self._refused = Refusal.of(email, password, self._clock.now())
            raise self._wrong() from None
        except errors.MageWriteUncertain as error:  # a lost login changed nothing that matters
            raise errors.MageUnreachable(f"{self._cluster.label} did not answer the login.") from error
        except StaleSession:
            raise self._needs_login(f"{self._cluster.label} refuses the login itself.") from None
        self._token, self._is_fresh = raw_token(opened.token), True
        remember_secret(opened.token)
        remember_secret(self._token)
        return opened

    async def _opened(self, email: str, password: str) -> Opened:
        body = {"session": {"email": email, "password": password}}
        session = root(await self._exchange("POST", api("sessions"), headers=self._key(), body=body), "session")
        token = session.get("token")
        if not token or not isinstance(token, str):
            raise errors.MageReplyInvalid(f"{self._cluster.label} answered the login without a token.")
        return Opened(token, ends_at(token, session.get("expires")))

    def _nothing_left(self, stale: str) -> errors.MageAuthRequired:
        label = self._cluster.label
        if stale:
            return self._needs_login(f"{label} does not accept the token (expired or revoked).")
        return self._needs_login(f"{label} needs a login and none is {self._nowhere}.")

    @property
    def _nowhere(self) -> str:
        return "configured or kept" if self._kept.may_be else "configured"

    def _needs_login(self, what: str) -> errors.MageAuthRequired:
        email, password, token = map(self._setting, ("email", "password", "token"))
        settings = f"set {email} and {password}, or a fresh {token}"
        if not self._kept.may_be:
            return errors.MageAuthRequired(what, next_step=f"Ask the person to {settings}.")
        command = login_command(self._cluster)
        return errors.MageAuthRequired(
            f"{what} {self._kept.problem}".strip(),
            next_step=f"Ask the person to run `{command}` in a terminal, then call again; or to {settings}.",
        )

    def _setting(self, key: str) -> str:
        return setting_of(self._cluster, key)

    def _wrong(self) -> errors.MageAuthRequired:
        if self._can_log_in or not self._kept.may_be:
            do = f"Correct {self._setting('email')} and {self._setting('password')} and restart the server"
        else:
            do = f"Ask the person to run `{login_command(self._cluster)}` in a terminal"
        return errors.MageAuthRequired(
            f"{self._cluster.label} refused the email or the password.",
            next_step=f"{do}; it makes no new try for 60 s.",
        )

    async def needs_no_login(self) -> bool:
        """Ask the one endpoint that never needs a login; a Mage that does not tell may need one."""
        statuses = rows(await self._exchange("GET", api("status"), headers=self._key()), "statuses")
        return bool(statuses) and statuses[0].get("require_user_authentication") is False


@dataclass(frozen=True)
class Refusal:
    """An email and a password that were refused, as a digest, and when."""

    digest: bytes = b""
    at: float = 0.0

    @classmethod
    def of(cls, email: str, password: str, now: float) -> "Refusal":
        return cls(_digest(email, password), now)

    def holds(self, email: str, password: str, now: float) -> bool:
        """Whether these very ones have to wait. Others, which a person may have corrected meanwhile, have not."""
        return self.digest == _digest(email, password) and now - self.at < PAUSE_AFTER_REFUSAL_S


def _digest(email: str, password: str) -> bytes:
    return hashlib.sha256(f"{email}\0{password}".encode(errors="replace")).digest()


def _sendable(value: str, name: str) -> str:
    """A header's value, or an error: an HTTP library would break on it, with the value in its text."""
    if value and not _is_sendable(value):
        raise errors.MageAuthRequired(
            f"{name} holds characters that no such key has.", next_step=f"Copy {name} again, without line breaks."
        )
    return value


def _is_sendable(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable()


def raw_token(token: str) -> str:
    """The raw token inside a session's JWT, or the text itself where it is none. The signature is Mage's business."""
    return str(_claims(token).get("token") or token)


def token_ends(token: str) -> datetime | None:
    """When a session's JWT says that it ends; None where it does not say, as a raw one cannot."""
    told = _claims(token).get("expires")
    if not isinstance(told, int | float) or isinstance(told, bool):
        return None
    try:
        return datetime.fromtimestamp(told, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def ends_at(token: str, told: object = None) -> float | None:
    """When a session ends, in seconds since 1970: as its JWT says, else as the answer to the login told."""
    ends = token_ends(token) or parse_time(told)
    return ends.timestamp() if ends else None


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}

"""The login to Mage Cloud: one token, shared by all requests, which travels as a cookie that is never stored."""

import hashlib
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

import anyio
from pydantic import SecretStr

from mage_mcp import errors
from mage_mcp.client.auth import Exchange, Opened, Refusal, ends_at, raw_token
from mage_mcp.client.clusters.settings import has_login, not_configured, settings_of
from mage_mcp.client.deadline import Clock
from mage_mcp.client.kept import Kept
from mage_mcp.client.replies import StaleSession, root
from mage_mcp.credentials import Store, cloud_key
from mage_mcp.settings import PUBLIC_CLOUD_API_KEY, Cluster, login_command
from mage_mcp.text import remember_secret


@dataclass(eq=False)
class Login:
    """What all clusters that log in alike share: one token, one lock, one wrong password."""

    token: str = ""
    is_fresh: bool = False
    refused: Refusal = field(default_factory=Refusal)
    lock: anyio.Lock = field(default_factory=anyio.Lock)


_logins: WeakValueDictionary[tuple[str, ...], Login] = WeakValueDictionary()


def login_of(cluster: Cluster, wire: object, store: Store | None = None) -> Login:
    """The login for this Cloud, user and password (over this wire and with this store, in tests), shared as long as
    somebody uses it.
    """
    secrets = (cluster.cloud_password or SecretStr(""), cluster.cloud_api_key)
    digests = (hashlib.sha256(secret.get_secret_value().encode(errors="replace")).hexdigest() for secret in secrets)
    places = ("" if one is None else str(id(one)) for one in (wire, store))
    return _logins.setdefault((cluster.cloud_url, cluster.cloud_email, *digests, *places), Login())


class CloudSession:
    """Logs in at the first need, and again when the Cloud calls the token stale: once, however many find out together.

    Without a configured password it takes what a person left in `store`: a token, else the password.
    Source: Mage Pro API, "Sessions": `POST /sessions`; the token goes into the cookie `oauth_token`.
    """

    def __init__(
        self, cluster: Cluster, exchange: Exchange, clock: Clock, *, login: Login, store: Store | None = None
    ) -> None:
        self._cluster = cluster
        self._exchange = exchange
        self._clock = clock
        self._login = login
        self._kept = Kept(store, cloud_key(cluster), cluster.cloud_email)

    async def headers(self) -> tuple[dict[str, str], str]:
        """The headers to send, and the token in them.

        Raises MageNotConfigured where there is nothing to log in with, MageAuthRequired where that is refused.
        """
        if not self._login.token:
            async with self._login.lock:
                if not self._login.token:
                    await self._open_anew("")
        return self._key() | {"Cookie": f"oauth_token={self._login.token}"}, self._login.token

    async def renew(self, stale: str) -> bool:
        """Replace the token `stale`, unless another request just did. Whether the new one is of a login just made."""
        async with self._login.lock:
            if self._login.token == stale:
                await self._open_anew(stale)
            return self._login.is_fresh

    async def open(self, email: str, password: str) -> Opened:
        """Log in as this person.

        Raises MageAuthRequired where that is refused, and other MageErrors.
        """
        async with self._login.lock:
            return await self._log_in(email, password)

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

    async def _open_anew(self, stale: str) -> None:
        """With the configured password; else with the kept token, if it is another one; else with the kept password."""
        password = self._cluster.cloud_password
        if has_login(self._cluster) and password is not None:
            self._login.token = ""
            await self._log_in(self._cluster.cloud_email, password.get_secret_value())
            return
        kept = await self._kept.read()
        if kept and kept.token != stale and is_cookie(kept.token):
            self._take(kept.token, is_fresh=False)
        elif kept and kept.can_renew:
            opened = await self._log_in(kept.email, kept.password)
            await self._kept.renew(kept, replace(kept, token=opened.token, expires=opened.expires, ours=True))
        else:
            raise self._nothing_left(stale)

    def _nothing_left(self, stale: str) -> errors.MageError:
        if not stale:
            return not_configured(self._cluster, may_be_kept=self._kept.may_be, problem=self._kept.problem)
        return errors.MageAuthRequired(
            f"Mage Cloud does not accept the token (expired or revoked). {self._kept.problem}".strip(),
            next_step=f"Ask the person to run `{self._command}` in a terminal, then call again.",
        )

    @property
    def _command(self) -> str:
        return login_command(self._cluster, cloud=True)

    async def _log_in(self, email: str, password: str) -> Opened:
        if self._login.refused.holds(email, password, self._clock.now()):
            raise self._wrong()
        remember_secret(password)
        body = {"session": {"email": email, "password": password}}
        try:
            reply = await self._exchange("POST", "sessions", headers=self._key(), body=body)
        except StaleSession:
            self._login.refused = Refusal.of(email, password, self._clock.now())
            raise self._wrong() from None
        except errors.MageWriteUncertain as error:  # a lost login changed nothing that matters
            raise errors.MageUnreachable("Mage Cloud did not answer the login.", next_step="Try again.") from error
        session = root(reply, "session")
        token = session.get("token")
        if not isinstance(token, str) or not is_cookie(token):
            raise errors.MageReplyInvalid(
                "Mage Cloud answered the login without a usable token.", next_step="Check MAGE_CLOUD_URL."
            )
        self._take(token, is_fresh=True)
        return Opened(token, ends_at(token, session.get("expires")))

    def _take(self, token: str, *, is_fresh: bool) -> None:
        remember_secret(token)
        remember_secret(raw_token(token))
        self._login.token, self._login.is_fresh = token, is_fresh

    def _wrong(self) -> errors.MageAuthRequired:
        if has_login(self._cluster) or not self._kept.may_be:
            settings = settings_of(self._cluster, "cloud_email", "cloud_password")
            do = f"Correct {settings} and restart the server"
        else:
            do = f"Ask the person to run `{self._command}` in a terminal"
        return errors.MageAuthRequired(
            "Mage Cloud refused the email or the password.", next_step=f"{do}; it makes no new try for 60 s."
        )


def is_cookie(token: str) -> bool:
    """Whether it can travel as the value of a cookie."""
    return bool(token) and _is_sendable(token) and not set(token) & set(' ;,"')


def _is_sendable(value: str) -> bool:
    return value.isascii() and value.isprintable()

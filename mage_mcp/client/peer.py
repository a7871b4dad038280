"""What differs between the two APIs that a transport may speak to: a cluster's own, and Mage Cloud's."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Protocol

from mage_mcp import errors
from mage_mcp.client.auth import Exchange, Opened, Session
from mage_mcp.client.deadline import Clock
from mage_mcp.client.replies import read_reply
from mage_mcp.credentials import Store
from mage_mcp.settings import DEFAULT_CLUSTER, Cluster, setting_of
from mage_mcp.text import one_line, remember_secret

if TYPE_CHECKING:
    import ssl

    import httpx

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


class Auth(Protocol):
    """One login, shared by all requests."""

    async def headers(self) -> tuple[dict[str, str], str]:
        """The headers to send, and the token in them, which `renew` wants back."""

    async def renew(self, stale: str) -> bool:
        """Replace the token `stale`, unless another request just did. Whether the new one is of a login just made."""

    async def open(self, email: str, password: str) -> Opened | None:
        """Log in as this person, for a session that is to be kept; None where none is needed."""


class Reader(Protocol):
    """Turns one HTTP answer into a JSON object, or raises; `sent` is what a refusal might repeat."""

    def __call__(self, status: int, body: bytes, *, what: str, label: str, sent: Any) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Peer:
    """Whom a transport speaks to. `missing` is the error where `url` is empty, `setting` the name of that setting.

    `if_silent` and `if_refused` are what to do where it does not answer, and where it refuses a fresh session.
    """

    url: str
    label: str
    setting: str
    missing: errors.MageNotConfigured
    session: Callable[[Cluster, Exchange, Clock], Auth]
    read: Reader
    if_silent: str = ""
    if_refused: str = ""


def own_api(cluster: Cluster, store: Store | None = None) -> Peer:
    """The cluster's own API; `store` is where a person may have left a login."""
    url = setting_of(cluster, "url")
    missing = errors.MageNotConfigured(f"{cluster.label} has no URL.", next_step=f"Set {url} in the config file.")
    if cluster.name == DEFAULT_CLUSTER:
        missing = errors.MageNotConfigured("No Mage server is configured.")
    silent = f"Check that Mage is running and that {url} is right, then try again."
    if cluster.in_cloud:
        silent = f"get_cluster says whether it is stopped, and start_cluster starts it; else check {url}."
    return Peer(cluster.url, cluster.label, url, missing, partial(Session, store=store), _read, if_silent=silent)


def _read(status: int, body: bytes, *, what: str, label: str, sent: Any) -> dict[str, Any]:  # noqa: ARG001
    return read_reply(status, body, what=what, label=label)


def open_http(
    cluster: Cluster, peer: Peer, wire: "httpx.AsyncBaseTransport | None", *, timeout: "httpx.Timeout", at_once: int
) -> "httpx.AsyncClient":
    """The connection pool: cookies are never stored, redirects never followed.

    Raises MageNotConfigured where the URL, the CA bundle or an extra header cannot be used.
    """
    import httpx  # 60 ms and an SSL context, not before the first call

    try:
        _ = httpx.URL(peer.url).host  # decodes an international name, which would fail at the first request
        return httpx.AsyncClient(
            base_url=peer.url,
            transport=wire,
            timeout=timeout,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            headers=_extra_headers(cluster) | {"Accept": "application/json"},
            verify=_verify(cluster),
        )
    except (httpx.InvalidURL, UnicodeError):
        raise errors.MageNotConfigured(f"{peer.setting} is not a URL of a Mage server.") from None


def _verify(cluster: Cluster) -> Any:
    if not cluster.ca_bundle:
        return True
    import ssl

    try:
        return ssl.create_default_context(cafile=cluster.ca_bundle)
    except OSError as error:  # no such file, and no certificates in it
        raise errors.MageNotConfigured(
            f"{setting_of(cluster, 'ca_bundle')} cannot be used ({type(error).__name__}).",
            next_step="It names a readable file with the authorities' certificates in PEM form.",
        ) from None


def tls_context(cluster: Cluster) -> "ssl.SSLContext":
    """What a pool of `open_http` trusts.

    Raises MageNotConfigured where the CA bundle cannot be used.
    """
    import httpx

    return httpx.create_ssl_context(_verify(cluster))


def _extra_headers(cluster: Cluster) -> dict[str, str]:
    """What a proxy in front of Mage asks for. An HTTP library would break on a bad one with the value in its text."""
    headers = {}
    for name, secret in cluster.headers.items():
        value = secret.get_secret_value()
        remember_secret(value)
        if not _HEADER_NAME.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise errors.MageNotConfigured(
                f"The extra header {one_line(name, 40)!r} of {cluster.label} holds characters that no header has.",
                next_step="Copy it again, without line breaks.",
            )
        headers[name] = value
    return headers

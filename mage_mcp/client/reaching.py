"""How far a connection to a server gets, step by step: its name, its port, TLS. For a check-up; no request is sent."""

import socket
import ssl
import threading
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.streams.tls import TLSAttribute, TLSStream

from mage_mcp.client.peer import tls_context
from mage_mcp.errors import MageUnreachable
from mage_mcp.settings import Cluster, setting_of
from mage_mcp.text import one_line

_SELF_SIGNED, _EXPIRED, _NOT_YET, _OTHER_NAME = {18, 19}, {10}, {9}, {62, 64}
_UNKNOWN_ISSUER = {2, 20, 21, 27}
"""OpenSSL's numbers of what is wrong with a certificate (X509_V_ERR_…)."""


@dataclass(frozen=True)
class Place:
    """Where a URL leads. `setting` is what a person corrects where it leads nowhere."""

    host: str
    port: int
    is_tls: bool
    setting: str

    @classmethod
    def of(cls, url: str, setting: str) -> "Place":
        """Raises MageUnreachable where the URL holds no host."""
        import httpx  # reads an international name as the requests will

        try:
            parsed = httpx.URL(url)
            host = parsed.raw_host.decode()
        except (httpx.InvalidURL, UnicodeError):
            host = ""
        if not host:
            raise MageUnreachable(f"{setting} has no host that could be asked for.", next_step="Correct it.")
        is_tls = parsed.scheme == "https"
        return cls(host, parsed.port or (443 if is_tls else 80), is_tls, setting)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Certificate:
    """What a server showed and the trusted authorities vouch for."""

    names: tuple[str, ...]
    issuer: str
    ends: datetime


def proxy_of(place: Place) -> str:
    """The variable that names the proxy which requests to that place take; empty where they go straight."""
    if urllib.request.proxy_bypass(place.host):
        return ""
    proxies = urllib.request.getproxies()
    kind = next((kind for kind in ("https" if place.is_tls else "http", "all") if proxies.get(kind)), "")
    return f"{kind.upper()}_PROXY" if kind else ""


async def addresses(place: Place) -> list[str]:
    """What DNS knows for the name.

    Raises MageUnreachable. May be cancelled: a resolver that hangs keeps neither us nor the process's end waiting.
    """
    done, answer = anyio.Event(), _Answer()
    token = anyio.lowlevel.current_token()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
            answer.found = list(dict.fromkeys(str(address[4][0]) for address in found))
        except (OSError, UnicodeError) as error:
            answer.error = error
        with suppress(RuntimeError):  # nobody waits any more
            anyio.from_thread.run_sync(done.set, token=token)

    threading.Thread(target=ask, daemon=True, name="DNS").start()
    await done.wait()
    if answer.error is None:
        return answer.found
    if isinstance(answer.error, socket.gaierror) and answer.error.errno == socket.EAI_AGAIN:
        raise MageUnreachable(f"DNS does not answer for {place.host}.", next_step="Check this machine's network.")
    raise MageUnreachable(
        f"DNS knows no {place.host}.",
        next_step=f"Check the spelling in {place.setting}, and that this machine is in its network or VPN.",
    )


@dataclass
class _Answer:
    found: list[str] = field(default_factory=list)
    error: Exception | None = None


async def knock(place: Place) -> None:
    """Open a connection and close it.

    Raises MageUnreachable.
    """
    try:
        stream = await anyio.connect_tcp(place.host, place.port)
    except OSError as error:
        raise _not_connected(place, error) from None
    await stream.aclose()


async def certificate(place: Place, cluster: Cluster) -> Certificate:
    """Shake hands as the requests will, trusting the same authorities.

    Raises MageUnreachable with what is wrong with the certificate, MageNotConfigured for a CA bundle that is none.
    """
    context = tls_context(cluster)
    try:
        stream = await anyio.connect_tcp(place.host, place.port)
    except OSError as error:
        raise _not_connected(place, error) from None
    try:
        secure = await TLSStream.wrap(stream, hostname=place.host, ssl_context=context, standard_compatible=False)
        shown: Any = secure.extra(TLSAttribute.peer_certificate)  # noqa: S610 - no SQL
    except ssl.SSLCertVerificationError as error:
        raise _not_trusted(place, cluster, error) from None
    except ssl.SSLError as error:
        raise MageUnreachable(
            f"{place} does not speak TLS ({one_line(str(error.reason or 'no handshake'), 60)}).",
            next_step=f"Where it is plain http, write http:// in {place.setting}.",
        ) from None
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream):
        raise MageUnreachable(
            f"{place} broke off the TLS handshake.",
            next_step=f"Check port and scheme in {place.setting}, and what stands between.",
        ) from None
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(stream)
    return _read(shown or {})


def _not_connected(place: Place, error: OSError) -> MageUnreachable:
    cause = error.__cause__ if isinstance(error.__cause__, OSError | BaseExceptionGroup) else error
    causes = cause.exceptions if isinstance(cause, BaseExceptionGroup) else (cause,)
    if any(isinstance(each, ConnectionRefusedError) for each in causes):
        return MageUnreachable(
            f"Nothing listens on {place}.", next_step=f"Start Mage there (`mage start`), or correct {place.setting}."
        )
    return MageUnreachable(
        f"{place} cannot be connected to ({type(causes[0]).__name__}).",
        next_step="Check that the machine is up, and firewall and VPN between here and there.",
    )


def _not_trusted(place: Place, cluster: Cluster, error: ssl.SSLCertVerificationError) -> MageUnreachable:
    code = error.verify_code
    if code in _SELF_SIGNED or code in _UNKNOWN_ISSUER:
        kind = "is self-signed, or its authority is" if code in _SELF_SIGNED else "is of an authority that is"
        return MageUnreachable(
            f"The certificate of {place} {kind} not known here.",
            next_step=f"Name a file with that authority's certificate (PEM) in {setting_of(cluster, 'ca_bundle')}.",
        )
    if code in _EXPIRED or code in _NOT_YET:
        when = "has expired" if code in _EXPIRED else "is not valid yet"
        return MageUnreachable(
            f"The certificate of {place} {when}.",
            next_step="Have it renewed; if it is fresh, check this machine's clock.",
        )
    if code in _OTHER_NAME:
        return MageUnreachable(
            f"The certificate of {place} is for another name.",
            next_step=f"Use a name that it is for in {place.setting}, or have a certificate made for this one.",
        )
    return MageUnreachable(
        f"The certificate of {place} is refused: {one_line(error.verify_message, 100)}.",
        next_step="Show this to who runs the server.",
    )


def _read(shown: dict[str, Any]) -> Certificate:
    names = tuple(one_line(str(value), 80) for _, value in shown.get("subjectAltName", ()))
    issuer = {key: value for part in shown.get("issuer", ()) for key, value in part}
    return Certificate(
        names=names,
        issuer=one_line(str(issuer.get("organizationName") or issuer.get("commonName") or "unknown"), 60),
        ends=datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC),
    )

"""Under which names the server may be spoken to: a web page that has its name point here bears another one."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from mcp.server.transport_security import TransportSecuritySettings

from mage_mcp.errors import MageNotConfigured

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?P<port>:\d{1,5})?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@*]+")


def is_loopback(host: str) -> bool:
    """Whether an address to bind is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def allowed(host: str, names: Iterable[str], origins: Iterable[str]) -> TransportSecuritySettings:
    """The SDK's checks of Host and Origin for a server bound to `host`: both on, whatever the address.

    `names` and `origins` come on top of the address' own. Raises MageNotConfigured for one that is none, and where
    others can reach the server and it was not said under which name.
    """
    hosts = [checked_host(name) for name in names]
    if not hosts and not is_loopback(host):
        raise MageNotConfigured(
            f"On {host} others can reach the server, but not under which name.",
            next_step="Add --allowed-host NAME, the name in your clients' URL.",
        )
    own = [*_own_names(host)]
    with_ports = [name if _has_port(name) else f"{name}:*" for name in (*own, *hosts)]
    local = [f"http://{name}{port}" for name in own if is_loopback(host) for port in ("", ":*")]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[*own, *hosts, *with_ports],
        allowed_origins=[*local, *map(checked_origin, origins)],
    )


def checked_host(name: str) -> str:
    """A name as the Host header has it: lower case, an IPv6 address in brackets, with a port or without."""
    plain = name.strip().lower()
    with suppress(ValueError):
        plain = f"[{ipaddress.IPv6Address(plain)}]"
    if not _HOST.fullmatch(plain):
        raise MageNotConfigured(
            f"--allowed-host {name!r} is no host name.", next_step="Give it as in mage.example.com or 10.0.0.5:8080."
        )
    return plain


def checked_origin(origin: str) -> str:
    """An origin as browsers send it: scheme and host, and the port where it is not the scheme's own."""
    plain = origin.strip().lower().removesuffix("/")
    if not _ORIGIN.fullmatch(plain):
        raise MageNotConfigured(
            f"--allowed-origin {origin!r} is no origin.", next_step="Give it as in https://app.example.com."
        )
    return plain


def _own_names(host: str) -> Iterator[str]:
    """What the bound address is called from this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        yield from _LOOPBACK if is_loopback(host) else (checked_host(host),)
        return
    if address.is_loopback or address.is_unspecified:
        yield from _LOOPBACK
    if not address.is_unspecified and str(address) not in _LOOPBACK:
        yield f"[{address}]" if address.version == 6 else str(address)


def _has_port(name: str) -> bool:
    found = _HOST.fullmatch(name)
    return bool(found and found["port"])

"""DNS, the port and TLS of one URL, as steps."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import anyio

from mage_mcp.client.reaching import Place, addresses, certificate, knock, proxy_of
from mage_mcp.doctor.report import Finding, Step
from mage_mcp.settings import Cluster, is_open_to_eavesdroppers, setting_of

_EACH_WITHIN_S, _TLS_WITHIN_S = 3.0, 2.8
_SOON = timedelta(days=21)
_MOST_ADDRESSES = 3


def reach(cluster: Cluster, url: str, setting: str, *, prefix: str = "") -> list[Step]:
    """`prefix` goes before the names of the steps; `setting` is where the URL is set."""
    probe = _Probe(cluster, url, setting)
    dns, port, tls = (f"{prefix}{name}" for name in ("dns", "port", "tls"))
    return [
        Step(dns, probe.dns, within_s=_EACH_WITHIN_S),
        Step(port, probe.port, (dns,), within_s=_EACH_WITHIN_S),
        Step(tls, probe.tls, (port,), within_s=_EACH_WITHIN_S),
    ]


class _Probe:
    def __init__(self, cluster: Cluster, url: str, setting: str) -> None:
        self._cluster, self._url, self._setting = cluster, url, setting

    def _place(self) -> Place:
        return Place.of(self._url, self._setting)

    async def dns(self) -> Finding:
        place = self._place()
        if proxy := proxy_of(place):
            return Finding(f"{place.host} is reached through a proxy ({proxy}), which asks for it.")
        if _is_address(place.host):
            return Finding(f"{place.host} is an address, not a name.")
        found = await addresses(place)
        more = f" and {len(found) - _MOST_ADDRESSES} more" if len(found) > _MOST_ADDRESSES else ""
        return Finding(f"{place.host} is {_listed(found[:_MOST_ADDRESSES])}{more}.")

    async def port(self) -> Finding:
        place = self._place()
        if proxy := proxy_of(place):
            return Finding(f"Left to the proxy ({proxy}).")
        await knock(place)
        return Finding(f"{place} takes connections.")

    async def tls(self) -> Finding:
        place = self._place()
        if is_open_to_eavesdroppers(self._url):
            return Finding(
                "None: plain http to another machine. Who listens can read passwords.",
                "warning",
                f"Use https:// in {self._setting}, with a certificate or a proxy in front of Mage.",
            )
        if not place.is_tls:
            return Finding("None: plain http, and it stays on this machine.")
        if proxy := proxy_of(place):
            return Finding(f"Through the proxy ({proxy}); a certificate that is refused shows below.")
        shown = None
        with anyio.move_on_after(_TLS_WITHIN_S):
            shown = await certificate(place, self._cluster)
        if shown is None:  # as Mage itself does, which waits for the rest of a request
            return Finding(
                f"{place} takes connections, but does not answer a TLS handshake.",
                "failed",
                f"Where it is plain http, write http:// in {self._setting}; else check firewall and VPN.",
            )
        trusted = f", trusted by {setting_of(self._cluster, 'ca_bundle')}" if self._cluster.ca_bundle else ""
        names = _listed(shown.names[:_MOST_ADDRESSES])
        says = f"Certificate for {names} by {shown.issuer}{trusted}, until {shown.ends:%Y-%m-%d}."
        if shown.ends - datetime.now(UTC) < _SOON:
            return Finding(f"{says} That is soon.", "warning", "Have it renewed.")
        return Finding(says)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts) or "nothing"

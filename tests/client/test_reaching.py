"""Where a URL leads, which proxy takes it there, and what a token says of its own end."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mage_mcp.client.auth import token_ends
from mage_mcp.client.clusters.same import mentions_host
from mage_mcp.client.reaching import Place, proxy_of
from mage_mcp.errors import MageUnreachable


@pytest.mark.parametrize(
    ("url", "host", "port", "is_tls"),
    [
        ("https://mage.test/ws", "mage.test", 443, True),
        ("http://mage.test", "mage.test", 80, False),
        ("http://localhost:6789/", "localhost", 6789, False),
        ("http://[::1]:6789", "::1", 6789, False),
        ("https://bücher.test:8443", "xn--bcher-kva.test", 8443, True),
    ],
)
def test_where_a_url_leads(url: str, host: str, port: int, is_tls: bool):
    assert Place.of(url, "MAGE_URL") == Place(host, port, is_tls, "MAGE_URL")


@pytest.mark.parametrize("url", ["", "http://", "https://[::1", "http://mage.test:port"])
def test_a_url_without_a_host_is_told_by_its_setting(url: str):
    with pytest.raises(MageUnreachable, match="MAGE_URL has no host"):
        Place.of(url, "MAGE_URL")


def test_a_proxy_takes_what_does_not_bypass_it(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert proxy_of(Place("mage.test", 443, True, "")) == ""
    monkeypatch.setenv("https_proxy", "http://bob:planted@proxy.test:3128")
    assert proxy_of(Place("mage.test", 443, True, "")) == "HTTPS_PROXY"
    assert proxy_of(Place("mage.test", 80, False, "")) == ""
    monkeypatch.setenv("no_proxy", "mage.test")
    assert proxy_of(Place("mage.test", 443, True, "")) == ""


@pytest.mark.parametrize(
    ("claims", "ends"),
    [
        ({"expires": 0, "token": "raw"}, datetime(1970, 1, 1, tzinfo=UTC)),
        ({"expires": 1.5e9}, datetime(2017, 7, 14, 2, 40, tzinfo=UTC)),
        ({"expires": 1e300}, None),
        ({"expires": True}, None),
        ({"expires": "tomorrow"}, None),
        ({"token": "raw"}, None),
        ([1], None),
    ],
)
def test_when_a_token_ends_as_it_says_itself(claims: Any, ends: datetime | None):
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert token_ends(f"e30.{payload}.c2ln") == ends


def test_a_raw_token_does_not_say_when_it_ends():
    assert token_ends("raw-token") is None
    assert token_ends("a.b.c") is None


@pytest.mark.parametrize(
    ("told", "url", "mentions"),
    [
        ({"url": "https://mage.test/ws"}, "https://mage.test/ws", True),
        ({"config": {"ingress": {"hosts": ["a.test", "MAGE.test"]}}}, "https://mage.test", True),
        ({"text": "See mage.test."}, "https://mage.test", True),
        ({"hosts": ["old-mage.test", "x.mage.test", "mage.test.example.com"]}, "https://mage.test", False),
        ({"mage.test": 1}, "https://mage.test", False),
        ({"hosts": ["localhost", "127.0.0.1"]}, "http://localhost:6789", False),
        ({"hosts": [""]}, "", False),
        ({"hosts": ["[::1"]}, "http://[::1", False),
    ],
)
def test_whether_a_json_value_holds_the_host_of_a_url(told: Any, url: str, mentions: bool):
    assert mentions_host(told, url) is mentions

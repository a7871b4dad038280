"""The links of the README say what they should when a host takes them apart again."""

import base64
import json
import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from mage_mcp.hosts.links import UVX, install_links

SERVER = {"command": "uvx", "args": ["mage-mcp", "--toolsets", "a&b=c d+e?#/é"], "env": {"MAGE_URL": "http://x:1"}}


@pytest.mark.parametrize("server", [UVX, SERVER], ids=["plain", "awkward"])
@pytest.mark.parametrize("kind", ["cursor", "cursor_https"])
def test_cursor_gets_a_name_and_the_server_in_base64(kind: str, server: dict[str, object]):
    link = urlsplit(install_links("my mage", server)[kind])
    query = parse_qs(link.query, strict_parsing=True)
    assert query["name"] == ["my mage"]
    assert json.loads(base64.b64decode(query["config"][0], validate=True)) == server


@pytest.mark.parametrize("server", [UVX, SERVER], ids=["plain", "awkward"])
def test_vs_code_gets_one_object_or_a_name_and_an_object(server: dict[str, object]):
    links = install_links("my mage", server)
    scheme, _, whole = links["vscode"].partition("?")
    assert scheme == "vscode:mcp/install"
    assert json.loads(unquote(whole)) == {"name": "my mage", **server}
    query = parse_qs(urlsplit(links["vscode_https"]).query, strict_parsing=True)
    assert (query["name"], json.loads(query["config"][0])) == (["my mage"], server)


def test_where_each_leads():
    places = {kind: link.partition("?")[0] for kind, link in install_links().items()}
    assert places == {
        "cursor": "cursor://anysphere.cursor-deeplink/mcp/install",
        "cursor_https": "https://cursor.com/install-mcp",
        "vscode": "vscode:mcp/install",
        "vscode_https": "https://vscode.dev/redirect/mcp/install",
    }


@pytest.mark.parametrize("link", install_links("m)a(g]e", SERVER).values())
def test_markdown_takes_them_as_they_are(link: str):
    assert not set(link) & set(" ()<>[]\"'`|")


@pytest.mark.parametrize("server", [UVX, SERVER, {"command": ">>>???"}], ids=["plain", "awkward", "plus and slash"])
def test_base64_is_quoted_for_a_plus_would_be_a_space(server: dict[str, object]):
    links = install_links("mage", server)
    assert all(re.fullmatch(r"[\w.%-]+", links[kind].partition("config=")[2]) for kind in ("cursor", "cursor_https"))

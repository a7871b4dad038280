"""An entry in a host's file, whichever format that has, with a second look at what the edit made.

All functions raise ValueError, with a sentence, where the text cannot be read or edited as a whole.
"""

import json
from typing import Any

from mage_mcp.hosts import jsonc, toml_text
from mage_mcp.hosts.table import Host


def content(host: Host, text: str) -> dict[str, Any]:
    """The whole file as a table."""
    value = toml_text.read(text) if host.format == "toml" else jsonc.read(text).value
    if not isinstance(value, dict):
        raise jsonc.NotJson("Its top is no object.")
    return value


def current(host: Host, text: str, name: str) -> Any:
    """The entry of that name as it is; None where there is none."""
    servers = content(host, text).get(host.table)
    return servers.get(name) if isinstance(servers, dict) else None


def with_entry(host: Host, text: str, name: str, value: dict[str, Any]) -> str:
    edit = toml_text.put if host.format == "toml" else jsonc.put
    edited = edit(text, host.table, name, value)
    expected = content(host, text)
    expected[host.table] = {**expected.get(host.table, {}), name: value}
    return _checked(host, edited, expected)


def without_entry(host: Host, text: str, name: str) -> str:
    edit = toml_text.take if host.format == "toml" else jsonc.take
    edited = edit(text, host.table, name)
    expected = content(host, text)
    if isinstance(servers := expected.get(host.table), dict) and name in servers:
        del servers[name]
        if not servers and host.table not in content(host, edited):
            del expected[host.table]
    return _checked(host, edited, expected)


def snippet(host: Host, name: str, value: dict[str, Any]) -> str:
    """The entry as a file of its own, to paste from."""
    if host.format == "toml":
        return toml_text.rendered(host.table, name, value)
    return json.dumps({host.table: {name: value}}, indent=2, ensure_ascii=False)


def is_too_rich(host: Host, text: str) -> bool:
    """Whether a file that the host reads as plain JSON has comments or trailing commas."""
    return host.format == "json" and not jsonc.read(text).plain


def _checked(host: Host, edited: str, expected: dict[str, Any]) -> str:
    if content(host, edited) != expected:
        raise ValueError(
            "It holds its servers in a form that only a person can edit, such as a name that stands twice."
        )
    return edited

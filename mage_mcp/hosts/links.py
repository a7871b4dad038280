"""Links that install mage-mcp with a click, for the README.

GitHub shows only http and https links, so each host has a redirect of its own beside its protocol.
Sources: cursor.com/docs/mcp/install-links (the configuration of the one server, as JSON in base64);
code.visualstudio.com/api/extension-guides/ai/mcp, "Create an MCP installation URL" (name and configuration in one
object), and the redirects that both hosts' own documentation and Microsoft's servers use in their READMEs.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

UVX: Mapping[str, Any] = {"command": "uvx", "args": ["mage-mcp"]}
"""Starts mage-mcp on a machine that has nothing but uv."""


def install_links(name: str = "mage", server: Mapping[str, Any] = UVX) -> dict[str, str]:
    """`cursor`, `vscode`: what the host's own protocol takes; `cursor_https`, `vscode_https`: the same for GitHub."""
    compact = json.dumps(server, separators=(",", ":"))
    encoded = quote(base64.b64encode(compact.encode()).decode(), safe="")
    called = quote(name, safe="")
    whole = json.dumps({"name": name, **server}, separators=(",", ":"))
    return {
        "cursor": f"cursor://anysphere.cursor-deeplink/mcp/install?name={called}&config={encoded}",
        "cursor_https": f"https://cursor.com/install-mcp?name={called}&config={encoded}",
        "vscode": f"vscode:mcp/install?{quote(whole, safe='')}",
        "vscode_https": f"https://vscode.dev/redirect/mcp/install?name={called}&config={quote(compact, safe='')}",
    }

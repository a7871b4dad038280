"""The hosts, one row each: which file on which system, what an entry looks like, what to do after a change.

Sources, as of November 2026:
- Claude Desktop: modelcontextprotocol.io, "Connect to local MCP servers". On Windows the official installer is an MSIX
  package, whose app reads the file below its own `LocalCache` (anthropics/claude-code issue 26073).
- Claude Code: code.claude.com/docs/en/mcp: scopes, `.mcp.json`, `${VAR}` and `${VAR:-default}` in it.
- Cursor: cursor.com/docs/mcp: `~/.cursor/mcp.json`, and `.cursor/mcp.json` in a project.
- VS Code: code.visualstudio.com, "MCP configuration reference"; the user's folder is that of
  src/vs/platform/environment/node/userDataPath.ts.
- Codex: developers.openai.com/codex/mcp; only what `env` and `env_vars` name reaches a server, besides a few such as
  PATH (codex-rs/rmcp-client/src/utils.rs). A project's file counts once the project is trusted.
- Zed: zed.dev/docs/ai/mcp, crates/paths/src/paths.rs. `args` must be there, even empty; `source` went away with the
  migration of 2025-11-25 (crates/settings_content, ContextServerCommand).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Scope = Literal["user", "project"]
Format = Literal["json", "jsonc", "toml"]
Forwarding = Literal["", "expand", "env_vars"]


@dataclass(frozen=True)
class Host:
    """One application.

    `files` are templates over the folders of `_folders`; a scope that the host has and that is not among them is
    changed with the host's own command. `forwarding` is how an entry can name a variable of the shell that starts the
    host, without its value; "" where there is no such shell.
    """

    key: str
    title: str
    format: Format
    table: str
    files: Mapping[Scope, str]
    after: str
    scopes: tuple[Scope, ...] = ("user",)
    first: Mapping[str, Any] = field(default_factory=dict)
    """What an entry holds besides command, args and env."""
    always_args: bool = False
    forwarding: Forwarding = ""

    def file(self, scope: Scope, *, system: str, environ: Mapping[str, str], home: Path, project: Path) -> Path | None:
        """Where the host keeps it; None where only the host itself may write there.

        `system` is "win32", "darwin" or anything else, which is taken for Linux.
        """
        template = self.files.get(scope)
        if template is None:
            return None
        folder, _, rest = template.partition("/")
        return _folder(folder, system, environ, home, project) / rest


def _folder(name: str, system: str, environ: Mapping[str, str], home: Path, project: Path) -> Path:
    if name == "project":
        return project
    if name == "home":
        return home
    if name == "codex":
        return Path(environ.get("CODEX_HOME") or home / ".codex")
    settings = _settings_folder(system, environ, home)
    if name == "claude":
        return (_packaged_claude(environ, home) if system == "win32" else None) or settings / "Claude"
    if name == "vscode":
        if portable := environ.get("VSCODE_PORTABLE"):
            return Path(portable) / "user-data" / "User"
        return Path(environ.get("VSCODE_APPDATA") or settings) / "Code" / "User"
    if system == "win32":
        return settings / "Zed"
    if system == "darwin":
        return home / ".config" / "zed"
    return Path(environ.get("FLATPAK_XDG_CONFIG_HOME") or settings) / "zed"


def _settings_folder(system: str, environ: Mapping[str, str], home: Path) -> Path:
    if system == "win32":
        return Path(environ.get("APPDATA") or home / "AppData" / "Roaming")
    if system == "darwin":
        return home / "Library" / "Application Support"
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config")


def _packaged_claude(environ: Mapping[str, str], home: Path) -> Path | None:
    """The folder of an MSIX installation: the app sees it as %APPDATA%, and does not look into the real one."""
    packages = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "Packages"
    for package in sorted(packages.glob("Claude_*")):
        return package / "LocalCache" / "Roaming" / "Claude"
    return None


_ROWS = (
    Host(
        "claude-desktop",
        "Claude Desktop",
        "json",
        "mcpServers",
        {"user": "claude/claude_desktop_config.json"},
        "Quit Claude Desktop entirely (it stays in the tray or the menu bar) and start it again.",
    ),
    Host(
        "claude-code",
        "Claude Code",
        "json",
        "mcpServers",
        {"project": "project/.mcp.json"},
        "Start `claude` in this folder anew and approve the server when it asks; `/mcp` shows it.",
        scopes=("user", "project"),
        forwarding="expand",
    ),
    Host(
        "cursor",
        "Cursor",
        "json",
        "mcpServers",
        {"user": "home/.cursor/mcp.json", "project": "project/.cursor/mcp.json"},
        "Switch the server on in Cursor's settings, under MCP; restart Cursor if it is not listed.",
        scopes=("user", "project"),
    ),
    Host(
        "vscode",
        "VS Code",
        "jsonc",
        "servers",
        {"user": "vscode/mcp.json", "project": "project/.vscode/mcp.json"},
        "Run “MCP: List Servers” in VS Code's command palette, start the server, and chat in agent mode.",
        scopes=("user", "project"),
        first={"type": "stdio"},
    ),
    Host(
        "codex",
        "Codex",
        "toml",
        "mcp_servers",
        {"user": "codex/config.toml", "project": "project/.codex/config.toml"},
        "Start `codex` anew; `/mcp` shows the server.",
        scopes=("user", "project"),
        forwarding="env_vars",
    ),
    Host(
        "zed",
        "Zed",
        "jsonc",
        "context_servers",
        {"user": "zed/settings.json"},
        "Zed starts it when the file is saved; the dot beside it in the Agent Panel's settings turns green.",
        always_args=True,
    ),
)
HOSTS: Mapping[str, Host] = {host.key: host for host in _ROWS}
"""Every host by the name it has on the command line."""

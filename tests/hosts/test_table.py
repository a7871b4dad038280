"""Where each host keeps its file, on each system."""

from pathlib import Path

import pytest

from mage_mcp.hosts.table import HOSTS

HOME, PROJECT = Path("/home/ada"), Path("/home/ada/work")
WINDOWS = {"APPDATA": "/home/ada/AppData/Roaming", "LOCALAPPDATA": "/home/ada/AppData/Local"}
PLACES = {
    ("claude-desktop", "linux"): "/home/ada/.config/Claude/claude_desktop_config.json",
    ("claude-desktop", "darwin"): "/home/ada/Library/Application Support/Claude/claude_desktop_config.json",
    ("claude-desktop", "win32"): "/home/ada/AppData/Roaming/Claude/claude_desktop_config.json",
    ("cursor", "linux"): "/home/ada/.cursor/mcp.json",
    ("cursor", "darwin"): "/home/ada/.cursor/mcp.json",
    ("cursor", "win32"): "/home/ada/.cursor/mcp.json",
    ("vscode", "linux"): "/home/ada/.config/Code/User/mcp.json",
    ("vscode", "darwin"): "/home/ada/Library/Application Support/Code/User/mcp.json",
    ("vscode", "win32"): "/home/ada/AppData/Roaming/Code/User/mcp.json",
    ("codex", "linux"): "/home/ada/.codex/config.toml",
    ("codex", "darwin"): "/home/ada/.codex/config.toml",
    ("codex", "win32"): "/home/ada/.codex/config.toml",
    ("zed", "linux"): "/home/ada/.config/zed/settings.json",
    ("zed", "darwin"): "/home/ada/.config/zed/settings.json",
    ("zed", "win32"): "/home/ada/AppData/Roaming/Zed/settings.json",
}


def place(key: str, system: str, environ: dict[str, str], *, home: Path = HOME, scope: str = "user") -> Path | None:
    return HOSTS[key].file(scope, system=system, environ=environ, home=home, project=PROJECT)  # type: ignore[arg-type]


@pytest.mark.parametrize(("key", "system"), PLACES)
def test_the_users_file(key: str, system: str):
    assert place(key, system, WINDOWS if system == "win32" else {}) == Path(PLACES[key, system])


def test_windows_without_its_variables_has_the_usual_folders():
    assert place("vscode", "win32", {}) == Path("/home/ada/AppData/Roaming/Code/User/mcp.json")


@pytest.mark.parametrize(
    ("key", "file"),
    [
        ("claude-code", ".mcp.json"),
        ("cursor", ".cursor/mcp.json"),
        ("vscode", ".vscode/mcp.json"),
        ("codex", ".codex/config.toml"),
    ],
)
def test_the_projects_file(key: str, file: str):
    assert place(key, "linux", {}, scope="project") == PROJECT / file


def test_only_claude_code_itself_writes_its_users_file():
    assert [host.key for host in HOSTS.values() if set(host.files) < set(host.scopes)] == ["claude-code"]
    assert place("claude-code", "linux", {}) is None


@pytest.mark.parametrize(
    ("key", "environ", "file"),
    [
        ("claude-desktop", {"XDG_CONFIG_HOME": "/x"}, "/x/Claude/claude_desktop_config.json"),
        ("vscode", {"XDG_CONFIG_HOME": "/x"}, "/x/Code/User/mcp.json"),
        ("vscode", {"VSCODE_APPDATA": "/v", "XDG_CONFIG_HOME": "/x"}, "/v/Code/User/mcp.json"),
        ("vscode", {"VSCODE_PORTABLE": "/p", "VSCODE_APPDATA": "/v"}, "/p/user-data/User/mcp.json"),
        ("codex", {"CODEX_HOME": "/c"}, "/c/config.toml"),
        ("zed", {"XDG_CONFIG_HOME": "/x"}, "/x/zed/settings.json"),
        ("zed", {"XDG_CONFIG_HOME": "/x", "FLATPAK_XDG_CONFIG_HOME": "/f"}, "/f/zed/settings.json"),
        ("cursor", {"XDG_CONFIG_HOME": "/x"}, "/home/ada/.cursor/mcp.json"),
    ],
)
def test_variables_that_move_it(key: str, environ: dict[str, str], file: str):
    assert place(key, "linux", environ) == Path(file)


def test_claude_desktop_from_a_windows_package_reads_its_own_copy_of_appdata(tmp_path: Path):
    package = tmp_path / "AppData" / "Local" / "Packages" / "Claude_pzs8sxrjxfjjc"
    package.mkdir(parents=True)
    expected = package / "LocalCache" / "Roaming" / "Claude" / "claude_desktop_config.json"
    assert place("claude-desktop", "win32", {}, home=tmp_path) == expected
    assert place("claude-desktop", "darwin", {}, home=tmp_path) != expected

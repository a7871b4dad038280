"""`mage-mcp client`, as a person uses it: what it prints, what it writes, and what it leaves alone."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp import Client as McpClient
from mcp import StdioServerParameters

from mage_mcp import text
from mage_mcp.cli import main
from mage_mcp.hosts import jsonc
from mage_mcp.hosts.table import HOSTS
from tests.hosts.files_of_people import JSON_WITH_A_TABLE, JSON_WITHOUT_A_TABLE, JSONC, TOML, with_table

URL = ("--url", "http://localhost:6789")
EDITED = ["claude-desktop", "cursor", "vscode", "codex", "zed"]
"""Hosts whose user's file is merged into."""


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Client = Callable[..., Said]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Client:
    """Run the command with a home, a folder and settings of its own."""
    for name in (
        "XDG_CONFIG_HOME",
        "CODEX_HOME",
        "VSCODE_APPDATA",
        "VSCODE_PORTABLE",
        "FLATPAK_XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "MAGE_MCP_STATE_DIR",
    ):
        monkeypatch.delenv(name, raising=False)
    for folder in ("home", "project"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr("mage_mcp.settings_load.default_config_file", lambda: tmp_path / "own.toml")
    monkeypatch.setattr(text, "_known", set())
    monkeypatch.setattr(text, "_known_pattern", None)

    def run(*arguments: str | Path) -> Said:
        capsys.readouterr()
        code = main(["client", *map(str, arguments)])
        return Said(code, *capsys.readouterr())

    return run


def usual_file(host: str, tmp_path: Path) -> Path:
    path = HOSTS[host].file("user", system="linux", environ={}, home=tmp_path / "home", project=tmp_path)
    assert path
    return path


def parsed(host: str, content: str) -> Any:
    return tomllib.loads(content) if host == "codex" else jsonc.read(content).value


def theirs(host: str) -> dict[str, str]:
    """Files as people have them, that this host reads."""
    if host == "codex":
        return TOML
    files = JSON_WITH_A_TABLE | {k: v for k, v in JSON_WITHOUT_A_TABLE.items() if "empty" not in k}
    files |= JSONC if HOSTS[host].format == "jsonc" else {}
    return {name: with_table(content, HOSTS[host].table) for name, content in files.items()}


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("host", EDITED)
def test_it_prints_what_it_would_write_and_writes_nothing(client: Client, tmp_path: Path, host: str):
    said = client(host, *URL)
    entry = parsed(host, said.out)[HOSTS[host].table]["mage"]
    assert said.code == 0
    assert Path(entry["command"]).is_absolute()
    assert entry["env"] == {"MAGE_URL": "http://localhost:6789"}
    assert str(usual_file(host, tmp_path)) in said.err
    assert not everything_in(tmp_path)


@pytest.mark.parametrize("host", EDITED)
def test_write_makes_the_file_that_it_printed(client: Client, tmp_path: Path, host: str):
    printed = client(host, *URL).out
    said = client(host, *URL, "--write")
    path = usual_file(host, tmp_path)
    assert said.code == 0
    assert parsed(host, path.read_text()) == parsed(host, printed)
    assert f"Added 'mage' in {path}" in said.out
    assert "`mage-mcp doctor --url http://localhost:6789` says whether Mage answers" in said.out
    assert f"is {HOSTS[host].title} installed?" in said.out


@pytest.mark.parametrize("host", EDITED)
def test_merging_into_files_as_people_have_them_loses_nothing(client: Client, tmp_path: Path, host: str):
    table = HOSTS[host].table
    for name, content in theirs(host).items():
        path = tmp_path / f"{host} {name}"
        path.write_bytes(content.encode())
        assert client(host, *URL, "--write", "--file", path).code == 0, name
        before, after = parsed(host, content), parsed(host, path.read_bytes().decode())
        entry = after[table].pop("mage")
        assert entry["env"] == {"MAGE_URL": "http://localhost:6789"}, name
        assert after == ({table: {}} | before), name
        (backup,) = tmp_path.glob(f"{host} {name}.bak-*")
        assert backup.read_bytes() == content.encode(), name
        assert client(host, "--remove", "--file", path).code == 0, name
        assert path.read_bytes() == content.encode(), name


@pytest.mark.parametrize("host", EDITED)
def test_writing_the_same_twice_changes_nothing_and_says_so(client: Client, tmp_path: Path, host: str):
    client(host, *URL, "--write")
    before = everything_in(tmp_path)
    said = client(host, *URL, "--write")
    assert said.code == 0
    assert "nothing was changed" in said.out
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("host", EDITED)
def test_other_settings_replace_our_own_entry_without_force(client: Client, tmp_path: Path, host: str):
    client(host, *URL, "--write")
    said = client(host, "--demo", "--write")
    entry = parsed(host, usual_file(host, tmp_path).read_text())[HOSTS[host].table]["mage"]
    assert said.out.startswith("Updated")
    assert entry["args"][-1] == "--demo"
    assert "env" not in entry


@pytest.mark.parametrize("host", EDITED)
def test_an_entry_of_that_name_that_starts_something_else_is_shown_and_kept(client: Client, tmp_path: Path, host: str):
    path = usual_file(host, tmp_path)
    path.parent.mkdir(parents=True)
    other = {"command": "npx", "args": ["magento"], "env": {"SOMETHING": "planted-value"}}
    as_toml = '[mcp_servers.mage]\ncommand = "npx"\nargs = ["magento"]\nenv = { SOMETHING = "planted-value" }\n'
    path.write_text(as_toml if host == "codex" else json.dumps({HOSTS[host].table: {"mage": other}}))
    before = everything_in(tmp_path)
    for arguments in ((*URL, "--write"), ("--remove",)):
        said = client(host, *arguments)
        assert said.code == 1
        assert "magento" in said.err
        assert "--force" in said.err
        assert "planted-value" not in said.err + said.out
        assert everything_in(tmp_path) == before
    assert client(host, *URL, "--write", "--name", "mage2").code == 0
    assert client(host, *URL, "--write", "--force").code == 0
    servers = parsed(host, path.read_text())[HOSTS[host].table]
    assert servers["mage"] == servers["mage2"]


@pytest.mark.parametrize("host", EDITED)
@pytest.mark.parametrize("content", [b"{ not a config", b"\xff\xfe\x00{", b'{"a": 1}}', b"[x\n"])
def test_a_file_that_cannot_be_read_is_left_alone_and_the_entry_printed(
    client: Client, tmp_path: Path, host: str, content: bytes
):
    path = usual_file(host, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    said = client(host, *URL, "--write")
    assert said.code == 1
    assert "left alone" in said.err
    assert parsed(host, said.out)[HOSTS[host].table]["mage"]["env"] == {"MAGE_URL": "http://localhost:6789"}
    assert client(host, "--remove").code == 1
    assert everything_in(tmp_path) == {str(path.relative_to(tmp_path)): content}


def test_a_read_only_file_is_left_alone_and_the_entry_printed(client: Client, tmp_path: Path):
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    path.chmod(0o444)
    said = client("cursor", *URL, "--write", "--file", path)
    assert said.code == 1
    assert "read-only" in said.err
    assert "mcpServers" in json.loads(said.out)
    assert everything_in(tmp_path) == {"mcp.json": b"{}"}


def test_a_name_that_stands_twice_is_left_to_a_person(client: Client, tmp_path: Path):
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {"mage": {"command": "mage-mcp"}, "mage": {"command": "mage-mcp"}}}')
    before = everything_in(tmp_path)
    said = client("cursor", "--remove", "--file", path)
    assert said.code == 1
    assert "twice" in said.err
    assert everything_in(tmp_path) == before


def test_a_link_is_followed_and_stays(client: Client, tmp_path: Path):
    dotfiles = tmp_path / "dotfiles.json"
    dotfiles.write_text("{}")
    link = tmp_path / "home" / ".cursor" / "mcp.json"
    link.parent.mkdir()
    link.symlink_to(dotfiles)
    assert client("cursor", *URL, "--write").code == 0
    assert link.is_symlink()
    assert "mage" in json.loads(dotfiles.read_text())["mcpServers"]


def test_comments_for_a_host_that_takes_plain_json_are_told(client: Client, tmp_path: Path):
    path = tmp_path / "claude.json"
    path.write_text("{ // mine\n}")
    assert "takes plain JSON" in client("claude-desktop", *URL, "--write", "--file", path).err
    assert "takes plain JSON" not in client("vscode", *URL, "--write", "--file", path).err


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("more", [(), ("--write",)], ids=["printed", "written"])
def test_secrets_are_neither_printed_nor_written(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, more: tuple[str, ...]
):
    monkeypatch.setenv("MAGE_URL", "http://localhost:6789")
    monkeypatch.setenv("MAGE_EMAIL", "ada@example.com")
    monkeypatch.setenv("MAGE_PASSWORD", "planted-password-1")
    monkeypatch.setenv("MAGE_CLOUD_PASSWORD", "planted-password-2")
    monkeypatch.setenv("MAGE_CLOUD_API_KEY", "planted-key-3")
    said = client(host, *more)
    everything = said.out + said.err + str(everything_in(tmp_path))
    assert "ada@example.com" in everything
    assert "planted" not in everything
    assert "`mage-mcp login --url http://localhost:6789`" in said.err
    assert "`mage-mcp login --cloud`" in said.err
    assert "MAGE_CLOUD_API_KEY" in said.err


def test_claude_code_gets_its_own_command(client: Client, tmp_path: Path):
    said = client("claude-code", *URL, "--read-only", "--write")
    assert said.code == 1
    assert said.out.startswith("claude mcp add mage --scope user --env MAGE_URL=http://localhost:6789 -- /")
    assert said.out.endswith("--read-only\n")
    assert "Nothing was written" in said.err
    assert client("claude-code", *URL).code == 0
    assert client("claude-code", "--remove").out == "claude mcp remove mage --scope user\n"
    assert not everything_in(tmp_path)


@pytest.mark.parametrize(
    ("host", "file"),
    [
        ("claude-code", ".mcp.json"),
        ("cursor", ".cursor/mcp.json"),
        ("vscode", ".vscode/mcp.json"),
        ("codex", ".codex/config.toml"),
    ],
)
def test_in_the_scope_of_a_project_it_goes_into_this_folder(client: Client, tmp_path: Path, host: str, file: str):
    said = client(host, *URL, "--scope", "project", "--write")
    assert said.code == 0
    assert list(everything_in(tmp_path)) == [f"project/{file}"]
    assert "installed?" not in said.out


def test_a_path_of_ones_own_in_a_file_for_others_is_told(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", "")
    assert "a path of yours" in client("cursor", *URL, "--scope", "project").err
    assert "a path of yours" not in client("cursor", *URL).err


@pytest.mark.parametrize("name", ["", "a b", "a.b", '"', "a" * 61, "ключ"])
def test_names_that_a_host_would_refuse_are_refused(client: Client, name: str):
    with pytest.raises(SystemExit) as ended:
        client("cursor", f"--name={name}")
    assert ended.value.code == 2


@pytest.mark.parametrize("host", ["claude-desktop", "zed"])
def test_a_host_without_projects_says_so(client: Client, host: str):
    said = client(host, *URL, "--scope", "project")
    assert said.code == 2
    assert "leave --scope out" in said.err


def test_without_any_mage_it_says_what_to_give(client: Client):
    assert "--url" in client("cursor").err
    assert "--url" not in client("cursor", "--demo").err


def test_settings_that_make_no_sense_write_nothing(client: Client, tmp_path: Path):
    assert client("cursor", "--toolsets", "nonsense", "--write").code == 2
    assert not everything_in(tmp_path)


def test_removing_what_is_not_there_changes_nothing(client: Client, tmp_path: Path):
    said = client("cursor", "--remove")
    assert said.code == 0
    assert "no entry 'mage'" in said.out
    assert not everything_in(tmp_path)


def test_the_options_may_stand_before_the_command(client: Client, capsys: pytest.CaptureFixture[str]):
    assert main([*URL, "client", "cursor"]) == 0
    assert "http://localhost:6789" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("host", EDITED)
async def test_what_is_printed_starts_a_server_without_any_path(client: Client, host: str):
    entry = parsed(host, client(host, "--demo", "--toolsets", "runs").out)[HOSTS[host].table]["mage"]
    command = StdioServerParameters(command=entry["command"], args=entry["args"], env={"PATH": ""})
    async with McpClient(command) as connected:
        tools = await connected.list_tools()
    assert "get_run" in {tool.name for tool in tools.tools}

"""What the settings become in an entry, and that nothing secret is in it."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from mage_mcp import text
from mage_mcp.commands._options import add_settings_options
from mage_mcp.hosts.installation import Installation
from mage_mcp.hosts.launch import Launch, entry, is_ours, launch, updated
from mage_mcp.hosts.table import HOSTS
from mage_mcp.settings import PUBLIC_API_KEY, Settings
from mage_mcp.settings_load import load_settings

HERE = Path("/here")
SECRETS = {
    "MAGE_PASSWORD": "planted-password-1",
    "MAGE_TOKEN": "planted-token-2",
    "MAGE_API_KEY": "planted-key-3",
    "MAGE_CLOUD_PASSWORD": "planted-password-4",
    "MAGE_CLOUD_API_KEY": "planted-key-5",
}
START = Installation("/opt/mage-mcp")


@pytest.fixture(autouse=True)
def _nobodys_own_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the file of who runs the tests nor their secrets, and none of these stay registered."""
    monkeypatch.setattr("mage_mcp.settings_load.default_config_file", lambda: tmp_path / "own.toml")
    monkeypatch.setattr(text, "_known", set())
    monkeypatch.setattr(text, "_known_pattern", None)


def launched(environ: dict[str, str] | None = None, **flags: Any) -> Launch:
    environ = environ or {}
    return launch(load_settings(flags, environ), flags, environ, HERE)


def test_the_url_becomes_a_variable_wherever_it_came_from():
    assert launched(url="localhost:6789/pipelines") == Launch((), {"MAGE_URL": "http://localhost:6789"})
    assert launched({"MAGE_URL": "http://localhost:6789/"}) == launched(url="localhost:6789")


def test_flags_stay_flags_and_variables_stay_variables():
    made = launched(
        {"MAGE_URL": "http://a", "MAGE_EMAIL": "ada@example.com", "MAGE_CONFIRM": "person", "MAGE_READ_ONLY": "1"},
        toolsets="runs,files",
        protected=True,
        log_level="INFO",
    )
    assert made.args == ("--protected", "--toolsets", "runs,files", "--log-level", "INFO")
    assert made.env == {
        "MAGE_URL": "http://a",
        "MAGE_EMAIL": "ada@example.com",
        "MAGE_CONFIRM": "person",
        "MAGE_READ_ONLY": "1",
    }


def test_every_option_of_the_command_line_reaches_the_entry(tmp_path: Path):
    config = tmp_path / "mage.toml"
    config.touch()
    parser = argparse.ArgumentParser()
    add_settings_options(parser)
    given = {"url": "http://a", "config": str(config), "confirm": "never", "log_level": "DEBUG", "demo_pace": 2.0}
    for action in parser._actions:
        if action.dest != "help":
            value = True if action.nargs == 0 else given.get(action.dest, "runs")
            made = launch(Settings(), {action.dest: value}, {}, HERE)
            in_env = launched(url=value).env if action.dest == "url" else {}
            assert made.args or in_env, action.dest


def test_a_flag_that_wins_over_a_variable_is_the_only_one_told():
    assert launched({"MAGE_TOOLSETS": "runs"}, toolsets="files") == Launch(("--toolsets", "files"), {})


def test_paths_are_absolute_for_a_host_starts_in_another_folder(tmp_path: Path):
    config = tmp_path / "mage.toml"
    config.write_text('[clusters.prod]\nurl = "https://mage.example.com"\n')
    made = launched(config=str(config), audit="audit.jsonl")
    assert made == Launch(("--config", str(config), "--audit", "/here/audit.jsonl"), {})
    made = launched({"MAGE_CONFIG": str(config), "MAGE_AUDIT": "audit.jsonl"})
    assert made == Launch((), {"MAGE_AUDIT": "/here/audit.jsonl", "MAGE_CONFIG": str(config)})


def test_folders_that_only_the_shell_knows_are_told():
    elsewhere = {"XDG_CONFIG_HOME": "/x", "XDG_STATE_HOME": "/y", "MAGE_MCP_STATE_DIR": "/z"}
    usual = {"HOME": "/home/ada", "XDG_CONFIG_HOME": "/home/ada/.config", "XDG_STATE_HOME": "/home/ada/.local/state"}
    assert launched(elsewhere) == Launch((), elsewhere)
    assert launched(usual) == Launch((), {})
    assert launched(elsewhere, demo=True) == Launch(("--demo",), {})


def test_the_demo_needs_nothing_of_a_cluster():
    assert launched({"MAGE_URL": "http://a", "MAGE_TOKEN": "planted-token", "MAGE_CONFIG": "x"}, demo=True) == Launch(
        ("--demo",), {}
    )


@pytest.mark.parametrize("host", HOSTS.values(), ids=lambda host: host.key)
@pytest.mark.parametrize("shared", [True, False])
def test_no_secret_is_in_an_entry(host: Any, shared: bool):
    made = launched({"MAGE_URL": "http://a", **SECRETS})
    assert set(made.secrets) == set(SECRETS)
    told = str(entry(host, START, made, shared=shared))
    assert not [value for value in SECRETS.values() if value in told]


def test_only_where_a_shell_starts_the_host_it_names_them():
    made = launched({"MAGE_TOKEN": "planted-token"})
    named = {
        (key, shared): "MAGE_TOKEN" in str(entry(host, START, made, shared=shared))
        for key, host in HOSTS.items()
        for shared in (True, False)
    }
    assert {place for place, is_named in named.items() if is_named} == {
        ("codex", True),
        ("codex", False),
        ("claude-code", True),
    }
    assert entry(HOSTS["codex"], START, made, shared=False)["env_vars"] == ["MAGE_TOKEN"]
    assert entry(HOSTS["claude-code"], START, made, shared=True)["env"] == {"MAGE_TOKEN": "${MAGE_TOKEN:-}"}


def test_a_reference_that_a_host_leaves_as_it_is_counts_as_unset():
    assert load_settings({}, {"MAGE_TOKEN": "${MAGE_TOKEN:-}"}).cluster.token is None


def test_mages_public_key_is_no_secret():
    assert launched({"MAGE_API_KEY": PUBLIC_API_KEY}).secrets == ()


@pytest.mark.parametrize("is_named", [True, False])
def test_secrets_that_the_config_file_takes_from_variables_count_too(tmp_path: Path, is_named: bool):
    config = tmp_path / "own.toml"
    config.write_text(
        '[clusters.prod]\nurl = "https://a"\ntoken_env = "PROD_TOKEN"\n[clusters.dev]\ntoken_env = "not-set"\n'
    )
    flags = {"config": str(config)} if is_named else {}
    made = launched({"PROD_TOKEN": "planted-token-6"}, **flags)
    assert made.secrets == ("PROD_TOKEN",)
    assert "planted" not in str(made)


def test_each_hosts_shape():
    made = Launch(("--read-only",), {"MAGE_URL": "http://a"})
    common = {"command": "/opt/mage-mcp", "args": ["--read-only"], "env": {"MAGE_URL": "http://a"}}
    shapes = {key: entry(host, START, made, shared=False) for key, host in HOSTS.items()}
    assert shapes.pop("vscode") == {"type": "stdio", **common}
    assert all(shape == common for shape in shapes.values())
    assert entry(HOSTS["cursor"], START, Launch((), {}), shared=False) == {"command": "/opt/mage-mcp"}
    assert entry(HOSTS["zed"], START, Launch((), {}), shared=False) == {"command": "/opt/mage-mcp", "args": []}


@pytest.mark.parametrize(
    ("existing", "ours"),
    [
        ({"command": "mage-mcp"}, True),
        ({"command": "C:\\Users\\ada\\bin\\mage-mcp.exe"}, True),
        ({"command": "/usr/bin/uvx", "args": ["mage-mcp", "--demo"]}, True),
        ({"command": "/venv/bin/python", "args": ["-m", "mage_mcp"]}, True),
        ({"command": "npx", "args": ["-y", "mage-mcp-server"]}, False),
        ({"command": "npx", "args": "mage-mcp"}, False),
        ({"command": {"path": "mage-mcp"}}, False),
        ({"url": "https://mage-mcp.example.com/mcp"}, False),
        ("mage-mcp", False),
        ([], False),
    ],
)
def test_which_entries_are_ours(existing: Any, ours: bool):
    assert is_ours(existing) is ours


def test_what_a_person_added_to_our_entry_stays():
    existing = {
        "command": "old",
        "args": ["--demo"],
        "env": {"MAGE_URL": "http://old", "MAGE_TOOLSETS": "all", "MAGE_PASSWORD": "theirs", "HTTPS_PROXY": "http://p"},
        "env_vars": ["MAGE_TOKEN", "SSL_CERT_FILE"],
        "disabled": True,
    }
    new = {"command": "new", "env": {"MAGE_URL": "http://new"}, "env_vars": ["MAGE_TOKEN"]}
    assert updated(existing, new) == {
        "command": "new",
        "env": {"MAGE_URL": "http://new", "MAGE_PASSWORD": "theirs", "HTTPS_PROXY": "http://p"},
        "env_vars": ["MAGE_TOKEN", "SSL_CERT_FILE"],
        "disabled": True,
    }
    assert updated(updated(existing, new), new) == updated(existing, new)

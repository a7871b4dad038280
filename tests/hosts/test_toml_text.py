"""A table that is put into a TOML file and taken out again leaves every byte as it was."""

import tomllib
from datetime import date
from typing import Any

import pytest

from mage_mcp.hosts import toml_text
from tests.hosts.files_of_people import TOML, random_toml

TABLE = "mcp_servers"
ENTRY: dict[str, Any] = {
    "command": "C:\\mage\\mage-mcp.exe",
    "args": ["--demo", 'a "b" # c'],
    "env": {"MAGE_URL": "http://localhost:6789", "with space": "\x7f\u2028é"},
    "env_vars": ["MAGE_PASSWORD"],
}
CODEX_WROTE = (
    '[mcp_servers.mage]\ncommand = "old"\n\n[mcp_servers.mage.env]\nMAGE_URL = "http://x"\n\n'
    '# of the other\n[mcp_servers.other]\ncommand = "npx"\n\n[mcp_servers.mage.tools.list_runs]\nmode = "auto"\n'
)

every_file = pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in TOML.items()])


@every_file
def test_put_adds_the_entry_and_changes_nothing_else(text: str):
    before = tomllib.loads(text)
    after = toml_text.put(text, TABLE, "mage", ENTRY)
    assert tomllib.loads(after) == {**before, TABLE: {**before.get(TABLE, {}), "mage": ENTRY}}
    assert after.startswith(text)


@every_file
@pytest.mark.parametrize("entry", [ENTRY, {"command": "x"}], ids=["full", "small"])
def test_what_was_put_in_and_is_taken_out_leaves_the_bytes_that_were_there(text: str, entry: dict[str, Any]):
    assert toml_text.take(toml_text.put(text, TABLE, "mage", entry), TABLE, "mage") == text


@every_file
def test_putting_the_same_again_changes_nothing(text: str):
    once = toml_text.put(text, TABLE, "mage", ENTRY)
    assert toml_text.put(once, TABLE, "mage", ENTRY) == once
    assert toml_text.put(toml_text.put(text, TABLE, "mage", {"command": "x"}), TABLE, "mage", ENTRY) == once


@every_file
def test_line_endings_stay_of_one_kind(text: str):
    after = toml_text.put(text, TABLE, "mage", ENTRY)
    assert after.count("\n") == after.count("\r\n") or "\r" not in after


@every_file
def test_what_others_wrote_behind_it_stays(text: str):
    after = toml_text.take(toml_text.put(text, TABLE, "mage", ENTRY) + "\n\n# new\n[later]\nx = 1\n", TABLE, "mage")
    assert tomllib.loads(after) == {**tomllib.loads(text), "later": {"x": 1}}
    assert "# new\n[later]" in after


@pytest.mark.parametrize("seed", range(100))
def test_files_put_together_from_several(seed: int):
    text = random_toml(seed)
    added = toml_text.put(text, TABLE, "mage", ENTRY)
    before = tomllib.loads(text)
    assert tomllib.loads(added) == {**before, TABLE: {**before.get(TABLE, {}), "mage": ENTRY}}
    assert toml_text.take(added, TABLE, "mage") == text


def test_tables_below_it_go_with_it_and_those_between_stay():
    assert toml_text.take(CODEX_WROTE, TABLE, "mage") == '\n# of the other\n[mcp_servers.other]\ncommand = "npx"\n'
    assert toml_text.put(CODEX_WROTE, TABLE, "mage", {"command": "new"}) == (
        '[mcp_servers.mage]\ncommand = "new"\n\n# of the other\n[mcp_servers.other]\ncommand = "npx"\n'
    )


def test_values_of_every_kind_are_written_as_toml_reads_them():
    value = {
        "startup_timeout_sec": 20,
        "enabled": False,
        "ratio": 0.5,
        "since": date(2026, 1, 2),
        "tools": {"list_runs": {"mode": "auto"}, "a.b": {}},
    }
    assert tomllib.loads(toml_text.put("", TABLE, "my mage", value)) == {TABLE: {"my mage": value}}


@pytest.mark.parametrize(
    "text",
    [
        'mcp_servers = { other = { command = "npx" } }\n',
        'mcp_servers = { mage = { command = "mage-mcp" } }\n',
        '[mcp_servers]\nmage = { command = "mage-mcp" }\n',
        '[mcp_servers]\nmage.command = "mage-mcp"\n',
        "mcp_servers = 1\n",
        "[[mcp_servers]]\na = 1\n",
    ],
)
def test_a_form_that_cannot_be_edited_is_refused(text: str):
    with pytest.raises(toml_text.NotToml):
        toml_text.put(text, TABLE, "mage", ENTRY)


def test_an_entry_in_an_inline_table_is_not_half_removed():
    with pytest.raises(toml_text.NotToml, match="only a person"):
        toml_text.take('[mcp_servers]\nmage = { command = "mage-mcp" }\n', TABLE, "mage")


@pytest.mark.parametrize("text", ["a = \n", "[a\n", "a = 1\na = 2\n", "{}", 'a = "\n"\n'])
def test_what_is_no_toml_is_refused(text: str):
    with pytest.raises(toml_text.NotToml):
        toml_text.put(text, TABLE, "mage", ENTRY)

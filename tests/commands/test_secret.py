"""`mage-mcp secret`: kept without being shown, listed by name, and found by `set_from`."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from mcp import Client

from mage_mcp.cli import main
from mage_mcp.credentials import Store
from mage_mcp.demo.cloud import CloudWorld
from tests.conftest import cloud_server
from tests.host import Host, Person
from tests.keyrings import Broken, Memory, using

VALUE = "planted-kept-value"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAGE_MCP_STATE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def memory() -> Iterator[Memory]:
    backend = Memory()
    with using(backend):
        yield backend


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*words: str, typed: str = "", code: int = 0) -> str:
        monkeypatch.setattr("sys.stdin", StringIO(typed))
        assert main(["secret", *words]) == code
        out, err = capsys.readouterr()
        return out + err

    return run


class Keyboard(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("name", ["SNOWFLAKE_KEY", "MAGE_MCP_SECRET_SNOWFLAKE_KEY"])
def test_a_secret_is_set_listed_and_deleted_and_never_shown(run, memory: Memory, name: str):
    said = run("set", name, typed=f"{VALUE}\n")
    assert "MAGE_MCP_SECRET_SNOWFLAKE_KEY is kept in the system's keyring (test)." in said
    assert 'set_from={"VARIABLE": "MAGE_MCP_SECRET_SNOWFLAKE_KEY"}' in said
    assert json.loads(memory.entries["secret MAGE_MCP_SECRET_SNOWFLAKE_KEY"])["value"] == VALUE
    listed = run("list")
    assert listed == "MAGE_MCP_SECRET_SNOWFLAKE_KEY  keyring\n"
    assert run("delete", name) == "MAGE_MCP_SECRET_SNOWFLAKE_KEY was removed from the keyring.\n"
    assert "was not kept" in run("delete", name)
    assert run("list") == "No secret is kept. `mage-mcp secret set NAME` keeps one.\n"
    assert VALUE not in said + listed


def test_at_a_terminal_it_is_asked_for_twice_without_being_shown(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    asked: list[str] = []
    answers = iter([VALUE, VALUE, VALUE, "another"])

    def typed(prompt: str) -> str:
        asked.append(prompt)
        return next(answers)

    monkeypatch.setattr("sys.stdin", Keyboard())
    monkeypatch.setattr("getpass.getpass", typed)
    assert main(["secret", "set", "A"]) == 0
    assert len(asked) == 2
    assert Store().secret("MAGE_MCP_SECRET_A") == VALUE
    assert main(["secret", "set", "B"]) == 2
    out, err = capsys.readouterr()
    assert "The two differ; nothing was kept." in err
    assert Store().secret("MAGE_MCP_SECRET_B") is None
    assert VALUE not in out + err


def test_lines_and_spaces_of_a_value_stay_and_its_last_newline_goes(run, memory: Memory):
    key = "-----BEGIN PRIVATE KEY-----\n  planted\n-----END PRIVATE KEY-----"
    run("set", "KEY", typed=key + "\n")
    assert Store().secret("MAGE_MCP_SECRET_KEY") == key


def test_where_each_is_from_is_listed(run, memory: Memory, folder: Path, monkeypatch: pytest.MonkeyPatch):
    run("set", "A", typed=VALUE)
    with using(Broken()):
        said = run("set", "B", typed=VALUE)
        assert "The system's keyring failed (RuntimeError). So it is kept in a file." in said
        assert f"kept in the file {folder / 'credentials.json'}" in said
        broken = run("list", code=1)
        assert "MAGE_MCP_SECRET_B  file\n" in broken
        assert "the list may not be whole. The system's keyring failed (KeyringLocked)." in broken
    monkeypatch.setenv("MAGE_MCP_SECRET_B", "x")
    monkeypatch.setenv("MAGE_MCP_SECRET_C", "x")
    with using(memory):
        assert run("list").splitlines() == [
            "MAGE_MCP_SECRET_A  keyring",
            "MAGE_MCP_SECRET_B  this shell's environment, file",
            "MAGE_MCP_SECRET_C  this shell's environment",
        ]
        assert "would come first" in run("set", "C", typed=VALUE)


@pytest.mark.parametrize(
    "words",
    [
        ["set", "NAME", "planted-typed"],
        ["set", "NAME", "--value", "planted-typed"],
        ["set", "NAME", "--value=planted-typed"],
        ["set", "planted-typed=x"],
        ["set", "MAGE_MCP_SECRET_A=planted-typed"],
        ["set"],
        ["delete"],
    ],
)
def test_nothing_secret_is_taken_from_the_command_line_or_repeated(run, memory: Memory, words: list[str]):
    said = run(*words, typed="x", code=2)
    assert "nothing secret on the command line" in said or "needs a name of letters" in said
    assert "planted" not in said
    assert memory.entries == {}


@pytest.mark.parametrize("value", ["", "\n", "x" * 70_000])
def test_a_value_that_is_none_or_too_large_is_refused(run, memory: Memory, value: str):
    assert "between 1 and 65536 characters; nothing was kept" in run("set", "A", typed=value, code=2)
    assert memory.entries == {}


# What set_from takes


@pytest.mark.anyio
async def test_set_from_takes_the_environment_first_and_then_what_is_kept(
    cloud: CloudWorld, memory: Memory, era: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MAGE_MCP_SECRET_BOTH", "planted-of-environment")
    for name in ("BOTH", "KEPT"):
        Store().keep_secret(f"MAGE_MCP_SECRET_{name}", VALUE)
    async with Client(
        cloud_server(cloud, credentials=Store()), mode=era, elicitation_callback=(person := Person())
    ) as client:
        answer = await Host(client, person).call(
            "update_cluster_env_vars",
            cluster="prod",
            set_from={"ONE": "MAGE_MCP_SECRET_BOTH", "TWO": "MAGE_MCP_SECRET_KEPT"},
        )
        shown = f"{answer.text}{answer.data}{person.asked}"
        refused = await Host(client, person).refused(
            "update_cluster_env_vars", cluster="prod", set_from={"ONE": "MAGE_MCP_SECRET_MISSING"}
        )
    envs = {each["name"]: each["value"] for each in cloud.clusters["prod"].config["extraEnvs"] if "value" in each}
    assert (envs["ONE"], envs["TWO"]) == ("planted-of-environment", VALUE)
    assert "planted" not in shown
    assert refused == (
        "MAGE_MCP_SECRET_MISSING is neither set in the server's environment nor kept; nothing was written. Ask the "
        "person to run `mage-mcp secret set MAGE_MCP_SECRET_MISSING` in a terminal. Set in the server's environment: "
        "MAGE_MCP_SECRET_BOTH. Kept: MAGE_MCP_SECRET_KEPT."
    )


@pytest.mark.anyio
async def test_a_broken_keyring_is_told_and_nothing_is_written(cloud: CloudWorld, era: str):
    with using(Broken()):
        async with Client(cloud_server(cloud, credentials=Store()), mode=era, elicitation_callback=Person()) as client:
            refused = await Host(client, Person()).refused(
                "update_cluster_env_vars", cluster="prod", set_from={"ONE": "MAGE_MCP_SECRET_KEPT"}
            )
    assert "what is kept cannot be read. The system's keyring failed (KeyringLocked). Nothing was written." in refused
    assert cloud.puts == []

"""`login` and `logout` as processes, and the server that takes up what they keep: a keyring, a file, or neither."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from mage_mcp.demo.cloud import MAGE_LOGIN, TEAM, USERS
from tests.conftest import NO_KEYRING
from tests.host import Host, Person
from tests.keyrings import Broken, Hanging, Shared, environment_with
from tests.lab.mage import EMAIL as REAL_EMAIL
from tests.lab.mage import PASSWORD as REAL_PASSWORD
from tests.lab.mage import RealMage
from tests.served import ServedCloud, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
EMAIL, PASSWORD = MAGE_LOGIN
ADMIN = USERS[0]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCloud]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        served.post("switch", mage_login=True)
        yield served


class Terminal:
    """A person's terminal: commands with an environment of their own, and all that they print."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("MAGE_")}
        self.environment = {**inherited, **environment}
        self.folder = folder
        self.printed = ""

    def run(self, *words: str, typed: str = "", code: int = 0) -> str:
        """Run it; what it printed to either stream."""
        command = [sys.executable, "-m", "mage_mcp", *words]
        done = subprocess.run(
            command, env=self.environment, input=typed, capture_output=True, text=True, check=False, timeout=30
        )
        printed = done.stdout + done.stderr
        assert done.returncode == code, printed
        self.printed += printed
        return printed

    def config(self, served: ServedCloud) -> Path:
        """A config file with both clusters, their places in the Cloud, and nothing to log in with."""
        path = self.folder / "clusters.toml"
        tables = [
            f'[clusters.{name}]\nurl = "{served.url}/{name}"\nteam_id = "{TEAM}"\ncluster_id = "cl-{name}"\n'
            f'cloud_url = "{served.url}/cloud/api/v1"\n'
            for name in ("prod", "staging")
        ]
        path.write_text("\n".join(tables), encoding="utf-8")
        return path

    @property
    def file(self) -> Path:
        return self.folder / "state" / "credentials.json"

    @asynccontextmanager
    async def server(self, era: str, **environment: str) -> AsyncIterator[Host]:
        """The server as a host starts it, with this person's keyring and state folder."""
        own = ("PYTHON_KEYRING_BACKEND", "PYTHONPATH", "TEST_KEYRING", "MAGE_MCP_STATE_DIR", "XDG_CONFIG_HOME")
        env = {name: self.environment[name] for name in own if name in self.environment}
        env |= {"MAGE_AUDIT": str(self.folder / "audit.jsonl"), "MAGE_LOG_LEVEL": "DEBUG", **environment}
        parameters = StdioServerParameters(command=sys.executable, args=["-m", "mage_mcp"], env=env)
        with (self.folder / "stderr.log").open("a", encoding="utf-8") as log:
            async with Client(stdio_client(parameters, errlog=log), mode=era, elicitation_callback=Person()) as client:
                yield Host(client, Person())

    def everything(self) -> str:
        """All that was printed, logged and audited so far."""
        files = [self.folder / name for name in ("stderr.log", "audit.jsonl")]
        return self.printed + "".join(path.read_text(encoding="utf-8") for path in files if path.exists())


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """With a keyring that works."""
    return Terminal(tmp_path, environment_with(Shared, tmp_path))


@pytest.fixture
def bare(tmp_path: Path) -> Terminal:
    """Without any."""
    return Terminal(tmp_path, {**environment_with(Shared, tmp_path), "PYTHON_KEYRING_BACKEND": NO_KEYRING})


def kept_in(keyring: Path) -> dict[str, Any]:
    entries = json.loads(keyring.read_text(encoding="utf-8")) if keyring.exists() else {}
    return {name: json.loads(text) for name, text in entries.items() if name != "index"}


def test_a_login_is_kept_in_the_keyring_and_forgotten_with_its_session(terminal: Terminal, served: ServedCloud):
    url = f"{served.url}/prod"
    said = terminal.run("login", "--url", url, "--email", EMAIL, typed=f"{PASSWORD}\n")
    assert f"as {EMAIL}" in said
    assert "The token is kept in the system's keyring (test), and the token is good until 20" in said
    assert f"run `mage-mcp login --url {url}` again" in said
    (entry,) = kept_in(terminal.folder / "keyring.json").values()
    assert entry["token"]
    assert "password" not in entry
    assert not terminal.file.exists()
    said = terminal.run("logout", "--url", url)
    assert "was removed from the keyring." in said
    assert "Its session was ended at Mage." in said
    assert kept_in(terminal.folder / "keyring.json") == {}
    assert "No login to" in terminal.run("logout", "--url", url)
    assert entry["token"] not in terminal.printed
    assert PASSWORD not in terminal.printed
    again = terminal.run("login", "--url", url, "--token-stdin", typed=entry["token"], code=1)
    assert "does not accept the token (expired or revoked). Nothing was kept." in again


def test_without_a_keyring_it_is_kept_in_a_file_which_is_said(bare: Terminal, served: ServedCloud):
    url = f"{served.url}/prod"
    said = bare.run("login", "--url", url, "--email", EMAIL, "--keep-password", typed=f"{PASSWORD}\n")
    assert f"The token, the email and the password are kept in the file {bare.file}" in said
    assert "not encrypted" in said
    assert "logs in anew by itself" in said
    assert os.name == "nt" or bare.file.stat().st_mode & 0o777 == 0o600
    assert "was removed from the file." in bare.run("logout", "--url", url)
    assert json.loads(bare.file.read_text()) == {}
    assert PASSWORD not in bare.printed


def test_with_a_keyring_that_fails_it_is_kept_in_the_file_and_why_is_said(bare: Terminal, served: ServedCloud):
    bare.environment["PYTHON_KEYRING_BACKEND"] = f"tests.keyrings.{Broken.__name__}"
    said = bare.run("login", "--url", f"{served.url}/prod", "--email", EMAIL, typed=f"{PASSWORD}\n")
    assert "The system's keyring failed (RuntimeError). So it is kept in a file." in said
    assert bare.file.exists()
    assert "Traceback" not in said


def test_a_wrong_password_keeps_nothing(terminal: Terminal, served: ServedCloud):
    said = terminal.run("login", "--url", f"{served.url}/prod", "--email", EMAIL, typed="planted-and-wrong\n", code=1)
    assert "refused the email or the password. Nothing was kept." in said
    assert "planted" not in said
    assert kept_in(terminal.folder / "keyring.json") == {}


def test_a_mage_that_needs_no_login_keeps_nothing(terminal: Terminal, served: ServedCloud):
    served.post("switch", mage_login=False)
    try:
        said = terminal.run("login", "--url", f"{served.url}/prod", "--email", EMAIL, typed=f"{PASSWORD}\n")
    finally:
        served.post("switch", mage_login=True)
    assert "needs no login; nothing was kept." in said
    assert kept_in(terminal.folder / "keyring.json") == {}


def test_a_server_that_is_not_there_is_a_sentence(terminal: Terminal):
    said = terminal.run("login", "--url", "http://127.0.0.1:9", "--email", EMAIL, typed="x\n", code=1)
    assert "cannot be reached" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["login"], "Say which: `mage-mcp login --url https://your-mage`"),
        (["logout"], "Say which: `mage-mcp login --url"),
        (["login", "--url", "http://127.0.0.1:9"], "Whose login? Without a terminal, say --email EMAIL."),
        (
            ["login", "--url", "http://127.0.0.1:9", "--cluster", "prod"],
            "No cluster 'prod' is configured. There are: default.",
        ),
        (["login", "--url", "http://127.0.0.1:9", "--email", "a@b.c"], "Nothing was given; nothing was kept."),
        (["login", "--url", "http://127.0.0.1:9", "--token-stdin", "--keep-password"], "brings no password"),
        (["login", "--url", "http://a:b@127.0.0.1:9"], "holds a user name or password"),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_is_missing(terminal: Terminal, words: list[str], says: str):
    assert says in terminal.run(*words, code=2)


@pytest.mark.parametrize(
    "words",
    [
        ["login", "planted-typed"],
        ["login", "--password", "planted-typed"],
        ["login", "--password=planted-typed"],
        ["login", "--token", "planted-typed"],
        ["login", "--token=planted-typed"],
        ["logout", "planted-typed"],
    ],
)
def test_nothing_secret_is_taken_from_the_command_line_or_repeated(terminal: Terminal, words: list[str]):
    said = terminal.run(*words, code=2)
    assert "nothing secret on the command line" in said
    assert "planted" not in said


def test_several_clusters_are_told_apart_and_an_email_that_is_configured_counts(
    terminal: Terminal, served: ServedCloud
):
    config = str(terminal.config(served))
    assert "Say which: --cluster, one of prod, staging." in terminal.run("login", "--config", config, code=2)
    said = terminal.run("login", "--config", config, "--cluster", "staging", "--email", EMAIL, typed=f"{PASSWORD}\n")
    assert f"run `mage-mcp login --cluster staging --config {config}` again" in said
    (name,) = kept_in(terminal.folder / "keyring.json")
    assert name == f"login staging {served.url}/staging"
    terminal.environment |= {"MAGE_EMAIL": "other@example.com", "MAGE_URL": f"{served.url}/prod"}
    said = terminal.run("login", "--email", EMAIL, typed=f"{PASSWORD}\n", code=2)
    assert "MAGE_EMAIL names another email" in said


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")
@pytest.mark.parametrize("gives_up", [False, True])
def test_at_a_terminal_email_and_password_are_asked_for_and_the_password_is_not_shown(
    terminal: Terminal, served: ServedCloud, gives_up: bool
):
    import pty

    command = [sys.executable, "-m", "mage_mcp", "login", "--url", f"{served.url}/prod"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, env=terminal.environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = ""

    def until(words: str) -> None:
        nonlocal seen
        while words not in seen:
            try:
                seen += os.read(ours, 1_000).decode()
            except OSError:  # it ended
                assert words in seen, seen

    until("Email for Mage at 127.0.0.1")
    os.write(ours, f"{EMAIL}\n".encode())
    until(f"Password of {EMAIL} (not shown): ")
    os.write(ours, b"\x04" if gives_up else f"{PASSWORD}\n".encode())
    until("nothing was kept." if gives_up else "nothing has to be restarted.")
    assert process.wait(10) == (2 if gives_up else 0)
    os.close(ours)
    assert PASSWORD not in seen
    assert "Traceback" not in seen


# While the server runs


async def test_a_login_while_serving_is_taken_up_without_a_restart(terminal: Terminal, served: ServedCloud, era: str):
    url = f"{served.url}/prod"
    command = f"mage-mcp login --url {url}"
    async with terminal.server(era, MAGE_URL=url) as host:
        refused = await host.refused("list_pipelines")
        assert "needs a login and none is configured or kept" in refused
        assert f"`{command}`" in refused
        terminal.run(*command.split()[1:], "--email", EMAIL, typed=f"{PASSWORD}\n")
        assert (await host.call("list_pipelines")).data["total"] > 50
        (first,) = kept_in(terminal.folder / "keyring.json").values()
        served.post("switch", expire_sessions=True)
        refused = await host.refused("list_pipelines")
        assert "does not accept the token (expired or revoked)" in refused
        assert f"`{command}`" in refused
        terminal.run(*command.split()[1:], "--email", EMAIL, typed=f"{PASSWORD}\n")
        await host.call("trigger_pipeline", pipeline="sales_daily")
        (second,) = kept_in(terminal.folder / "keyring.json").values()
        assert first["token"] != second["token"]
        terminal.run("logout", "--url", url)
        assert f"`{command}`" in await host.refused("list_pipelines")
    everything = terminal.everything() + refused
    for secret in (PASSWORD, first["token"], second["token"]):
        assert secret not in everything
    assert "trigger_pipeline" in everything, "the audit was looked at too"


async def test_with_the_password_kept_a_session_that_ends_is_renewed_and_kept(
    bare: Terminal, served: ServedCloud, era: str
):
    url = f"{served.url}/prod"
    bare.run("login", "--url", url, "--email", EMAIL, "--keep-password", typed=f"{PASSWORD}\n")
    (first,) = map(json.loads, json.loads(bare.file.read_text()).values())
    async with bare.server(era, MAGE_URL=url) as host:
        await host.call("list_pipelines")
        served.post("switch", expire_sessions=True)
        await host.call("list_pipelines")
    (second,) = map(json.loads, json.loads(bare.file.read_text()).values())
    assert first["token"] != second["token"]
    assert second["password"] == PASSWORD
    for secret in (PASSWORD, first["token"], second["token"]):
        assert secret not in bare.everything()


async def test_a_cloud_login_is_taken_up_by_all_its_clusters(terminal: Terminal, served: ServedCloud, era: str):
    config = terminal.config(served)
    async with terminal.server(era, MAGE_CONFIG=str(config)) as host:
        rows = (await host.call("list_clusters")).data["items"]
        command = f"mage-mcp login --cluster prod --cloud --config {config}"
        assert "No login to Mage Cloud is configured or kept for cluster 'prod'" in rows[0]["note"]
        assert command in rows[0]["note"]
        said = terminal.run(*command.split()[1:], "--email", ADMIN.email, typed=f"{ADMIN.password}\n")
        assert "Logged in to Mage Cloud" in said
        rows = (await host.call("list_clusters")).data["items"]
        assert [row["status"] for row in rows] == ["Active", "Active"]
        served.post("switch", expire_sessions=True)
        note = (await host.call("list_clusters")).data["items"][0]["note"]
        assert "Mage Cloud does not accept the token (expired or revoked)" in note
        terminal.run(*command.split()[1:], "--email", ADMIN.email, typed=f"{ADMIN.password}\n")
        rows = (await host.call("list_clusters")).data["items"]
        assert [row["status"] for row in rows] == ["Active", "Active"]
    (entry,) = kept_in(terminal.folder / "keyring.json").values()
    for secret in (ADMIN.password, entry["token"]):
        assert secret not in terminal.everything()
    said = terminal.run("logout", "--config", str(config), "--cloud")
    assert "ends by itself" in said
    wrong = terminal.run(
        "login", "--config", str(config), "--cloud", "--email", ADMIN.email, typed="planted-and-wrong\n", code=1
    )
    assert "Mage Cloud refused the email or the password. Nothing was kept." in wrong


async def test_a_keyring_that_hangs_does_not_hold_up_the_server_or_its_end(
    bare: Terminal, served: ServedCloud, era: str
):
    backend = f"tests.keyrings.{Hanging.__name__}"
    async with bare.server(era, MAGE_URL=f"{served.url}/prod", PYTHON_KEYRING_BACKEND=backend) as host:
        assert (await host.client.list_tools()).tools
        assert "keyring did not answer within 3 s; it may be locked" in await host.refused("list_pipelines")
        assert "keyring did not answer" in await host.refused("list_pipelines")


@pytest.mark.real
async def test_login_serving_and_logout_on_a_real_mage(terminal: Terminal, real_mage_with_login: RealMage, era: str):
    url = real_mage_with_login.url
    said = terminal.run("login", "--url", url, "--email", REAL_EMAIL, typed="planted-and-wrong\n", code=1)
    assert "refused the email or the password" in said
    async with terminal.server(era, MAGE_URL=url) as host:
        assert f"`mage-mcp login --url {url}`" in await host.refused("list_pipelines")
        terminal.run("login", "--url", url, "--email", REAL_EMAIL, typed=f"{REAL_PASSWORD}\n")
        assert (await host.call("list_pipelines")).data["total"] > 0
        assert "Its session was ended at Mage." in terminal.run("logout", "--url", url)
        assert f"`mage-mcp login --url {url}`" in await host.refused("list_pipelines")
        terminal.run("login", "--url", url, "--email", REAL_EMAIL, "--keep-password", typed=f"{REAL_PASSWORD}\n")
        (entry,) = kept_in(terminal.folder / "keyring.json").values()
        await host.call("list_pipelines")
    assert entry["token"] not in terminal.everything()

"""The first hour with mage-mcp: what a person types, in its order, from the wheel in an empty environment.

Where a command says what to type next, that is typed, letter by letter.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from mage_mcp import __version__
from mage_mcp.demo.cloud import MAGE_LOGIN
from mage_mcp.hosts.table import HOSTS
from tests import keyrings
from tests.conftest import ERAS, NO_KEYRING
from tests.host import Host, Person
from tests.lab.mage import EMAIL, PASSWORD, RealMage
from tests.packaged import scripts
from tests.served import serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
THEIRS = '{\n  "mcpServers": {\n    "other": {"command": "other", "env": {"KEY": "value"}}\n  },\n  "mine": [1, 2]\n}\n'
"""Cursor's file, as somebody has it."""


@dataclass
class Newcomer:
    """A person with a home and nothing configured, in a shell in which the installed environment is active."""

    home: Path
    bin: Path
    printed: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        own = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
        path = os.pathsep.join([str(self.bin), os.defpath])
        return {**own, "HOME": str(self.home), "USERPROFILE": str(self.home), "PATH": path, "PYTHONUTF8": "1"}

    def run(self, *words: str, typed: str = "", code: int = 0, within_s: float = 60) -> str:
        """Type a command; what it printed to either stream."""
        program = shutil.which(words[0], path=str(self.bin))
        assert program, words
        done = subprocess.run(
            [program, *words[1:]],
            cwd=self.home,
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=within_s,
        )
        printed = done.stdout + done.stderr
        self.printed.append(printed)
        assert done.returncode == code, printed
        assert "Traceback" not in printed
        return printed

    def take_keyring(self, backend: str) -> None:
        """Set it up as the keyring's documentation says: hosts pass on none of its variables."""
        code = "from keyring.util.platform_ import config_root; print(config_root())"
        folder = Path(self.run("python", "-c", code).strip())
        folder.mkdir(parents=True)
        library = self.home / "library"
        library.mkdir()
        shutil.copy(keyrings.__file__, library / "keyrings.py")
        (folder / "keyringrc.cfg").write_text(
            f"[backend]\ndefault-keyring={backend}\nkeyring-path={library}\n", encoding="utf-8"
        )

    @asynccontextmanager
    async def launched(self, entry: dict[str, Any], era: str) -> AsyncIterator[Host]:
        """The server as a host starts it: what the entry says, and little of the shell's environment."""
        env = {"HOME": str(self.home), "USERPROFILE": str(self.home), **entry.get("env", {})}
        command = StdioServerParameters(command=entry["command"], args=entry.get("args", []), env=env, cwd="/")
        with (self.home / "stderr.log").open("a", encoding="utf-8") as log:
            async with Client(stdio_client(command, errlog=log), mode=era, elicitation_callback=Person()) as client:
                assert client.protocol_version == ERAS[era]
                yield Host(client, Person())
        self.printed.append((self.home / "stderr.log").read_text(encoding="utf-8"))


def advised(text: str, beginning: str) -> list[str]:
    """The words of the command in backticks that begins so."""
    found = {part for part in text.split("`")[1::2] if part.startswith(beginning)}
    assert len(found) == 1, text
    return shlex.split(found.pop())


@pytest.fixture
def newcomer(installed: Path, tmp_path: Path) -> Newcomer:
    home = tmp_path / "home"
    home.mkdir()
    return Newcomer(home, scripts(installed))


@dataclass
class Target:
    url: str
    email: str
    password: str


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.real)])
def with_login(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    """A Mage that asks for a login."""
    if request.param == "real":
        mage: RealMage = request.getfixturevalue("real_mage_with_login")
        yield Target(mage.url, EMAIL, PASSWORD)
        return
    with serving(tmp_path) as served:
        served.post("switch", mage_login=True)
        yield Target(f"{served.url}/prod", *MAGE_LOGIN)


def test_without_any_mage_there_is_a_tour_and_a_check(newcomer: Newcomer):
    began = time.monotonic()
    tour = newcomer.run("mage-mcp", "demo", "--fast")
    assert time.monotonic() - began < 30  # 4 s on a machine of its own
    assert "The list of the" in tour
    (own,) = (line for line in tour.splitlines() if "claude mcp add mage" in line)
    assert shlex.split(own)[-1] == str(newcomer.bin / Path(shutil.which("mage-mcp", path=str(newcomer.bin)) or "").name)
    assert "[FAIL]" not in newcomer.run("mage-mcp", "doctor", "--demo")
    nothing = newcomer.run("mage-mcp", "doctor", code=1)
    assert "To look around without a Mage: `mage-mcp demo`" in nothing
    assert "DNS knows no mage.invalid" in newcomer.run("mage-mcp", "doctor", "--url", "http://mage.invalid", code=1)
    assert "Nothing listens" in newcomer.run("mage-mcp", "doctor", "--url", "http://127.0.0.1:9", code=1)
    assert newcomer.run("mage-mcp", "--version") == newcomer.run("python", "-m", "mage_mcp", "--version")
    assert newcomer.printed[-1].strip() == f"mage-mcp {__version__}"
    assert not any(newcomer.home.iterdir()), "looking around leaves nothing behind"


@pytest.mark.real
def test_a_real_mage_without_login_is_well(newcomer: Newcomer, real_mage: RealMage):
    seen = newcomer.run("mage-mcp", "doctor", "--url", f"{real_mage.url}/pipelines/sales_daily/edit?sideview=tree")
    assert f"A Mage answers at {real_mage.url}." in seen
    assert "[ok]   login         None needed." in seen
    assert "[FAIL]" not in seen


@pytest.mark.parametrize("keyring", ["keyrings.InHome", NO_KEYRING], ids=["keyring", "file"])
async def test_from_the_check_to_a_call_and_back_as_the_commands_advise(
    newcomer: Newcomer, with_login: Target, keyring: str
):
    newcomer.take_keyring(keyring)
    seen = newcomer.run("mage-mcp", "doctor", "--url", with_login.url, code=1)
    assert "needs a login" in seen
    login = [*advised(seen, "mage-mcp login"), "--email", with_login.email]
    assert "Nothing was kept." in newcomer.run(*login, typed="planted-and-wrong\n", code=1)
    kept = newcomer.run(*login, typed=f"{with_login.password}\n")
    file = newcomer.home / "keyring.json"
    assert ("kept in the system's keyring (test)" in kept) == file.exists() == (keyring != NO_KEYRING)

    cursor = newcomer.home / ".cursor" / "mcp.json"
    cursor.parent.mkdir()
    cursor.write_text(THEIRS, encoding="utf-8")
    wrote = newcomer.run("mage-mcp", "client", "cursor", "--url", with_login.url, "--write")
    assert "[ok]   login" in newcomer.run(*advised(wrote, "mage-mcp doctor"))
    configured = json.loads(cursor.read_text(encoding="utf-8"))
    entry = configured["mcpServers"].pop("mage")
    assert configured == json.loads(THEIRS)
    (backup,) = cursor.parent.glob("mcp.json.bak-*")
    assert backup.read_text(encoding="utf-8") == THEIRS

    async with newcomer.launched(entry, "legacy") as host:
        assert (await host.call("list_pipelines")).data["total"] > 50
    async with newcomer.launched(entry, "auto") as host:
        assert (await host.call("list_pipelines")).data["total"] > 50
        out = newcomer.run("mage-mcp", "logout", "--url", with_login.url)
        assert "Its session was ended at Mage." in out
        refused = await host.refused("list_pipelines")
        assert advised(refused, "mage-mcp login") == login[:-2]
        newcomer.run(*login, typed=f"{with_login.password}\n")
        assert (await host.call("list_pipelines")).data["total"] > 50, "it takes the login up while it runs"

    newcomer.run("mage-mcp", "client", "cursor", "--remove")
    assert json.loads(cursor.read_text(encoding="utf-8")) == json.loads(THEIRS)
    assert with_login.password == PASSWORD or not [text for text in newcomer.printed if with_login.password in text]
    assert not [text for text in newcomer.printed if "planted-and-wrong" in text]


@pytest.mark.parametrize("host", sorted(HOSTS.keys() - {"claude-code"}))
async def test_what_is_written_for_a_host_starts_this_server(newcomer: Newcomer, host: str):
    printed = newcomer.run("mage-mcp", "client", host, "--demo", "--write")
    assert "mage-mcp doctor" not in printed, "there is nothing to check in a simulation"
    (file,) = (path for path in newcomer.home.rglob("*") if path.is_file())
    assert str(file) in printed
    read = tomllib.loads if file.suffix == ".toml" else json.loads
    entry = read(file.read_text(encoding="utf-8"))[HOSTS[host].table]["mage"]
    assert entry["command"] == shutil.which("mage-mcp", path=str(newcomer.bin))
    async with newcomer.launched(entry, "auto") as launched:
        assert (await launched.call("list_pipelines")).data["cluster"] == "prod"


@pytest.mark.skipif(sys.platform == "win32", reason="the shell's quotes are others there")
async def test_the_command_for_claude_code_starts_this_server(newcomer: Newcomer):
    printed = newcomer.run("mage-mcp", "client", "claude-code", "--demo").splitlines()[0]
    options, _, command = printed.partition(" -- ")
    assert options == "claude mcp add mage --scope user"
    program, *arguments = shlex.split(command)
    async with newcomer.launched({"command": program, "args": arguments}, "auto") as launched:
        assert (await launched.call("list_pipelines")).data["cluster"] == "prod"

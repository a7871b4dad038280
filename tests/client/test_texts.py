"""Text files of the project: read with a hash, and written so that nobody's change is lost unseen."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest

from mage_mcp.client import Cluster, Mage
from mage_mcp.client.diffs import unified
from mage_mcp.client.project_paths import holds_secrets
from mage_mcp.client.texts import Text
from mage_mcp.demo.app import create_app
from mage_mcp.demo.world import World
from mage_mcp.errors import MageInvalid, MageNotConfigured, MageNotFound, MageReplyInvalid, MageWriteUncertain
from mage_mcp.text import MASK
from tests.conftest import URL, clock_of

pytestmark = pytest.mark.anyio

PATH = "transformers/add_tax.py"


def puts(world: World) -> list[str]:
    return [path for method, path in world.requests if method != "GET"]


class Meddler(httpx.AsyncBaseTransport):
    """The wire to a simulated Mage, on which something happens before, after or instead of the next PUT."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._inner = httpx.ASGITransport(app=create_app(world))
        self.lose: str = ""
        self.write_after: str = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return await self._inner.handle_async_request(request)
        if self.lose == "request":
            raise httpx.ReadError("broken off before it was read")
        response = await self._inner.handle_async_request(request)
        if self.write_after:
            self._world.write_file(PATH, self.write_after)
        if self.lose == "answer":
            raise httpx.ReadError("broken off")
        return response


@pytest.fixture
def wire(world: World) -> Meddler:
    return Meddler(world)


@pytest.fixture
async def mage(world: World, wire: Meddler, state_folder: Path) -> AsyncIterator[Mage]:
    async with Mage(Cluster(url=URL), wire=wire, clock=clock_of(world)) as client:
        yield client


async def test_a_file_is_read_with_a_hash_of_its_text(mage: Mage, world: World):
    text = await mage.texts.read(PATH)
    assert text.content == world.files[PATH].content
    assert text.hash == Text(PATH, text.content).hash
    assert len(text.hash) == 16
    assert text.modified_at == world.files[PATH].modified_at


async def test_missing_empty_and_folder_are_told_apart(mage: Mage, world: World):
    world.write_file("utils/empty.py", "")
    assert (await mage.texts.read("utils/empty.py")).content == ""
    assert await mage.texts.find("transformers/add_taxes.py") is None
    assert await mage.texts.find("transformers") is None
    with pytest.raises(MageNotFound, match=r"no file 'transformers/add_taxes\.py'\. Did you mean 'add_tax\.py'"):
        await mage.texts.read("transformers/add_taxes.py")
    with pytest.raises(MageNotFound, match="There is no folder 'transformer'"):
        await mage.texts.read("transformer/adds_tax.py")
    with pytest.raises(MageNotFound, match=r"There is transformers/add_tax\.py\."):
        await mage.texts.read("transformer/add_tax.py")
    with pytest.raises(MageInvalid, match="is a folder"):
        await mage.texts.read("transformers")
    with pytest.raises(MageInvalid, match="is a folder; nothing was written"):
        await mage.texts.write("transformers", "x = 1\n")
    assert not puts(world)


async def test_a_file_that_is_no_text_is_said_and_never_overwritten(httpx_mock):
    binary = {"content": "", "size": 4, "modified_timestamp": 1795573750.4, "name": "x", "path": "/src/shop/utils/x"}
    httpx_mock.add_response(url=f"{URL}/api/status", json={"statuses": [{"repo_path_root": "/src/shop"}]})
    url = f"{URL}/api/file_contents/shop%2Futils%2Fx"
    httpx_mock.add_response(url=url, json={"file_content": binary, "metadata": None}, is_reusable=True)
    async with Mage(Cluster(url=URL)) as mage:
        for call in (mage.texts.read("utils/x"), mage.texts.write("utils/x", "a", expected_hash="0" * 16)):
            with pytest.raises(MageInvalid, match="not a text in UTF-8"):
                await call
    assert {request.method for request in httpx_mock.get_requests()} == {"GET"}


async def test_mage_never_gets_to_guess_which_file_is_meant(mage: Mage, world: World):
    """Without the project in front Mage takes `o_config.yaml` for `io_config.yaml`."""
    world.write_file("io_config.yaml", "PASSWORD: zq8-secret\n")
    for path in ("o_config.yaml", "add_tax.py", "mers/add_tax.py"):
        assert await mage.texts.find(path) is None
    made = await mage.texts.write("add_tax.py", "x = 1\n")
    assert made.before is None
    assert world.files["add_tax.py"].content == "x = 1\n"
    assert "orders" in world.files[PATH].content
    assert (await mage.texts.read(f"demo_project/{PATH}")).path == PATH


async def test_an_answer_about_another_file_is_refused(httpx_mock):
    other = {"content": "PASSWORD: zq8\n", "size": 15, "name": "io_config.yaml", "path": "/src/shop/io_config.yaml"}
    httpx_mock.add_response(url=f"{URL}/api/status", json={"statuses": [{"repo_path_root": "/src/shop"}]})
    httpx_mock.add_response(json={"file_content": other, "metadata": None})
    async with Mage(Cluster(url=URL)) as mage:
        with pytest.raises(MageReplyInvalid, match="answered with another file"):
            await mage.texts.read("o_config.yaml")


async def test_a_write_replaces_the_text_keeps_the_former_one_and_says_both(
    mage: Mage, world: World, state_folder: Path
):
    before = await mage.texts.read(PATH)
    new = before.content.replace("0.2", "0.25")
    done = await mage.texts.write(PATH, new, expected_hash=before.hash)
    assert done.changed
    assert world.files[PATH].content == new
    assert done.after is not None
    assert done.after.hash == (await mage.texts.read(PATH)).hash != before.hash
    assert "-    orders['tax'] = (orders['amount'] * 0.2).round(2)" in done.diff
    assert "+    orders['tax'] = (orders['amount'] * 0.25).round(2)" in done.diff
    backup = Path(done.backup)
    assert backup.is_relative_to(state_folder)
    assert backup.read_text(encoding="utf-8") == before.content
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(backup.parent.stat().st_mode) == 0o700
    assert puts(world) == ["/api/file_contents/demo_project%2Ftransformers%2Fadd_tax.py"]


async def test_a_new_file_needs_no_hash_and_an_old_one_does(mage: Mage, world: World):
    made = await mage.texts.write("utils/new.py", "x = 1\n")
    assert (made.changed, made.before, made.backup) == (True, None, "")
    assert world.files["utils/new.py"].content == "x = 1\n"
    with pytest.raises(MageInvalid, match=r"exists already; nothing was written\. .*expected_hash"):
        await mage.texts.write("utils/new.py", "x = 2\n")
    with pytest.raises(MageNotFound, match="any more"):
        await mage.texts.write("utils/gone.py", "x = 2\n", expected_hash="0" * 16)
    assert world.files["utils/new.py"].content == "x = 1\n"


async def test_a_file_that_changed_since_it_was_read_is_left_alone(mage: Mage, world: World):
    read = await mage.texts.read(PATH)
    world.write_file(PATH, "somebody = 'else'\n")
    for call in (
        mage.texts.write(PATH, "mine = 1\n", expected_hash=read.hash),
        mage.texts.delete(PATH, expected_hash=read.hash),
    ):
        with pytest.raises(MageInvalid, match=r"changed since it was read .*nothing was changed\. Read it again"):
            await call
    assert world.files[PATH].content == "somebody = 'else'\n"
    assert not puts(world)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        (" \n\t\n", "is empty"),
        (f"password = '{MASK}'\n", "stands where a secret was masked"),
        ("a\x00b", "no text has"),
        ("half \ud83d", "no text has"),
        ("x" * 1_000_001, "over 1000000"),
    ],
)
async def test_a_text_that_must_not_be_written_is_refused(mage: Mage, world: World, content: str, why: str):
    read = await mage.texts.read(PATH)
    for dry_run in (True, False):
        with pytest.raises(MageInvalid, match=f"{why}.*; nothing was written"):
            await mage.texts.write(PATH, content, expected_hash=read.hash, dry_run=dry_run)
    assert not puts(world)


async def test_a_file_is_emptied_when_that_is_said(mage: Mage, world: World):
    read = await mage.texts.read(PATH)
    done = await mage.texts.write(PATH, "", expected_hash=read.hash, allow_empty=True)
    assert world.files[PATH].content == ""
    assert Path(done.backup).read_text(encoding="utf-8") == read.content


async def test_a_dry_run_and_the_same_text_write_nothing(mage: Mage, world: World, state_folder: Path):
    read = await mage.texts.read(PATH)
    planned = await mage.texts.write(PATH, "x = 1\n", expected_hash=read.hash, dry_run=True)
    same = await mage.texts.write(PATH, read.content, expected_hash=read.hash)
    assert (planned.changed, planned.backup, same.changed, same.diff) == (False, "", False, "")
    assert "+x = 1" in planned.diff
    assert "nothing was written" in same.note
    assert not puts(world)
    assert not state_folder.exists()


async def test_windows_line_ends_stay(mage: Mage, world: World):
    world.write_file("utils/win.py", "a = 1\r\nb = 2\r\n")
    read = await mage.texts.read("utils/win.py")
    assert read.content == "a = 1\nb = 2\n"
    done = await mage.texts.write("utils/win.py", "a = 1\nb = 3\n", expected_hash=read.hash)
    assert world.files["utils/win.py"].content == "a = 1\r\nb = 3\r\n"
    assert Path(done.backup).read_bytes() == b"a = 1\r\nb = 2\r\n"
    assert done.diff.splitlines()[-2:] == ["-b = 2", "+b = 3"]


async def test_without_a_place_for_the_former_text_nothing_is_overwritten(
    mage: Mage, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "no_folder").write_text("a file")
    monkeypatch.setenv("MAGE_MCP_STATE_DIR", str(tmp_path / "no_folder"))
    read = await mage.texts.read(PATH)
    with pytest.raises(MageNotConfigured, match=r"could not be kept .*nothing was overwritten"):
        await mage.texts.write(PATH, "x = 1\n", expected_hash=read.hash)
    assert not puts(world)


async def test_a_lost_answer_is_settled_by_reading_back(mage: Mage, world: World, wire: Meddler):
    read = await mage.texts.read(PATH)
    wire.lose = "answer"
    done = await mage.texts.write(PATH, "x = 1\n", expected_hash=read.hash)
    assert done.changed
    assert "answer was lost" in done.note
    assert len(puts(world)) == 1
    wire.lose = "request"
    with pytest.raises(MageWriteUncertain, match=r"may or may not have happened\. .*kept in /"):
        await mage.texts.write(PATH, "x = 2\n", expected_hash=Text(PATH, "x = 1\n").hash)
    assert world.files[PATH].content == "x = 1\n"


async def test_somebody_elses_write_at_the_same_time_is_reported(mage: Mage, world: World, wire: Meddler):
    read = await mage.texts.read(PATH)
    wire.write_after = "theirs = 1\n"
    with pytest.raises(
        MageWriteUncertain, match=r"somebody else wrote it .*is not there\. The former text is kept in /"
    ):
        await mage.texts.write(PATH, "mine = 1\n", expected_hash=read.hash)


async def test_twenty_edits_of_one_file_at_once_lose_nothing(mage: Mage, world: World):
    world.write_file("utils/log.txt", "start\n")

    async def add(number: int) -> None:
        await mage.texts.edit("utils/log.txt", lambda before: f"{before.content if before else ''}{number}\n")

    async with anyio.create_task_group() as together:
        for number in range(20):
            together.start_soon(add, number)
    assert sorted(map(int, world.files["utils/log.txt"].content.split()[1:])) == list(range(20))


async def test_a_file_is_deleted_after_its_text_was_kept(mage: Mage, world: World, wire: Meddler):
    read = await mage.texts.read(PATH)
    assert not (await mage.texts.delete(PATH, dry_run=True)).changed
    wire.lose = "answer"
    done = await mage.texts.delete(PATH, expected_hash=read.hash)
    assert PATH not in world.files
    assert "is gone" in done.note
    assert Path(done.backup).read_text(encoding="utf-8") == read.content
    with pytest.raises(MageNotFound):
        await mage.texts.delete(PATH)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "../x.py",
        "utils/../../x.py",
        "utils/..",
        "./x.py",
        "utils//x.py",
        "utils/",
        "a\\b.py",
        "utils/x\x00.py",
        "utils/x\n.py",
        "%2e%2e/x.py",
        "io_conf%69g.yaml",
        " x.py",
        "a/" * 600 + "x.py",
        "x" * 300,
    ],
)
async def test_a_path_that_leads_elsewhere_is_never_sent(mage: Mage, world: World, path: str):
    for call in (mage.texts.read(path), mage.texts.write(path, "x"), mage.texts.delete(path)):
        with pytest.raises(MageInvalid, match="cannot be the path of a file of the project; nothing was sent"):
            await call
    assert not world.requests


SECRETS = (
    "io_config.yaml",
    "IO_CONFIG.yaml",
    "io_config.yaml.",
    "demo_project/io_config.yaml",
    "dbt/shop/profiles.yml",
    ".env",
    ".env.local",
    "prod.env",
    ".ssh_tunnel/key",
    ".ssh/id",
    ".file_versions/io_config.yaml/1795573751",
    ".git/config",
    ".preferences.yaml",
    "keys/server.pem",
    "id_rsa",
    "gcp-service-account.json",
    "credentials.json",
    ".netrc",
    "my_io_config.yml",
    "io_config.yaml::$DATA",
    "keys/server.pem::$DATA",
    "keys/server.pem.bak",
    "keys/server.key~",
    "profiles.yml.1",
    "IO_CON~1.YAM",
    ".g\u200cit/config",
    "\uff49o_config.yaml",
    ".\u017fecrets/x",
    "secrets.toml",
    "prod.env.local",
    "gcp-key.json",
    "infra/prod.tfvars",
    ".databrickscfg",
)


@pytest.mark.parametrize("path", SECRETS)
async def test_files_of_secrets_are_neither_read_nor_written(mage: Mage, world: World, path: str):
    for call in (mage.texts.read(path), mage.texts.write(path, "x"), mage.texts.delete(path)):
        with pytest.raises(MageInvalid, match="may hold secrets"):
            await call
    assert not world.requests


def test_other_files_are_no_secrets():
    for path in (
        "metadata.yaml",
        "data_loaders/load_credentials.py",
        "environments/x.py",
        "utils/keys.py",
        "a/b.yaml",
        "a~b.py",
        "utils/secrets.py",
    ):
        assert not holds_secrets(path), path


def test_a_diff_is_masked_and_cut():
    diff = unified("password = 'zq8-old'\n", "password = 'zq8-new'\n", "utils/x.py")
    assert MASK in diff
    assert "zq8" not in diff
    long = unified("", "".join(f"line {number}\n" for number in range(2_000)), "utils/x.py")
    assert len(long) < 4_200
    assert long.endswith("more lines of the diff are not shown.")
    assert unified("a\n", "a", "x") == "(only the line end at the end of the file changes)"
    assert unified("a\n", "a\n", "x") == ""

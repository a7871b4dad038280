"""The files of a project through its tools, over both Mages and both protocol eras."""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mage_mcp.demo.planted import PLANTED
from mage_mcp.demo.world import World
from tests.conftest import demo_host
from tests.host import Host

pytestmark = pytest.mark.anyio
_numbers = count()


@pytest.fixture
def new_file() -> str:
    """A path at which there is nothing yet, whichever test ran before."""
    return f"utils/of_a_test_{next(_numbers)}.py"


@pytest.fixture
async def on_demo(world: World, era: str) -> AsyncIterator[Host]:
    async with demo_host(world, era) as host:
        yield host


async def test_list_files_shows_a_folder_at_a_time_folders_first(host: Host):
    top = (await host.call("list_files")).data
    paths = [row["path"] for row in top["items"]]
    assert "transformers/" in paths
    assert "metadata.yaml" in paths
    assert paths == sorted(paths, key=lambda path: (not path.endswith("/"), path))
    below = (await host.call("list_files", folder="transformers/", limit=100)).data
    assert below["folder"] == "transformers"
    assert "transformers/add_tax.py" in [row["path"] for row in below["items"]]


async def test_list_files_searches_below_a_folder_and_tells_sizes(host: Host):
    found = (await host.call("list_files", search="ADD_TAX")).data["items"]
    assert [row["path"] for row in found] == ["transformers/add_tax.py"]
    assert found[0]["size_bytes"] > 100
    assert (await host.call("list_files", folder="data_loaders", search="add_tax")).data["total"] == 0


async def test_a_folder_that_is_not_there_is_said_with_what_is_near(host: Host):
    assert "Did you mean 'transformers'?" in await host.refused("list_files", folder="transformer")
    assert "has no folder 'nowhere'" in await host.refused("list_files", folder="nowhere/below")


async def test_pages_of_a_folder_go_on(host: Host):
    first = (await host.call("list_files", limit=2)).data
    assert len(first["items"]) == 2
    second = (await host.call("list_files", limit=2, offset=first["next_offset"])).data
    assert not {row["path"] for row in first["items"]} & {row["path"] for row in second["items"]}


async def test_read_file_shows_the_text_with_a_hash_and_who_runs_it(host: Host):
    answer = await host.call("read_file", path="transformers/add_tax.py")
    assert "added tax to" in answer.data["content"]
    assert len(answer.data["hash"]) == 16
    assert answer.data["used_by"] == ["sales_daily"]
    assert "content" in answer.data["untrusted"]
    assert "```text\n" in answer.text
    part = (await host.call("read_file", path="transformers/add_tax.py", from_line=2, to_line=3)).data
    assert part["content"] == "".join(answer.data["content"].splitlines(keepends=True)[1:3])
    assert (part["from_line"], part["to_line"], part["lines"]) == (2, 3, answer.data["lines"])
    assert "hash" not in part


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("io_config.yaml", "may hold secrets"),
        (".env", "may hold secrets"),
        (".ssh_tunnel/id_rsa", "may hold secrets"),
        ("keys/server.pem", "may hold secrets"),
        ("../users/1", "cannot be the path"),
        ("/etc/passwd", "cannot be the path"),
        ("io_conf%69g.yaml", "cannot be the path"),
        ("transformers", "is a folder"),
        ("transformers/add_taxes.py", "Did you mean 'add_tax.py'"),
    ],
)
async def test_read_file_refuses_what_is_secret_outside_or_not_there(host: Host, path: str, sentence: str):
    assert sentence in await host.refused("read_file", path=path)
    assert sentence in await host.refused("write_file", path=path, replace={"old": "a", "new": "b"})


async def test_files_of_secrets_are_listed_as_closed(world: World, on_demo: Host):
    world.write_file("io_config.yaml", "default:\n  POSTGRES_PASSWORD: x\n")
    rows = {row["path"]: row for row in (await on_demo.call("list_files", limit=100)).data["items"]}
    assert rows["io_config.yaml"]["closed"] == "may hold secrets"
    assert "closed" not in rows["metadata.yaml"]


async def test_write_file_makes_a_file_then_changes_it_by_hash_and_keeps_the_former_text(host: Host, new_file: str):
    dry = await host.call("write_file", path=new_file, content="RATE = 0.2\n", dry_run=True)
    assert dry.data["changed"] is False
    assert dry.data["would"] == [f"make {new_file} as the diff says"]
    assert "+RATE = 0.2" in dry.data["diff"]
    assert f"no file '{new_file}'" in await host.refused("read_file", path=new_file)

    made = (await host.call("write_file", path=new_file, content="RATE = 0.2\n")).data
    assert made["changed"] is True
    read = (await host.call("read_file", path=new_file)).data
    assert (read["content"], read["hash"]) == ("RATE = 0.2\n", made["hash"])

    changed = await host.call("write_file", path=new_file, content="RATE = 0.25\n", expected_hash=read["hash"])
    assert "-RATE = 0.2\n+RATE = 0.25" in changed.data["diff"]
    assert "```diff\n" in changed.text
    assert Path(changed.data["backup"]).read_text() == "RATE = 0.2\n"
    assert Path(changed.data["backup"]).stat().st_mode & 0o077 == 0


async def test_write_file_refuses_to_lose_what_somebody_else_wrote(host: Host, new_file: str):
    made = (await host.call("write_file", path=new_file, content="A = 1\n")).data
    await host.call("write_file", path=new_file, replace={"old": "A = 1", "new": "A = 2"})
    sentence = await host.refused("write_file", path=new_file, content="A = 3\n", expected_hash=made["hash"])
    assert "has changed since it was read" in sentence
    assert "exists already" in await host.refused("write_file", path=new_file, content="A = 3\n")
    assert (await host.call("read_file", path=new_file)).data["content"] == "A = 2\n"


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("a.py", {"content": "def broken(:\n"}, "Line 1"),
        ("a.yaml", {"content": "a: [1\n"}, "is no YAML"),
        ("a.json", {"content": "{"}, "is no JSON"),
        ("a.py", {"content": "PASSWORD = '•••'\n"}, "stands where a secret was masked"),
        ("a.py", {"content": "  \n"}, "is empty; nothing was written"),
        ("a.py", {}, "Give content or replace"),
        ("a.py", {"content": "x", "replace": {"old": "a", "new": "b"}}, "Give content or replace"),
        ("a.py", {"replace": {"old": "a"}}, "replace takes an object with old and new"),
        ("a.py", {"content": "x = 1", "expected_hash": "0" * 16}, "has no file"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_write_file_refuses_what_would_break_a_file(
    host: Host, new_file: str, name: str, arguments: dict[str, Any], sentence: str
):
    path = f"{new_file.removesuffix('.py')}_{name}"
    assert sentence in await host.refused("write_file", path=path, **arguments)
    assert "no file" in await host.refused("read_file", path=path)


@pytest.mark.parametrize("name", ["metadata.yaml", "triggers.yaml"])
async def test_what_pipelines_are_made_of_is_not_written_as_a_file(host: Host, name: str):
    sentence = await host.refused("write_file", path=f"pipelines/sales_etl/{name}", content="a: 1\n")
    assert "is not written here; nothing was written. " in sentence
    assert "update_" in sentence


async def test_a_file_named_without_its_folder_is_found(host: Host):
    assert "There is transformers/add_tax.py." in await host.refused("read_file", path="add_tax.py")
    assert "There is no folder 'nowhere'" in await host.refused("read_file", path="nowhere/at_all.py")


async def test_a_secret_in_a_file_is_masked_and_survives_a_change_beside_it(world: World, on_demo: Host):
    secret = PLANTED["pipeline variable db_password"]
    world.write_file("utils/db.py", f'password = "{secret}"\nrate = 1\n')
    answer = await on_demo.call("read_file", path="utils/db.py")
    assert secret not in answer.text
    assert "change it by replace" in answer.data["note"]
    changed = await on_demo.call("write_file", path="utils/db.py", replace={"old": "rate = 1", "new": "rate = 2"})
    assert secret not in changed.text
    assert world.files["utils/db.py"].content == f'password = "{secret}"\nrate = 2\n'


async def test_a_long_file_is_cut_and_says_how_to_go_on(world: World, on_demo: Host):
    world.write_file("utils/long.py", "".join(f"value_{n} = {n}\n" for n in range(5_000)))
    answer = await on_demo.call("read_file", path="utils/long.py")
    assert answer.tokens <= 8_000
    assert "hash" not in answer.data
    assert "go on with from_line" in answer.data["note"]
    rest = await on_demo.call("read_file", path="utils/long.py", from_line=answer.data["to_line"] + 1)
    assert rest.data["content"].startswith(f"value_{answer.data['to_line']} = ")


@pytest.mark.parametrize(
    "path",
    [
        "pipelines/sales_daily/metadata.yaml",
        "demo_project/pipelines/sales_daily/metadata.yaml",
        "Pipelines/sales_daily/Metadata.YAML",
        "demo_project/pipelines/sales_daily/triggers.yaml",
    ],
)
async def test_the_files_that_pipelines_are_made_of_are_written_by_no_other_name(host: Host, path: str):
    sentence = await host.refused("write_file", path=path, content="a: 1\n", dry_run=True)
    assert "is not written here; nothing was written" in sentence


async def test_a_secret_in_a_file_stays_masked_whatever_is_changed_around_it(on_demo: Host):
    on_demo.world.write_file("utils/keys_of.py", "a = 1\npassword = 'zq8-planted'\n")
    for dry_run in (True, False):
        change = {"old": "password", "new": "note"}
        sentence = await on_demo.refused("write_file", path="utils/keys_of.py", replace=change, dry_run=dry_run)
        assert "would be seen after this change" in sentence
    assert "'zq8-planted'" in on_demo.world.files["utils/keys_of.py"].content

"""Blocks, made, read, changed and deleted, on both Mages and in both protocol eras."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from mage_mcp.demo.world import World
from mage_mcp.text import MASK
from tests.conftest import demo_server
from tests.host import Host, Person

pytestmark = pytest.mark.anyio

_numbers = count(1)
LOAD = """\
if 'data_loader' not in globals():
    from mage_ai.data_preparation.decorators import data_loader


@data_loader
def load_data(*args, **kwargs):
    return [1, 2, 3]
"""
DOUBLE = """\
if 'transformer' not in globals():
    from mage_ai.data_preparation.decorators import transformer


@transformer
def transform(numbers, *args, **kwargs):
    return [2 * number for number in numbers]
"""


class Authored:
    """A pipeline of this test alone, and blocks whose names no other test uses."""

    def __init__(self, host: Host, number: int) -> None:
        self.host, self.number = host, number
        self.pipeline = f"authored_{number}"

    def name(self, name: str) -> str:
        return f"{name}_{self.number}"

    async def create(self, name: str, type_: str = "custom", *upstream: str, **more: Any) -> dict[str, Any]:
        given = {"upstream_blocks": [self.name(up) for up in upstream]} if upstream else {}
        answer = await self.host.call(
            "create_block", pipeline=self.pipeline, name=self.name(name), type=type_, **given, **more
        )
        return answer.data

    async def update(self, name: str, **more: Any) -> dict[str, Any]:
        return (await self.host.call("update_block", pipeline=self.pipeline, block=self.name(name), **more)).data

    async def refused(self, tool: str, name: str, **more: Any) -> str:
        key = "name" if tool == "create_block" else "block"
        return await self.host.refused(tool, pipeline=self.pipeline, **{key: self.name(name)}, **more)

    async def get(self, name: str, **more: Any) -> dict[str, Any]:
        return (await self.host.call("get_block", pipeline=self.pipeline, block=self.name(name), **more)).data

    async def blocks(self) -> dict[str, list[str]]:
        """Upstream blocks by block, in the pipeline's order."""
        rows = (await self.host.call("get_pipeline", pipeline=self.pipeline)).data.get("blocks", [])
        return {row["block"]: row.get("upstream", []) for row in rows}


@asynccontextmanager
async def authored(host: Host) -> AsyncIterator[Authored]:
    """Made for the test, and deleted with its blocks and their files after it."""
    mine = Authored(host, next(_numbers))
    await host.call("create_pipeline", name=mine.pipeline)
    yield mine
    if host.world is not None:
        return  # a world of its own
    host.person.action = "accept"
    for block in reversed(await mine.blocks()):
        await host.call("update_block", pipeline=mine.pipeline, block=block, upstream_blocks=[])
    for block in await mine.blocks():
        whole = (await host.call("get_block", pipeline=mine.pipeline, block=block)).data
        mine_alone = str(mine.number) in block and "used_by" not in whole
        await host.call("delete_block", pipeline=mine.pipeline, block=block, delete_file=mine_alone)
    await host.call("delete_pipeline", pipeline=mine.pipeline)


@pytest.fixture
async def mine(host: Host) -> AsyncIterator[Authored]:
    async with authored(host) as pipeline:
        yield pipeline


@pytest.fixture
async def demo_mine(demo_auto: Host) -> AsyncIterator[Authored]:
    async with authored(demo_auto) as pipeline:
        yield pipeline


# Reading


async def test_get_block_shows_code_hash_and_what_is_around_it(host: Host):
    answer = await host.call("get_block", pipeline="sales_daily", block="add_tax")
    block = answer.data
    assert (block["type"], block["language"], block["file"]) == (
        "transformer",
        "python",
        "transformers/add_tax.py",
    )
    assert (block["upstream"], block["downstream"]) == (["load_orders"], ["export_orders"])
    assert "orders['tax'] = (orders['amount'] * 0.2).round(2)" in block["content"]
    assert block["lines"] == len(block["content"].splitlines())
    assert len(block["hash"]) == 16
    assert "used_by" not in block
    assert {"content", "file", "upstream"} <= set(block["untrusted"])
    assert "```python" in answer.text


async def test_get_block_says_which_pipelines_share_the_file(host: Host):
    block = (await host.call("get_block", pipeline="team_report_01", block="make_team_report")).data
    assert block["used_by"][:2] == ["team_report_02", "team_report_03"]
    assert block["used_by"][-1] == "and 19 more"


async def test_get_block_of_a_block_in_a_folder_and_of_a_conditional(host: Host):
    nested = (await host.call("get_block", pipeline="nested_import", block="sub/read_orders")).data
    guard = (await host.call("get_block", pipeline="guarded_export", block="has_rows")).data
    assert nested["file"] == "data_loaders/sub/read_orders.py"
    assert (guard["type"], guard["file"]) == ("conditional", "conditionals/has_rows.py")
    assert nested["hash"] != guard["hash"]


async def test_a_part_of_a_block_has_no_hash(host: Host):
    whole = (await host.call("get_block", pipeline="sales_daily", block="add_tax")).data
    part = (await host.call("get_block", pipeline="sales_daily", block="add_tax", from_line=2, to_line=4)).data
    assert part["content"] == "".join(whole["content"].splitlines(keepends=True)[1:4])
    assert (part["from_line"], part["to_line"], part["lines"]) == (2, 4, whole["lines"])
    assert "hash" not in part
    sentence = await host.refused("get_block", pipeline="sales_daily", block="add_tax", from_line=500)
    assert f"the block has {whole['lines']}" in sentence


async def test_get_block_of_what_there_is_not_names_what_comes_near(host: Host):
    assert "Did you mean 'add_tax'?" in await host.refused("get_block", pipeline="sales_daily", block="add_tex")
    assert "Did you mean 'sales_daily'?" in await host.refused("get_block", pipeline="sales_dialy", block="add_tax")


async def test_a_long_block_is_cut_said_and_has_no_hash(mine: Authored):
    lines = [f'{f"# {number} ":<50}"quoted"\\n' for number in range(3_000)]
    await mine.create("long", content="\n".join(lines) + "\n")
    answer = await mine.host.call("get_block", pipeline=mine.pipeline, block=mine.name("long"))
    assert 6_000 < answer.tokens <= 8_000
    assert "hash" not in answer.data
    assert f"{3_000 - answer.data['to_line']} more lines" in answer.data["note"]
    rest = await mine.get("long", from_line=answer.data["to_line"] + 1)
    assert rest["content"].splitlines()[0] == lines[answer.data["to_line"]]


async def test_a_line_that_is_too_long_is_cut_and_has_no_hash(mine: Authored):
    await mine.create("wide", content=f"x = '{'é' * 60_000}'\ny = 2\n")
    answer = await mine.host.call("get_block", pipeline=mine.pipeline, block=mine.name("wide"))
    assert answer.tokens <= 8_000
    assert "hash" not in answer.data
    assert "Line 1 is too long to show" in answer.data["note"]
    assert "1 more lines" in answer.data["note"]
    second = await mine.get("wide", from_line=2)
    assert (second["content"], second["from_line"], second["to_line"]) == ("y = 2\n", 2, 2)


async def test_list_block_templates_filters(host: Host):
    every = (await host.call("list_block_templates")).data
    loaders = (await host.call("list_block_templates", type="data_loader", search="mongo")).data
    assert {row["type"] for row in every["items"]} == {"data_loader", "data_exporter"}
    assert [row["template"] for row in loaders["items"]] == ["data_loaders/mongodb.py"]
    none = (await host.call("list_block_templates", type="sensor")).data
    assert (none["total"], none["items"]) == (0, [])
    assert "No template fits" in none["note"]


# Creating


async def test_create_block_makes_a_block_with_its_file_and_its_edges(mine: Authored):
    load = await mine.create("load", "loader", content=LOAD)
    double = await mine.create("double", "Transformer", upstream_blocks=mine.name("load"), content=DOUBLE)
    assert load["changed"] is double["changed"] is True
    assert double["file"] == f"transformers/{mine.name('double')}.py"
    assert await mine.blocks() == {mine.name("load"): [], mine.name("double"): [mine.name("load")]}
    read = await mine.get("double")
    assert (read["content"], read["hash"]) == (DOUBLE, double["hash"])
    assert (await mine.get("load"))["downstream"] == [mine.name("double")]


async def test_create_block_of_a_name_that_mage_writes_in_another_way(mine: Authored):
    answer = await mine.host.call(
        "create_block",
        pipeline=mine.pipeline,
        name=f"Staging/2 Load (v{mine.number})",
        type="data_loader",
        content=LOAD,
    )
    assert answer.data["block"] == f"staging/2_load__v{mine.number}_"
    assert answer.data["file"] == f"data_loaders/staging/2_load__v{mine.number}_.py"
    assert list(await mine.blocks()) == [answer.data["block"]]


async def test_create_block_of_sql_and_from_a_template(mine: Authored):
    sql = await mine.create(
        "query", "data_loader", language="sql", content="select 1\n", configuration={"data_provider": "postgres"}
    )
    assert "syntax of sql is not checked" in sql["note"]
    assert sql["file"] == f"data_loaders/{mine.name('query')}.sql"
    assert (await mine.get("query"))["configuration"] == {"data_provider": "postgres"}
    made = await mine.create("mongo", "data_loader", template="data_loaders/mongodb.py")
    read = await mine.get("mongo")
    assert made["hash"] == read["hash"]
    assert "mage_ai.io.mongo" in read["content"]
    assert "Its code is a template so far" in made["note"]
    assert "There is no template" in await mine.refused(
        "create_block", "other", type="data_loader", template="../../etc/passwd"
    )
    # One for another type would be taken by Mage.
    assert "for a data_exporter" in await mine.refused(
        "create_block", "other", type="data_exporter", template="data_loaders/mongodb.py"
    )


async def test_a_dry_run_makes_nothing(mine: Authored):
    planned = await mine.create("load", "data_loader", content=LOAD, dry_run=True)
    assert planned["changed"] is False
    assert planned["would"] == [
        f"add block {mine.name('load')} to {mine.pipeline}, without a block upstream",
        f"make data_loaders/{mine.name('load')}.py from your text",
    ]
    assert await mine.blocks() == {}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"content": "def broken(:\n    pass\n"}, "Line 1 .* is no Python"),
        (
            {"content": "x = 1\nreturn x\n"},
            r"Line 2 .* is no Python \('return' outside function\): 'return x'; nothing was written",
        ),
        ({"content": f"password = '{MASK}'\n"}, "secret was masked"),
        ({"content": "x = 1\n", "upstream_blocks": ["no_such_block"]}, "has no block 'no_such_block' to be upstream"),
        ({"content": "x = 1\n", "template": "data_loaders/mongodb.py"}, "exclude each other"),
        ({"content": "x = 1\n", "configuration": {"file_path": "utils/x.py"}}, "which file holds a block's code"),
        ({"language": "yaml"}, "fill a YAML block with Python"),
        ({"reuse_file": True}, "no file .* to reuse"),
    ],
)
async def test_create_block_is_refused_before_anything_is_written(mine: Authored, arguments: dict[str, Any], why: str):
    sentence = await mine.refused("create_block", "new", type="data_loader", **arguments)
    assert re.search(why, sentence), sentence
    assert await mine.blocks() == {}
    made = await mine.create("new", "data_loader", content=LOAD, dry_run=True)
    assert made["would"], "its file is not there"


async def test_create_block_never_takes_a_file_that_exists_unasked(mine: Authored):
    before = (await mine.host.call("get_block", pipeline="new_pipeline", block="first_block")).data
    for content in (LOAD, ""):
        sentence = await mine.host.refused(
            "create_block", pipeline=mine.pipeline, name="First block", type="data_loader", content=content
        )
        assert "would share the file data_loaders/first_block.py, which new_pipeline uses" in sentence
    assert await mine.blocks() == {}
    shared = (
        await mine.host.call(
            "create_block", pipeline=mine.pipeline, name="first_block", type="data_loader", reuse_file=True
        )
    ).data
    assert (shared["hash"], shared["used_by"]) == (before["hash"], ["new_pipeline"])
    assert "reaches them all" in shared["note"]
    sentence = await mine.host.refused("delete_block", pipeline=mine.pipeline, block="first_block", delete_file=True)
    assert "is used by new_pipeline as well; nothing was deleted" in sentence
    assert (await mine.host.call("get_block", pipeline="new_pipeline", block="first_block")).data["used_by"] == [
        mine.pipeline
    ]


async def test_a_block_that_is_there_already_is_not_made_again(mine: Authored):
    await mine.create("load", "data_loader", content=LOAD)
    for type_ in ("data_loader", "transformer"):
        sentence = await mine.refused("create_block", "load", type=type_, content=LOAD)
        assert "has a block" in sentence
        assert "already" in sentence
    again = await mine.host.refused(
        "create_block", pipeline=mine.pipeline, name=mine.name("other"), type="nonsense", content=LOAD
    )
    assert "type" in again


# Changing


async def test_update_block_answers_the_diff_and_keeps_the_former_text(mine: Authored):
    await mine.create("load", "data_loader", content=LOAD)
    before = await mine.get("load")
    new = LOAD.replace("[1, 2, 3]", "[1, 2, 3, 4]")
    done = await mine.update("load", content=new, expected_hash=before["hash"])
    assert done["changed"] is True
    assert done["diff"].splitlines()[-2:] == ["-    return [1, 2, 3]", "+    return [1, 2, 3, 4]"]
    assert Path(done["backup"]).read_text(encoding="utf-8") == LOAD
    after = await mine.get("load")
    assert (after["content"], after["hash"]) == (new, done["hash"])


async def test_update_block_replaces_what_stands_there_once(mine: Authored):
    await mine.create("double", "transformer", content=DOUBLE)
    done = await mine.update("double", replace={"old": "2 * number", "new": "3 * number"})
    assert "+    return [3 * number for number in numbers]" in done["diff"]
    sentence = await mine.refused("update_block", "double", replace={"old": "number", "new": "n"})
    assert "4 times, in lines 6, 7, 7, 7; nothing was written" in sentence
    assert "does not stand in" in await mine.refused("update_block", "double", replace={"old": "4 *", "new": ""})
    assert "other spaces" in await mine.refused(
        "update_block", "double", replace={"old": "return  [3 * number", "new": ""}
    )
    assert "an object with old and new" in await mine.refused("update_block", "double", replace={"old": "3"})
    assert (await mine.get("double"))["hash"] == done["hash"]


async def test_update_block_is_refused_when_it_changed_since_it_was_read(mine: Authored):
    await mine.create("load", "data_loader", content=LOAD)
    read = await mine.get("load")
    theirs = await mine.update("load", replace={"old": "[1, 2, 3]", "new": "[7]"})
    for change in ({"content": LOAD + "\n"}, {"replace": {"old": "[7]", "new": "[8]"}}):
        sentence = await mine.refused("update_block", "load", expected_hash=read["hash"], **change)
        assert "changed since it was read" in sentence
        assert "nothing was changed" in sentence
    assert "needs the hash" in await mine.refused("update_block", "load", content=LOAD)
    assert (await mine.get("load"))["hash"] == theirs["hash"]


async def test_update_block_never_saves_what_is_broken_masked_or_empty(mine: Authored):
    await mine.create("load", "data_loader", content=LOAD + "\nTOKEN = 'zq8-not-shown-1'\n")
    read = await mine.get("load")
    assert "zq8" not in str(read)
    assert f"TOKEN = '{MASK}'" in read["content"]
    assert "secrets stand as" in read["note"]
    for content, why in (
        (read["content"], "secret was masked"),
        ("def broken(:\n", "is no Python"),
        (" \n", "is empty"),
    ):
        sentence = await mine.refused("update_block", "load", content=content, expected_hash=read["hash"])
        assert why in sentence, sentence
        assert "nothing was written" in sentence
    assert "There is nothing to change" in await mine.refused("update_block", "load")
    assert "is no Python" in await mine.refused("update_block", "load", replace={"old": "[1,", "new": "[1,,"})
    done = await mine.update("load", replace={"old": "[1, 2, 3]", "new": "[4]"})
    assert "zq8" not in str(done)
    assert "TOKEN = 'zq8-not-shown-1'" in Path(done["backup"]).read_text(encoding="utf-8")
    emptied = await mine.update("load", expected_hash=done["hash"], allow_empty=True)
    assert emptied["changed"] is True
    assert "content" not in await mine.get("load")


async def test_update_block_sets_edges_and_refuses_unknown_ones_and_circles(mine: Authored):
    for name, upstream in (("a", ()), ("b", ("a",)), ("c", ("a", "b")), ("d", ())):
        await mine.create(name, "custom", *upstream)
    a, b, c, d = (mine.name(name) for name in "abcd")
    done = await mine.update("c", upstream_blocks=[d, b])
    assert (done["upstream_before"], done["upstream"]) == ([a, b], [d, b])
    # Another order is another order of arguments; Mage itself takes it for no change.
    assert (await mine.update("c", upstream_blocks=[b, d]))["upstream"] == [b, d]
    expected = {a: [], b: [a], c: [b, d], d: []}
    assert await mine.blocks() == expected
    assert "has no block 'nope' to be upstream" in await mine.refused("update_block", "c", upstream_blocks=[b, "nope"])
    circle = await mine.refused("update_block", "a", upstream_blocks=[c])
    assert f"would go round in a circle ({a} → {b} → {c} → {a})" in circle
    assert "in a circle" in await mine.refused("update_block", "d", upstream_blocks=[d])
    assert "twice" in await mine.refused("update_block", "d", upstream_blocks=[a, a])
    assert await mine.blocks() == expected
    same = await mine.update("c", upstream_blocks=[b, d])
    assert (same["changed"], "it is so already" in same["note"]) == (False, True)
    assert (await mine.update("c", upstream_blocks=[]))["upstream_before"] == [b, d]


async def test_update_block_merges_its_configuration(mine: Authored):
    await mine.create("query", "data_loader", language="sql", content="select 1\n", configuration={"limit": 5})
    done = await mine.update("query", configuration={"data_provider": "postgres", "nested": {"a": 1, "b": 2}})
    assert done["configuration"] == ['data_provider: nothing → "postgres"', 'nested: nothing → {"a": 1, "b": 2}']
    await mine.update("query", configuration={"nested": {"a": None}, "limit": 6})
    assert (await mine.get("query"))["configuration"] == {
        "limit": 6,
        "data_provider": "postgres",
        "nested": {"b": 2},
    }
    assert "is not changed here" in await mine.refused(
        "update_block", "query", configuration={"file_source": {"path": "utils/x.py"}}
    )


async def test_a_dry_run_of_a_change_changes_nothing(mine: Authored):
    await mine.create("a", "data_loader", content=LOAD)
    await mine.create("b", "transformer", content=DOUBLE)
    planned = await mine.update(
        "b", replace={"old": "2 *", "new": "3 *"}, upstream_blocks=[mine.name("a")], dry_run=True
    )
    assert planned["changed"] is False
    assert planned["would"] == [
        f"change transformers/{mine.name('b')}.py as the diff says",
        f"set the upstream of {mine.name('b')} to {mine.name('a')} (was none)",
    ]
    assert "+    return [3 * number" in planned["diff"]
    assert "backup" not in planned
    assert (await mine.get("b"))["content"] == DOUBLE
    assert (await mine.blocks())[mine.name("b")] == []
    both = await mine.update("b", replace={"old": "2 *", "new": "3 *"}, upstream_blocks=[mine.name("a")])
    assert both["changed"] is True
    assert (await mine.blocks())[mine.name("b")] == [mine.name("a")]


async def test_who_shares_the_file_is_told(mine: Authored):
    await mine.create("load", "data_loader", content=LOAD)
    async with authored(mine.host) as other:
        call = {"pipeline": other.pipeline, "name": mine.name("load"), "type": "data_loader"}
        await mine.host.call("create_block", **call, reuse_file=True)
        done = await mine.update("load", replace={"old": "[1, 2, 3]", "new": "[9]"})
        assert done["used_by"] == [other.pipeline]
        assert "changes for them too" in done["note"]
        shared = (await mine.host.call("get_block", pipeline=other.pipeline, block=mine.name("load"))).data
        assert "return [9]" in shared["content"]


@pytest.mark.slow
async def test_twenty_edits_of_one_pipeline_at_once_lose_nothing(mine: Authored):
    """Of twenty at once Mage itself keeps two."""
    names = [f"part_{number:02}" for number in range(12)]

    async def create(name: str) -> None:
        await mine.create(name, content=LOAD.replace("data_loader", "custom"))

    async with anyio.create_task_group() as together:
        for name in names:
            together.start_soon(create, name)
    assert sorted(await mine.blocks()) == sorted(map(mine.name, names))

    async def edit(number: int) -> None:
        old, new = f"[{number}, ", f"[{number}0, "
        await mine.update("part_00", replace={"old": old, "new": new})

    async def connect(name: str) -> None:
        await mine.update(name, upstream_blocks=[mine.name("part_00")])

    await mine.update("part_00", replace={"old": "[1, 2, 3]", "new": "[[1, 0], [2, 0], [3, 0], [4, 0], [5, 0]]"})
    async with anyio.create_task_group() as together:
        for number in range(1, 6):
            together.start_soon(edit, number)
        for name in names[1:]:
            together.start_soon(connect, name)
        for number in range(4):
            together.start_soon(create, f"late_{number}")
    assert "[[10, 0], [20, 0], [30, 0], [40, 0], [50, 0]]" in (await mine.get("part_00"))["content"]
    blocks = await mine.blocks()
    assert len(blocks) == 16
    assert all(blocks[mine.name(name)] == [mine.name("part_00")] for name in names[1:])


# Deleting


async def test_delete_block_leaves_its_file_and_says_so(mine: Authored):
    await mine.create("load", "data_loader", content=LOAD)
    mine.host.person.asked.clear()
    done = (await mine.host.call("delete_block", pipeline=mine.pipeline, block=mine.name("load"))).data
    assert done["changed"] is True
    assert f"Its file data_loaders/{mine.name('load')}.py stays" in done["note"]
    (question,) = mine.host.person.asked
    assert f"remove block {mine.name('load')} from {mine.pipeline}" in question
    assert await mine.blocks() == {}
    assert "reuse_file=true" in await mine.refused("create_block", "load", type="data_loader", content=LOAD)
    back = await mine.create("load", "data_loader", reuse_file=True)
    assert (await mine.get("load"))["hash"] == back["hash"]


async def test_delete_block_with_its_file_keeps_the_text(mine: Authored):
    await mine.create("load", "data_loader", content=LOAD)
    done = (
        await mine.host.call("delete_block", pipeline=mine.pipeline, block=mine.name("load"), delete_file=True)
    ).data
    assert Path(done["backup"]).read_text(encoding="utf-8") == LOAD
    anew = await mine.create("load", "data_loader", content=LOAD)
    assert anew["changed"] is True


async def test_delete_block_is_refused_while_others_come_after_it(mine: Authored):
    await mine.create("load", "data_loader", content=LOAD)
    await mine.create("double", "transformer", "load", content=DOUBLE)
    sentence = await mine.refused("delete_block", "load")
    assert f"{mine.name('double')} comes after {mine.name('load')}; nothing was deleted" in sentence
    assert "update_block" in sentence
    assert (await mine.blocks())[mine.name("double")] == [mine.name("load")]
    assert "no block" in await mine.refused("delete_block", "nothing")
    assert "Mage's own UI" in await mine.host.refused("delete_block", pipeline="guarded_export", block="has_rows")


async def test_a_person_who_says_no_keeps_the_block(mine: Authored):
    await mine.create("load", "data_loader", content=LOAD)
    mine.host.person.action = "decline"
    answer = (await mine.host.call("delete_block", pipeline=mine.pipeline, block=mine.name("load"))).data
    assert answer["changed"] is False
    assert list(await mine.blocks()) == [mine.name("load")]


# Where only one Mage is needed


async def test_without_elicitation_a_code_deletes_only_what_it_was_made_for(world: World, era: str):
    async with Client(demo_server(world), mode=era) as client:
        host = Host(client, Person(), world=world)
        preview = (await host.call("delete_block", pipeline="new_pipeline", block="first_block")).data
        assert preview["changed"] is False
        assert "its file data_loaders/first_block.py stays" in preview["would"][0]
        code = preview["confirm"]
        with_file = (
            await host.call(
                "delete_block", pipeline="new_pipeline", block="first_block", delete_file=True, confirm=code
            )
        ).data
        assert with_file["changed"] is False
        assert "data_loaders/first_block.py" in world.files
        done = (await host.call("delete_block", pipeline="new_pipeline", block="first_block", confirm=code)).data
        assert done["changed"] is True
        assert "data_loaders/first_block.py" in world.files


async def test_a_block_whose_file_is_gone_is_told_and_can_be_given_its_text_again(demo_mine: Authored):
    await demo_mine.create("load", "data_loader", content=LOAD)
    assert demo_mine.host.world
    del demo_mine.host.world.files[f"data_loaders/{demo_mine.name('load')}.py"]
    read = await demo_mine.get("load")
    assert "hash" not in read
    assert "does not exist" in read["note"]
    assert (await demo_mine.update("load", content=LOAD))["changed"] is True
    assert (await demo_mine.get("load"))["content"] == LOAD

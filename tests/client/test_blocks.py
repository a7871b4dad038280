"""Writing blocks: what is sent, and what becomes of answers that are lost and of others who write at the same time."""

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from mage_mcp.client import Cluster, Mage
from mage_mcp.client.blocks.code import check_code, replaced
from mage_mcp.client.blocks.edges import checked_upstream
from mage_mcp.client.blocks.reading import file_of
from mage_mcp.client.records import PipelineRecord
from mage_mcp.demo.app import create_app
from mage_mcp.demo.project import Block
from mage_mcp.demo.world import World
from mage_mcp.errors import MageError, MageFailed, MageInvalid, MageWriteUncertain
from tests.conftest import URL, clock_of

pytestmark = pytest.mark.anyio
SALES, TAX, TAX_FILE = "sales_daily", "add_tax", "transformers/add_tax.py"


class Wire(httpx.AsyncBaseTransport):
    """The wire to a simulated Mage: remembers what was written, loses answers, and lets others write in between."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._inner = httpx.ASGITransport(app=create_app(world))
        self.sent: list[tuple[str, str, Any]] = []
        self.lose = False
        self.fail_from = 0
        self.after: Callable[[], None] = lambda: None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return await self._inner.handle_async_request(request)
        path = request.url.raw_path.decode().removeprefix("/api/")
        self.sent.append((request.method, path, json.loads(request.content)))
        if self.fail_from and len(self.sent) >= self.fail_from:
            error = {"code": 500, "exception": "disk full", "errors": [], "message": "Traceback"}
            return httpx.Response(200, json={"error": error})
        response = await self._inner.handle_async_request(request)
        self.after()
        if self.lose:
            raise httpx.ReadError("broken off")
        return response


@pytest.fixture
def wire(world: World) -> Wire:
    return Wire(world)


@pytest.fixture
async def mage(world: World, wire: Wire, state_folder: Path) -> AsyncIterator[Mage]:
    async with Mage(Cluster(url=URL), wire=wire, clock=clock_of(world)) as client:
        yield client


def upstream_of(world: World, block: str) -> list[str]:
    return next(list(each.upstream) for each in world.pipelines[SALES].blocks if each.uuid == block)


async def test_what_is_sent_for_a_new_block(mage: Mage, wire: Wire):
    await mage.blocks.create(
        SALES,
        "Count orders",
        type="transformer",
        content="x = 1\r\n",
        upstream_blocks=[TAX],
        configuration={"a": 1},
    )
    body = {
        "name": "Count orders",
        "type": "transformer",
        "language": "python",
        "content": "x = 1\n",
        "upstream_blocks": [TAX],
        "configuration": {"a": 1},
    }
    assert wire.sent == [("POST", "pipelines/sales_daily/blocks", {"block": body})]


async def test_what_is_sent_for_a_change(mage: Mage, wire: Wire, world: World):
    await mage.blocks.update(
        SALES, TAX, replace={"old": "0.2", "new": "0.3"}, upstream_blocks=[], configuration={"a": 1}
    )
    text = world.files[TAX_FILE].content
    path = "pipelines/sales_daily/blocks/add_tax"
    assert wire.sent == [
        ("PUT", "file_contents/demo_project%2Ftransformers%2Fadd_tax.py", {"file_content": {"content": text}}),
        ("PUT", path, {"block": {"upstream_blocks": []}}),
        ("PUT", path, {"block": {"configuration": {"a": 1}}}),
    ]


async def test_another_order_of_arguments_takes_two_writes(mage: Mage, wire: Wire, world: World):
    done = await mage.blocks.update("customer_360", "join_profiles", upstream_blocks=["count_events", "clean_users"])
    assert done.upstream == ["count_events", "clean_users"]
    path = "pipelines/customer_360/blocks/join_profiles"
    assert wire.sent == [
        ("PUT", path, {"block": {"upstream_blocks": ["count_events"]}}),
        ("PUT", path, {"block": {"upstream_blocks": ["count_events", "clean_users"]}}),
    ]


async def test_half_of_another_order_is_told(mage: Mage, wire: Wire):
    wire.fail_from = 2
    with pytest.raises(
        MageWriteUncertain, match=r"disk full.* Read back, the upstream of join_profiles is count_events,"
    ):
        await mage.blocks.update("customer_360", "join_profiles", upstream_blocks=["count_events", "clean_users"])


async def test_what_was_done_before_an_error_stands_in_it(mage: Mage, wire: Wire, world: World):
    before = world.files[TAX_FILE].content
    wire.fail_from = 2
    with pytest.raises(MageFailed) as failed:
        await mage.blocks.update(SALES, TAX, replace={"old": "0.2", "new": "0.3"}, upstream_blocks=[])
    assert "disk full" in str(failed.value)
    kept = re.search(
        r"The new text of transformers/add_tax\.py is written already\. .* kept in (\S+)\. ", str(failed.value)
    )
    assert kept
    assert Path(kept[1]).read_text(encoding="utf-8") == before
    assert upstream_of(world, TAX) == ["load_orders"]


async def test_a_lost_answer_is_looked_up_and_nothing_is_sent_twice(mage: Mage, wire: Wire, world: World):
    wire.lose = True
    made = await mage.blocks.create(SALES, "counted", type="custom", content="x = 1\n")
    moved = await mage.blocks.update(SALES, "counted", upstream_blocks=[TAX])
    gone = await mage.blocks.delete(SALES, "counted", delete_file=True)
    assert (made.changed, moved.changed, gone.changed) == (True, True, True)
    assert "the block was looked for and is there" in made.note
    assert "the block was looked for and is gone" in gone.note
    assert [method for method, _, _ in wire.sent] == ["POST", "PUT", "DELETE", "DELETE"]
    assert "custom/counted.py" not in world.files


async def test_a_request_that_was_lost_is_said_to_be_open(mage: Mage, wire: Wire, world: World):
    before = world.pipelines[SALES]

    def undo() -> None:
        world.pipelines[SALES] = before

    wire.lose, wire.after = True, undo
    with pytest.raises(MageWriteUncertain, match=r"may or may not have happened.* has no such block now"):
        await mage.blocks.create(SALES, "counted", type="custom", content="x = 1\n")
    with pytest.raises(MageWriteUncertain, match="may or may not have happened"):
        await mage.blocks.delete(SALES, "export_orders")


async def test_who_writes_the_pipeline_at_the_same_time_is_noticed(mage: Mage, wire: Wire, world: World):
    """Mage keeps the last one's pipeline; what was sent may be gone, and that is said."""
    before = world.pipelines[SALES]

    def overwrite() -> None:
        world.pipelines[SALES] = before

    wire.after = overwrite
    with pytest.raises(
        MageWriteUncertain, match=r"does not have it: somebody else wrote .*custom/counted\.py is there"
    ):
        await mage.blocks.create(SALES, "counted", type="custom", content="x = 1\n")
    with pytest.raises(MageWriteUncertain, match="the upstream of export_orders is add_tax, and not all is as it was"):
        await mage.blocks.update(SALES, "export_orders", upstream_blocks=["load_orders"])
    with pytest.raises(MageWriteUncertain, match="still has it: somebody else"):
        await mage.blocks.delete(SALES, "export_orders")


async def test_a_new_block_that_is_not_as_sent_says_so(mage: Mage, wire: Wire, world: World):
    def meddle() -> None:
        blocks = world.pipelines[SALES].blocks
        world.pipelines[SALES] = replace(
            world.pipelines[SALES], blocks=(*blocks[:-1], replace(blocks[-1], upstream=()))
        )
        world.write_file("custom/counted.py", "theirs = 1\n")

    wire.after = meddle
    made = await mage.blocks.create(SALES, "counted", type="custom", content="x = 1\n", upstream_blocks=[TAX])
    assert made.upstream == []
    assert "Its upstream blocks are not those that were sent" in made.note
    assert "does not hold the text that was sent" in made.note


async def test_a_block_whose_file_is_named_elsewhere_is_read_and_changed_there(mage: Mage, world: World):
    block = Block("elsewhere", "custom", "", configuration={"file_path": "utils/elsewhere.py"})
    world.pipelines[SALES] = replace(world.pipelines[SALES], blocks=(block,))
    world.write_file("utils/elsewhere.py", "x = 1\n")
    world.write_file("custom/elsewhere.py", "other = 1\n")
    # The simulated Mage runs the file that the name says; the two differ, so nothing is written.
    detail = await mage.blocks.get(SALES, "elsewhere")
    assert (detail.file, detail.hash, detail.content) == ("utils/elsewhere.py", "", "other = 1\n")
    assert "does not hold what Mage runs" in detail.note
    with pytest.raises(MageInvalid, match="does not hold what Mage runs"):
        await mage.blocks.update(SALES, "elsewhere", replace={"old": "other", "new": "x"})
    assert world.files["utils/elsewhere.py"].content == "x = 1\n"


async def test_sharing_is_known_where_the_list_is_out_of_date(mage: Mage, world: World):
    """The list shows a block that is gone, and misses one that is there; the pipelines themselves do not."""
    await mage.blocks.create("new_pipeline", "load_orders", type="data_loader", reuse_file=True)
    world.listed_blocks["customer_360"] = world.pipelines[SALES].blocks
    assert (await mage.blocks.get(SALES, "load_orders")).used_by == ["new_pipeline"]
    await mage.blocks.update(SALES, TAX, upstream_blocks=[])
    with pytest.raises(MageInvalid, match="is used by new_pipeline as well"):
        await mage.blocks.delete(SALES, "load_orders", delete_file=True)


async def test_integration_pipelines_are_left_alone(mage: Mage, world: World, wire: Wire):
    world.pipelines["sync"] = replace(world.pipelines[SALES], uuid="sync", type="integration")
    for call in (
        mage.blocks.create("sync", "x", type="custom", content="x = 1\n"),
        mage.blocks.delete("sync", "export_orders"),
    ):
        with pytest.raises(MageInvalid, match="Mage's own UI"):
            await call
    assert not wire.sent


# Pure functions


@pytest.mark.parametrize(
    ("upstream", "why"),
    [(["c"], r"\(a → b → c → a\)"), (["b"], r"\(a → b → a\)"), (["a"], r"\(a → a\)"), (["d", "d"], "twice")],
)
def test_circles_and_repetitions_are_refused(upstream: list[str], why: str):
    edges = {"a": [], "b": ["a"], "c": ["b", "d"], "d": []}
    record = PipelineRecord.model_validate(
        {"uuid": "p", "blocks": [{"uuid": uuid, "upstream_blocks": ups} for uuid, ups in edges.items()]}
    )
    with pytest.raises(MageInvalid, match=why):
        checked_upstream(upstream, record, of="a")
    assert checked_upstream(["d", "a"], record, of="c") == ["d", "a"]


@pytest.mark.parametrize(
    ("content", "old", "new", "result"),
    [
        ("a\nb\n", "b", "c", "a\nc\n"),
        ("a\nb\n", "a\r\nb", "c", "c\n"),
        ("a\nb\n", "a\n", "", "b\n"),
        ("aXa", "X", r"\1", r"a\1a"),
    ],
)
def test_a_part_is_replaced_as_it_is(content: str, old: str, new: str, result: str):
    assert replaced(content, old, new, "x.py") == result


@pytest.mark.parametrize(
    ("content", "old", "why"),
    [
        ("aaa", "aa", "2 times, in lines 1, 1"),
        ("a\nb a\n", "a", "2 times, in lines 1, 2"),
        ("a\n", "", "is empty"),
        ("a\n", "b", "does not stand"),
        ("x = 1\ny  =  2\n", "y = 2", "other spaces or line breaks, at line 2"),
    ],
)
def test_a_part_that_is_not_there_once_is_refused(content: str, old: str, why: str):
    with pytest.raises(MageInvalid, match=why):
        replaced(content, old, "new", "x.py")


def test_code_is_compiled_and_never_run(tmp_path: Path):
    witness = tmp_path / "ran"
    assert check_code(f"open({str(witness)!r}, 'w')\n", "python", "x.py") == ""
    assert not witness.exists()
    # A warning, not an error; and the tests make errors of warnings.
    assert check_code("x = 1 is 1\n'\\d'\n", "python", "x.py") == ""
    for broken in ("def f(:\n", "x = (\n", "return 1\n", "x\x00\n", "(" * 500 + ")" * 500, "\tif x:\n  y\n"):
        with pytest.raises(MageInvalid, match=r"[Nn]othing was written"):
            check_code(broken, "python", "x.py")
    with pytest.raises(MageError) as told:
        check_code("x = 1\ntoken = 'zq8-secret' oops\n", "python", "x.py")
    assert "Line 2" in str(told.value)
    assert "zq8" not in str(told.value)
    assert "not checked" in check_code("select from", "sql", "x.sql")


async def test_the_code_of_a_conditional_is_changed_and_nothing_else_of_it(mage: Mage, world: World, wire: Wire):
    done = await mage.blocks.update("guarded_export", "has_rows", replace={"old": "> 0", "new": "> 1"})
    assert done.changed
    assert "summary['rows'] > 1" in world.files["conditionals/has_rows.py"].content
    for more in ({"upstream_blocks": []}, {"configuration": {"a": 1}}):
        with pytest.raises(MageInvalid, match="only its code is changed here"):
            await mage.blocks.update("guarded_export", "has_rows", **more)
    assert len(wire.sent) == 1


REPLICA = {
    "uuid": "p",
    "type": "python",
    "blocks": [
        {"uuid": "first", "type": "custom", "language": "python"},
        {"uuid": "again", "type": "custom", "language": "python", "replicated_block": "first"},
    ],
}


def test_a_replica_has_the_file_of_its_original():
    record = PipelineRecord.model_validate(REPLICA)
    assert [file_of(block, record) for block in record.blocks] == ["custom/first.py", "custom/first.py"]


async def test_a_block_with_replicas_is_not_deleted_since_mage_deletes_them_too(httpx_mock):
    httpx_mock.add_response(json={"pipeline": REPLICA, "metadata": None})
    async with Mage(Cluster(url=URL)) as mage:
        with pytest.raises(MageInvalid, match="delete its replicas too: again; nothing was deleted"):
            await mage.blocks.delete("p", "first")

"""What is sent to make, change and delete pipelines and to set variables, and what a lost answer comes to."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from mage_mcp.client import Cluster, Mage
from mage_mcp.demo.world import World
from mage_mcp.errors import MageFailed, MageInvalid, MageUnreachable, MageWriteUncertain
from tests.conftest import URL, clock_of
from tests.wires import Answer, Wire, breaks, says

pytestmark = pytest.mark.anyio

LOST = breaks(httpx.ReadTimeout)
CRASHED = says({"error": {"code": 500, "exception": "disk full", "message": "Traceback"}})
HALF = says(b'{"pipeline": ')


@pytest.fixture
def wire(world: World) -> Wire:
    return Wire(world)


@pytest.fixture
async def mage(world: World, wire: Wire) -> AsyncIterator[Mage]:
    async with Mage(Cluster(url=URL), wire=wire, clock=clock_of(world)) as mage:
        yield mage


def writes(wire: Wire) -> list[tuple[str, str, Any]]:
    return [
        (request.method, request.url.raw_path.decode(), json.loads(request.content))
        for request in wire.requests
        if request.method != "GET"
    ]


# Exactly what is sent


async def test_a_pipeline_is_sent_by_its_name_and_a_clone_by_its_uuid(mage: Mage, wire: Wire):
    await mage.pipelines.create("Weekly (v2)", type="streaming", description="d", tags=["t"])
    await mage.pipelines.create("Sales (copy)", clone_from="sales_daily", tags=["t"])
    assert writes(wire) == [
        (
            "POST",
            "/api/pipelines",
            {"pipeline": {"type": "streaming", "description": "d", "tags": ["t"], "name": "Weekly (v2)"}},
        ),
        ("POST", "/api/pipelines", {"pipeline": {"clone_pipeline_uuid": "sales_daily", "name": "sales__copy_"}}),
        ("PUT", "/api/pipelines/sales__copy_", {"pipeline": {"tags": ["t"]}}),
    ]


async def test_only_what_changes_is_sent_objects_whole_and_neither_blocks_nor_status(mage: Mage, wire: Wire):
    await mage.pipelines.update("sales_daily", patch={"retry_config": {"retries": 3}})
    await mage.pipelines.update(
        "sales_daily",
        description="New.",
        tags=["daily", "finance"],  # as they are, in another order
        patch={"retry_config": {"delay": 1}, "executor_type": None, "settings": {"triggers": None}},
    )
    assert writes(wire) == [
        ("PUT", "/api/pipelines/sales_daily", {"pipeline": {"retry_config": {"retries": 3}}}),
        (
            "PUT",
            "/api/pipelines/sales_daily",
            {"pipeline": {"description": "New.", "retry_config": {"retries": 3, "delay": 1}}},
        ),
    ]


async def test_triggers_are_paused_before_their_pipeline_is_deleted(mage: Mage, wire: Wire):
    await mage.pipelines.delete("sales_daily")
    pause = {"pipeline_schedule": {"status": "inactive"}}
    assert writes(wire) == [
        ("PUT", "/api/pipeline_schedules/1", pause),
        ("PUT", "/api/pipeline_schedules/2", pause),
        ("DELETE", "/api/pipelines/sales_daily", {}),
    ]


async def test_each_variable_is_sent_by_itself_and_what_is_so_already_is_not(mage: Mage, wire: Wire):
    values = {"region": "emea", "row_count": "5", "größe": {"a": None}}
    await mage.variables.update("sales_daily", set_=values, unset=["db_password", "never"])
    path = "/api/pipelines/sales_daily/variables"
    assert writes(wire) == [
        ("POST", path, {"variable": {"name": "row_count", "value": "5"}}),
        ("POST", path, {"variable": {"name": "größe", "value": {"a": None}}}),
        ("DELETE", f"{path}/db_password", {}),
    ]


# Answers that are lost


@pytest.mark.parametrize("answer", [LOST, HALF], ids=["lost", "half"])
@pytest.mark.parametrize("arrives", [True, False])
async def test_a_pipeline_whose_answer_was_lost_is_looked_for_and_never_sent_twice(
    mage: Mage, wire: Wire, answer: Answer, arrives: bool
):
    wire.spoil("POST", "/api/pipelines", answer, arrives=arrives)
    if arrives:
        made = await mage.pipelines.create("New one")
        assert (made.changed, made.pipeline) == (True, "new_one")
        assert "answer was lost; the pipeline was found since" in made.note
    else:
        with pytest.raises(MageWriteUncertain, match="may or may not have happened"):
            await mage.pipelines.create("New one")
    assert wire.count("POST") == 1


async def test_a_pipeline_that_is_there_after_an_error_is_told(mage: Mage, wire: Wire):
    wire.spoil("POST", "/api/pipelines", CRASHED, arrives=True)
    with pytest.raises(MageFailed, match=r"disk full.*There is a pipeline new_one now all the same"):
        await mage.pipelines.create("New one")


async def test_where_the_look_fails_too_the_pipeline_is_called_uncertain(mage: Mage, wire: Wire):
    wire.spoil(
        "GET", "/api/pipelines/new_one", says({"error": {"code": 500, "exception": "Pipeline x does not exist."}})
    )
    wire.spoil("GET", "/api/pipelines/new_one", says(b"<html>"), times=9)
    with pytest.raises(MageWriteUncertain, match="what became of it could not be read"):
        await mage.pipelines.create("New one")


async def test_a_clone_that_cannot_be_tagged_is_told_all_the_same(mage: Mage, wire: Wire):
    wire.spoil("PUT", "/api/pipelines/sales_copy", CRASHED)
    made = await mage.pipelines.create("sales_copy", clone_from="sales_daily", tags=["t"])
    assert made.changed is True
    assert "Its tags could not be set" in made.note
    assert "try update_pipeline" in made.note


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_change_whose_answer_was_lost_is_read_back(mage: Mage, wire: Wire, arrives: bool):
    wire.spoil("PUT", "/api/pipelines/sales_daily", LOST, arrives=arrives)
    if arrives:
        changed = await mage.pipelines.update("sales_daily", name="Sales now", tags=["x"])
        assert (changed.pipeline, changed.after["tags"]) == ("sales_now", ["x"])
        assert "this is what was read since" in changed.note
    else:
        with pytest.raises(MageWriteUncertain):
            await mage.pipelines.update("sales_daily", name="Sales now", tags=["x"])
    assert wire.count("PUT") == 1


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_deletion_whose_answer_was_lost_is_looked_at_and_the_pauses_are_told(
    mage: Mage, wire: Wire, arrives: bool
):
    wire.spoil("DELETE", "/api/pipelines/sales_daily", LOST, arrives=arrives)
    if arrives:
        deleted = await mage.pipelines.delete("sales_daily")
        assert deleted.changed is True
        assert "the pipeline is gone" in deleted.note
    else:
        with pytest.raises(MageWriteUncertain, match=r"Its triggers 1, 2 were paused before"):
            await mage.pipelines.delete("sales_daily")
    assert wire.count("DELETE") == 1


async def test_a_pause_that_fails_stops_the_deletion(mage: Mage, wire: Wire, world: World):
    wire.spoil("PUT", "/api/pipeline_schedules/2", CRASHED)
    with pytest.raises(MageFailed, match=r"disk full.*Its triggers 1 were paused before"):
        await mage.pipelines.delete("sales_daily")
    assert "sales_daily" in world.pipelines
    assert wire.count("DELETE") == 0


async def test_a_run_that_starts_before_the_last_pause_stops_the_deletion(mage: Mage, wire: Wire, world: World):
    def start(request: httpx.Request) -> httpx.Response:
        world.create_run(world.triggers[1])
        return says({"pipeline_schedule": {}})(request)

    wire.spoil("PUT", "/api/pipeline_schedules/2", start)
    with pytest.raises(MageInvalid, match=r"Meanwhile runs \d+ of sales_daily started.*Its triggers 1, 2 were paused"):
        await mage.pipelines.delete("sales_daily")
    assert "sales_daily" in world.pipelines


async def test_of_several_variables_the_one_that_fails_is_named_and_the_others_are_set(mage: Mage, wire: Wire):
    wire.spoil("POST", "/variables", CRASHED)
    answer = await mage.variables.update("sales_daily", set_={"a": 1, "b": 2}, unset=["region"])
    assert (answer.changed, answer.added, answer.removed) == (True, ["b"], ["region"])
    assert list(answer.failed) == ["a"]
    assert "disk full" in answer.failed["a"]


async def test_a_variable_whose_answer_was_lost_counts_as_what_it_is_read_back_as(mage: Mage, wire: Wire):
    wire.spoil("POST", "/variables", LOST, arrives=True)
    answer = await mage.variables.update("sales_daily", set_={"a": 1}, unset=[])
    assert answer.added == ["a"]
    assert answer.failed == {}


async def test_variables_that_cannot_be_read_back_are_called_uncertain(mage: Mage, wire: Wire):
    wire.spoil("POST", "/variables", _then(wire, "/api/pipelines/sales_daily"), arrives=True)
    with pytest.raises(MageWriteUncertain, match="what became of them could not be read"):
        await mage.variables.update("sales_daily", set_={"a": 1}, unset=[])


def _then(wire: Wire, path: str) -> Callable[[httpx.Request], httpx.Response]:
    """From this answer on nothing can be read at `path`."""

    def answer(request: httpx.Request) -> httpx.Response:
        wire.spoil("GET", path, says(b"<html>"), times=9)
        return says({"variable": {}})(request)

    return answer


async def test_where_nothing_can_be_sent_the_first_variable_says_so(mage: Mage, wire: Wire, world: World):
    wire.spoil("POST", "/variables", breaks(httpx.ConnectError), times=9)
    with pytest.raises(MageUnreachable):
        await mage.variables.update("sales_daily", set_={"a": 1, "b": 2}, unset=[])
    assert "a" not in world.pipelines["sales_daily"].variables


# Others who write meanwhile


async def test_what_others_change_between_our_read_and_our_look_is_told(mage: Mage, wire: Wire, world: World):
    def meddle(request: httpx.Request) -> httpx.Response:
        old = world.pipelines["sales_daily"]
        world.pipelines["sales_daily"] = replace(
            old,
            description="Theirs.",
            variables={**old.variables, "theirs": 1},
            blocks=old.blocks[:2],
            tags=("theirs",),
        )
        return says({"pipeline": {}})(request)

    wire.spoil("PUT", "/api/pipelines/sales_daily", meddle, arrives=True)
    changed = await mage.pipelines.update("sales_daily", tags=["ours"])
    assert changed.not_kept == ["tags"]
    assert changed.after == {"tags": ["theirs"]}
    assert changed.others == ["description", "blocks", "variables.theirs"]
    wire.spoil("POST", "/variables", meddle, arrives=True)
    answer = await mage.variables.update("sales_daily", set_={"ours": 1}, unset=["theirs"])
    assert answer.added == ["ours"]
    assert list(answer.failed) == []

"""Triggers made, changed and deleted: what is sent, what a lost answer leaves, what others write meanwhile."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest

from mage_mcp.client import Cluster, Mage
from mage_mcp.client.schedules import checked_interval, next_due
from mage_mcp.demo.world import TriggerRow, World
from mage_mcp.errors import MageForbidden, MageInvalid, MageUnreachable, MageWriteUncertain
from tests.conftest import URL, clock_of
from tests.wires import Wire, breaks, says

pytestmark = pytest.mark.anyio

PIPELINE = "empty_pipeline"
LOST = breaks(httpx.ReadError)


@pytest.fixture
def wire(world: World) -> Wire:
    return Wire(world)


@pytest.fixture
async def mage(world: World, wire: Wire) -> AsyncIterator[Mage]:
    async with Mage(Cluster(url=URL), wire=wire, clock=clock_of(world)) as client:
        yield client


@pytest.fixture
def hourly(world: World) -> TriggerRow:
    """An inactive trigger of sales_daily."""
    return next(row for row in world.triggers.values() if row.name == "sales_hourly")


def sent(wire: Wire) -> list[tuple[str, str, Any]]:
    """What was written: the verb, where, and what."""
    writes = [request for request in wire.requests if request.method != "GET"]
    return [(r.method, r.url.path, json.loads(r.content).get("pipeline_schedule")) for r in writes]


def named(world: World, name: str) -> list[TriggerRow]:
    return [row for row in world.triggers.values() if row.name == name]


# What is sent


async def test_a_plain_trigger_is_made_by_one_request(mage: Mage, wire: Wire):
    await mage.triggers.create(PIPELINE, "plain", interval="daily", start_time="2026-03-01T06:00:00+02:00")
    assert sent(wire) == [
        (
            "POST",
            "/api/pipelines/empty_pipeline/pipeline_schedules",
            {
                "schedule_type": "time",
                "name": "plain",
                "status": "active",
                "schedule_interval": "@daily",
                "start_time": "2026-03-01 04:00:00",
            },
        )
    ]


async def test_tags_and_timeout_follow_and_only_then_it_is_switched_on(mage: Mage, wire: Wire, world: World):
    made = await mage.triggers.create(PIPELINE, "full", interval="@once", tags=["b", "a", "b"], timeout_s=60)
    post, put = sent(wire)
    assert "status" not in post[2]
    assert put[2] == {"tags": ["a", "b"], "settings": {"timeout": 60}, "status": "active"}
    assert [run.timeout_s for run in world.runs_of(made.trigger or 0)] == [60]


async def test_only_what_differs_is_sent_and_objects_are_sent_whole(mage: Mage, wire: Wire, hourly: TriggerRow):
    hourly.variables, hourly.settings = {"a": 1, "deep": {"x": [1]}}, {"skip_if_previous_running": True}
    await mage.triggers.update(
        [hourly.id], status="inactive", set_variables={"a": True}, timeout_s=5, interval="@hourly", tags=hourly.tags
    )
    assert sent(wire) == [
        (
            "PUT",
            f"/api/pipeline_schedules/{hourly.id}",
            {
                "variables": {"a": True, "deep": {"x": [1]}},
                "settings": {"skip_if_previous_running": True, "timeout": 5},
            },
        )
    ]


async def test_what_is_so_already_is_not_sent(mage: Mage, wire: Wire, hourly: TriggerRow):
    answer = await mage.triggers.update([hourly.id], status="inactive", clear=["start_time"])
    assert (answer.changed, answer.triggers[0].note) == (False, "It is so already.")
    assert sent(wire) == []


async def test_a_start_brought_forward_does_not_make_up_for_the_present_period(
    mage: Mage, wire: Wire, world: World, hourly: TriggerRow
):
    world.switch(hourly, "active")
    hourly.last_enabled_at = world.now - timedelta(days=2)
    hourly.start_time = world.now + timedelta(days=900)
    answer = await mage.triggers.update([hourly.id], clear=["start_time"])
    assert [body for _, _, body in sent(wire)] == [{"start_time": None, "status": "inactive"}, {"status": "active"}]
    (row,) = answer.triggers
    assert row.others == []
    assert list(row.after) == ["start_time"]
    assert world.runs_of(hourly.id) == []


# Answers that are lost


async def test_a_lost_answer_to_a_creation_that_happened_finds_the_one_trigger(mage: Mage, wire: Wire, world: World):
    wire.spoil("POST", "/pipeline_schedules", LOST, arrives=True)
    made = await mage.triggers.create(PIPELINE, "found", interval="@daily")
    assert [row.id for row in named(world, "found")] == [made.trigger]
    assert "found by its name" in made.note
    assert wire.count("POST") == 1


async def test_a_creation_that_never_arrived_is_uncertain_and_not_sent_again(mage: Mage, wire: Wire, world: World):
    wire.spoil("POST", "/pipeline_schedules", LOST)
    with pytest.raises(MageWriteUncertain, match=r"no trigger has that name so far.*list_triggers"):
        await mage.triggers.create(PIPELINE, "lost", interval="@daily")
    assert named(world, "lost") == []
    assert wire.count("POST") == 1


async def test_where_the_second_request_fails_the_trigger_is_there_switched_off_and_that_is_told(
    mage: Mage, wire: Wire, world: World
):
    wire.spoil("PUT", "", breaks(httpx.ConnectError), times=3)
    made = await mage.triggers.create(PIPELINE, "half", interval="@daily", tags=["a"])
    assert (made.changed, made.status) == (True, "inactive")
    assert "Its tags, status could not be set" in made.note
    assert f"update_triggers(triggers=[{made.trigger}])" in made.note
    assert [row.status for row in named(world, "half")] == ["inactive"]


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_lost_answer_to_a_change_is_looked_up(mage: Mage, wire: Wire, hourly: TriggerRow, arrives: bool):
    wire.spoil("PUT", f"/pipeline_schedules/{hourly.id}", LOST, arrives=arrives)
    if arrives:
        (row,) = (await mage.triggers.update([hourly.id], status="active")).triggers
        assert (row.changed, row.after) == (True, {"status": "active"})
        assert "answer was lost" in row.note
    else:
        with pytest.raises(MageWriteUncertain, match="may or may not"):
            await mage.triggers.update([hourly.id], status="active")
    assert wire.count("PUT") == 1


async def test_a_trigger_that_cannot_be_switched_on_again_is_told_to_be_off(
    mage: Mage, wire: Wire, world: World, hourly: TriggerRow
):
    world.switch(hourly, "active")
    hourly.schedule_interval = "0 0 29 2 *"
    hourly.last_enabled_at = world.now - timedelta(days=2)

    def then_goes_away(request: httpx.Request) -> httpx.Response:
        wire.spoil("PUT", "", breaks(httpx.ConnectError), times=3)
        return httpx.Response(502, request=request)

    wire.spoil("PUT", "", then_goes_away, arrives=True)
    (row,) = (await mage.triggers.update([hourly.id], interval="@hourly")).triggers
    assert hourly.status == "inactive"
    assert row.after == {"status": "inactive", "interval": "@hourly"}
    assert "could not be switched on again" in row.note
    assert "Not as it was sent: status" in row.note


async def test_of_several_triggers_one_that_fails_is_told_in_its_row_and_the_rest_is_done(
    mage: Mage, wire: Wire, world: World, hourly: TriggerRow
):
    other = world.add_trigger(PIPELINE, "other")
    wire.spoil("PUT", f"/pipeline_schedules/{hourly.id}", says({"error": {"code": 403, "message": "no"}}))
    answer = await mage.triggers.update([other.id, hourly.id], description="new")
    rows = {row.trigger: row for row in answer.triggers}
    assert rows[hourly.id].changed is False
    assert rows[hourly.id].note.startswith("It failed: Mage at mage.test does not allow")
    assert rows[other.id].after == {"description": "new"}
    assert (answer.changed, answer.note) == (True, "1 of 2 failed; the rest is as told.")


async def test_one_trigger_alone_that_fails_is_an_error(mage: Mage, wire: Wire, hourly: TriggerRow):
    wire.spoil("PUT", "", says({"error": {"code": 403, "message": "no"}}))
    with pytest.raises(MageForbidden):
        await mage.triggers.update([hourly.id], description="new")
    wire.mend()
    wire.spoil("PUT", "", breaks(httpx.ConnectError), times=3)
    with pytest.raises(MageUnreachable):
        await mage.triggers.update([hourly.id], description="new")


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_lost_answer_to_a_deletion_is_looked_up(
    mage: Mage, wire: Wire, world: World, hourly: TriggerRow, arrives: bool
):
    wire.spoil("DELETE", "", LOST, arrives=arrives)
    if arrives:
        assert "the trigger is gone" in (await mage.triggers.delete(hourly.id)).note
    else:
        with pytest.raises(MageWriteUncertain):
            await mage.triggers.delete(hourly.id)
    assert (hourly.id in world.triggers) is not arrives
    assert wire.count("DELETE") == 1


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_lost_answer_to_the_deletion_of_a_run_is_looked_up(mage: Mage, wire: Wire, world: World, arrives: bool):
    first, second = (run.id for run in list(world.runs.values())[:2])
    wire.spoil("DELETE", f"/pipeline_runs/{first}", LOST, arrives=arrives)
    answer = await mage.runs.delete([second, first])
    assert [row.after for row in answer.runs] == ["deleted" if arrives else "unknown", "deleted"]
    assert (first in world.runs) is not arrives
    assert wire.count("DELETE") == 2


# Others


async def test_twenty_changes_of_one_trigger_at_once_are_all_there(mage: Mage, hourly: TriggerRow):
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(lambda n=number: mage.triggers.update([hourly.id], set_variables={f"v_{n}": n}))
    assert hourly.variables == {f"v_{number}": number for number in range(20)}


async def test_twenty_triggers_of_one_name_at_once_are_one(mage: Mage, world: World):
    refused: list[MageInvalid] = []

    async def create() -> None:
        try:
            await mage.triggers.create(PIPELINE, "one", interval="@daily")
        except MageInvalid as error:
            refused.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(create)
    assert len(named(world, "one")) == 1
    assert len(refused) == 19


async def test_what_somebody_else_writes_meanwhile_is_kept_and_told(mage: Mage, wire: Wire, hourly: TriggerRow):
    def also(request: httpx.Request) -> httpx.Response:
        hourly.variables = {**(hourly.variables or {}), "theirs": 1}
        hourly.description = "theirs"
        return httpx.Response(502, request=request)  # ours is lost on its way back

    wire.spoil("PUT", "", also, arrives=True)
    (row,) = (await mage.triggers.update([hourly.id], set_variables={"ours": 1})).triggers
    assert row.after["variables"] == {"ours": 1, "theirs": 1}
    assert row.others == ["description"]
    assert "Not as it was sent: variables" in row.note


# In code


async def test_a_pipeline_that_keeps_all_its_triggers_in_code_gets_one_only_when_asked(
    mage: Mage, wire: Wire, world: World
):
    await mage.triggers.in_code(PIPELINE)
    keeps = {"settings": {"triggers": {"save_in_code_automatically": True}}}
    wire.spoil("GET", f"/pipelines/{PIPELINE}", says({"pipeline": {"uuid": PIPELINE, **keeps}}), times=2)
    with pytest.raises(MageInvalid, match="writes its token into that file"):
        await mage.triggers.create(PIPELINE, "kept", interval="@daily")
    assert named(world, "kept") == []
    await mage.triggers.create(PIPELINE, "kept", interval="@daily", allow_in_code=True)
    assert len(named(world, "kept")) == 1


async def test_a_name_that_another_trigger_has_is_not_given(mage: Mage, wire: Wire, world: World, hourly: TriggerRow):
    with pytest.raises(MageInvalid, match="named sales_api already"):
        await mage.triggers.update([hourly.id], name="sales_api")
    with pytest.raises(MageInvalid, match="Only one"):
        await mage.triggers.update([hourly.id, 1], name="new")
    world.write_file("pipelines/sales_daily/triggers.yaml", json.dumps({"triggers": [{"name": "in the file"}]}))
    with pytest.raises(MageInvalid, match=r"one in its triggers\.yaml"):
        await mage.triggers.update([hourly.id], name="in the file")
    assert sent(wire) == []
    await mage.triggers.update([hourly.id], name="new")
    assert hourly.name == "new"


async def test_a_deleted_trigger_leaves_no_tags_and_no_token_in_the_file(mage: Mage, wire: Wire, world: World):
    first, second = world.add_trigger(PIPELINE, "tagged"), world.add_trigger(PIPELINE, "kept")
    first.tags, second.tags = ["a"], ["a"]
    world.write_file(f"pipelines/{PIPELINE}/triggers.yaml", json.dumps({"triggers": [{"name": "kept"}]}))
    await mage.triggers.delete(first.id)
    await mage.triggers.delete(second.id)
    assert [verb for verb, _, _ in sent(wire)] == ["PUT", "DELETE", "DELETE"]


# Schedules

WEDNESDAY = datetime(2026, 11, 25, 10, 30, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("@hourly", "2026-11-25 11:00"),
        ("Daily", "2026-11-26 00:00"),
        ("@weekly", "2026-11-30 00:00"),
        ("@monthly", "2026-12-01 00:00"),
        ("  30   10 * * *", "2026-11-26 10:30"),
        ("*/15 * * * *", "2026-11-25 10:45"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("0 6 * * 7", "2026-11-29 06:00"),
        ("0 6 13 * 5", "2026-11-27 06:00"),
    ],
)
def test_when_an_interval_next_comes_round(interval: str, expected: str):
    due = next_due(checked_interval(interval, now=WEDNESDAY), WEDNESDAY)
    assert str(due)[:16] == expected
    assert due is not None
    assert next_due(checked_interval(interval, now=WEDNESDAY), due) == due


@pytest.mark.parametrize(
    "interval", ["@yearly", "0 6 * *", "0 0 6 * * *", "0 6 L * *", "1_0 6 * * *", "٣ 6 * * *", f"{'1,' * 30}1 * * * *"]
)
def test_intervals_that_mage_or_this_client_would_read_otherwise_are_refused(interval: str):
    with pytest.raises(MageInvalid, match="is no interval"):
        checked_interval(interval, now=WEDNESDAY)

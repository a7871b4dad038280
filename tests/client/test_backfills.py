"""Backfills made, started, cancelled and deleted: what is sent, and what a lost answer leaves."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from mage_mcp.client import Cluster, Mage
from mage_mcp.client.backfills import Window, checked_window
from mage_mcp.demo.world import World
from mage_mcp.errors import MageFailed, MageInvalid, MageWriteUncertain
from tests.conftest import URL, clock_of
from tests.wires import Answer, Wire, breaks, says

PIPELINE = "empty_pipeline"
DAYS = (PIPELINE, "2026-03-01", "2026-03-03")
LOST = breaks(httpx.ReadError)
NO_POOL = says({"error": {"code": 500, "exception": "no database", "message": "no database"}})


@pytest.fixture
def wire(world: World) -> Wire:
    return Wire(world)


@pytest.fixture
async def mage(world: World, wire: Wire) -> AsyncIterator[Mage]:
    async with Mage(Cluster(url=URL), wire=wire, clock=clock_of(world)) as client:
        yield client


def sent(wire: Wire) -> list[tuple[str, str, Any]]:
    """What was written: the verb, where, and what."""
    writes = [request for request in wire.requests if request.method != "GET"]
    bodies = [json.loads(request.content) for request in writes]
    return [(r.method, r.url.path, next(iter(body.values()), None)) for r, body in zip(writes, bodies, strict=True)]


# What is sent


@pytest.mark.anyio
async def test_it_is_named_gets_its_window_and_is_started_in_three_requests(mage: Mage, wire: Wire):
    await mage.backfills.create(*DAYS, variables={"region": "eu"})
    window = {
        "interval_type": "day",
        "interval_units": 1,
        "start_datetime": "2026-03-01 00:00:00",
        "end_datetime": "2026-03-03 23:59:59",
        "variables": {"region": "eu"},
    }
    assert sent(wire) == [
        ("POST", "/api/pipelines/empty_pipeline/backfills", {"name": "2026-03-01 to 2026-03-03 by day"}),
        ("PUT", "/api/backfills/1", window),
        ("PUT", "/api/backfills/1", {"status": "initial"}),
    ]


@pytest.mark.anyio
async def test_the_preview_that_can_hang_mage_is_never_asked_for(mage: Mage, wire: Wire):
    await mage.backfills.create(*DAYS, dry_run=True)
    await mage.backfills.create(*DAYS)
    await mage.backfills.list()
    queries = "".join(request.url.query.decode() for request in wire.requests)
    assert "include_preview_runs" not in queries
    assert "include_run_count" not in queries


@pytest.mark.anyio
async def test_a_cancel_pauses_stops_what_runs_and_only_then_marks_the_rest(mage: Mage, wire: Wire, world: World):
    made = await mage.backfills.create("slow_report", "2026-03-01", "2026-03-02", variables={"sleep_seconds": 600})
    world.clock.advance(3)
    wire.requests.clear()
    done = await mage.backfills.cancel(made.backfill or 0)
    runs = sorted(world.backfills[1].run_ids)
    cancelled = {"status": "cancelled"}
    assert sent(wire) == [
        ("PUT", f"/api/pipeline_schedules/{made.trigger}", {"status": "inactive"}),
        *(("PUT", f"/api/pipeline_runs/{run}", cancelled) for run in runs),
        ("PUT", "/api/backfills/1", cancelled),
    ]
    assert done.runs == {"cancelled": 2}
    assert {block.status(world.now) for run in runs for block in world.runs[run].block_runs} == {"cancelled"}


# What a lost answer leaves


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [LOST, NO_POOL], ids=["lost", "error"])
async def test_one_that_was_made_though_the_answer_was_lost_is_found_by_its_name(
    mage: Mage, wire: Wire, world: World, answer: Any
):
    wire.spoil("POST", "/backfills", answer, arrives=True)
    made = await mage.backfills.create(*DAYS)
    assert made.backfill == 1
    assert "found by its name" in made.note
    assert (len(world.backfills), len(world.backfills[1].run_ids)) == (1, 3)


@pytest.mark.anyio
async def test_one_that_was_not_made_is_not_made_again_by_itself(mage: Mage, wire: Wire, world: World):
    wire.spoil("POST", "/backfills", LOST)
    with pytest.raises(MageWriteUncertain, match="no backfill has its name so far"):
        await mage.backfills.create(*DAYS)
    wire.spoil("POST", "/backfills", NO_POOL)
    with pytest.raises(MageFailed, match="no database"):
        await mage.backfills.create(*DAYS)
    assert not world.backfills


@pytest.mark.anyio
async def test_a_lost_window_was_kept_or_the_same_call_goes_on(mage: Mage, wire: Wire, world: World):
    wire.spoil("PUT", "/backfills/1", LOST, arrives=True)
    assert (await mage.backfills.create(*DAYS)).runs == 3
    april = (PIPELINE, "2026-04-01", "2026-04-03")
    wire.spoil("PUT", "/backfills/2", LOST)
    with pytest.raises(MageFailed, match="its window was not kept, so it was not started"):
        await mage.backfills.create(*april)
    assert world.backfills[2].status is None
    made = await mage.backfills.create(*april)
    assert (made.backfill, len(world.backfills[2].run_ids)) == (2, 3)
    assert "Backfill 2 was there, not started; it was taken up." in made.note


@pytest.mark.anyio
async def test_a_lost_start_was_a_start_or_the_same_call_goes_on(mage: Mage, wire: Wire, world: World):
    await left_unstarted(mage, wire)
    wire.spoil("PUT", "/backfills/1", LOST)
    with pytest.raises(MageWriteUncertain, match="was sent, but Mage has not started it so far"):
        await mage.backfills.create(*DAYS)
    assert world.backfills[1].status is None
    wire.spoil("PUT", "/backfills/1", LOST, arrives=True)
    made = await mage.backfills.create(*DAYS)
    assert "Mage's answer was late; it did start." in made.note
    assert (made.backfill, len(world.backfills[1].run_ids)) == (1, 3)


@pytest.mark.anyio
async def test_a_start_that_mage_is_silent_about_is_left_open(mage: Mage, wire: Wire):
    await left_unstarted(mage, wire)
    wire.spoil("PUT", "/backfills/1", silent_from_now_on(wire))
    with pytest.raises(MageWriteUncertain, match="makes the 3 runs one after the other and answers nobody meanwhile"):
        await mage.backfills.create(*DAYS)


def silent_from_now_on(wire: Wire) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        wire.spoil("GET", "/backfills/1", LOST, times=99)
        return LOST(request)

    return answer


@pytest.mark.anyio
async def test_a_start_that_mage_refuses_is_told(mage: Mage, wire: Wire, world: World):
    await left_unstarted(mage, wire)
    wire.spoil("PUT", "/backfills/1", NO_POOL)
    with pytest.raises(MageFailed, match=r"Backfill 1 was made, but Mage did not start it: .*no database"):
        await mage.backfills.create(*DAYS)
    assert world.backfills[1].status is None


async def left_unstarted(mage: Mage, wire: Wire) -> None:
    """Backfill 1, with its window, as a call leaves it that broke off."""
    wire.spoil("PUT", "/backfills/1", LOST)
    with pytest.raises(MageFailed):
        await mage.backfills.create(*DAYS)
    wire.spoil("PUT", "/backfills/1", NO_POOL, arrives=True)
    wire.spoil("PUT", "/backfills/1", LOST)
    with pytest.raises(MageWriteUncertain):
        await mage.backfills.create(*DAYS)


@pytest.mark.anyio
async def test_one_that_others_started_meanwhile_is_left_alone(mage: Mage, wire: Wire, world: World):
    await mage.backfills.create(*DAYS)
    world.backfills[1].fields["name"] = "of somebody else"
    before = len(sent(wire))
    with pytest.raises(MageInvalid, match="The same window was started before: backfill 1"):
        await mage.backfills.create(*DAYS)
    assert len(sent(wire)) == before


@pytest.mark.anyio
async def test_a_draft_with_another_window_or_other_variables_is_not_taken_up(mage: Mage, world: World):
    await mage.backfills.create(*DAYS, name="mine")
    with pytest.raises(MageInvalid, match=r"Backfill 1 \(initial\) of the pipeline has that name"):
        await mage.backfills.create(PIPELINE, "2026-05-01", "2026-05-03", name="mine")
    world.backfills[1].status = None
    world.backfills[1].trigger_id = None
    world.backfills[1].fields["variables"] = {"region": "us"}
    with pytest.raises(MageInvalid, match=r"Backfill 1 \(not started\) of the pipeline has that name"):
        await mage.backfills.create(*DAYS, name="mine", variables={"region": "eu"})


@pytest.mark.anyio
async def test_a_lost_cancel_is_read_back(mage: Mage, wire: Wire, world: World):
    await mage.backfills.create("slow_report", "2026-03-01", "2026-03-02", variables={"sleep_seconds": 600})
    wire.spoil("PUT", "/backfills/1", LOST, arrives=True)
    done = await mage.backfills.cancel(1)
    assert (done.after, done.runs) == ("cancelled", {"cancelled": 2})
    assert "this is what was read afterwards" in done.note


@pytest.mark.anyio
async def test_runs_that_go_on_after_a_cancel_are_named(mage: Mage, wire: Wire, world: World):
    await mage.backfills.create("slow_report", "2026-03-01", "2026-03-02", variables={"sleep_seconds": 600})
    world.clock.advance(3)
    for path in (*(f"/pipeline_runs/{run}" for run in world.backfills[1].run_ids), "/backfills/1"):
        wire.spoil("PUT", path, NO_POOL, times=9)
    done = await mage.backfills.cancel(1)
    assert (done.after, done.runs) == ("running", {"under_way": 2})
    assert done.note.startswith("2 of its runs go on, since Mage was just starting them; call it again.")


@pytest.mark.anyio
async def test_a_lost_delete_is_looked_up_and_a_refused_one_is_told(mage: Mage, wire: Wire, world: World):
    await mage.backfills.create(*DAYS)
    world.clock.advance(30)
    wire.spoil("DELETE", "/backfills/1", NO_POOL)
    with pytest.raises(MageFailed, match="no database"):
        await mage.backfills.delete(1)
    assert world.backfills[1].trigger_id is None
    wire.spoil("DELETE", "/backfills/1", LOST, arrives=True)
    assert (await mage.backfills.delete(1)).note == "Mage's answer was lost; the backfill is gone."


# Windows


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(start: str, end: str, interval_type: str = "day", interval_units: int = 1) -> Window:
    return Window(utc(start), utc(end), interval_type, interval_units)


@pytest.mark.parametrize(
    "made",
    [
        window("2026-03-01", "2026-03-03"),
        window("2026-03-01T06:30", "2026-03-05T06:29", "hour", 7),
        window("2026-01-31", "2027-01-30", "month"),
        window("2024-02-29", "2033-01-01", "year"),
        window("2026-01-01", "2026-12-31", "week", 3),
        window("2026-01-01", "2026-01-01"),
    ],
)
def test_counting_and_listing_agree(made: Window):
    dates = list(made.dates())
    assert (len(dates), dates[0], dates[-1]) == (made.count, made.start, made.last)
    assert made.after(made.last) > made.end


@pytest.mark.parametrize(
    ("start", "end", "interval_type", "first", "last"),
    [
        ("7d", "1d", "day", "2026-11-17", "2026-11-23"),
        ("26h", "1h", "hour", "2026-11-23T13:00", "2026-11-24T14:00"),
        ("90m", "30m", "minute", "2026-11-24T14:00", "2026-11-24T15:00"),
        ("5s", "2s", "second", "2026-11-24T15:29:57", "2026-11-24T15:30:00"),
        ("2026-11-20", "2026-11-21", "hour", "2026-11-20", "2026-11-21T23:59:59"),
        ("2026-11-20T06:00", "2026-11-21", "day", "2026-11-20T06:00", "2026-11-21T23:59:59"),
        ("2026-11-20T06:00:00.5Z", "2026-11-20T23:00:00-05:00", "hour", "2026-11-20T06:00", "2026-11-21T04:00"),
        ("2026-W47", "2026-W48-1", "day", "2026-11-16", "2026-11-23T23:59:59"),
    ],
)
def test_times_are_taken_as_they_are_meant(start: str, end: str, interval_type: str, first: str, last: str):
    now = utc("2026-11-24T15:30:02")
    made, note = checked_window(start, end, interval_type=interval_type, interval_units=1, max_runs=2_000, now=now)
    assert (made.start, made.end) == (utc(first), utc(last))
    assert bool(note) == (start[-1] in "dhms" or end.endswith("05:00"))


def test_windows_are_the_same_where_their_dates_are():
    days = window("2026-03-01", "2026-03-03")
    assert days.makes_the_same_as(window("2026-03-01", "2026-03-03T23:59:59"))
    assert days.makes_the_same_as(window("2026-03-01", "2026-03-03", "hour", 24))
    assert not days.makes_the_same_as(window("2026-03-01", "2026-03-04"))
    assert not days.makes_the_same_as(window("2026-03-01", "2026-03-03", "hour", 12))
    assert window("2026-03-01", "2026-03-01", "year").makes_the_same_as(window("2026-03-01", "2026-03-01"))


def test_shared_dates_are_counted():
    days = window("2026-03-01", "2026-03-10")
    assert days.shares_with(window("2026-03-08", "2026-03-20")) == 3
    assert days.shares_with(window("2026-03-01T12:00", "2026-03-20")) == 0
    assert days.shares_with(window("2026-01-01", "2026-12-31", "week")) == 1
    assert days.shares_with(window("2026-01-05", "2026-12-31", "month")) == 1


def test_the_largest_windows_are_counted_at_once():
    assert window("1900-01-01", "2200-12-31", "second").count > 9_000_000_000
    assert window("1900-01-01", "2200-12-31", "month").count == 3_612

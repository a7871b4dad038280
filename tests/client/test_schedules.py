"""When a schedule last came round, and which ones brought no run."""

from datetime import UTC, datetime, timedelta

import pytest

from mage_mcp.client.schedules import last_due
from mage_mcp.demo.cron import next_run_at
from mage_mcp.demo.world import World
from tests.conftest import mage_of

NOW = datetime(2026, 11, 25, 10, 30, 20, tzinfo=UTC)
"""A Wednesday."""


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("@hourly", "2026-11-25 10:00"),
        ("@daily", "2026-11-25 00:00"),
        ("@weekly", "2026-11-23 00:00"),
        ("@monthly", "2026-11-01 00:00"),
        ("30 10 * * *", "2026-11-25 10:30"),
        ("31 10 * * *", "2026-11-24 10:31"),
        ("*/15 * * * *", "2026-11-25 10:30"),
        ("0 3 1 1 *", "2026-01-01 03:00"),
        ("0 6 * * 1-5", "2026-11-25 06:00"),
        ("0 6 * * MON", "2026-11-23 06:00"),
        ("0 6 * * 7", "2026-11-22 06:00"),
        ("0 6 * * 0", "2026-11-22 06:00"),
        ("0 0 1 jan *", "2026-01-01 00:00"),
        ("0 6 13 * 5", "2026-11-20 06:00"),  # both day fields: either will do
        ("5,50 9 * * *", "2026-11-25 09:50"),
    ],
)
def test_the_last_moment_that_a_run_was_due(interval: str, expected: str):
    assert str(last_due(interval, NOW))[:16] == expected


@pytest.mark.parametrize(
    "interval", ["@once", "@always_on", "", "every day", "0 6 * *", "61 * * * *", "0 0 * * sat-sun", "*/0 * * * *"]
)
def test_what_cannot_be_read_is_not_judged(interval: str):
    assert last_due(interval, NOW) is None


@pytest.mark.parametrize("interval", ["@hourly", "@daily", "@weekly", "@monthly", "7 */5 * * 2", "0 3 2-9 */2 *"])
def test_nothing_is_due_between_the_last_moment_and_the_next(interval: str):
    for days in range(0, 400, 13):
        now = NOW + timedelta(days=days, minutes=7 * days)
        due = last_due(interval, now)
        assert due is not None
        assert due <= now
        following = next_run_at(interval, due)
        assert following is not None
        assert following > now


@pytest.mark.anyio
async def test_a_schedule_whose_time_came_and_brought_no_run_is_late(world: World):
    async with mage_of(world) as mage:
        assert (await mage.runs.late()).items == []
        trigger = next(row for row in world.triggers.values() if row.name == "sales_hourly")
        world.switch(trigger, "active")
        assert (await mage.runs.late()).items == []  # Mage does not make up for what was before it was enabled
        world.clock.advance(2 * 3600)
        (late,) = (await mage.runs.late()).items
        assert (late.trigger, late.pipeline, late.interval, late.last_run) == (
            trigger.id,
            "sales_daily",
            "@hourly",
            None,
        )
        assert (late.due_at.minute, late.due_at.second) == (0, 0)
        run = world.create_run(trigger)
        assert (await mage.runs.late()).items == []
        world.clock.advance(2 * 3600)
        assert (await mage.runs.late()).items[0].last_run == run.id


@pytest.mark.anyio
@pytest.mark.parametrize("why", ["not yet begun", "landing time", "inactive"])
async def test_what_mage_itself_would_not_start_is_not_late(world: World, why: str):
    trigger = next(row for row in world.triggers.values() if row.name == "sales_hourly")
    world.switch(trigger, "active")
    world.clock.advance(2 * 3600)
    match why:
        case "not yet begun":
            trigger.start_time = world.now + timedelta(days=1)
        case "landing time":
            trigger.settings = {"landing_time_enabled": True}
        case "inactive":
            world.switch(trigger, "inactive")
    async with mage_of(world) as mage:
        assert (await mage.runs.late()).items == []


@pytest.mark.anyio
async def test_a_run_whose_worker_dies_is_stuck_and_one_that_takes_its_time_is_not(world: World):
    slow = next(row for row in world.triggers.values() if row.name == "slow_api")
    asleep = next(row for row in world.triggers.values() if row.name == "reports_daily")
    run, waiting = world.create_run(slow, {"sleep_seconds": 900}), world.create_run(asleep)
    world.clock.advance(30)
    async with mage_of(world) as mage:
        found = await mage.runs.unfinished()
        crash, *others = found.items
        assert (crash.pipeline, crash.stuck) == ("crash_loop", True)
        assert "worker process dies" in crash.why
        assert {(row.run, row.stuck) for row in others} == {(run.id, False), (waiting.id, False)}
        world.clock.advance(600)
        late = {row.run: row for row in (await mage.runs.unfinished()).items}
        assert late[run.id].stuck
        assert late[run.id].usual_s is not None
        assert "longer than usual" in late[run.id].why
        assert late[waiting.id].stuck
        assert "is inactive" in late[waiting.id].why


@pytest.mark.anyio
async def test_of_many_runs_under_way_the_oldest_are_looked_at(world: World):
    slow = next(row for row in world.triggers.values() if row.name == "slow_api")
    for _ in range(6):
        world.create_run(slow, {"sleep_seconds": 900})
    world.clock.advance(10)
    async with mage_of(world) as mage:
        found = await mage.runs.unfinished(most=3)
    assert found.total == 7
    assert len(found.items) == 3
    assert found.note == "4 newer ones were not looked at."

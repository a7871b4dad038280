"""list_runs(status="stuck"): what has not ended and will not, or takes much too long, and why."""

from collections import Counter

import anyio
import httpx
import pytest

from mage_mcp.demo.runs import Run
from mage_mcp.demo.world import TriggerRow, World
from tests.host import Host
from tests.lab.mage import RealMage
from tests.tools.test_runs import under_way

pytestmark = pytest.mark.anyio


def trigger_named(world: World, name: str) -> TriggerRow:
    return next(row for row in world.triggers.values() if row.name == name)


def lose_in_the_queue(world: World, run: Run) -> None:
    """What Mage's queue does now and then: a block stays queued, and no worker takes it up."""
    first, *others = run.block_runs
    first.timeline.events = [(world.now, "queued")]
    for block_run in others:
        block_run.timeline.events = []
    run.timeline.drop_after(world.now)


async def test_a_worker_that_dies_for_ever_is_stuck_and_a_run_that_takes_its_time_is_not(host: Host):
    slow = (await host.call("trigger_pipeline", pipeline="slow_report", variables={"sleep_seconds": 600})).data["run"]
    await under_way(host, slow)
    run = (await host.call("trigger_pipeline", pipeline="crash_loop")).data["run"]
    for _ in range(40):
        page = (await host.call("list_runs", status="stuck", limit=50)).data
        rows = {row["run"]: row for row in page["items"]}
        if run in rows and "times" in rows[run]["why"]:
            break
        await _pass(host, 3)
    assert "leave_early: its worker dies and is started again" in rows[run]["why"]
    assert rows[run]["next_step"] == f"cancel_runs(runs=[{run}])"
    assert slow not in rows
    assert page["total"] == len(rows)
    of_one = (await host.call("list_runs", status="stuck", pipeline="slow_report")).data
    assert of_one["items"] == []
    assert "None of those looked at is stuck" in of_one["note"]
    await host.call("cancel_runs", runs=[run, slow])
    assert run not in {row["run"] for row in (await host.call("list_runs", status="stuck", limit=50)).data["items"]}


async def _pass(host: Host, seconds: float) -> None:
    if host.world:
        host.world.clock.advance(seconds)
    else:
        await anyio.sleep(seconds)


async def test_stuck_runs_of_an_unknown_pipeline_are_refused_with_the_nearest_name(host: Host):
    assert "Did you mean 'slow_report'" in await host.refused("list_runs", status="stuck", pipeline="slow_reprt")


async def test_a_run_of_an_inactive_trigger_is_stuck_with_both_ways_out(world: World, demo: Host):
    asleep = trigger_named(world, "reports_daily")
    run = world.create_run(asleep)
    (row,) = (await demo.call("list_runs", status="stuck", pipeline=run.pipeline.uuid)).data["items"]
    assert row["run"] == run.id
    assert row["why"] == f"Its trigger {asleep.id} is inactive."
    assert (
        row["next_step"] == f"cancel_runs(runs=[{run.id}]), or update_triggers(triggers=[{asleep.id}], status='active')"
    )


@pytest.mark.real
async def test_a_run_of_an_inactive_trigger_is_stuck_on_the_real_mage(real_auto: Host, real_mage: RealMage):
    triggers = (await real_auto.call("list_triggers", pipeline="sales_daily", status="inactive")).data["items"]
    trigger = triggers[0]["trigger"]
    url = f"{real_mage.url}/api/pipeline_schedules/{trigger}/pipeline_runs"
    async with httpx.AsyncClient() as http:
        run = (await http.post(url, json={"pipeline_run": {}})).json()["pipeline_run"]["id"]
    rows = (await real_auto.call("list_runs", status="stuck", trigger=trigger)).data["items"]
    assert [(row["run"], row["why"]) for row in rows] == [(run, f"Its trigger {trigger} is inactive.")]
    await real_auto.call("cancel_runs", runs=[run])
    assert (await real_auto.call("list_runs", status="stuck", trigger=trigger)).data["items"] == []


async def test_runs_that_take_far_longer_than_usual_or_never_start_are_stuck(world: World, demo: Host):
    slow = trigger_named(world, "slow_api")
    run = world.create_run(slow, {"sleep_seconds": 3600})
    world.clock.advance(70)
    assert run.id not in {row["run"] for row in (await demo.call("list_runs", status="stuck")).data["items"]}
    world.clock.advance(60)
    rows = {row["run"]: row for row in (await demo.call("list_runs", status="stuck")).data["items"]}
    assert rows[run.id]["why"] == "Much longer than it should (usually 22 s). In sleep_a_while."
    assert rows[run.id]["next_step"] == f"get_run_logs(run={run.id})"


async def test_a_block_that_the_queue_lost_is_told_after_a_minute(world: World, demo: Host):
    run = world.create_run(trigger_named(world, "slow_api"), {"sleep_seconds": 5})
    world.clock.advance(3)
    lose_in_the_queue(world, run)
    world.clock.advance(50)
    assert run.id not in {row["run"] for row in (await demo.call("list_runs", status="stuck")).data["items"]}
    world.clock.advance(15)
    row = next(row for row in (await demo.call("list_runs", status="stuck")).data["items"] if row["run"] == run.id)
    assert row["why"] == "sleep_a_while is queued and no worker takes it up."
    assert f"retry_run(run={run.id})" in row["next_step"]


async def test_looking_at_twenty_costs_few_requests_and_few_tokens(world: World, demo: Host):
    await demo.call("list_runs", limit=1)
    slow, asleep = trigger_named(world, "slow_api"), trigger_named(world, "reports_daily")
    for _ in range(15):
        world.create_run(slow, {"sleep_seconds": 36_000})
        world.create_run(asleep)
    world.clock.advance(900)
    before = len(world.requests)
    page = await demo.call("list_runs", status="stuck")
    asked = Counter(path.split("?")[0] for _, path in world.requests[before:])
    # The rows; the scheduler; one trigger; and of two pipelines the logs and the latest completed run.
    assert asked.total() == 7, asked
    assert len(page.data["items"]) == 20
    assert page.tokens <= 1_500
    assert page.data["next_offset"] == 20
    assert page.data["note"] == "31 runs have not ended; 20 of them, the oldest, were looked at."
    rest = (await demo.call("list_runs", status="stuck", offset=20)).data
    assert len(rest["items"]) == 11
    assert "next_offset" not in rest


async def test_nothing_under_way_is_no_run_stuck(world: World, demo: Host):
    for run in world.runs.values():
        run.cancel(world.now)
    page = (await demo.call("list_runs", status="stuck")).data
    assert (page["items"], page["total"]) == ([], 0)
    assert page["note"] == "No run is waiting or running."

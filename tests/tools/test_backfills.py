"""The tools that run a pipeline for a window of dates, over both Mages and both protocol eras."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import anyio
import pytest
from mcp import Client

from mage_mcp.client import Cluster
from mage_mcp.demo.world import Backfill, World
from mage_mcp.server import build_server
from mage_mcp.settings import Settings
from tests.conftest import URL, clock_of, demo_server
from tests.host import Host, Person
from tests.wires import Wire, says

pytestmark = pytest.mark.anyio
PIPELINE = "empty_pipeline"
SLOW = {"pipeline": "slow_report", "variables": {"sleep_seconds": 600}}
_months = count(1)

Create = Callable[..., Awaitable[dict[str, Any]]]


def days(first: int = 1, last: int = 3) -> dict[str, str]:
    """A window that no other test has: the hosts of a session share one real Mage."""
    year, month = divmod(next(_months), 12)
    return {"start": f"{2001 + year}-{month + 1:02}-{first:02}", "end": f"{2001 + year}-{month + 1:02}-{last:02}"}


@pytest.fixture
async def create(host: Host) -> AsyncIterator[Create]:
    """Create a backfill by the tool; it is gone when the test is over."""
    made: list[int] = []

    async def make(**arguments: Any) -> dict[str, Any]:
        answer = (await host.call("create_backfill", **{"pipeline": PIPELINE, **arguments})).data
        if "backfill" in answer:
            made.append(answer["backfill"])
        return answer

    yield make
    host.person.action, host.person.agree = "accept", True
    for backfill in made:
        await host.try_call("cancel_backfill", backfill=backfill)
        await host.try_call("delete_backfill", backfill=backfill)


async def row_of(host: Host, backfill: int, **arguments: Any) -> dict[str, Any]:
    page = (await host.call("list_backfills", limit=100, **arguments)).data
    return next(row for row in page["items"] if row["backfill"] == backfill)


async def until(host: Host, backfill: int, **wanted: Any) -> dict[str, Any]:
    """The row once it shows these values."""
    for _ in range(100):
        row = await row_of(host, backfill)
        if wanted.items() <= row.items():
            return row
        if host.world:
            host.world.clock.advance(1)
        else:
            await anyio.sleep(0.3)
    raise AssertionError(row)


async def names_of_triggers(host: Host, pipeline: str = PIPELINE) -> list[str]:
    items = (await host.call("list_triggers", pipeline=pipeline, limit=100)).data["items"]
    return [row.get("name", "") for row in items]


# Creating


async def test_a_window_is_run_once_for_each_of_its_days_the_last_included(host: Host, create: Create):
    window = days()
    made = await create(**window)
    assert (made["changed"], made["runs"], made["interval"]) == (True, 3, "1 day")
    assert (made["first"], made["last"]) == (f"{window['start']}T00:00:00Z", f"{window['end']}T00:00:00Z")
    assert made["name"] == f"{window['start']} to {window['end']} by day"
    assert "list_backfills(pipeline='empty_pipeline') shows how far it is." in made["note"]
    row = await until(host, made["backfill"], status="completed")
    assert (row["runs"], row["completed"], row.get("under_way", 0)) == (3, 3, 0)
    assert (row["pipeline"], row["trigger"]) == (PIPELINE, made["trigger"])
    runs = (await host.call("list_runs", trigger=str(made["trigger"]))).data
    assert runs["counts"] == {"completed": 3}
    assert f"Backfill {made['name']}" in await names_of_triggers(host)


async def test_a_dry_run_tells_how_many_runs_and_which_and_makes_nothing(host: Host, create: Create):
    before = (await host.call("list_backfills", pipeline="sales_daily")).data["total"]
    window = {"start": "2026-01-31", "end": "2026-06-30", "interval_type": "monthly"}
    planned = await create(pipeline="sales_daily", **window, dry_run=True)
    assert (planned["changed"], planned["runs"]) == (False, 6)
    assert (planned["first"], planned["last"]) == ("2026-01-31T00:00:00Z", "2026-06-28T00:00:00Z")
    assert "from 2026-01-31T00:00:00Z to 2026-06-28T00:00:00Z, that one included" in planned["would"][0]
    assert "all its runs start at once" in planned["would"]
    assert any(word.startswith("every run writes its data: ") for word in planned["would"])
    assert (await host.call("list_backfills", pipeline="sales_daily")).data["total"] == before


async def test_offsets_are_converted_and_a_day_as_end_means_the_whole_of_it(host: Host, create: Create):
    start = days()["start"]
    day_before = days()["start"]
    hourly = await create(start=start, end=start, interval_type="hour", interval_units=6, dry_run=True)
    assert (hourly["runs"], hourly["last"]) == (4, f"{start}T18:00:00Z")
    given = {"start": f"{day_before}T06:00:00+02:00", "end": f"{day_before}T23:00:00+02:00"}
    converted = await create(**given, interval_type="hour", dry_run=True)
    assert (converted["first"], converted["runs"]) == (f"{day_before}T04:00:00Z", 18)
    assert "Mage counts in UTC." in converted["note"]


async def test_ages_are_taken_to_the_full_interval_and_today_is_not_over_yet(host: Host, create: Create):
    planned = await create(start="2d", end="0h", dry_run=True)
    assert planned["runs"] == 3
    assert planned["first"].endswith("T00:00:00Z")
    assert f"The window was taken as {planned['first']}" in planned["note"]
    assert "is not over yet" in planned["note"]


async def test_variables_reach_every_run(host: Host, create: Create):
    made = await create(pipeline="sales_daily", **days(1, 1), variables={"region": "apac"})
    row = await until(host, made["backfill"], status="completed")
    (run,) = (await host.call("list_runs", trigger=str(row["trigger"]))).data["items"]
    report = (await host.call("get_run", run=run["run"])).data
    assert report["variables"]["region"] == "apac"


async def test_the_same_window_never_starts_twice_whatever_its_name(host: Host, create: Create):
    window = days()
    first = await create(**window)
    last = f"{window['end']}T05:00:00Z"
    for again in ({**window}, {**window, "name": "another"}, {"start": window["start"], "end": last}):
        refusal = await host.refused("create_backfill", pipeline=PIPELINE, **again)
        assert f"The same window was started before: backfill {first['backfill']}" in refusal
        assert f"list_runs(trigger='{first['trigger']}', status='failed')" in refusal
        assert f"delete_backfill(backfill={first['backfill']})" in refusal
    await host.refused("create_backfill", pipeline=PIPELINE, **window, dry_run=True)
    await until(host, first["backfill"], status="completed", runs=3)
    longer = await create(start=window["start"], end=window["end"][:-1] + "4")
    assert f"Of the dates, 3 were in backfill {first['backfill']} too" in longer["note"]


async def test_dates_that_a_backfill_under_way_runs_are_not_run_beside_it(demo: Host):
    window = days()
    made = (await demo.call("create_backfill", pipeline=PIPELINE, **window)).data
    longer = {"start": window["start"], "end": window["end"][:-1] + "4"}
    refusal = await demo.refused("create_backfill", pipeline=PIPELINE, **longer)
    assert f"3 of these dates are being run by backfill {made['backfill']}" in refusal
    assert f"cancel_backfill(backfill={made['backfill']})" in refusal
    assert (await demo.call("list_backfills", pipeline=PIPELINE)).data["total"] == 1


async def test_two_calls_at_once_start_it_once(host: Host, create: Create):
    window = days()
    answers: list[Any] = []

    async def one() -> None:
        answers.append(await host.try_call("create_backfill", pipeline=PIPELINE, **window))

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        group.start_soon(one)
    (made,) = (answer.data for answer in answers if not answer.is_error)
    (refusal,) = (answer.text for answer in answers if answer.is_error)
    assert f"started before: backfill {made['backfill']}" in refusal
    assert (await until(host, made["backfill"], status="completed"))["runs"] == 3
    await host.call("delete_backfill", backfill=made["backfill"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"start": "2026-03-02", "end": "2026-03-01"}, "The window ends (2026-03-01T23:59:59Z) before it starts"),
        ({"start": "2026-03-02", "end": "2026-03-03", "interval_units": 0}, "interval_units"),
        ({"start": "2026-03-02", "end": "2026-03-03", "interval_units": -1}, "interval_units"),
        ({"start": "2026-03-02", "end": "2026-03-03", "interval_type": "fortnight"}, "interval_type"),
        ({"start": "2026-03-02", "end": "2026-03-03", "interval_type": "custom"}, "interval_type"),
        ({"start": "1999-01-01", "end": "2026-05-18"}, "are 10000 runs, over max_runs=366"),
        ({"start": "1999-01-01", "end": "2026-05-18", "max_runs": 10_000}, "max_runs"),
        ({"start": "2025-01-01", "end": "2026-01-02"}, "or max_runs=367 if a person wants them all"),
        ({"start": "soon", "end": "2026-03-03"}, "start is neither a time nor an age: 'soon'."),
        ({"start": "0001-01-01", "end": "2026-03-03"}, "a window lies between 1900 and 2200"),
        ({"start": "2026-03-02", "end": "9999-12-31T23:59:59-14:00"}, "a window lies between 1900 and 2200"),
        ({"start": "2026-03-02", "end": "2026-03-03", "variables": {"ds": "x"}}, "Mage sets 'ds' itself"),
        ({"start": "2026-03-02", "end": "2026-03-03", "name": "two\nlines"}, "The name must be one line"),
    ],
)
async def test_what_would_hang_mage_or_is_a_slip_is_refused_and_not_sent(
    host: Host, arguments: dict[str, Any], reason: str
):
    before = (await host.call("list_backfills")).data["total"]
    assert reason in await host.refused("create_backfill", pipeline=PIPELINE, **arguments)
    assert (await host.call("list_backfills")).data["total"] == before


async def test_what_does_not_exist_is_refused_with_what_comes_near(host: Host):
    window = days()
    assert "Did you mean 'empty_pipeline'" in await host.refused("create_backfill", pipeline="empty_pipelin", **window)
    assert "Did you mean 'empty_pipeline'" in await host.refused("list_backfills", pipeline="empty_pipelin")
    assert "No backfill 99999" in await host.refused("cancel_backfill", backfill=99_999)
    assert "No backfill 99999" in await host.refused("delete_backfill", backfill=99_999)


async def test_a_pipeline_without_any_says_so_and_states_are_told_apart(host: Host, create: Create):
    empty = (await host.call("list_backfills", pipeline="nested_import")).data
    assert (empty["items"], empty["total"], empty["note"]) == ([], 0, "There is no backfill.")
    made = await create(**days())
    await until(host, made["backfill"], status="completed")
    assert (await row_of(host, made["backfill"], pipeline=PIPELINE, status="completed"))["runs"] == 3
    failed = (await host.call("list_backfills", pipeline=PIPELINE, status="failed")).data
    assert failed["note"] == "No backfill fits."


# Cancelling


async def test_what_is_under_way_is_cancelled_once_a_person_agreed_and_its_runs_stop(host: Host, create: Create):
    made = await create(**days(1, 2), **SLOW)
    number = made["backfill"]
    await until(host, number, status="running", under_way=2)
    host.person.asked.clear()
    host.person.agree = False
    assert (await host.call("cancel_backfill", backfill=number)).data["changed"] is False
    (asked,) = host.person.asked
    assert asked.startswith("Cancel a backfill of slow_report on Mage at ")
    assert f"- stop backfill {number} ({made['name']!r}): no more of its runs start" in asked
    assert asked.count("- cancel run ") == 2
    host.person.agree = True
    done = (await host.call("cancel_backfill", backfill=number)).data
    assert (done["changed"], done["before"], done["after"]) == (True, "running", "cancelled")
    assert done["runs"] == {"cancelled": 2}
    runs = (await host.call("list_runs", trigger=str(made["trigger"]))).data["items"]
    report = (await host.call("get_run", run=runs[0]["run"])).data
    assert report["status"] == "cancelled"
    (trigger,) = (
        row
        for row in (await host.call("list_triggers", pipeline="slow_report", limit=100)).data["items"]
        if row["trigger"] == made["trigger"]
    )
    assert trigger["status"] == "inactive"
    refusal = await host.refused("cancel_backfill", backfill=number)
    assert f"Backfill {number} is cancelled and none of its runs is under way" in refusal


async def test_a_completed_one_is_not_called_cancelled(host: Host, create: Create):
    made = await create(**days())
    await until(host, made["backfill"], status="completed")
    refusal = await host.refused("cancel_backfill", backfill=made["backfill"])
    assert f"Backfill {made['backfill']} is completed and none of its runs is under way; nothing was sent." in refusal
    assert (await row_of(host, made["backfill"]))["status"] == "completed"


# Deleting


async def test_it_is_deleted_with_its_trigger_and_what_vanishes_is_said_before(host: Host, create: Create):
    window = days()
    made = await create(**window)
    number = made["backfill"]
    await until(host, number, status="completed")
    host.person.asked.clear()
    done = (await host.call("delete_backfill", backfill=number)).data
    (asked,) = host.person.asked
    assert f"- delete backfill {number} ({made['name']!r}, completed)" in asked
    assert f"- delete trigger {made['trigger']}, which Mage made for it" in asked
    assert "- 3 runs of it vanish from every list, and their errors and logs with them" in asked
    assert (done["changed"], done["runs"]) == (True, 3)
    assert "What the runs have written stays" in done["note"]
    assert f"Backfill {made['name']}" not in await names_of_triggers(host)
    assert f"No backfill {number}" in await host.refused("delete_backfill", backfill=number)
    again = await create(**window)
    assert again["runs"] == 3


async def test_one_under_way_is_not_deleted(host: Host, create: Create):
    made = await create(**days(1, 1), **SLOW)
    refusal = await host.refused("delete_backfill", backfill=made["backfill"])
    assert f"cancel_backfill(backfill={made['backfill']}) first" in refusal


# Where the simulated Mage alone can be brought into the state


def drafted(world: World, name: str, *, day: int = 1, units: int = 1) -> Backfill:
    """A backfill as somebody left it in Mage's UI, not started."""
    date = datetime(2024, 1, day, tzinfo=UTC)
    fields = {
        "name": name,
        "start_datetime": date,
        "end_datetime": date,
        "interval_type": "day",
        "interval_units": units,
    }
    number = max(world.backfills, default=0) + 1
    world.backfills[number] = Backfill(number, PIPELINE, created_at=world.now, fields=fields)
    return world.backfills[number]


async def test_a_failed_one_whose_other_runs_go_on_can_still_be_cancelled(world: World, demo: Host):
    made = (await demo.call("create_backfill", **days(1, 2), **SLOW)).data
    number = made["backfill"]
    world.clock.advance(3)
    first = min(world.backfills[number].run_ids)
    world.runs[first].interrupt(world.now)
    world.clock.advance(1)
    row = await row_of(demo, number)
    assert (row["status"], row["failed"], row["under_way"], row["note"]) == ("failed", 1, 1, "Some of its runs go on.")
    done = (await demo.call("cancel_backfill", backfill=number)).data
    assert (done["before"], done["after"], done["runs"]) == ("failed", "cancelled", {"failed": 1, "cancelled": 1})


async def test_windows_that_hang_mage_are_warned_of_and_can_be_deleted(world: World, demo: Host):
    broken = drafted(world, "broken", units=0)
    row = await row_of(demo, broken.id)
    assert row["status"] == "not_started"
    assert "opening it in Mage's UI can hang Mage" in row["note"]
    assert f"Backfill {broken.id} was never started" in await demo.refused("cancel_backfill", backfill=broken.id)
    assert (await demo.call("delete_backfill", backfill=broken.id)).data["changed"] is True
    assert not world.backfills


async def test_many_runs_are_asked_about_in_one_line_and_answers_stay_small(world: World, demo: Host):
    made = await demo.call("create_backfill", start="2025-01-01", end="2025-12-31", **SLOW)
    number = made.data["backfill"]
    await demo.call("cancel_backfill", backfill=number)
    (asked,) = demo.person.asked
    assert "- cancel those of its 365 runs that have not ended" in asked
    assert made.tokens <= 500
    for day in range(1, 25):
        drafted(world, f"a rather long name of a backfill, number {day}", day=day)
    assert (await demo.call("list_backfills")).tokens <= 1_500


async def test_a_streaming_pipeline_is_refused(world: World, demo: Host):
    world.pipelines[PIPELINE] = replace(world.pipelines[PIPELINE], type="streaming")
    refusal = await demo.refused("create_backfill", pipeline=PIPELINE, **days())
    assert "each run of a backfill would go on for ever" in refusal


async def test_a_scheduler_that_stands_still_is_said(world: World, era: str):
    wire = Wire(world)
    wire.spoil("GET", "/api/status", says({"statuses": [{"scheduler_status": "stopped"}]}), times=100)
    settings = Settings(clusters=(Cluster(url=URL),), toolsets=("backfills",))
    async with Client(build_server(settings, wire=wire, clock=clock_of(world)), mode=era) as client:
        host = Host(client, Person(), world=world)
        made = (await host.call("create_backfill", pipeline=PIPELINE, **days())).data
        assert "Mage's scheduler is stopped: no run makes progress until a person starts it." in made["note"]
        assert (await host.call("list_backfills")).data["note"] in made["note"]
        wire.mend()
        assert "note" not in (await host.call("list_backfills")).data


async def test_a_client_that_cannot_ask_gets_a_preview_and_a_code(world: World, era: str):
    async with Client(demo_server(world), mode=era) as client:
        host = Host(client, Person(), world=world)
        made = (await host.call("create_backfill", **days(), pipeline=PIPELINE)).data
        world.clock.advance(30)
        preview = (await host.call("delete_backfill", backfill=made["backfill"])).data
        assert (preview["changed"], len(preview["would"])) == (False, 3)
        done = await host.call("delete_backfill", backfill=made["backfill"], confirm=preview["confirm"])
        assert done.data["changed"] is True
    assert not world.backfills


async def test_read_only_and_protected_clusters_are_kept_to(world: World, era: str):
    person = Person(agree=False)
    protected = demo_server(world, clusters=(Cluster(url=URL, protected=True),))
    async with Client(protected, mode=era, elicitation_callback=person) as client:
        host = Host(client, person, world=world)
        assert (await host.call("create_backfill", pipeline=PIPELINE, **days())).data["changed"] is False
    (asked,) = person.asked
    assert "create_backfill(pipeline='empty_pipeline'" in asked
    async with Client(demo_server(world, clusters=(Cluster(url=URL, read_only=True),)), mode=era) as client:
        assert "create_backfill" not in [tool.name for tool in (await client.list_tools()).tools]
    assert not world.backfills

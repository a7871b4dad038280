"""The tools that look at triggers, make, change and delete them, over both Mages and both protocol eras."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client

from mage_mcp.client import Cluster
from mage_mcp.demo.app import create_app
from mage_mcp.demo.world import World
from tests.conftest import demo_server
from tests.host import Answer, Host, Person
from tests.lab.wire import API_KEY

pytestmark = pytest.mark.anyio
PIPELINE = "empty_pipeline"
NEVER = "0 0 29 2 *"
_numbers = count(1)

Create = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def create(host: Host) -> AsyncIterator[Create]:
    """Create a trigger by the tool; it is gone when the test is over."""
    made: list[int] = []

    async def make(**arguments: Any) -> dict[str, Any]:
        given = {"pipeline": PIPELINE, "name": f"a test {next(_numbers)}", "interval": "@daily", **arguments}
        answer = (await host.call("create_trigger", **given)).data
        if "trigger" in answer:
            made.append(answer["trigger"])
        return answer

    yield make
    host.person.action, host.person.agree = "accept", True
    for trigger in made:
        await host.try_call("delete_trigger", trigger=trigger)


@pytest.fixture
async def mage(host: Host, request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """The Mage behind the host, for somebody who goes past it."""
    headers = {"X-API-KEY": API_KEY}
    if host.world:
        wire = httpx.ASGITransport(app=create_app(host.world))
        client = httpx.AsyncClient(transport=wire, base_url="http://mage.test", headers=headers)
    else:
        client = httpx.AsyncClient(base_url=request.getfixturevalue("real_mage").url, headers=headers, trust_env=False)
    async with client:
        yield client


async def row_of(host: Host, trigger: int, pipeline: str = PIPELINE) -> dict[str, Any]:
    page = (await host.call("list_triggers", pipeline=pipeline, limit=100)).data
    return next(row for row in page["items"] if row["trigger"] == trigger)


async def update(host: Host, trigger: int, **arguments: Any) -> dict[str, Any]:
    answer = (await host.call("update_triggers", triggers=[trigger], **arguments)).data
    (row,) = answer["triggers"]
    return row


async def a_few_looks(host: Host) -> None:
    if not host.world:
        await anyio.sleep(1.5)


async def runs_of(host: Host, trigger: int) -> list[dict[str, Any]]:
    return (await host.call("list_runs", trigger=trigger, limit=100)).data["items"]


def midnight(days: int = 0) -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# Creating


async def test_a_daily_trigger_is_active_and_says_when_it_first_runs(host: Host, create: Create):
    made = await create(interval="daily", description="every day", tags=["nightly", "billing"], timeout_s=900)
    assert made["changed"] is True
    assert (made["interval"], made["status"], made["type"]) == ("@daily", "active", "time")
    assert made["next_run_at"] == iso(midnight(1))
    assert "token" not in str(made)
    row = await row_of(host, made["trigger"])
    assert (row["status"], row["tags"], row["description"]) == ("active", ["billing", "nightly"], "every day")
    await a_few_looks(host)
    assert await runs_of(host, made["trigger"]) == []


async def test_a_start_time_is_converted_to_utc_and_is_not_when_it_runs(host: Host, create: Create):
    start = midnight(5) + timedelta(hours=4)
    made = await create(start_time=start.strftime("%Y-%m-%dT06:00:00+02:00"))
    assert made["start_time"] == iso(start)
    assert made["next_run_at"] == iso(midnight(6))
    assert f"The start time is {iso(start)}: Mage counts in UTC." in made["note"]
    assert "not at the start time" in made["note"]
    assert (await row_of(host, made["trigger"]))["next_run_at"] == iso(midnight(6))
    naive = await create(start_time="2026-01-01", interval="30 6 * * 1-5", status="inactive")
    assert "taken as UTC" in naive["note"]
    assert "holds nothing back" in naive["note"]
    assert "next_run_at" not in naive


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"interval": "61 * * * *"}, "is no interval"),
        ({"interval": "@yearly"}, "cron line of five fields"),
        ({"interval": "0 0 31 2 *"}, "never comes round"),
        ({"interval": ""}, "needs an interval"),
        ({"start_time": "soon"}, "cannot be read"),
        ({"type": "api"}, "has no interval"),
        ({"type": "event"}, "type"),
        ({"status": "on"}, "status"),
        ({"variables": {"a b": 1}}, "no variable's name"),
        ({"variables": {"key": "•••"}}, "holds the mask"),
        ({"name": "mage-mcp"}, "trigger_pipeline uses"),
        ({"pipeline": "empty_pipelin"}, "Did you mean 'empty_pipeline'"),
    ],
)
async def test_what_mage_would_be_broken_by_or_not_understand_is_refused(
    host: Host, arguments: dict[str, Any], says: str
):
    before = (await host.call("list_triggers", limit=100)).data["total"]
    given = {"pipeline": PIPELINE, "name": "not to be", "interval": "@daily", **arguments}
    assert says in await host.refused("create_trigger", **given)
    assert (await host.call("list_triggers", limit=100)).data["total"] == before


async def test_a_dry_run_makes_nothing_and_a_second_one_of_a_name_is_refused(host: Host, create: Create):
    name = f"twice {next(_numbers)}"
    would = await create(name=name, dry_run=True)
    assert would["changed"] is False
    assert would["would"] == [f"create the active @daily trigger {name!r} of empty_pipeline"]
    assert would["next_run_at"] == iso(midnight(1))
    made = await create(name=name)
    sentence = await host.refused("create_trigger", pipeline=PIPELINE, name=name, interval="@hourly")
    assert f"update_triggers(triggers=[{made['trigger']}])" in sentence


async def test_once_runs_at_once_and_that_is_said(host: Host, create: Create):
    made = await create(interval="@once")
    assert "Mage starts its one run now." in made["note"]
    await a_few_looks(host)
    assert len(await runs_of(host, made["trigger"])) == 1


async def test_an_api_trigger_can_be_made_and_its_token_is_not_told(host: Host, create: Create):
    made = await create(type="api", interval="")
    assert made["type"] == "api"
    assert "only Mage's UI shows" in made["note"]
    run = (await host.call("trigger_pipeline", pipeline=PIPELINE, trigger=str(made["trigger"]))).data
    assert run["changed"] is True
    paused = await update(host, made["trigger"], status="inactive")
    assert "switches it on again" in paused["note"]


# Updating


async def test_pausing_and_resuming_tell_before_and_after(host: Host, create: Create):
    first, second = await create(), await create(interval="@hourly", status="inactive")
    ids = [first["trigger"], second["trigger"]]
    answer = (await host.call("update_triggers", triggers=ids, status="PAUSED")).data
    assert answer["changed"] is True
    one, other = answer["triggers"]
    assert (one["before"], one["after"]) == ({"status": "active"}, {"status": "inactive"})
    assert (other["changed"], other["note"]) == (False, "It is so already.")
    assert f"update_triggers(triggers=[{ids[0]}], status='active') resumes what this paused" in answer["note"]
    assert (await row_of(host, ids[0]))["status"] == "inactive"
    answer = (await host.call("update_triggers", triggers=str(ids[0]), **one["before"])).data
    assert "note" not in answer
    (back,) = answer["triggers"]
    assert back["next_run_at"] == iso(midnight(1))
    await a_few_looks(host)
    assert await runs_of(host, ids[0]) == []


async def test_resuming_says_which_runs_had_waited(host: Host, create: Create, mage: httpx.AsyncClient):
    trigger = (await create(status="inactive"))["trigger"]
    posted = await mage.post(f"/api/pipeline_schedules/{trigger}/pipeline_runs", json={"pipeline_run": {}})
    run = posted.json()["pipeline_run"]["id"]
    dry = await update(host, trigger, status="active", dry_run=True)
    assert dry["note"] == f"1 runs that waited start now: {run}."
    assert (await row_of(host, trigger))["status"] == "inactive"
    resumed = await update(host, trigger, status="active")
    assert resumed["note"] == f"1 runs that waited start now: {run}."
    assert (await host.call("get_run", run=run, wait_s=45)).data["status"] == "completed"


async def test_objects_are_merged_and_secrets_in_them_are_masked(host: Host, create: Create):
    trigger = (await create(variables={"region": "eu", "api_key": "k3y-of-the-test", "rows": 5}, timeout_s=60))[
        "trigger"
    ]
    row = await update(
        host, trigger, variables={"rows": 7, "db_password": "s3cret-of-test"}, unset_variables=["region", "regoin"]
    )
    assert row["before"] == {"variables": {"region": "eu", "rows": 5}}
    assert row["after"] == {"variables": {"rows": 7, "db_password": "•••"}}
    assert "others" not in row
    assert row["note"] == "There was no variable regoin to unset."
    row = await update(host, trigger, timeout_s=0, description="new", tags="a")
    assert row["before"] == {"description": "", "tags": [], "timeout_s": 60}
    assert row["after"] == {"description": "new", "tags": ["a"], "timeout_s": 0}
    row = await update(host, trigger, clear="description", variables={"api_key": "another-key"})
    assert row["before"] == {"description": "new", "variables": {"api_key": "•••"}}
    sentence = await host.refused("update_triggers", triggers=[trigger], variables={"api_key": "•••"})
    assert "holds the mask" in sentence


async def test_triggers_are_found_by_what_people_call_them(host: Host, create: Create):
    by_tag = (await create(tags="Billing of tests"))["trigger"]
    by_name = (await create(name="billing_of_tests at night"))["trigger"]
    by_description = (await create(description="for the billing of tests"))["trigger"]
    found = (await host.call("list_triggers", search="billing of tests")).data
    assert [row["trigger"] for row in found["items"]] == [by_tag, by_name, by_description]
    assert by_tag in [row["trigger"] for row in (await host.call("list_triggers", search="EMPTY_PIPE")).data["items"]]
    none = (await host.call("list_triggers", search="no such")).data
    assert none["note"] == "No trigger fits; fewer filters show more."


async def test_an_unknown_trigger_among_several_keeps_all_from_being_changed(host: Host, create: Create):
    trigger = (await create())["trigger"]
    assert "No trigger 987654" in await host.refused("update_triggers", triggers=[trigger, 987654], status="inactive")
    assert "Nothing to change" in await host.refused("update_triggers", triggers=[trigger])
    assert (await row_of(host, trigger))["status"] == "active"


async def test_the_trigger_that_trigger_pipeline_uses_is_not_paused(host: Host):
    await host.call("trigger_pipeline", pipeline=PIPELINE)
    rows = (await host.call("list_triggers", pipeline=PIPELINE, search="mage-mcp")).data["items"]
    trigger = rows[0]["trigger"]
    for arguments in ({"status": "inactive"}, {"name": "x"}, {"interval": "@daily"}, {"variables": {"a": 1}}):
        assert "trigger_pipeline uses" in await host.refused("update_triggers", triggers=[trigger], **arguments)
    assert (await host.call("trigger_pipeline", pipeline=PIPELINE)).data["changed"] is True


async def kept_in_code(host: Host, mage: httpx.AsyncClient, trigger: int, pipeline: str = PIPELINE) -> None:
    body = {"pipeline_trigger": {"pipeline_schedule_id": trigger}}
    reply = (await mage.post(f"/api/pipelines/{pipeline}/pipeline_triggers", json=body)).json()
    assert "error" not in reply


async def test_a_trigger_in_code_is_changed_only_where_its_token_may_go_into_the_file(
    host: Host, create: Create, mage: httpx.AsyncClient
):
    made = await create()
    await kept_in_code(host, mage, made["trigger"])
    assert (await row_of(host, made["trigger"]))["in_code"] is True
    sentence = await host.refused("update_triggers", triggers=[made["trigger"]], status="inactive")
    assert "write the trigger's token into it" in sentence
    assert "allow_in_code" in sentence
    assert (await row_of(host, made["trigger"]))["status"] == "active"
    row = await update(host, made["trigger"], status="inactive", allow_in_code=True)
    assert row["after"] == {"status": "inactive"}
    host.person.asked.clear()
    await host.call("delete_trigger", trigger=made["trigger"])
    assert "leaves the pipeline's triggers.yaml" in host.person.asked[-1]


async def test_another_interval_starts_nothing_that_lies_behind_us(host: Host, create: Create, mage: httpx.AsyncClient):
    """The worst misuse: a schedule moved to a time that has passed today, on a trigger enabled long ago."""
    made = await create(interval=NEVER)
    await kept_in_code(host, mage, made["trigger"])
    await _enabled_two_days_ago(host, mage, made["trigger"])
    row = await update(host, made["trigger"], interval="@hourly", allow_in_code=True)
    assert row["before"] == {"interval": NEVER}
    assert "does not make up for" in row["note"]
    assert "others" not in row
    await a_few_looks(host)
    assert await runs_of(host, made["trigger"]) == []
    assert (await row_of(host, made["trigger"]))["status"] == "active"


async def _enabled_two_days_ago(host: Host, mage: httpx.AsyncClient, trigger: int) -> None:
    """Only the file can say so."""
    before = datetime.now(UTC) - timedelta(days=2)
    if host.world:
        host.world.triggers[trigger].last_enabled_at = before
        return
    path = f"/api/file_contents/pipelines%2F{PIPELINE}%2Ftriggers.yaml"
    content = (await mage.get(path)).json()["file_content"]["content"]
    lines = [
        f"  last_enabled_at: {before:%Y-%m-%d %H:%M:%S.%f+00:00}" if line.startswith("  last_enabled_at:") else line
        for line in content.splitlines()
    ]
    await mage.put(path, json={"file_content": {"content": "\n".join(lines) + "\n"}})
    await a_few_looks(host)


# Deleting


async def test_a_trigger_is_deleted_once_a_person_agreed_to_what_vanishes(host: Host, create: Create):
    made = await create(type="api", interval="")
    trigger = made["trigger"]
    run = (await host.call("trigger_pipeline", pipeline=PIPELINE, trigger=str(trigger), wait_s=45)).data["run"]
    host.person.asked.clear()
    host.person.agree = False
    assert (await host.call("delete_trigger", trigger=trigger)).data["changed"] is False
    (asked,) = host.person.asked
    assert asked.startswith("Delete a trigger of empty_pipeline on Mage at ")
    assert f"- delete the active trigger {trigger} ('{made['name']}')" in asked
    assert "- 1 runs of it vanish from every list" in asked
    host.person.agree = True
    deleted = (await host.call("delete_trigger", trigger=trigger)).data
    assert (deleted["changed"], deleted["trigger"], deleted["runs"]) == (True, trigger, 1)
    assert f"No trigger {trigger}" in await host.refused("delete_trigger", trigger=trigger)
    runs = (await host.call("list_runs", pipeline=PIPELINE, limit=100)).data["items"]
    assert run not in [row["run"] for row in runs]


async def test_a_trigger_with_a_run_under_way_is_not_deleted(host: Host, create: Create):
    trigger = (await create(pipeline="slow_report", type="api", interval=""))["trigger"]
    started = await host.call(
        "trigger_pipeline", pipeline="slow_report", trigger=str(trigger), variables={"sleep_seconds": 600}, wait_s=2
    )
    run = started.data["run"]
    for _ in range(20):
        if (await host.call("get_run", run=run)).data["status"] == "running":
            break
        await a_few_looks(host)
    assert f"cancel_runs(runs=[{run}])" in await host.refused("delete_trigger", trigger=trigger)
    await host.call("cancel_runs", runs=[run])
    assert (await host.call("delete_trigger", trigger=trigger)).data["changed"] is True


async def test_a_new_trigger_has_no_tags_of_a_deleted_one_whose_id_it_got(
    host: Host, create: Create, mage: httpx.AsyncClient
):
    first = await create(tags=["of the first"])
    await mage.delete(f"/api/pipeline_schedules/{first['trigger']}")
    second = await create()
    assert second["trigger"] == first["trigger"]
    assert "tags" not in await row_of(host, second["trigger"])
    await update(host, second["trigger"], tags=["of the second"])
    await host.call("delete_trigger", trigger=second["trigger"])
    body = {"name": "by somebody else", "schedule_type": "api"}
    made = await mage.post(f"/api/pipelines/{PIPELINE}/pipeline_schedules", json={"pipeline_schedule": body})
    third = made.json()["pipeline_schedule"]["id"]
    assert third == second["trigger"]
    assert "tags" not in await row_of(host, third)
    await host.call("delete_trigger", trigger=third)


async def test_before_the_run_of_the_present_period_is_deleted_it_is_said_that_mage_makes_it_again(
    host: Host, create: Create, mage: httpx.AsyncClient
):
    trigger = (await create(status="inactive"))["trigger"]
    settings = {"pipeline_schedule": {"settings": {"create_initial_pipeline_run": True}}}
    await mage.put(f"/api/pipeline_schedules/{trigger}", json=settings)
    resumed = await update(host, trigger, status="active")
    assert resumed["note"] == "Mage starts the run of its present period now."
    await a_few_looks(host)
    (run,) = await runs_of(host, trigger)
    await host.call("get_run", run=run["run"], wait_s=45)
    host.person.asked.clear()
    deleted = (await host.call("delete_runs", runs=[run["run"]])).data
    again = f"Mage starts the run of {iso(midnight())} again at once, since trigger {trigger} (@daily) is active"
    assert f"- {again}" in host.person.asked[-1]
    assert deleted["note"].endswith(f"{again}.")
    await a_few_looks(host)
    assert len(await runs_of(host, trigger)) == 1
    await update(host, trigger, status="inactive")


async def test_a_trigger_whose_pipeline_is_gone_is_still_paused_and_deleted(
    host: Host, create: Create, mage: httpx.AsyncClient
):
    await mage.post("/api/pipelines", json={"pipeline": {"name": "short_lived", "type": "python"}})
    trigger = (await create(pipeline="short_lived"))["trigger"]
    await mage.delete("/api/pipelines/short_lived")
    left = (await host.call("list_triggers", pipeline="short_lived")).data
    assert [row["trigger"] for row in left["items"]] == [trigger]
    assert left["note"] == "Pipeline short_lived is gone; its triggers stayed."
    row = await update(host, trigger, status="inactive")
    assert row["after"] == {"status": "inactive"}
    assert "Mage answered with an error" in row["note"]
    assert (await host.call("delete_trigger", trigger=trigger)).data["changed"] is True


# Where the simulated Mage alone can be made to lose and delay


async def test_a_client_that_cannot_ask_gets_a_preview_and_a_code(world: World, era: str):
    trigger = next(row.id for row in world.triggers.values() if row.name == "sales_hourly")
    async with Client(demo_server(world), mode=era) as client:
        host = Host(client, Person(), world=world)
        preview: Answer = await host.call("delete_trigger", trigger=trigger)
        assert preview.data["changed"] is False
        assert preview.data["would"][0] == f"delete the inactive trigger {trigger} (sales_hourly)"
        assert trigger in world.triggers
        done = await host.call("delete_trigger", trigger=trigger, confirm=preview.data["confirm"])
        assert done.data["changed"] is True
    assert trigger not in world.triggers


async def test_a_change_of_twenty_triggers_with_long_values_is_bounded(world: World, demo_auto: Host):
    ids = [world.add_trigger(PIPELINE, f"long {number}").id for number in range(20)]
    for trigger in ids:
        world.triggers[trigger].variables = {f"v_{number}": "x" * 5_000 for number in range(20)}
    few = await demo_auto.call("update_triggers", triggers=ids, status="active")
    assert few.tokens <= 1_500
    names = [f"v_{number}" for number in range(20)]
    many = await demo_auto.call("update_triggers", triggers=ids, unset_variables=names)
    assert many.tokens <= 8_000
    assert [row["changed"] for row in many.data["triggers"]] == [True] * 20
    assert many.data["triggers"][-1]["note"] == "Too long to show here."
    refused = await demo_auto.try_call("update_triggers", triggers=[*ids, 999], status="inactive")
    assert refused.is_error


async def test_on_a_protected_cluster_a_person_is_asked_before_triggers_are_made_or_changed(world: World, era: str):
    trigger = next(row for row in world.triggers.values() if row.name == "sales_hourly")
    person = Person(agree=False)
    server = demo_server(world, clusters=(Cluster(url="http://mage.test", protected=True),))
    async with Client(server, mode=era, elicitation_callback=person) as client:
        host = Host(client, person, world=world)
        await host.call("update_triggers", triggers=[trigger.id], status="active", allow_in_code=True)
        await host.call("create_trigger", pipeline=PIPELINE, name="asked", interval="@daily")
    assert trigger.status == "inactive"
    assert "asked" not in [row.name for row in world.triggers.values()]
    changed, made = person.asked
    assert f"triggers=[{trigger.id}], status='active', allow_in_code=True" in changed
    assert "name='asked'" in made


async def test_calls_that_an_answer_suggests_name_their_cluster(world: World):
    clusters = (Cluster(name="prod", url="http://mage.test"), Cluster(name="staging", url="http://mage.test"))
    async with Client(demo_server(world, clusters=clusters)) as client:
        host = Host(client, Person(), world=world)
        given = {"pipeline": PIPELINE, "name": "off", "interval": "@daily", "status": "inactive"}
        made = (await host.call("create_trigger", cluster="prod", **given)).data
        call = f"update_triggers(cluster='prod', triggers=[{made['trigger']}]"
        assert f"{call}, status='active')" in made["note"]
        assert f"{call})" in await host.refused("create_trigger", cluster="prod", **given)

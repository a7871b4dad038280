"""What destroys is agreed to first: by a person where one can be asked, by preview and code where not."""

from contextlib import asynccontextmanager

import pytest
from mcp import Client

from mage_mcp.demo.world import World
from mage_mcp.settings import Cluster
from mage_mcp.tools._seal import GOOD_FOR_S, Seal
from tests.conftest import URL, demo_server, mage_of
from tests.host import Host, Person

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def connected(world: World, era: str, person: Person | None, **settings: object):
    async with Client(demo_server(world, **settings), mode=era, elicitation_callback=person) as client:
        yield Host(client, person or Person(), world=world)


async def slow_run(host: Host) -> int:
    run = (await host.call("trigger_pipeline", pipeline="slow_report")).data["run"]
    host.world.clock.advance(5)
    return run


async def status(host: Host, run: int) -> str:
    return (await host.call("get_run", run=run)).data["status"]


@pytest.mark.parametrize(
    ("person", "word"),
    [(Person(action="decline"), "declined"), (Person(action="cancel"), "dismissed"), (Person(agree=False), "declined")],
)
async def test_a_no_changes_nothing_and_is_said(world: World, era: str, person: Person, word: str):
    async with connected(world, era, person) as host:
        run = await slow_run(host)
        answer = (await host.call("cancel_runs", runs=[run])).data
        assert answer["changed"] is False
        assert word in answer["note"]
        assert await status(host, run) == "running"


async def test_a_confirm_code_is_ignored_where_a_person_can_be_asked(world: World, era: str):
    person = Person(agree=False)
    async with connected(world, era, person) as host:
        run = await slow_run(host)
        assert (await host.call("cancel_runs", runs=[run], confirm="anything")).data["changed"] is False
        assert len(person.asked) == 1


async def test_without_elicitation_the_first_call_previews_and_its_code_acts(world: World, era: str):
    async with connected(world, era, None) as host:
        run = await slow_run(host)
        preview = (await host.call("cancel_runs", runs=[run])).data
        assert preview["changed"] is False
        assert preview["would"] == [f"cancel run {run} of slow_report"]
        assert "if they agree" in preview["note"]
        assert await status(host, run) == "running"
        done = (await host.call("cancel_runs", runs=[run], confirm=preview["confirm"])).data
        assert done["changed"] is True
        assert await status(host, run) == "cancelled"


async def test_a_code_is_good_for_its_own_call_only(world: World, era: str):
    async with connected(world, era, None) as host:
        first, second = await slow_run(host), await slow_run(host)
        code = (await host.call("cancel_runs", runs=[first])).data["confirm"]
        for confirm in (code, code[:-1] + ("a" if code[-1] != "a" else "b"), "ffffffffff-" + code.split("-")[1], "x"):
            answer = (await host.call("cancel_runs", runs=[second], confirm=confirm)).data
            assert answer["changed"] is False
            assert answer["confirm"] != code
        assert await status(host, second) == "running"


async def test_a_code_ends_when_the_world_has_changed(world: World, era: str):
    async with connected(world, era, None) as host:
        first, second = await slow_run(host), await slow_run(host)
        code = (await host.call("cancel_runs", runs=[first, second])).data["confirm"]
        await host.call(
            "cancel_runs", runs=[first], confirm=(await host.call("cancel_runs", runs=[first])).data["confirm"]
        )
        answer = (await host.call("cancel_runs", runs=[first, second], confirm=code)).data
        assert answer["changed"] is False
        assert answer["would"] == [f"cancel run {second} of slow_report"]
        assert await status(host, second) == "running"


def test_a_code_ends_after_ten_minutes_and_with_the_process():
    now = [1000.0]
    seal = Seal(now=lambda: now[0])
    code = seal.code({"tool": "x"})
    assert seal.opens(code, {"tool": "x"})
    assert not seal.opens(code, {"tool": "y"})
    now[0] += GOOD_FOR_S + 1
    assert not seal.opens(code, {"tool": "x"})
    assert not Seal(now=lambda: 1000.0).opens(code, {"tool": "x"})


async def test_confirm_person_refuses_where_nobody_can_be_asked(world: World, era: str):
    async with connected(world, era, None, confirm="person") as host:
        run = await slow_run(host)
        assert "needs a person's yes" in await host.refused("cancel_runs", runs=[run])
        assert await status(host, run) == "running"


async def test_confirm_never_acts_at_once(world: World, era: str):
    async with connected(world, era, None, confirm="never") as host:
        run = await slow_run(host)
        assert (await host.call("cancel_runs", runs=[run])).data["changed"] is True


async def test_a_run_that_ends_while_the_person_thinks_is_left_alone(world: World, era: str):
    class Slow(Person):
        async def __call__(self, context, params):
            world.clock.advance(3600)
            return await super().__call__(context, params)

    async with connected(world, era, Slow()) as host:
        run = await slow_run(host)
        answer = (await host.call("cancel_runs", runs=[run])).data
        assert answer["changed"] is False
        assert answer["runs"][0]["after"] == "completed"


@pytest.mark.parametrize("of", ["server", "cluster"])
async def test_read_only_offers_no_change_and_sends_none(world: World, era: str, of: str):
    cluster = Cluster(url=URL, read_only=of == "cluster")
    async with Client(demo_server(world, clusters=(cluster,), read_only=of == "server"), mode=era) as client:
        host = Host(client, Person(), world=world)
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert not names & {"trigger_pipeline", "retry_run", "cancel_runs"}
        assert "read-only" in await host.refused("trigger_pipeline", pipeline="sales_daily")
        assert "read-only" in await host.refused("cancel_runs", runs=[1])
    assert {method for method, _ in world.requests} <= {"GET"}


async def test_the_http_layer_refuses_writes_by_itself_in_read_only_mode(world: World):
    from mage_mcp.errors import MageReadOnly

    async with mage_of(world, read_only=True) as mage:
        with pytest.raises(MageReadOnly, match="was not sent"):
            await mage.runs.start("sales_daily")
    assert "POST" not in {method for method, _ in world.requests}

"""Who agrees to what happens to a cluster, and to what exactly: answered, unanswered, too late, to something else."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.types import ElicitResult, InputRequiredResult

from mage_mcp.demo.cloud import CloudWorld
from mage_mcp.demo.cloud_edits import Edit
from mage_mcp.tools import _confirm, _seal
from tests.conftest import cloud_host, cloud_server
from tests.host import Host, Person

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def is_untouched(cloud: CloudWorld) -> bool:
    return not cloud.puts


def start_a_run(cloud: CloudWorld, cluster: str = "prod") -> int:
    """By a schedule, or by a colleague."""
    world = cloud.clusters[cluster].world
    trigger = next(row for row in world.triggers.values() if row.pipeline_uuid == "slow_report")
    world.switch(trigger, "active")
    run = world.create_run(trigger)
    cloud.clock.advance(5)
    assert run.status(world.now) == "running"
    return run.id


@dataclass
class Thinking(Person):
    """While this person thinks, something happens: the first thing at the first question, and so on."""

    meanwhile: list[Callable[[], object]] = field(default_factory=list)

    async def __call__(self, context: Any, params: Any) -> Any:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return await super().__call__(context, params)


async def test_the_question_names_the_cluster_as_the_cloud_knows_it_and_the_runs(cloud: CloudWorld, era: str):
    cloud.clusters["prod"].name = "Staging of the other team"  # a mixed-up configuration
    run = start_a_run(cloud)
    person = Person()
    async with cloud_host(cloud, era, person) as host:
        answer = (await host.call("stop_cluster", cluster="prod")).data
    assert answer["changed"] is True
    (question,) = person.asked
    for told in ("Staging of the other team", "cl-prod", "'prod'", f"run {run} of", "slow_report", "crash_loop"):
        assert told in question
    assert cloud.clusters["prod"].status == "Stopping"


@pytest.mark.parametrize(
    ("person", "word"),
    [(Person(action="decline"), "declined"), (Person(action="cancel"), "dismissed"), (Person(agree=False), "declined")],
    ids=["declined", "cancelled", "unticked"],
)
@pytest.mark.parametrize("tool", ["stop_cluster", "restart_cluster"])
async def test_a_no_leaves_the_cluster_alone(cloud: CloudWorld, era: str, tool: str, person: Person, word: str):
    async with cloud_host(cloud, era, person) as host:
        answer = (await host.call(tool, cluster="prod")).data
    assert answer["changed"] is False
    assert word in answer["note"]
    assert is_untouched(cloud)


async def test_where_nobody_answers_the_call_ends_after_a_while_and_the_server_goes_on(
    cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Protocols before 2026-07-28, whose question holds the call open."""
    monkeypatch.setattr(_confirm, "ANSWER_WITHIN_S", 0.3)
    asked = anyio.Event()

    class Away(Person):
        async def __call__(self, context: Any, params: Any) -> Any:
            asked.set()
            await anyio.sleep_forever()

    sentences: list[str] = []
    audit = tmp_path / "audit.jsonl"

    async def stop(host: Host) -> None:
        sentences.append(await host.refused("stop_cluster", cluster="prod"))

    async with cloud_host(cloud, "legacy", Away(), audit=str(audit)) as host:
        began = time.perf_counter()
        async with anyio.create_task_group() as group:
            group.start_soon(stop, host)
            await asked.wait()
            assert (await host.call("list_pipelines", cluster="prod", limit=1)).data["total"]
        assert 0.3 <= time.perf_counter() - began < 5
        assert (await host.call("get_cluster", cluster="prod")).data["status"] == "Active"
    assert "Nobody answered" in sentences[0]
    assert "nothing was changed" in sentences[0]
    assert is_untouched(cloud)
    before, after = (json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines())
    assert before["arguments"] == {}
    assert "Nobody answered" in after["outcome"]


async def open_question(client: Client, **arguments: Any) -> InputRequiredResult:
    asked = await client.session.call_tool("stop_cluster", arguments, allow_input_required=True)
    assert isinstance(asked, InputRequiredResult)
    return asked


def yes_to(question: InputRequiredResult) -> dict[str, Any]:
    (name,) = question.input_requests or {}
    return {name: ElicitResult(action="accept", content={"agree": True})}


async def test_an_open_question_holds_nothing_and_its_state_ends_after_ten_minutes(
    cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch
):
    """2026-07-28: the question is an answer, and the yes is another call, with a sealed state."""
    async with Client(cloud_server(cloud), mode="auto", elicitation_callback=Person()) as client:
        question = await open_question(client, cluster="prod")
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 601)
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await client.session.call_tool(
                "stop_cluster",
                {"cluster": "prod"},
                input_responses=yes_to(question),
                request_state=question.request_state,
                allow_input_required=True,
            )
        assert is_untouched(cloud)


@pytest.mark.parametrize("arguments", [{"cluster": "staging"}, {"cluster": "prod", "wait_s": 1}])
async def test_a_yes_is_good_for_the_call_that_was_asked_about_only(cloud: CloudWorld, arguments: dict[str, Any]):
    async with Client(cloud_server(cloud), mode="auto", elicitation_callback=Person()) as client:
        question = await open_question(client, cluster="prod")
        for state in (question.request_state, "forged", f"{question.request_state}x"):
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await client.session.call_tool(
                    "stop_cluster",
                    arguments,
                    input_responses=yes_to(question),
                    request_state=state,
                    allow_input_required=True,
                )
        unasked = await client.session.call_tool(
            "stop_cluster", arguments, input_responses=yes_to(question), allow_input_required=True
        )
        assert isinstance(unasked, InputRequiredResult)
    assert is_untouched(cloud)


async def test_a_run_that_starts_while_the_person_thinks_is_not_stopped_unasked_legacy(cloud: CloudWorld):
    runs: list[int] = []
    person = Thinking(meanwhile=[lambda: runs.append(start_a_run(cloud))])
    async with cloud_host(cloud, "legacy", person) as host:
        answer = (await host.call("stop_cluster", cluster="prod")).data
        assert answer["changed"] is False
        assert "more than was agreed to" in answer["note"]
        assert any(f"run {runs[0]} of" in act for act in answer["would"])
        assert is_untouched(cloud)
        assert (await host.call("stop_cluster", cluster="prod")).data["changed"] is True
    assert len(person.asked) == 2
    assert f"run {runs[0]} of" in person.asked[1]


async def test_a_run_that_starts_while_the_person_thinks_is_asked_about_anew(cloud: CloudWorld):
    runs: list[int] = []
    person = Thinking(meanwhile=[lambda: runs.append(start_a_run(cloud))])
    async with cloud_host(cloud, "auto", person) as host:
        answer = (await host.call("stop_cluster", cluster="prod")).data
    assert answer["changed"] is True
    assert len(person.asked) == 2
    assert f"run {runs[0]} of" not in person.asked[0]
    assert f"run {runs[0]} of" in person.asked[1]


async def test_after_the_third_question_nothing_is_done_either(cloud: CloudWorld):
    person = Thinking(meanwhile=[lambda: start_a_run(cloud)] * 10)
    async with cloud_host(cloud, "auto", person) as host:
        answer = (await host.call("stop_cluster", cluster="prod")).data
        assert answer["changed"] is False
        assert "another each time" in answer["note"]
        assert len(person.asked) == 3
        assert is_untouched(cloud)
        person.meanwhile.clear()
        assert (await host.call("stop_cluster", cluster="prod")).data["changed"] is True


async def test_a_run_that_ends_while_the_person_thinks_needs_no_second_question_legacy(cloud: CloudWorld):
    start_a_run(cloud)
    person = Thinking(meanwhile=[lambda: cloud.clock.advance(900)])
    async with cloud_host(cloud, "legacy", person) as host:
        assert (await host.call("stop_cluster", cluster="prod")).data["changed"] is True
    assert len(person.asked) == 1


async def test_what_was_done_by_somebody_else_meanwhile_is_not_done_again(cloud: CloudWorld, era: str):
    stopped = Edit(merge={"replicaCount": 0}, status="Stopped")
    person = Thinking(meanwhile=[lambda: stopped(cloud.clusters["prod"])])
    async with cloud_host(cloud, era, person) as host:
        answer = (await host.call("stop_cluster", cluster="prod")).data
    assert answer["changed"] is False
    assert "nothing was sent" in answer["note"]
    assert is_untouched(cloud)


async def test_a_variable_that_appears_while_the_person_thinks_is_not_overwritten_unasked(cloud: CloudWorld, era: str):
    person = Thinking(meanwhile=[lambda: Edit(set_env={"NEW": "theirs"})(cloud.clusters["prod"])])
    async with cloud_host(cloud, era, person) as host:
        answer = (await host.call("update_cluster_env_vars", cluster="prod", set={"NEW": "ours"})).data
    if era == "legacy":
        assert answer["changed"] is False
        assert "overwrite" in answer["would"][0]
        assert is_untouched(cloud)
    else:
        assert answer["changed"] is True
        assert "add" in person.asked[0].splitlines()[1]
        assert "overwrite" in person.asked[1].splitlines()[1]


async def preview(host: Host, tool: str = "stop_cluster", **arguments: Any) -> dict[str, Any]:
    told = (await host.call(tool, **arguments)).data
    assert told["changed"] is False
    assert told["would"]
    assert "if they agree" in told["note"]
    return told


async def test_where_nobody_can_be_asked_a_code_acts_once(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era) as host:
        told = await preview(host, "restart_cluster", cluster="prod", wait_s=45)
        assert any("cl-prod" in act for act in told["would"])
        assert any("crash_loop" in act for act in told["would"])
        assert is_untouched(cloud)
        code = told["confirm"]
        done = (await host.call("restart_cluster", cluster="prod", confirm=code, wait_s=45)).data
        assert done["changed"] is True
        cloud.clock.advance(600)
        puts = len(cloud.puts)
        again = await preview(host, "restart_cluster", cluster="prod", confirm=code, wait_s=45)
        assert "was used" in again["note"]
        assert len(cloud.puts) == puts


async def test_a_code_is_good_for_one_cluster_and_one_call_and_cannot_be_forged(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era) as host:
        code = (await preview(host, cluster="prod"))["confirm"]
        head, _, mac = code.partition("-")
        later = f"{int(head, 16) + 60:x}-{mac}"
        for forged in (later, f"{head}-{mac[::-1]}", f"{head}-", "-", mac, "0", "yes", "confirm", "é-ü"):
            assert "confirm" in await preview(host, cluster="prod", confirm=forged)
        await preview(host, cluster="staging", confirm=code)
        await preview(host, "restart_cluster", cluster="prod", confirm=code)
    assert is_untouched(cloud)


async def test_a_code_that_is_too_old_acts_no_more(cloud: CloudWorld, era: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_seal, "GOOD_FOR_S", -1)
    async with cloud_host(cloud, era) as host:
        code = (await preview(host, cluster="prod"))["confirm"]
        assert "too old" in (await preview(host, cluster="prod", confirm=code))["note"]
        assert is_untouched(cloud)


async def test_a_code_ends_with_what_was_previewed_and_the_answer_is_a_new_preview(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era) as host:
        code = (await preview(host, cluster="prod"))["confirm"]
        run = start_a_run(cloud)
        told = await preview(host, cluster="prod", confirm=code)
        assert any(f"run {run} of" in act for act in told["would"])
        assert is_untouched(cloud)
        waits_too = {
            "wait_s": 1,
            "confirm": told["confirm"],
        }  # how long the call waits is no part of what was agreed to
        assert (await host.call("stop_cluster", cluster="prod", **waits_too)).data["changed"] is True


async def test_confirm_person_refuses_where_nobody_can_be_asked(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era, confirm="person") as host:
        assert "needs a person's yes" in await host.refused("stop_cluster", cluster="prod", confirm="x")
        assert (await host.call("start_cluster", cluster="prod")).data["changed"] is False
    assert is_untouched(cloud)
    person = Person()
    async with cloud_host(cloud, era, person, confirm="person") as host:
        assert (await host.call("stop_cluster", cluster="prod")).data["changed"] is True
    assert len(person.asked) == 1


async def test_confirm_never_asks_nobody_save_for_protected_clusters(cloud: CloudWorld, era: str):
    person = Person(agree=False)
    marks = {"prod": {"protected": True}}
    async with cloud_host(cloud, era, person, confirm="never", marks=marks) as host:
        assert (await host.call("stop_cluster", cluster="staging")).data["changed"] is True
        assert person.asked == []
        for tool, more in (("stop_cluster", {}), ("update_cluster_env_vars", {"set": {"NEW": "planted-value"}})):
            answer = (await host.call(tool, cluster="prod", **more)).data
            assert answer["changed"] is False
            assert "declined" in answer["note"]
    assert len(person.asked) == 2
    assert "planted-value" not in "".join(person.asked)
    assert {put["cluster"] for put in cloud.puts} == {"staging"}


async def test_a_protected_cluster_asks_for_a_start_too_and_previews_where_nobody_can_be_asked(
    cloud: CloudWorld, era: str
):
    Edit(merge={"replicaCount": 0}, status="Stopped")(cloud.clusters["prod"])
    cloud.clock.advance(60)
    async with cloud_host(cloud, era, confirm="never", marks={"prod": {"protected": True}}) as host:
        told = await preview(host, "start_cluster", cluster="prod", wait_s=45)
        assert is_untouched(cloud)
        done = (await host.call("start_cluster", cluster="prod", confirm=told["confirm"], wait_s=45)).data
        assert done["changed"] is True

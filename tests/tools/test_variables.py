"""The tools that set variables and list secrets, over both Mages and both protocol eras."""

import json
from typing import Any

import anyio
import httpx
import pytest

from mage_mcp.demo.world import World
from tests.host import Host
from tests.test_confirm import connected
from tests.tools.test_authoring_pipelines import api, ask, made

__all__ = ["api"]  # the fixture

pytestmark = pytest.mark.anyio

AT_ONCE = 20
VALUES: dict[str, Any] = {
    "whole": 7,
    "digits": "7",
    "fraction": 1.5,
    "no": False,
    "zero": 0,
    "empty_text": "",
    "empty_list": [],
    "empty_object": {},
    "nested": {"list": [1, {"null": None}], "ü": "☕"},
    "json": '{"a": 1}',
    "word_null": "null",
    "word_true": "true",
    "lines": "a\n  b\n",
    "huge_number": 10**30,
    "long": "x" * 40_000,
}


async def stored(api: httpx.AsyncClient, pipeline: str) -> dict[str, Any]:
    """What Mage has, as it has it."""
    return (await ask(api, "GET", f"pipelines/{pipeline}"))["pipeline"].get("variables", {})


async def test_values_of_any_type_arrive_as_they_are_sent(host: Host, api: httpx.AsyncClient):
    async with made(host, "Any type") as uuid:
        host.person.asked.clear()
        answer = (await host.call("update_variables", pipeline=uuid, set=VALUES)).data
        assert host.person.asked == []  # nothing was lost
        assert answer["added"] == list(VALUES)
        assert not {"overwritten", "removed", "before", "failed", "others"} & set(answer)
        assert json.dumps(await stored(api, uuid), sort_keys=True) == json.dumps(VALUES, sort_keys=True)
        again = (await host.call("update_variables", pipeline=uuid, set=VALUES)).data
        assert again["changed"] is False
        assert again["unchanged"] == list(VALUES)
        # A number is no text, and true is no 1.
        answer = (await host.call("update_variables", pipeline=uuid, set={"whole": "7", "zero": False})).data
        assert answer["overwritten"] == ["whole", "zero"]
        assert (answer["before"], answer["after"]) == ({"whole": 7, "zero": 0}, {"whole": "7", "zero": False})


async def test_what_is_lost_is_asked_about_and_said(host: Host, api: httpx.AsyncClient):
    async with made(host, "To lose") as uuid:
        await host.call("update_variables", pipeline=uuid, set={"kept": 1, "old": "was", "db_password": "not-shown-7"})
        host.person.asked.clear()
        arguments = {"pipeline": uuid, "set": {"old": "is", "new": [1]}, "unset": ["db_password", "never"]}
        preview = (await host.call("update_variables", **arguments, dry_run=True)).data
        assert preview["would"] == [
            "add new",
            'remove db_password of to_lose, which is "•••"',
            'overwrite old of to_lose, which is "was", by "is"',
        ]
        assert host.person.asked == []
        assert (await stored(api, uuid))["old"] == "was"
        answer = await host.call("update_variables", **arguments)
        (question,) = host.person.asked
        assert 'overwrite old of to_lose, which is "was", by "is"' in question
        assert "add new" not in question
        data = answer.data
        assert (data["added"], data["overwritten"], data["removed"]) == (["new"], ["old"], ["db_password"])
        assert data["unchanged"] == ["never"]
        assert data["before"] == {"old": "was", "db_password": "•••"}
        assert data["after"] == {"old": "is", "new": [1]}
        assert "not-shown-7" not in answer.text + question
        assert await stored(api, uuid) == {"kept": 1, "old": "is", "new": [1]}


async def test_a_secret_that_is_set_is_shown_nowhere(host: Host, capsys: pytest.CaptureFixture[str]):
    async with made(host, "Secretive") as uuid:
        given = {"api_key": "planted-Key-1", "nested": {"token": "planted-Tok-2"}, "harmless": "see planted-Key-1"}
        answer = await host.call("update_variables", pipeline=uuid, set=given)
        assert answer.data["after"]["api_key"] == "•••"
        assert answer.data["after"]["nested"] == {"token": "•••"}
        found = await host.call("get_pipeline", pipeline=uuid)
        for text in (answer.text, found.text, str(answer.data), str(found.data), capsys.readouterr().err):
            assert "planted-" not in text
        assert "Variables stand readable in the project's files" in answer.data["note"]
        assert answer.data["note"].endswith("was it to be one, api_key?")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "No variable is named"),
        ({"set": {"a": None}}, "Mage stores no null, so a cannot be set to it"),
        ({"set": {"a-b": 1}}, "'a-b' is no variable's name"),
        ({"set": {"": 1}}, "is no variable's name"),
        ({"set": {"password=hunter2": 1}}, "'password' is no variable's name"),
        ({"set": {"x" * 101: 1}}, "is no variable's name"),
        ({"set": {"a": "•••"}}, "holds the mask"),
        ({"set": {"a": {"b": ["•••"]}}}, "holds the mask"),
        ({"set": {"a": "x" * 50_001}}, "over 50000 characters"),
        ({"set": {"a": 1}, "unset": ["a"]}, "set and unset at once"),
        ({"set": {f"v{n}": n for n in range(51)}}, "Over 50 variables at once"),
        ({"set": ["a"]}, "set: input should be a valid object"),
    ],
)
async def test_what_mage_would_lose_or_refuse_is_refused_whole(demo: Host, arguments: dict[str, Any], sentence: str):
    before = demo.world.pipelines["sales_daily"]
    for dry_run in (True, False):
        answer = await demo.refused("update_variables", pipeline="sales_daily", dry_run=dry_run, **arguments)
        assert sentence in answer
        assert "hunter2" not in answer
    assert demo.world.pipelines["sales_daily"] == before


async def test_what_was_is_shown_nearly_whole_so_that_it_can_be_set_again(demo: Host):
    was = {"list": ["x" * 90] * 9}
    await demo.call("update_variables", pipeline="sales_daily", set={"long": was})
    answer = (await demo.call("update_variables", pipeline="sales_daily", set={"long": 1})).data
    assert answer["before"] == {"long": was}


async def test_an_answer_stays_small_however_much_is_set(demo: Host):
    given = {f"v_{number}": "x" * 900 for number in range(50)}
    answer = await demo.call("update_variables", pipeline="sales_daily", set=given)
    assert len(answer.data["added"]) == 50
    assert "Only 20 of the values are shown" in answer.data["note"]
    assert answer.tokens <= 1_500
    answer = await demo.call("update_variables", pipeline="sales_daily", unset=list(given))
    assert len(answer.data["before"]) == 50
    assert answer.tokens <= 3_000


@pytest.mark.slow
async def test_twenty_calls_at_once_lose_nothing(host: Host, api: httpx.AsyncClient):
    answers: list[dict[str, Any]] = []

    async def change(uuid: str, number: int) -> None:
        given = {f"v_{number}": number, "contested": number}
        answers.append((await host.call("update_variables", pipeline=uuid, set=given)).data)

    async with made(host, "Twenty") as uuid:
        await host.call("update_variables", pipeline=uuid, set={"contested": -1})
        async with anyio.create_task_group() as group:
            for number in range(AT_ONCE):
                group.start_soon(change, uuid, number)
        final = await stored(api, uuid)
    # A person agreed to what was there when it was asked: who comes later may be told that it was another by then.
    done = [answer for answer in answers if answer["changed"]]
    assert done
    for answer in answers:
        assert (
            answer["changed"]
            or "would do more than was agreed to" in answer["note"]
            or "another each" in answer["note"]
        )
    assert not any({"failed", "others"} & set(answer) for answer in done)
    kept = {name: value for name, value in final.items() if name != "contested"}
    assert kept == {name: value for answer in done for name, value in answer["after"].items() if name != "contested"}
    overwritten = [answer["before"]["contested"] for answer in done]
    assert sorted([*overwritten, final["contested"]]) == sorted(
        [-1, *(answer["after"]["contested"] for answer in done)]
    )


async def test_the_code_of_a_preview_is_good_for_what_was_previewed_only(world: World, era: str):
    async with connected(world, era, None) as host:
        arguments = {"pipeline": "sales_daily", "set": {"region": "apac"}}
        preview = (await host.call("update_variables", **arguments)).data
        assert preview["would"] == ['overwrite region of sales_daily, which is "emea", by "apac"']
        await host.call("update_variables", pipeline="sales_daily", set={"new": 1})
        other = {"pipeline": "sales_daily", "set": {"region": "amer"}}
        assert (await host.call("update_variables", **other, confirm=preview["confirm"])).data["changed"] is False
        assert world.pipelines["sales_daily"].variables["region"] == "emea"
        answer = (await host.call("update_variables", **arguments, confirm=preview["confirm"])).data
        assert answer["overwritten"] == ["region"]
        assert world.pipelines["sales_daily"].variables["region"] == "apac"


async def test_list_secrets_names_them_and_says_how_blocks_read_them(host: Host, request: pytest.FixtureRequest):
    if host.world:
        host.world.secrets["demo_secret"] = "planted-value"
        answer = await host.call("list_secrets")
    else:
        async with httpx.AsyncClient(base_url=request.getfixturevalue("real_mage").url) as real:
            await ask(real, "POST", "secrets", {"secret": {"name": "demo_secret", "value": "planted-value"}})
            answer = await host.call("list_secrets")
            await ask(real, "DELETE", "secrets/demo_secret")
    assert answer.data["secrets"] == ["demo_secret"]
    assert "get_secret_value('NAME')" in answer.data["note"]
    assert "planted-value" not in answer.text


async def test_a_project_without_secrets_says_so(demo: Host):
    answer = (await demo.call("list_secrets")).data
    assert answer["secrets"] == []
    assert "This project has none" in answer["note"]

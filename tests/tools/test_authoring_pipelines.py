"""The tools that make, change and delete pipelines, over both Mages and both protocol eras."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from mage_mcp.demo.app import create_app
from mage_mcp.demo.world import World
from mage_mcp.settings import Cluster
from tests.conftest import URL
from tests.host import Host
from tests.lab.wire import API_KEY
from tests.test_confirm import connected

pytestmark = pytest.mark.anyio

AT_ONCE = 20


@pytest.fixture
async def api(request: pytest.FixtureRequest, host: Host) -> AsyncIterator[httpx.AsyncClient]:
    """The Mage behind the host, by plain HTTP."""
    url = URL if host.world else request.getfixturevalue("real_mage").url
    wire = httpx.ASGITransport(app=create_app(host.world)) if host.world else None
    async with httpx.AsyncClient(transport=wire, base_url=url, headers={"X-API-KEY": API_KEY}, timeout=30) as client:
        yield client


async def ask(api: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    answer = (await api.request(method, f"/api/{path}", json=body)).json()
    assert not answer.get("error"), answer
    return answer


async def forget(api: httpx.AsyncClient, pipeline: str) -> None:
    """Remove what outlives a pipeline."""
    for resource in ("pipeline_runs", "pipeline_schedules"):
        for row in (await ask(api, "GET", f"{resource}?_limit=500"))[resource]:
            if row["pipeline_uuid"] == pipeline:
                await ask(api, "DELETE", f"{resource}/{row['id']}")


@asynccontextmanager
async def made(host: Host, name: str, **arguments: Any) -> AsyncIterator[str]:
    """A pipeline made by the tool, and deleted if it is still there."""
    uuid = (await host.call("create_pipeline", name=name, **arguments)).data["pipeline"]
    try:
        yield uuid
    finally:
        if uuid in await uuids(host):
            await host.call("delete_pipeline", pipeline=uuid)
        assert uuid not in await uuids(host)


async def uuids(host: Host) -> set[str]:
    return {row["pipeline"] for row in (await host.call("list_pipelines", limit=100)).data["items"]}


async def detail(host: Host, pipeline: str) -> dict[str, Any]:
    return (await host.call("get_pipeline", pipeline=pipeline)).data


# Creating


async def test_create_pipeline_answers_the_uuid_that_mage_makes_of_the_name(host: Host):
    async with made(host, "Weekly Report (v2)", description="What for.", tags=["reports", "reports"]) as uuid:
        assert uuid == "weekly_report__v2_"
        found = await detail(host, uuid)
        assert (found["description"], found["tags"], found["type"]) == ("What for.", ["reports"], "python")
        assert "blocks" not in found
        sentence = await host.refused("create_pipeline", name="weekly report (v2)")
        assert "There is a pipeline weekly_report__v2_, which Mage makes of 'weekly report (v2)'" in sentence


async def test_create_pipeline_says_what_comes_next(host: Host):
    async with made(host, "What comes next", type="streaming") as uuid:
        pass
    note = (await host.call("create_pipeline", name="What comes next", type="streaming")).data["note"]
    assert f"create_block(pipeline='{uuid}')" in note
    assert (await detail(host, uuid))["type"] == "streaming"
    await host.call("delete_pipeline", pipeline=uuid)


async def test_a_clone_says_what_it_shares_and_what_it_lacks(host: Host):
    arguments = {"clone_from": "sales_daily", "description": "A copy.", "tags": ["copy"]}
    before = await uuids(host)
    preview = (await host.call("create_pipeline", name="Sales (copy)", **arguments, dry_run=True)).data
    assert preview["would"] == ["create sales__copy_, a clone of sales_daily"]
    assert await uuids(host) == before
    async with made(host, "Sales (copy)", **arguments) as uuid:
        assert uuid == "sales__copy_"
        copy, source = await detail(host, uuid), await detail(host, "sales_daily")
        assert copy["blocks"] == source["blocks"]
        assert copy["variables"] == source["variables"]
        assert (copy["description"], copy["tags"]) == ("A copy.", ["copy"])
        assert "triggers" not in copy
        third = (await host.call("create_pipeline", name="Sales third", clone_from=uuid, dry_run=True)).data
        assert {"sales_daily", uuid} <= set(third["shared_with"])
    for answer in (preview, third):
        assert answer["blocks"] == ["load_orders", "add_tax", "export_orders"]
        assert "data_loaders/load_orders.py" in answer["shared_files"]
    assert "Triggers are not copied; sales_daily has 3" in preview["note"]


async def test_a_clone_never_takes_a_name_that_is_taken(host: Host):
    """Mage would give it another, and say so to nobody."""
    before = await uuids(host)
    refused = await host.refused("create_pipeline", name="Slow report", clone_from="sales_daily")
    assert "There is a pipeline slow_report" in refused
    assert "Did you mean 'sales_daily'?" in await host.refused("create_pipeline", name="x", clone_from="sales_dialy")
    refused = await host.refused("create_pipeline", name="x", clone_from="sales_daily", type="streaming")
    assert "A clone has the type of its source, python" in refused
    assert await uuids(host) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": ""}, "needs a name with a letter or a digit"),
        ({"name": "..."}, "needs a name with a letter or a digit"),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"name": "a\u202eb"}, "cannot be the name"),
        ({"name": "two\nlines"}, "cannot be the name"),
        ({"name": "new", "type": "nonsense"}, "type: input should be 'python'"),
        ({"name": "new", "type": "execution_framework"}, "type: input should be 'python'"),
        ({"name": "new", "description": "was •••"}, "holds the mask"),
        ({"name": "new", "description": "x" * 2_001}, "over 2000 characters"),
        ({"name": "new", "tags": ["a,b"]}, "'a,b' cannot be a tag"),
        ({"name": "new", "tags": ["•••"]}, "cannot be a tag"),
        ({"name": "new", "tags": [f"t{n}" for n in range(31)]}, "Over 30 tags"),
    ],
)
async def test_what_cannot_be_made_well_is_not_made(demo: Host, arguments: dict[str, Any], sentence: str):
    before = set(demo.world.pipelines)
    assert sentence in await demo.refused("create_pipeline", **arguments)
    assert set(demo.world.pipelines) == before


async def test_a_pipeline_that_mage_cannot_open_is_told_and_can_be_deleted(host: Host):
    answer = (await host.call("create_pipeline", name="Sparks", type="pyspark")).data
    assert "Mage cannot open it: PySpark kernel is not installed" in answer["note"]
    assert "There is a pipeline sparks" in await host.refused("create_pipeline", name="Sparks")
    assert (await host.call("delete_pipeline", pipeline="sparks")).data["changed"] is True
    assert "sparks" not in await uuids(host)


# Changing


async def test_update_pipeline_says_what_was_before_and_can_be_taken_back(host: Host):
    async with made(host, "To update", description="First.", tags=["a"]) as uuid:
        patch = {"retry_config": {"retries": 3, "delay": 2}, "executor_type": "k8s"}
        preview = (await host.call("update_pipeline", pipeline=uuid, description="No.", dry_run=True)).data
        assert preview["would"] == ["change description"]
        assert (preview["before"], preview["after"]) == ({"description": "First."}, {"description": "No."})
        answer = (await host.call("update_pipeline", pipeline=uuid, tags=["b"], description="Two.", patch=patch)).data
        assert answer["before"] == {"description": "First.", "tags": ["a"], "retry_config": {}, "executor_type": ""}
        assert answer["after"] == {"description": "Two.", "tags": ["b"], **patch}
        assert not {"not_kept", "others"} & set(answer)
        assert (await detail(host, uuid))["config"] == patch
        patch = {"retry_config": {"delay": None, "max_delay": 9}, "executor_type": None}
        answer = (await host.call("update_pipeline", pipeline=uuid, patch=patch, tags=[], clear=["description"])).data
        assert answer["after"]["retry_config"] == {"retries": 3, "max_delay": 9}
        found = await detail(host, uuid)
        assert found["config"] == {"retry_config": {"retries": 3, "max_delay": 9}}
        assert not {"description", "tags"} & set(found)
        again = (await host.call("update_pipeline", pipeline=uuid, patch={"retry_config": {"retries": 3}})).data
        assert again["changed"] is False
        assert "It is so already" in again["note"]
        answer = (await host.call("update_pipeline", pipeline=uuid, patch={"retry_config": None})).data
        assert answer["after"] == {"retry_config": {}}


async def test_triggers_kept_in_code_are_warned_of_since_their_tokens_are_then(host: Host):
    patch = {"settings": {"triggers": {"save_in_code_automatically": True}}}
    async with made(host, "In code") as uuid:
        answer = (await host.call("update_pipeline", pipeline=uuid, patch=patch)).data
        assert answer["after"] == patch
        assert "tokens included" in answer["note"]


async def test_a_rename_says_the_new_uuid_and_what_does_not_follow(host: Host, api: httpx.AsyncClient):
    async with made(host, "Old name", tags=["kept"]) as uuid:
        body = {"name": "stays", "schedule_type": "api", "status": "active"}
        made_trigger = await ask(api, "POST", f"pipelines/{uuid}/pipeline_schedules", {"pipeline_schedule": body})
        trigger = made_trigger["pipeline_schedule"]["id"]
        preview = (await host.call("update_pipeline", pipeline=uuid, name="New name!", dry_run=True)).data
        assert 'change uuid: "old_name" → "new_name_"' in preview["would"]
        answer = (await host.call("update_pipeline", pipeline=uuid, name="New name!", description="And this.")).data
        assert answer["pipeline"] == "new_name_"
        assert "Logs and outputs of earlier runs did not" in answer["note"]
        found = await detail(host, "new_name_")
        assert (found["description"], found["tags"]) == ("And this.", ["kept"])
        assert [row["trigger"] for row in found["triggers"]] == [trigger]
        assert "No pipeline 'old_name'" in await host.refused("get_pipeline", pipeline=uuid)
        await host.call("update_pipeline", pipeline="new_name_", name="old_name")
    await forget(api, uuid)


async def test_a_rename_onto_what_is_there_is_refused(host: Host):
    async with made(host, "Renamed") as uuid:
        taken = await host.refused("update_pipeline", pipeline=uuid, name="Slow Report", description="No.")
        assert "There is a pipeline slow_report already" in taken
        assert "same uuid renamed" in await host.refused("update_pipeline", pipeline=uuid, name="RENAMED")
        assert (await host.call("update_pipeline", pipeline=uuid, name="Renamed")).data["changed"] is False
        assert "description" not in await detail(host, uuid)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "Nothing is given to change"),
        ({"patch": {"blocks": []}}, "has no setting 'blocks'"),
        ({"patch": {"status": "inactive"}}, "has no setting 'status'"),
        ({"patch": {"type": "streaming"}}, "has no setting 'type'"),
        ({"patch": {"variables": {"a": 1}}}, "has no setting 'variables'"),
        ({"patch": {"retry_config": {"retrys": 1}}}, "There are: retries, delay"),
        ({"patch": {"retry_config": {"retries": "3"}}}, "retry_config.retries takes a whole number from 0 on"),
        ({"patch": {"retry_config": {"retries": True}}}, "retry_config.retries takes a whole number"),
        ({"patch": {"retry_config": 3}}, "retry_config takes an object"),
        ({"patch": {"concurrency_config": {"block_run_limit": 0}}}, "a whole number from 1 on"),
        ({"patch": {"concurrency_config": {"on_pipeline_run_limit_reached": "no"}}}, "takes wait, skip, or null"),
        ({"patch": {"executor_type": "nonsense"}}, "executor_type takes local_python"),
        ({"patch": {"executor_type": ["k8s"]}}, "executor_type takes local_python"),
        ({"patch": {"run_pipeline_in_one_process": None}}, "takes true or false"),
        ({"clear": ["name"]}, "clear.0: input should be 'description'"),
        ({"clear": ["description"], "description": "x"}, "set and cleared at once"),
        ({"name": "..."}, "needs a name"),
    ],
)
async def test_a_change_that_would_break_the_pipeline_is_refused(demo: Host, arguments: dict[str, Any], sentence: str):
    before = demo.world.pipelines["sales_daily"]
    assert sentence in await demo.refused("update_pipeline", pipeline="sales_daily", **arguments)
    assert demo.world.pipelines["sales_daily"] == before


@pytest.mark.slow
async def test_twenty_changes_at_once_of_one_pipeline_are_all_there_or_told(host: Host):
    """Mage itself, asked like this, loses most of it, and may empty the pipeline's file."""
    answers: list[dict[str, Any]] = []

    async def change(uuid: str, number: int) -> None:
        tool, arguments = "update_variables", dict[str, Any](set={f"v_{number}": number})
        if number % 2:
            tool, arguments = "update_pipeline", {"description": f"Text {number}."}
        answers.append((await host.call(tool, pipeline=uuid, **arguments)).data)

    async with made(host, "Contested", description="Text.") as uuid:
        async with anyio.create_task_group() as group:
            for number in range(AT_ONCE):
                group.start_soon(change, uuid, number)
        assert all(answer["changed"] for answer in answers)
        assert not any({"others", "not_kept", "failed"} & set(answer) for answer in answers)
        found = await detail(host, uuid)
        assert found["variables"] == {f"v_{number}": number for number in range(0, AT_ONCE, 2)}
        # Each text that was overwritten is in the answer of the call that did.
        texts = [answer for answer in answers if "description" in answer.get("after", {})]
        before = [answer["before"]["description"] for answer in texts]
        after = [answer["after"]["description"] for answer in texts]
        assert sorted([*before, found["description"]]) == sorted([*after, "Text."])


async def test_of_two_calls_at_once_for_one_name_one_makes_it_and_one_is_refused(demo: Host):
    said: list[bool] = []

    async def create(clone_from: str) -> None:
        answer = await demo.try_call("create_pipeline", name="One name", clone_from=clone_from)
        said.append(answer.is_error)

    async with anyio.create_task_group() as group:
        for source in ("sales_daily", ""):
            group.start_soon(create, source)
    assert sorted(said) == [False, True]
    assert [uuid for uuid in demo.world.pipelines if "copy" in uuid] == []


async def test_two_renames_that_cross_wait_for_each_other_and_end(demo: Host):
    said: list[str] = []

    async def rename(old: str, new: str) -> None:
        said.append(await demo.refused("update_pipeline", pipeline=old, name=new))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(rename, "sales_daily", "slow_report")
            group.start_soon(rename, "slow_report", "sales_daily")
    assert all("already; nothing was changed" in sentence for sentence in said)


# Deleting


async def test_delete_pipeline_pauses_its_triggers_and_says_what_stays(host: Host, api: httpx.AsyncClient):
    async with made(host, "To delete", clone_from="paused_reports") as uuid:
        ids = []
        for name, kind in (("by_token", "api"), ("nightly", "time")):
            body = {"name": name, "schedule_type": kind, "status": "active"}
            body |= {"schedule_interval": "0 3 1 1 *"} if kind == "time" else {}
            row = await ask(api, "POST", f"pipelines/{uuid}/pipeline_schedules", {"pipeline_schedule": body})
            ids.append(row["pipeline_schedule"]["id"])
        run = (await host.call("trigger_pipeline", pipeline=uuid, trigger=str(ids[0]), wait_s=45)).data
        assert run["status"] == "completed"
        host.person.asked.clear()
        answer = (await host.call("delete_pipeline", pipeline=uuid)).data
    (question,) = host.person.asked
    assert "delete the pipeline to_delete with its graph of 1 blocks" in question
    assert f"pause its active triggers first, which Mage would go on starting: {ids[0]} (by_token)" in question
    assert answer["paused"] == answer["triggers"] == ids
    assert answer["runs"] == 1
    assert answer["shared_files"] == ["data_loaders/build_report.py"]
    assert "list_runs(pipeline='to_delete') still lists the runs, delete_runs and then delete_trigger" in answer["note"]
    assert "is gone; its triggers stayed" in (await host.call("list_triggers", pipeline="to_delete")).data["note"]
    rows = (await host.call("list_triggers", search="by_token")).data["items"]
    assert [(row["trigger"], row["status"]) for row in rows] == [(ids[0], "inactive")]
    # The next pipeline of this name gets them.
    note = (await host.call("create_pipeline", name="To delete")).data["note"]
    assert f"Triggers of an earlier pipeline of this name are its triggers now: {ids[0]} (inactive)" in note
    await host.call("delete_pipeline", pipeline=uuid)
    await forget(api, uuid)


async def test_a_pipeline_with_runs_under_way_is_not_deleted(host: Host, api: httpx.AsyncClient):
    async with made(host, "Busy", clone_from="slow_report") as uuid:
        run = (await host.call("trigger_pipeline", pipeline=uuid, variables={"sleep_seconds": 600})).data["run"]
        host.person.asked.clear()
        sentence = await host.refused("delete_pipeline", pipeline=uuid)
        assert f"cancel_runs(runs=[{run}]) first" in sentence
        assert host.person.asked == []
        assert uuid in await uuids(host)
        await host.call("cancel_runs", runs=[run])
    await forget(api, uuid)


async def test_what_nobody_else_uses_is_named_before_it_is_left_behind(demo: Host):
    answer = (await demo.call("delete_pipeline", pipeline="customer_360")).data
    files = "data_exporters/export_profiles.py, data_loaders/load_customers.py"
    assert "leave block files on disk that nothing else is known to use (delete_block" in demo.person.asked[0]
    assert f"only while the pipeline is there): {files}" in demo.person.asked[0]
    assert "transformers/clean_users.py" in answer["files"]
    assert "shared_files" not in answer
    assert "no tool here removes them now" in answer["note"]


async def test_our_own_trigger_stays_active_and_a_new_pipeline_of_the_name_runs_by_it(demo: Host):
    await demo.call("trigger_pipeline", pipeline="new_pipeline", wait_s=45)
    answer = (await demo.call("delete_pipeline", pipeline="new_pipeline")).data
    assert len(answer["triggers"]) == 1
    assert "paused" not in answer
    assert demo.world.triggers[answer["triggers"][0]].status == "active"
    await demo.call("create_pipeline", name="new_pipeline")
    assert (await demo.call("trigger_pipeline", pipeline="new_pipeline")).data["run"]
    assert len([row for row in demo.world.triggers.values() if row.pipeline_uuid == "new_pipeline"]) == 1


async def test_an_unknown_pipeline_is_told_with_the_nearest_names(host: Host):
    for tool, arguments in (
        ("update_pipeline", {"description": "x"}),
        ("delete_pipeline", {}),
        ("update_variables", {"set": {"a": 1}}),
    ):
        assert "Did you mean 'sales_daily'?" in await host.refused(tool, pipeline="sales_dialy", **arguments)
        assert "cannot be the uuid" in await host.refused(tool, pipeline="../users/1", **arguments)


async def test_without_a_person_to_ask_deleting_takes_a_code_and_one_no_is_enough(world: World, era: str):
    async with connected(world, era, None) as host:
        preview = (await host.call("delete_pipeline", pipeline="sales_daily")).data
        assert preview["changed"] is False
        assert preview["would"][0].startswith("delete the pipeline sales_daily")
        assert "sales_daily" in world.pipelines
        assert world.triggers[1].status == "active"
        assert (await host.call("delete_pipeline", pipeline="sales_daily", confirm=preview["confirm"])).data["changed"]
    assert "sales_daily" not in world.pipelines
    assert world.triggers[1].status == "inactive"


async def test_a_protected_cluster_asks_before_a_pipeline_is_made_or_changed(world: World, era: str):
    clusters = (Cluster(url=URL, protected=True),)
    async with connected(world, era, None, clusters=clusters) as host:
        for tool, arguments in (
            ("create_pipeline", {"name": "New"}),
            ("update_pipeline", {"pipeline": "sales_daily", "description": "New."}),
        ):
            preview = (await host.call(tool, **arguments)).data
            assert preview["changed"] is False
            assert (await host.call(tool, **arguments, confirm=preview["confirm"])).data["changed"] is True

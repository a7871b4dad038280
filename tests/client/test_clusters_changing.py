"""Writing a config: the whole of it, merged with what others wrote, read back, and reported where it is not so."""

import json
import logging
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from mage_mcp.client import Mage
from mage_mcp.client.deadline import call_deadline
from mage_mcp.demo.cloud import CloudCluster, CloudWorld, Delays, Fault, Switches
from mage_mcp.demo.cloud_app import create_cloud_app
from mage_mcp.demo.cloud_edits import Edit
from mage_mcp.errors import MageError, MageInvalid, MageTimeout, MageUnreachable, MageWriteUncertain
from mage_mcp.text import MASK, redact
from tests.clouds import clock_of, mage_in, requests_to_cloud, settings_of, shown

pytestmark = pytest.mark.anyio


def envs_of(cloud: CloudWorld, key: str = "staging") -> dict[str, Any]:
    return {item["name"]: item.get("value", "reference") for item in cloud.clusters[key].config["extraEnvs"]}


# What is written


async def test_variables_are_set_and_unset_and_everything_else_comes_back_equal(cloud: CloudWorld):
    staging = cloud.clusters["staging"]
    staging.config |= {"x-unknown": {"z": [None, 0.5, "é", 2**60, {}], "a": []}, "null": None}
    before = deepcopy(staging.config)
    async with mage_in(cloud, "staging") as mage:
        answer = await mage.clusters.update_env_vars(
            set_={"LOG_TARGET": "new-target.zq8", "API_URL": "https://api.zq8/x"},
            unset=["FEATURE_FLAGS", "NOT_THERE"],
        )
    expected = [item for item in before["extraEnvs"] if item["name"] != "FEATURE_FLAGS"]
    expected[-1] = {"name": "LOG_TARGET", "value": "new-target.zq8"}
    expected.append({"name": "API_URL", "value": "https://api.zq8/x"})
    assert json.dumps(staging.config) == json.dumps({**before, "extraEnvs": expected})
    assert cloud.puts[0]["body"] == {"cluster": {"config": staging.config}}
    assert answer.lean() == {
        "changed": True,
        "note": "LOG_TARGET stands in the list 2 times; the last one counts and was changed. Mage Cloud restarts the "
        "cluster after saving, which takes minutes; get_cluster shows when it is back.",
        "cloud_name": "Staging",
        "cloud_id": "cl-staging",
        "added": ["API_URL"],
        "overwritten": ["LOG_TARGET"],
        "removed": ["FEATURE_FLAGS"],
        "unchanged": ["NOT_THERE"],
        "after": "Restarting",
    }
    assert "zq8" not in shown(answer)


@pytest.mark.parametrize("config", [None, {}, {"extraEnvs": None}, {"extraEnvs": [], "a": None}])
async def test_a_config_without_variables_gets_its_first(cloud: CloudWorld, config: Any):
    cloud.clusters["staging"].config = config
    async with mage_in(cloud, "staging") as mage:
        assert (await mage.clusters.update_env_vars(set_={"A": "1"})).added == ["A"]
    assert cloud.clusters["staging"].config == {**(config or {}), "extraEnvs": [{"name": "A", "value": "1"}]}


async def test_where_nothing_changes_nothing_is_written(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        envs = await mage.clusters.update_env_vars(set_={"DEFAULT_EXECUTOR_TYPE": "k8s"}, unset=["NOT_THERE"])
        config = await mage.clusters.update_config({"image": {"tag": "0.9.80"}, "gone": None})
    assert (envs.changed, envs.unchanged) == (False, ["DEFAULT_EXECUTOR_TYPE", "NOT_THERE"])
    assert (config.changed, config.diff) == (False, [])
    assert "nothing was written" in envs.note
    assert "nothing was written" in config.note
    assert not cloud.puts


async def test_a_dry_run_writes_nothing_and_says_what_it_would_do(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        envs = await mage.clusters.update_env_vars(set_={"A": "1"}, unset=["SENTRY_DSN"], dry_run=True)
        config = await mage.clusters.update_config({"image": {"tag": "0.9.81"}}, dry_run=True)
    restarts = envs.would[2:]
    assert "restart Production (cl-prod), which Mage Cloud does after saving" in restarts
    assert any("crash_loop" in act for act in restarts)
    assert (envs.changed, envs.would[:2]) == (False, ["add A", "remove SENTRY_DSN"])
    assert (config.changed, config.would) == (False, ['change image.tag: "0.9.80" → "0.9.81"', *restarts])
    assert not cloud.puts


async def test_a_reference_is_not_overwritten_unasked(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        for dry_run in (True, False):
            with pytest.raises(MageInvalid, match="AWS_SECRET_ACCESS_KEY refers to a secret"):
                await mage.clusters.update_env_vars(set_={"AWS_SECRET_ACCESS_KEY": "zq8-plain"}, dry_run=dry_run)
        assert not cloud.puts
        answer = await mage.clusters.update_env_vars(
            set_={"AWS_SECRET_ACCESS_KEY": "zq8-plain"}, replace_references=True
        )
    assert answer.overwritten == ["AWS_SECRET_ACCESS_KEY"]
    assert envs_of(cloud, "prod")["AWS_SECRET_ACCESS_KEY"] == "zq8-plain"


async def test_a_patch_changes_the_rest_and_no_variable(cloud: CloudWorld):
    before = deepcopy(cloud.clusters["prod"].config)
    async with mage_in(cloud) as mage:
        answer = await mage.clusters.update_config(
            {"image": {"tag": "0.9.81"}, "git": {"token": "zq8-git"}, "maintenanceWindow": None}
        )
    after = cloud.clusters["prod"].config
    assert after["image"] == {**before["image"], "tag": "0.9.81"}
    assert after["git"] == {**before["git"], "token": "zq8-git"}
    assert [key for key in before if key not in after] == ["maintenanceWindow"]
    assert json.dumps(after["extraEnvs"]) == json.dumps(before["extraEnvs"])
    assert 'image.tag: "0.9.80" → "0.9.81"' in answer.diff
    assert f"git.token: nothing → {MASK}" in answer.diff
    assert "zq8" not in shown(answer)


async def test_what_a_patch_must_not_hold_is_refused_before_anything_is_sent(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        for patch in ({"extraEnvs": []}, {"status": "Stopped"}, {"replicaCount": 0}, {"git": {"token": MASK}}, {}):
            for act in (mage.clusters.update_config, mage.clusters.plan_update_config):
                with pytest.raises(MageInvalid):
                    await act(patch)
    assert not cloud.requests


async def test_a_change_may_wait_until_the_cluster_is_back(cloud: CloudWorld):
    cloud.delays = Delays(restart_s=10, api_s=5)
    heard: list[str] = []

    async def progress(*said: Any) -> None:
        heard.append(said[2])

    async with mage_in(cloud) as mage:
        answer = await mage.clusters.update_env_vars(set_={"A": "1"}, wait_s=45, progress=progress)
        cloud.delays = Delays(restart_s=100)
        slow = await mage.clusters.update_config({"git": None}, wait_s=45)
    assert (answer.after, answer.note) == ("Active", "Mage Cloud restarts the cluster after saving, and it is back.")
    assert heard[0] == "Production (cl-prod) is Restarting"
    assert "which goes on; get_cluster shows when it is back" in slow.note


async def test_a_restart_that_is_not_seen_is_not_claimed(cloud: CloudWorld):
    cloud.delays = Delays(restart_s=0, api_s=0)
    async with mage_in(cloud) as mage:
        answer = await mage.clusters.update_env_vars(set_={"A": "1"}, wait_s=5)
    assert "which was not seen to begin so far" in answer.note


async def test_a_change_of_a_stopped_cluster_holds_from_its_next_start(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        await mage.clusters.stop(wait_s=45)
        answer = await mage.clusters.update_env_vars(set_={"A": "1"}, wait_s=45)
        assert "not running: it holds from the next start" in answer.note
        assert (answer.after, cloud.clusters["prod"].config["replicaCount"]) == ("Stopped", 0)
        assert (await mage.clusters.start()).replicas == 2
    assert envs_of(cloud, "prod")["A"] == "1"


# Other writers


async def test_an_edit_before_our_last_read_is_merged_and_reported(cloud: CloudWorld):
    cloud.after_next_get(Edit(set_env={"THEIRS": "1"}, unset_env=["FEATURE_FLAGS"], merge={"image": {"tag": "0.9.99"}}))
    async with mage_in(cloud, "staging") as mage:
        answer = await mage.clusters.update_env_vars(set_={"OURS": "1"})
    assert {"THEIRS", "OURS"} < set(envs_of(cloud))
    assert "FEATURE_FLAGS" not in envs_of(cloud)
    assert cloud.clusters["staging"].config["image"]["tag"] == "0.9.99"
    assert answer.others == ["FEATURE_FLAGS", "THEIRS", "image.tag"]
    assert answer.not_kept == []
    assert "Others changed this config at the same time" in answer.note


async def test_an_edit_right_after_our_write_is_reported_and_stays(cloud: CloudWorld):
    cloud.after_next_put(Edit(set_env={"OURS": "overwritten", "THEIRS": "1"}, merge={"git": None}))
    async with mage_in(cloud, "staging") as mage:
        answer = await mage.clusters.update_env_vars(set_={"OURS": "1", "MINE": "1"})
    assert (answer.added, answer.not_kept, answer.others) == (["OURS", "MINE"], ["OURS"], ["THEIRS", "git"])
    assert "What came back is not what was sent" in answer.note
    assert envs_of(cloud)["OURS"] == "overwritten"


async def test_an_edit_of_the_same_key_of_the_config_is_reported_as_well(cloud: CloudWorld):
    cloud.after_next_put(Edit(merge={"image": {"tag": "theirs"}}, set_env={"THEIRS": "1"}))
    async with mage_in(cloud, "staging") as mage:
        answer = await mage.clusters.update_config({"image": {"tag": "ours"}})
    assert (answer.not_kept, answer.others) == (["image.tag"], ["THEIRS"])


async def test_an_edit_that_makes_ours_needless_leaves_nothing_to_write(cloud: CloudWorld):
    cloud.after_next_get(Edit(set_env={"A": "1"}))
    async with mage_in(cloud, "staging") as mage:
        answer = await mage.clusters.update_env_vars(set_={"A": "1"})
    assert (answer.changed, answer.unchanged, answer.others) == (False, ["A"], ["A"])
    assert not cloud.puts


async def test_a_reference_that_somebody_makes_meanwhile_is_not_overwritten(cloud: CloudWorld):
    def refer(cluster: Any) -> None:
        cluster.config["extraEnvs"][0] = {"name": "SNOWFLAKE_PASSWORD", "valueFrom": {"secretKeyRef": {}}}

    cloud.after_next_get(refer)
    async with mage_in(cloud, "staging") as mage:
        with pytest.raises(MageInvalid, match="refers to a secret"):
            await mage.clusters.update_env_vars(set_={"SNOWFLAKE_PASSWORD": "zq8"})
    assert not cloud.puts


async def test_an_edit_while_the_session_is_renewed_is_not_overwritten(cloud: CloudWorld):
    def edit_and_end_sessions(cluster: CloudCluster) -> None:
        Edit(set_env={"THEIRS": "1"})(cluster)
        cloud.expire_sessions()

    cloud.after_next_get(lambda _: None)
    cloud.after_next_get(edit_and_end_sessions)
    async with mage_in(cloud, "staging") as mage:
        answer = await mage.clusters.update_env_vars(set_={"OURS": "1"})
    assert {"THEIRS", "OURS"} < set(envs_of(cloud))
    assert answer.others == ["THEIRS"]
    assert (requests_to_cloud(cloud, "PUT"), len(cloud.puts)) == (2, 1)


class Unreachable(httpx.AsyncBaseTransport):
    """Does not take the first PUTs; somebody else writes meanwhile."""

    def __init__(self, cloud: CloudWorld, times: int) -> None:
        self._cloud, self._times = cloud, times
        self._wire = httpx.ASGITransport(create_cloud_app(cloud))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT" and self._times:
            self._times -= 1
            Edit(set_env={f"THEIRS_{self._times}": "1"})(self._cloud.clusters["staging"])
            if self._times % 2:
                raise httpx.ConnectError("planted")
            return httpx.Response(429, headers={"Retry-After": "1"})
        return await self._wire.handle_async_request(request)


async def test_a_write_that_was_not_taken_is_made_anew_from_what_is_there_by_then(cloud: CloudWorld):
    async with Mage(settings_of("staging"), wire=Unreachable(cloud, 2), clock=clock_of(cloud)) as mage:
        answer = await mage.clusters.update_env_vars(set_={"OURS": "1"})
    assert {"THEIRS_0", "THEIRS_1", "OURS"} < set(envs_of(cloud))
    assert answer.others == ["THEIRS_1", "THEIRS_0"]
    async with Mage(settings_of("staging"), wire=Unreachable(cloud, 9), clock=clock_of(cloud)) as mage:
        with pytest.raises(MageUnreachable, match="Mage Cloud"):
            await mage.clusters.update_env_vars(set_={"MORE": "1"})
        for act in (mage.clusters.stop, mage.clusters.restart):
            with pytest.raises(MageUnreachable):
                await act()
    assert "MORE" not in envs_of(cloud)
    assert len(cloud.puts) == 1


async def test_many_edits_of_others_are_counted(cloud: CloudWorld):
    cloud.after_next_get(Edit(set_env={f"T{i:02}": "1" for i in range(25)}))
    async with mage_in(cloud, "staging") as mage:
        answer = await mage.clusters.update_env_vars(set_={"A": "1"})
    assert answer.others == [*(f"T{i:02}" for i in range(10)), "and 15 more"]


async def test_fifty_changes_at_once_are_all_there_at_the_end(cloud: CloudWorld):
    cloud.clusters["staging"].config["x"] = {"kept": [1, None]}
    before = deepcopy(cloud.clusters["staging"].config)
    answers = []

    async def change(number: int) -> None:
        answers.append(await mage.clusters.update_env_vars(set_={f"V{number:02}": str(number)}))

    async with mage_in(cloud, "staging") as mage, anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(change, number)
    after = cloud.clusters["staging"].config
    assert after["extraEnvs"][: len(before["extraEnvs"])] == before["extraEnvs"]
    assert {f"V{i:02}": str(i) for i in range(50)}.items() <= envs_of(cloud).items()
    assert {key: value for key, value in after.items() if key != "extraEnvs"} == {
        key: value for key, value in before.items() if key != "extraEnvs"
    }
    assert [(answer.others, answer.not_kept) for answer in answers] == [([], [])] * 50
    assert len(cloud.puts) == 50


async def test_two_clients_of_one_cluster_write_one_after_the_other(cloud: CloudWorld):
    async def change(mage: Mage, number: int) -> None:
        await mage.clusters.update_env_vars(set_={f"{mage.name}_{number}": "1"})

    one, other = mage_in(cloud, "staging"), mage_in(cloud, "staging", name="same")
    async with one, other, anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(change, one, number)
            group.start_soon(change, other, number)
    assert {f"{name}_{i}" for name in ("staging", "same") for i in range(10)} <= set(envs_of(cloud))


async def test_variables_config_and_power_at_once_lose_nothing(cloud: CloudWorld):
    async with mage_in(cloud) as mage, anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(lambda n: mage.clusters.update_env_vars(set_={f"V{n}": "1"}), number)
            group.start_soon(lambda n: mage.clusters.update_config({f"k{n}": n}), number)
        group.start_soon(mage.clusters.restart)
    config = cloud.clusters["prod"].config
    assert {f"V{i}" for i in range(5)} <= set(envs_of(cloud, "prod"))
    assert [config[f"k{i}"] for i in range(5)] == [0, 1, 2, 3, 4]
    assert config["replicaCount"] == 2


async def test_a_change_that_others_hold_up_for_too_long_is_given_up_unsent(cloud: CloudWorld):
    async def hold(*, task_status: Any) -> None:
        async with mage._cloud.writing():
            task_status.started()
            await anyio.sleep_forever()

    async with mage_in(cloud) as mage, anyio.create_task_group() as group:
        await group.start(hold)
        with call_deadline(8.01, clock_of(cloud)), pytest.raises(MageTimeout, match="nothing was written"):
            await mage.clusters.update_env_vars(set_={"A": "1"})
        group.cancel_scope.cancel()
    assert not cloud.puts


# Answers that are lost


async def test_a_lost_answer_of_a_write_that_happened_is_looked_up(cloud: CloudWorld):
    cloud.faults = [Fault(status=504, applied=True)]
    async with mage_in(cloud) as mage:
        answer = await mage.clusters.update_env_vars(set_={"A": "1"})
    assert (answer.changed, answer.added, answer.not_kept) == (True, ["A"], [])
    assert "answer was lost; this is what was read since" in answer.note
    assert len(cloud.puts) == 1


async def test_a_write_that_was_lost_itself_is_uncertain_and_never_sent_twice(cloud: CloudWorld):
    cloud.faults = [Fault(status=502, applied=False)]
    async with mage_in(cloud) as mage:
        with pytest.raises(MageWriteUncertain, match="may or may not have happened"):
            await mage.clusters.update_env_vars(set_={"A": "zq8-val"})
        assert not cloud.puts
        assert requests_to_cloud(cloud, "PUT") == 1
        cloud.faults = [Fault(applied=True), *[Fault(method="GET", applied=False)] * 3]
        cloud.faults, later = cloud.faults[:1], cloud.faults[1:]
        cloud.after_next_put(lambda _: cloud.faults.extend(later))
        with pytest.raises(MageWriteUncertain):
            await mage.clusters.update_config({"git": {"branch": "b"}})


async def test_a_write_that_cannot_be_read_back_is_told_as_that(cloud: CloudWorld):
    cloud.after_next_put(lambda _: cloud.faults.extend([Fault(method="GET", applied=False)] * 3))
    async with mage_in(cloud) as mage:
        answer = await mage.clusters.update_env_vars(set_={"A": "1"})
    assert answer.changed
    assert "written, but not read back" in answer.note


async def test_a_cancelled_call_leaves_a_whole_write(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        with anyio.CancelScope() as scope:
            cloud.before_next_put(lambda _: scope.cancel())
            await mage.clusters.update_env_vars(set_={"A": "1"})
        assert scope.cancel_called
        assert envs_of(cloud, "prod")["A"] == "1"
        assert (await mage.clusters.update_env_vars(set_={"B": "1"})).added == ["B"]


# Secrets


NEW = {"SNOWFLAKE_PASSWORD": "new-zq8-pass", "PLAIN": "zq8", "URL": "redis://u:zq8word@h"}
PATCH = {"git": {"repository": "https://x:zq8tok@h/r.git"}, "newSecret": {"k": "zq8"}}
FAULTS = {
    "none": [],
    "lost answer": [Fault(applied=True)],
    "lost write": [Fault(applied=False)],
    "lost reads": [Fault("GET", 500, applied=False)] * 2,
}


async def all_that_is_told(mage: Mage, before_each: Callable[[], None]) -> AsyncIterator[str]:
    """Every answer and error of every method, as anybody could see it."""
    clusters = mage.clusters
    for act in (
        partial(clusters.update_env_vars, set_=NEW, unset=["DATABASE_URL"]),
        partial(clusters.update_config, PATCH),
        clusters.stop,
        clusters.start,
        clusters.get,
        clusters.row,
        partial(clusters.plan_update_config, PATCH),
        partial(clusters.plan_update_env_vars, unset=["SENTRY_DSN"]),
        clusters.masked_config,
    ):
        before_each()
        try:
            yield repr(await act())
        except MageError as error:
            yield f"{error} {error!r} {error.__cause__!r}"


@pytest.mark.parametrize("switches", [Switches(), Switches(http_errors=True, text_errors=True, echoes=True)])
@pytest.mark.parametrize("faults", FAULTS)
@pytest.mark.parametrize("key", ["prod", "staging"])
async def test_no_secret_is_in_any_answer_error_log_line_or_repr(
    cloud: CloudWorld, caplog: pytest.LogCaptureFixture, key: str, faults: str, switches: Switches
):
    def go_wrong() -> None:
        cloud.faults = list(FAULTS[faults])

    caplog.set_level(logging.DEBUG)
    cloud.switches = switches
    told: list[str] = []
    for role in ("admin", "editor", "viewer"):
        async with mage_in(cloud, key, role=role) as mage:
            told += [text async for text in all_that_is_told(mage, go_wrong)]
            cloud.faults.clear()
    everything = "\n".join([*told, redact(caplog.text)])
    assert ("MageForbidden" in everything) is (faults == "none")
    assert not [what for what, secret in cloud.secrets().items() if secret in everything]
    assert "zq8" not in everything

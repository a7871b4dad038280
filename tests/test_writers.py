"""Several writers of one cluster's config: nothing is lost that could be seen, and what is not asked for stays."""

import json
import time
from collections.abc import AsyncIterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from mage_mcp.demo.cloud import CloudCluster, CloudWorld
from mage_mcp.demo.cloud_edits import Edit
from tests.conftest import cloud_host
from tests.host import Host, Person
from tests.served import connected, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

AT_ONCE = 50


@pytest.fixture
async def host(cloud: CloudWorld, era: str) -> AsyncIterator[Host]:
    """Nobody is asked, so that a call reads three times: to plan, before it waits for its turn, before it writes."""
    async with cloud_host(cloud, era, confirm="never") as host:
        yield host


def env(cloud: CloudWorld, name: str = "staging") -> dict[str, Any]:
    return {item["name"]: item.get("value") for item in cloud.clusters[name].config["extraEnvs"]}


def before_the_last_read(cloud: CloudWorld, act: Any) -> None:
    """After the second of the three, then."""
    cloud.after_next_get(lambda _: None)
    cloud.after_next_get(act)


async def change(host: Host, **arguments: Any) -> dict[str, Any]:
    return (await host.call("update_cluster_env_vars", cluster="staging", **arguments)).data


@pytest.mark.parametrize("how", ["asks", "previews"])
async def test_fifty_changes_at_once_through_one_server_are_all_there(cloud: CloudWorld, era: str, how: str):
    before = deepcopy(cloud.clusters["prod"].config["extraEnvs"])
    answers: list[dict[str, Any]] = []

    async def one(host: Host, name: str) -> None:
        call = partial(host.call, "update_cluster_env_vars", cluster="prod", set={name: "x"})
        answer = (await call()).data
        for _ in range(3):  # the world does change: the first of them restarts the cluster
            if code := answer.get("confirm"):
                answer = (await call(confirm=code)).data
        answers.append(answer)

    began = time.perf_counter()
    async with cloud_host(cloud, era, Person() if how == "asks" else None) as host, anyio.create_task_group() as group:
        for number in range(AT_ONCE):
            group.start_soon(one, host, f"V_{number}")
    assert time.perf_counter() - began < 20
    assert [answer["changed"] for answer in answers] == [True] * AT_ONCE
    assert not any("others" in answer or "not_kept" in answer for answer in answers)
    after = cloud.clusters["prod"].config["extraEnvs"]
    assert after[: len(before)] == before
    assert {item["name"] for item in after[len(before) :]} == {f"V_{number}" for number in range(AT_ONCE)}
    assert len(cloud.puts) == AT_ONCE
    assert len(cloud.requests) < 20 * AT_ONCE


async def test_what_others_write_before_our_last_read_is_kept_and_told(cloud: CloudWorld, host: Host):
    theirs = Edit(set_env={"THEIRS": "1"}, unset_env=["FEATURE_FLAGS"], merge={"image": {"tag": "0.9.81"}})
    before_the_last_read(cloud, theirs)
    answer = await change(host, set={"OURS": "2"})
    assert set(answer["others"]) == {"THEIRS", "FEATURE_FLAGS", "image.tag"}
    assert "Others changed this config at the same time" in answer["note"]
    assert env(cloud)["THEIRS"] == "1"
    assert env(cloud)["OURS"] == "2"
    assert "FEATURE_FLAGS" not in env(cloud)
    assert cloud.clusters["staging"].config["image"]["tag"] == "0.9.81"


async def test_a_variable_that_others_set_meanwhile_too_is_overwritten_and_told(cloud: CloudWorld, host: Host):
    before_the_last_read(cloud, Edit(set_env={"DEFAULT_EXECUTOR_TYPE": "theirs"}))
    answer = await change(host, set={"DEFAULT_EXECUTOR_TYPE": "k8s"})
    assert answer["overwritten"] == ["DEFAULT_EXECUTOR_TYPE"]
    assert answer["others"] == ["DEFAULT_EXECUTOR_TYPE"]
    assert env(cloud)["DEFAULT_EXECUTOR_TYPE"] == "k8s"


async def test_what_others_write_right_after_us_is_told(cloud: CloudWorld, host: Host):
    cloud.after_next_put(Edit(set_env={"THEIRS": "1"}))
    answer = await change(host, set={"OURS": "2"})
    assert answer["others"] == ["THEIRS"]
    assert "not_kept" not in answer
    assert env(cloud)["OURS"] == "2"


async def test_a_change_of_ours_that_others_undo_right_after_is_told(cloud: CloudWorld, host: Host):
    stale = deepcopy(cloud.clusters["staging"].config)  # somebody saves what they read before we wrote
    cloud.after_next_put(Edit(config=stale, set_env={"THEIRS": "1"}))
    answer = await change(host, set={"OURS": "2", "DEFAULT_EXECUTOR_TYPE": "k8s"}, unset=["FEATURE_FLAGS"])
    assert set(answer["not_kept"]) == {"OURS", "DEFAULT_EXECUTOR_TYPE", "FEATURE_FLAGS"}
    assert answer["others"] == ["THEIRS"]
    assert "What came back is not what was sent" in answer["note"]


async def test_the_window_that_remains_what_others_write_between_our_last_read_and_our_write_is_lost_unseen(
    cloud: CloudWorld, host: Host
):
    """One round trip long. The Cloud takes no condition with a write, so nobody can tell."""
    cloud.before_next_put(Edit(set_env={"THEIRS": "1", "DEFAULT_EXECUTOR_TYPE": "theirs"}))
    answer = await change(host, set={"OURS": "2"})
    assert answer["changed"] is True
    assert "others" not in answer
    assert "THEIRS" not in env(cloud)
    assert env(cloud)["DEFAULT_EXECUTOR_TYPE"] == "local_python"


async def test_a_patch_of_the_config_keeps_and_tells_what_others_write(cloud: CloudWorld, host: Host):
    before_the_last_read(cloud, Edit(set_env={"THEIRS": "1"}, merge={"resources": {"limits": {"cpu": 4}}}))
    cloud.after_next_put(Edit(merge={"git": {"branch": "theirs"}, "labels": {"team": "theirs"}}))
    answer = (await host.call("update_cluster_config", cluster="staging", patch={"labels": {"team": "ours"}})).data
    assert set(answer["others"]) == {"THEIRS", "resources.limits.cpu", "git.branch"}
    assert answer["not_kept"] == ["labels.team"]
    config = cloud.clusters["staging"].config
    assert config["resources"]["limits"] == {"cpu": 4, "memory": "2Gi"}
    assert env(cloud)["THEIRS"] == "1"


UNREFERENCED = {"name": "REF", "x-own": [1.0]}
REFERENCE = {"valueFrom": {"secretKeyRef": {"name": "n", "key": "k", "optional": False}}, **UNREFERENCED}
ODD: dict[str, Any] = {
    "zeta": {"b": None, "a": [], "c": {}},
    "extraEnvs": [
        {"value": "first", "name": "TWICE", "comment": None},
        REFERENCE,
        {"name": "EMPTY", "value": ""},
        {"name": "NO_VALUE"},
        {"name": "NUMBER", "value": 7},
        {"value": "no name"},
        "no object",
        None,
        {"name": "TWICE", "value": "second", "z": 1, "a": 2},
        {"name": "Zürich \u2066", "value": "\U0001f600"},
    ],
    "replicaCount": 1,
    "alpha": [{"true": True, "one": 1, "float": 1.0, "small": 1e-9, "big": 2**60}, "\u2028", -0.0],
    "": {"": ""},
}


def variable(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def odd(**envs_by_place: Any) -> dict[str, Any]:
    """ODD with other items at these places of the list (`_3`); None takes one away, `_99` adds one."""
    config = deepcopy(ODD)
    for place, item in sorted(((int(key[1:]), item) for key, item in envs_by_place.items()), reverse=True):
        config["extraEnvs"][place : place + 1] = [] if item is None else [item]
    return config


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"set": {"NEW": "1"}}, odd(_99=variable("NEW", "1"))),
        ({"set": {"TWICE": "third"}}, odd(_8={"name": "TWICE", "value": "third", "z": 1, "a": 2})),
        ({"unset": ["TWICE", "NO_VALUE"]}, odd(_0=None, _3=None, _8=None)),
        ({"set": {"NO_VALUE": "", "NUMBER": "7"}}, odd(_3=variable("NO_VALUE", ""), _4=variable("NUMBER", "7"))),
        ({"unset": ["REF"]}, odd(_1=None)),
        ({"unset": ["Zürich \u2066"]}, odd(_9=None)),
        ({"set": {"REF": "plain"}, "replace_references": True}, odd(_1={"value": "plain", **UNREFERENCED})),
    ],
    ids=["add", "of two the last", "remove", "no text before", "remove a reference", "odd name", "replace a reference"],
)
async def test_an_odd_config_comes_back_as_it_was_save_for_what_was_asked(
    cloud: CloudWorld, host: Host, asked: dict[str, Any], wanted: dict[str, Any]
):
    cloud.clusters["staging"].config = deepcopy(ODD)
    answer = await change(host, **asked)
    assert answer["changed"] is True
    assert json.dumps(cloud.puts[-1]["body"]) == json.dumps({"cluster": {"config": wanted}})
    assert "others" not in answer
    assert "not_kept" not in answer


async def test_a_reference_is_not_replaced_unasked(cloud: CloudWorld, host: Host):
    cloud.clusters["staging"].config = deepcopy(ODD)
    sentence = await host.refused("update_cluster_env_vars", cluster="staging", set={"REF": "plain"})
    assert "replace_references" in sentence
    assert cloud.puts == []


@pytest.mark.parametrize("config", [None, {}, {"extraEnvs": None, "b": 1, "a": 2}, {"b": 1, "extraEnvs": []}])
async def test_a_config_without_variables_gets_its_first_and_keeps_what_it_has(
    cloud: CloudWorld, host: Host, config: dict[str, Any] | None
):
    staging: CloudCluster = cloud.clusters["staging"]
    staging.config = deepcopy(config)
    patched = (await host.call("update_cluster_config", cluster="staging", patch={"labels": {"x": "y"}})).data
    assert patched["changed"] is True
    assert json.dumps(staging.config) == json.dumps({**(config or {}), "labels": {"x": "y"}})
    kept = await change(host, unset=["NEW"])
    assert kept["changed"] is False
    assert len(cloud.puts) == 1
    await change(host, set={"NEW": "1"})
    wanted = {**(config or {}), "labels": {"x": "y"}}
    wanted["extraEnvs"] = [variable("NEW", "1")]
    assert json.dumps(staging.config) == json.dumps(wanted)


@pytest.mark.slow
async def test_over_pipes_and_sockets_too_an_odd_config_comes_back_as_it_was(tmp_path: Path):
    with serving(tmp_path) as served:
        served.post("edit", cluster="staging", config=ODD)
        async with connected(served, "auto", None, MAGE_CONFIRM="never") as host:
            answer = await change(host, set={"NEW": "1"}, unset=["TWICE"])
            assert answer["changed"] is True
        wanted = odd(_0=None, _8=None, _99=variable("NEW", "1"))
        assert json.dumps(served.puts()[-1]["body"]) == json.dumps({"cluster": {"config": wanted}})
        assert json.dumps(served.cluster("staging")["config"]) == json.dumps(wanted)

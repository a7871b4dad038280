"""Patching a config, and telling what that changes."""

import json
from typing import Any

import pytest

from mage_mcp.client.clusters.config_patch import check_patch, diff_lines, merged, paths
from mage_mcp.client.clusters.masking import masked_config, remember_secrets
from mage_mcp.client.clusters.same import same_json
from mage_mcp.demo.cloud_config import prod_config, staging_config
from mage_mcp.demo.planted import PLANTED
from mage_mcp.errors import MageInvalid
from mage_mcp.text import MASK, redact


@pytest.mark.parametrize(
    ("stored", "patch", "result"),
    [
        # The examples of RFC 7396, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        (None, {"a": 1}, {"a": 1}),
    ],
)
def test_a_patch_merges_as_its_standard_says(stored: Any, patch: Any, result: Any) -> None:
    before = json.dumps(stored)
    assert json.dumps(merged(stored, patch)) == json.dumps(result)
    assert json.dumps(stored) == before


@pytest.mark.parametrize(
    ("key", "tool"),
    [("extraEnvs", "update_cluster_env_vars"), ("status", "stop_cluster"), ("replicaCount", "start_cluster")],
)
def test_what_other_tools_change_is_sent_to_them(key: str, tool: str) -> None:
    for value in (None, [], 1):
        with pytest.raises(MageInvalid, match=tool):
            check_patch({"image": {}, key: value})
    assert check_patch({"image": {key: 1}})


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ({}, "no object"),
        ([], "no object"),
        ("text", "no object"),
        (None, "no object"),
        ({"git": {"token": f"x{MASK}"}}, "mask"),
        ({"git": {MASK: 1}}, "mask"),
        ({"a": float("nan")}, "JSON"),
        ({"a": "\ud800"}, "JSON"),
        ({"a": "x" * 50_001}, "over"),
        (deep(30), "deep"),
        (deep(5000), "deep"),
    ],
)
def test_patches_that_cannot_be_are_refused(patch: Any, why: str) -> None:
    with pytest.raises(MageInvalid, match=why):
        check_patch(patch)


def test_a_diff_names_the_place_and_both_values() -> None:
    before = {"image": {"tag": "0.9.80"}, "a.b": {"c d": [1, {"x": True}]}, "n": None, "same": 1.0, "gone": {}}
    after = {"image": {"tag": "0.9.81"}, "a.b": {"c d": [1, {"x": 1}]}, "n": 0, "same": 1, "new": ""}
    assert diff_lines(before, after) == [
        'image.tag: "0.9.80" → "0.9.81"',
        '["a.b"]["c d"]: [1, {"x": true}] → [1, {"x": 1}]',
        "n: null → 0",
        "gone: {} → nothing",
        'new: nothing → ""',
    ]
    assert paths(before, after) == ["image.tag", '["a.b"]["c d"]', "n", "gone", "new"]
    assert diff_lines(None, {"a": 1}) == ['the whole config: null → {"a": 1}']


def test_a_diff_shows_no_secret_and_no_variable() -> None:
    before, after = prod_config(), prod_config()
    remember_secrets(before)
    after["notifications"][0]["signingSecret"] = "whsec_other-zq8"
    after["git"]["repository"] = "https://oauth2:other-zq8@git.demo.invalid/x.git"
    after["redis"] = None
    after["login"] = {"apiKey": "key-zq8", "deep": {"password": ["list-zq8"]}, "tokenFile": ""}
    after["extraEnvs"] = []
    told = "\n".join(diff_lines(before, after))
    assert not [what for what, secret in PLANTED.items() if secret in told]
    assert "zq8" not in told
    assert told.count("\n") == 3
    assert '"apiKey": "•••"' in told


def test_a_long_diff_is_cut_and_says_so() -> None:
    lines = diff_lines({}, {f"k{i:02}": "x" * 500 for i in range(60)})
    assert (len(lines), lines[-1]) == (41, "… and 20 more")
    assert max(map(len, lines)) < 150


@pytest.mark.parametrize("config", [prod_config(), staging_config()], ids=["prod", "staging"])
def test_a_masked_config_has_every_key_and_no_secret(config: dict[str, Any]) -> None:
    remember_secrets(config)
    masked = masked_config(config)
    assert list(masked) == list(config)
    assert [item["name"] for item in masked["extraEnvs"]] == [item["name"] for item in config["extraEnvs"]]
    assert {item["value"] for item in masked["extraEnvs"] if "value" in item} == {MASK}
    assert [item["valueFrom"] for item in masked["extraEnvs"] if "valueFrom" in item] == [
        item["valueFrom"] for item in config["extraEnvs"] if "valueFrom" in item
    ]
    assert not [what for what, secret in PLANTED.items() if secret in json.dumps(masked, ensure_ascii=False)]
    assert masked["resources"] == config["resources"]


@pytest.mark.parametrize("config", [None, [], "x", {"extraEnvs": None}, {"extraEnvs": [None, 1, "A=zq8-zq8"]}])
def test_odd_configs_are_masked_as_well(config: Any) -> None:
    assert "zq8" not in json.dumps(masked_config(config))


def test_values_that_were_read_are_masked_wherever_they_turn_up_and_ordinary_words_are_not() -> None:
    envs = {
        "SOME_PASSWORD": "pw7X",
        "PLAIN": "a-rather-long-value",
        "WHERE": "s3://b/x1",
        "EXECUTOR": "k8s",
        "TYPE": "local_python",
        "SHORT_TOKEN": "on",
        "DB": "postgresql://u:inner9Pw@h/db",
    }
    remember_secrets({"extraEnvs": [{"name": name, "value": value} for name, value in envs.items()]})
    remember_secrets({"extraEnvs": "none", "x": [{"apiKey": "cfgKey8"}, {"url": "redis://:redPw7@h"}]})
    remember_secrets(None)
    text = redact("pw7X a-rather-long-value s3://b/x1 inner9Pw cfgKey8 redPw7 | k8s local_python on")
    assert text == f"{' '.join([MASK] * 6)} | k8s local_python on"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([1, 2], [2, 1], False),
        (True, 1, False),
        (0, False, False),
        (1, 1.0, True),
        (None, 0, False),
        ("1", 1, False),
        ({"a": None}, {}, False),
        ([{"a": [True]}], [{"a": [1]}], False),
    ],
)
def test_json_values_are_compared_as_json(one: Any, other: Any, same: bool) -> None:
    assert same_json(one, other) is same

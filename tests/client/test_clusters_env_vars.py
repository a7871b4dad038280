"""Changing a list of environment variables: what is asked for, and nothing else."""

import json
from copy import deepcopy
from typing import Any

import pytest

from mage_mcp.client.clusters.env_vars import EnvDiff, apply, check_request, differing, names, references
from mage_mcp.demo.cloud_config import prod_config, staging_config
from mage_mcp.errors import MageInvalid
from mage_mcp.text import MASK

REFERENCE = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}, "managedBy": "portal"}


def diff_of(diff: EnvDiff) -> dict[str, list[str]]:
    told = {"added": diff.added, "overwritten": diff.overwritten, "removed": diff.removed, "unchanged": diff.unchanged}
    return {key: value for key, value in told.items() if value}


@pytest.mark.parametrize("envs", [None, []])
def test_a_first_variable_makes_the_list(envs: Any) -> None:
    diff = apply(envs, set_={"A": "1"})
    assert diff.envs == [{"name": "A", "value": "1"}]
    assert diff_of(diff) == {"added": ["A"]}


def test_a_changed_variable_keeps_its_place_and_its_other_keys() -> None:
    envs = [{"name": "A", "value": "1"}, {"name": "B", "x": None, "value": "2", "managedBy": "portal"}, {"name": "C"}]
    before = deepcopy(envs)
    diff = apply(envs, set_={"B": "3"})
    assert json.dumps(diff.envs) == json.dumps([before[0], {**before[1], "value": "3"}, before[2]])
    assert envs == before
    assert diff_of(diff) == {"overwritten": ["B"]}


@pytest.mark.parametrize("config", [prod_config(), staging_config()], ids=["prod", "staging"])
def test_whatever_is_not_asked_for_comes_out_as_it_went_in(config: dict[str, Any]) -> None:
    envs = [*config["extraEnvs"], 7, None, {"no": "name"}, {"name": 5, "value": "x"}, "text"]
    diff = apply(envs, set_={"NEW": "1"}, unset=["NOT_THERE"])
    assert json.dumps(diff.envs[:-1]) == json.dumps(envs)
    assert diff_of(diff) == {"added": ["NEW"], "unchanged": ["NOT_THERE"]}


def test_what_is_so_already_is_no_change() -> None:
    diff = apply([{"name": "A", "value": "1"}, REFERENCE], set_={"A": "1"}, unset=["GONE"])
    assert not diff.changes
    assert diff_of(diff) == {"unchanged": ["A", "GONE"]}


@pytest.mark.parametrize("stored", [{}, {"value": None}, {"value": 1}, {"value": True}])
def test_a_variable_without_a_text_is_overwritten(stored: dict[str, Any]) -> None:
    diff = apply([{"name": "A", **stored}], set_={"A": "1"})
    assert diff.envs == [{"name": "A", "value": "1"}]
    assert diff_of(diff) == {"overwritten": ["A"]}


def test_of_a_name_that_occurs_twice_the_last_one_counts() -> None:
    envs = [{"name": "A", "value": "1"}, {"name": "B", "value": "x"}, {"name": "A", "value": "2"}]
    diff = apply(envs, set_={"A": "3"})
    assert diff.envs == [envs[0], envs[1], {"name": "A", "value": "3"}]
    assert diff.notes == ["A stands in the list 2 times; the last one counts and was changed."]
    assert not apply(envs, set_={"A": "2"}).changes
    gone = apply(envs, set_={}, unset=["A"])
    assert gone.envs == [envs[1]]
    assert gone.notes == ["A stood in the list 2 times; all of them were removed."]


@pytest.mark.parametrize("item", [REFERENCE, {**REFERENCE, "value": ""}], ids=["reference", "both"])
def test_a_reference_becomes_no_plain_value_unless_told_so(item: dict[str, Any]) -> None:
    with pytest.raises(MageInvalid, match="KEY refers to a secret") as refused:
        apply([item], set_={"KEY": "plain-value-3"})
    assert "plain-value" not in str(refused.value)
    diff = apply([item], set_={"KEY": "plain-value-3"}, replace_references=True)
    assert json.dumps(diff.envs) == '[{"name": "KEY", "value": "plain-value-3", "managedBy": "portal"}]'
    assert diff.notes == ["KEY was a reference to a secret (valueFrom) and is a plain value now."]


def test_a_reference_may_be_removed() -> None:
    assert apply([REFERENCE], set_={}, unset=["KEY"]).envs == []


def test_an_old_reference_before_a_plain_value_of_the_same_name_stays() -> None:
    diff = apply([REFERENCE, {"name": "KEY", "value": "1"}], set_={"KEY": "2"})
    assert diff.envs == [REFERENCE, {"name": "KEY", "value": "2"}]


def test_odd_names_that_exist_may_be_removed_and_others_are_mistakes() -> None:
    envs = [{"name": "my.setting-1", "value": "x"}]
    assert apply(envs, set_={}, unset=["my.setting-1"]).removed == ["my.setting-1"]
    with pytest.raises(MageInvalid, match=r"no variable 'my\.setting-2'"):
        apply(envs, set_={}, unset=["my.setting-2"])


@pytest.mark.parametrize("name", ["", "1A", "A B", "A-B", "A.B", "Ä", "A\n", "A=hunter2-secret", "x" * 256, "$(X)"])
def test_names_that_cannot_be_are_refused_without_what_stands_behind_them(name: str) -> None:
    with pytest.raises(MageInvalid, match="cannot be a variable's name") as refused:
        check_request({name: "1"}, ())
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("nul\x00-zq8", "character"),
        ("half \ud800-zq8", "character"),
        (f"{MASK}-zq8", "mask"),
        ("zq8" * 11_000, "32 kB"),
        ("ü-zq8" * 6000, "32 kB"),
        (5, "no text"),
        (None, "no text"),
    ],
)
def test_values_that_cannot_be_are_refused_and_never_shown(value: Any, why: str) -> None:
    with pytest.raises(MageInvalid, match=why) as refused:
        apply([], set_={"GOOD": "1", "BAD": value})
    assert "BAD" in str(refused.value)
    assert "zq8" not in str(refused.value)


@pytest.mark.parametrize(
    ("set_", "unset", "why"),
    [({}, [], "No variable"), ({"A": "1"}, ["A"], "set and unset"), ({f"A{i}": "" for i in range(101)}, [], "at once")],
)
def test_requests_that_make_no_sense_are_refused(set_: dict[str, str], unset: list[str], why: str) -> None:
    with pytest.raises(MageInvalid, match=why):
        check_request(set_, unset)


@pytest.mark.parametrize("value", ["", "a b", "ü", "line\nline", '{"json": 1}', "$(OTHER)", " x ", "null", "1"])
def test_any_other_text_is_a_value(value: str) -> None:
    assert apply(None, set_={"A": value}).envs == [{"name": "A", "value": value}]


@pytest.mark.parametrize("envs", [{}, "A=1", 5, {"A": "1"}])
def test_a_list_that_is_none_is_left_alone(envs: Any) -> None:
    with pytest.raises(MageInvalid, match="no list"):
        apply(envs, set_={"A": "1"})
    assert names(envs) == references(envs) == []


def test_no_value_shows_in_a_repr() -> None:
    assert "zq8" not in repr(apply([{"name": "A", "value": "old-zq8"}], set_={"A": "new-zq8"}))


def test_names_and_references_are_told_once_and_in_order() -> None:
    envs = [{"name": "B", "value": "1"}, REFERENCE, {"name": "A"}, {"name": "B", "value": "2"}, None, REFERENCE]
    assert names(envs) == ["B", "KEY", "A"]
    assert references(envs) == ["KEY"]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (None, [], []),
        ([{"name": "A", "value": "1"}], [{"value": "1", "name": "A"}], []),
        ([{"name": "A", "value": "1"}], [{"name": "A", "value": "2"}], ["A"]),
        ([{"name": "A", "value": "1"}], None, ["A"]),
        ([{"name": "A"}, {"name": "B"}], [{"name": "B"}, {"name": "A"}], ["(order)"]),
        ([{"name": "A", "x": True}], [{"name": "A", "x": 1}], ["A"]),
        ([{"name": "A"}, {"name": "A", "value": "1"}], [{"name": "A", "value": "1"}], ["A"]),
        ([7], [8], ["(no name)"]),
    ],
)
def test_differences_are_told_by_name(before: Any, after: Any, found: list[str]) -> None:
    assert differing(before, after) == found

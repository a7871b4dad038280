"""Audit lines hold what was asked for, never a value that was set, and stay short whatever a caller sends."""

import json
from pathlib import Path
from typing import Any

import pytest

from mage_mcp.demo.cloud import CloudWorld
from mage_mcp.tools._audit import Audit, masked_arguments
from tests.conftest import cloud_host
from tests.host import Person

pytestmark = pytest.mark.anyio

GIVEN = "qz9X-given"


@pytest.mark.parametrize(
    "arguments",
    [
        {"set": {"MODE": GIVEN}},
        {"set_env": {"MODE": GIVEN}},
        {"set_env": GIVEN},
        {"set_env_from": {"MODE": f"X={GIVEN}"}},
        {"unset_env": [f"MODE={GIVEN}"]},
        {"set_env_from": GIVEN},
        {"container_config": {"env": [{"name": "MODE", "value": GIVEN}]}},
        {"patch": {"a": [{"extraEnvs": [{"name": "MODE", "value": GIVEN}]}]}},
        {"variables": {"db": {"password": GIVEN, "hosts": [{"api_key": GIVEN}]}}},
        {"content": f"password = '{GIVEN}'\n"},
        {"content": "x" * 190 + f" password = '{GIVEN}'\n"},
        {"replace": {"old": f"token: {GIVEN}", "new": f"https://u:{GIVEN}@x"}},
        {f"password={GIVEN}": 1},
    ],
    ids=lambda arguments: next(iter(arguments)).partition("=")[0],
)
def test_values_that_may_be_secret_are_masked(arguments: dict[str, Any]):
    shown = json.dumps(masked_arguments(arguments))
    assert "qz9X" not in shown
    assert len(shown) > 10


@pytest.mark.parametrize(
    "arguments",
    [
        {"content": "word " * 200_000},
        {"replace": {f"key {number}": "x" * 5_000 for number in range(2_000)}},
        {"set_env": {f"NAME_{number}": "x" for number in range(50_000)}},
        {"unset": [f"NAME_{number}" for number in range(50_000)]},
        {"runs": list(range(50_000))},
        {f"unknown {number}": [[["x" * 500] * 60] * 60] * 9 for number in range(60)},
        {"variables": json.loads('{"a": [' * 400 + "1" + "]}" * 400)},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_lines_stay_short(arguments: dict[str, Any], tmp_path: Path):
    audit = Audit(str(tmp_path / "audit"))
    audit.refused("write_file", cluster="c" * 100_000, arguments=arguments, why="w" * 100_000)
    lines = (tmp_path / "audit").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    for line in lines:
        assert len(line) < 10_000
        assert json.loads(line)["tool"] == "write_file"


def test_what_was_not_given_is_not_called_masked_and_every_line_is_json():
    shown = masked_arguments({"unset": None, "set": None, "variables": {"a": float("nan"), "b": [float("inf")]}})
    assert shown == {"unset": None, "set": None, "variables": {"a": "nan", "b": ["inf"]}}
    json.dumps(shown, allow_nan=False)


@pytest.mark.parametrize("person", [Person(action="decline"), None], ids=["asked", "previewed"])
async def test_a_protected_cluster_is_asked_about_with_names_and_without_values(
    cloud: CloudWorld, era: str, person: Person | None
):
    protected = {"prod": {"protected": True}}
    async with cloud_host(cloud, era, person, marks=protected) as host:
        given = {"pipeline": "sales_daily", "set": {"brand_new": GIVEN}}
        answer = (await host.call("update_variables", cluster="prod", **given)).data
        assert answer["changed"] is False
        asked = person.asked[-1] if person else answer["would"][0]
    assert "update_variables(pipeline='sales_daily', set={'brand_new': '•••'})" in asked
    assert not any(method != "GET" for method, path in cloud.requests if path.startswith("/prod/"))

"""`mage-mcp tools`: what it says is what a client gets, and what a client pays."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from mage_mcp import tokens
from mage_mcp.cli import main
from mage_mcp.commands._demo import demo_clusters
from mage_mcp.server import build_server
from mage_mcp.settings import DEFAULT_TOOLSETS, TOOLSETS, Settings
from mage_mcp.tools import RISKS

WAYS = ([], ["--toolsets", "all"], ["--toolsets", "runs"], ["--read-only"], ["--demo", "--toolsets", "all"])


@pytest.fixture(autouse=True)
def _nothing_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAGE_CONFIG", "")
    for name in ("XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("MAGE_TOOLSETS", "MAGE_READ_ONLY", "MAGE_PROTECTED", "MAGE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def page(capsys: pytest.CaptureFixture[str]) -> Any:
    def show(*arguments: str) -> str:
        assert main(["tools", *arguments]) == 0
        return capsys.readouterr().out

    return show


async def offered(settings: Settings) -> dict[str, int]:
    """The cost of each tool that a client gets."""
    async with Client(build_server(settings)) as client:
        tools = (await client.list_tools()).tools
    return {tool.name: tokens.of_tool(tool.name, tool.description, tool.input_schema) for tool in tools}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        ([], Settings()),
        (["--toolsets", "all"], Settings(toolsets=TOOLSETS)),
        (["--toolsets", "runs,triggers", "--read-only"], Settings(toolsets=("runs", "triggers"), read_only=True)),
        (["--demo"], Settings(clusters=demo_clusters("http://demo.mage.invalid"))),
        (["--protected"], Settings(clusters=(Settings().cluster.model_copy(update={"protected": True}),))),
    ],
    ids=["default", "all", "read-only", "demo", "protected"],
)
async def test_what_is_called_offered_is_what_a_client_gets_and_pays(
    arguments: list[str], settings: Settings, page: Any
):
    told = json.loads(page("--json", *arguments))
    entries = [entry for group in told["toolsets"] for entry in group["tools"]]
    assert {each["tool"]: each["tokens"] for each in entries if each["offered"]} == await offered(settings)
    assert {each["tool"] for each in entries} == set(RISKS)
    assert told["tokens"] == sum((await offered(settings)).values())


@pytest.mark.parametrize("arguments", WAYS, ids=" ".join)
def test_the_page_says_what_the_json_says_in_100_columns(arguments: list[str], page: Any):
    text, told = page(*arguments), json.loads(page("--json", *arguments))
    assert all(len(line) <= 100 for line in text.splitlines())
    groups = [group for group in told["toolsets"] if group["tools"]]
    for group in groups:
        default = " (default)" if group["toolset"] in DEFAULT_TOOLSETS else ""
        state = f"{group['tokens']:,} tokens" if group["on"] else "off"
        assert f"{group['toolset']}{default}: {state}\n" in text
        for entry in group["tools"]:
            (row,) = re.findall(rf"^  {entry['tool']} .*$", text, re.MULTILINE)
            assert row.split()[1:3] == [entry["risk"].split()[0].strip(","), f"{entry['tokens']:,}"]
            assert ("hidden" in row) == (group["on"] and not entry["offered"])
    count = sum(entry["offered"] for group in groups for entry in group["tools"])
    assert f"{count} tools offered, {told['tokens']:,} tokens" in text
    for risk in RISKS.values():
        assert risk.value in text


def test_what_is_off_is_shown_with_its_cost_and_how_to_turn_it_on(page: Any):
    text, told = page("--toolsets", "runs"), json.loads(page("--json", "--toolsets", "all"))
    more = sum(group["tokens"] for group in told["toolsets"] if group["toolset"] != "runs")
    assert re.search(rf"Off: clusters, .*{more:,}\stokens\smore.*--toolsets", text, re.DOTALL)
    assert "Off:" not in page("--toolsets", "all")


def test_read_only_says_how_many_tools_it_hides(page: Any):
    told = json.loads(page("--json"))
    changing = sum(e["risk"] != "reads" and e["offered"] for group in told["toolsets"] for e in group["tools"])
    assert f"Read-only: {changing} tools" in page("--read-only")
    assert "Read-only" not in page()


def test_settings_may_stand_before_the_command_too(page: Any, capsys: pytest.CaptureFixture[str]):
    assert main(["--read-only", "tools"]) == 0
    assert capsys.readouterr().out == page("--read-only")


def test_a_wrong_toolset_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]):
    assert main(["tools", "--toolsets", "pipelins"]) == 2
    assert "pipelins" in capsys.readouterr().err

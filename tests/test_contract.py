"""What clients see of the tools: one snapshot a tool. The diff is the review of a change.

`UPDATE_CONTRACT=1 pytest tests/test_contract.py` writes them anew.
"""

import json
import os
from pathlib import Path

import pytest
from mcp import Client
from mcp.types import Tool

from mage_mcp import tokens
from mage_mcp.server import build_server
from mage_mcp.settings import DEFAULT_TOOLSETS, TOOLSETS, Settings
from mage_mcp.tools import ALL

pytestmark = pytest.mark.anyio
FOLDER = Path(__file__).parent / "contract"
TEN = {
    "list_pipelines",
    "get_pipeline",
    "trigger_pipeline",
    "list_runs",
    "get_run",
    "get_run_logs",
    "get_block_output",
    "retry_run",
    "cancel_runs",
    "list_triggers",
}


@pytest.fixture
async def tools(era: str) -> list[Tool]:
    async with Client(build_server(Settings(toolsets=TOOLSETS)), mode=era) as client:
        return (await client.list_tools()).tools


def cost(tool: Tool) -> int:
    """What a model pays for a tool: name, description and input schema, in bytes / 4."""
    return tokens.of_tool(tool.name, tool.description, tool.input_schema)


def on_the_wire(tool: Tool) -> str:
    return tool.model_dump_json(by_alias=True, exclude_none=True)


async def test_tools_are_those_of_their_committed_contract(tools: list[Tool]):
    seen = {tool.name: json.loads(on_the_wire(tool)) for tool in tools}
    if os.environ.get("UPDATE_CONTRACT"):
        for old in FOLDER.glob("*.json"):
            old.unlink()
        for name, tool in seen.items():
            (FOLDER / f"{name}.json").write_text(json.dumps(tool, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert seen == {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in FOLDER.glob("*.json")}


async def test_the_first_ten_tools_cost_at_most_2400_tokens(tools: list[Tool]):
    assert {tool.name for tool in tools} >= TEN
    assert sum(cost(tool) for tool in tools if tool.name in TEN) <= 2_400


async def test_the_default_tool_list_costs_at_most_6000_tokens_and_48_kb(tools: list[Tool]):
    default = {tool.name for name in DEFAULT_TOOLSETS for tool in ALL[name].tools(read_only=False)}
    assert sum(cost(tool) for tool in tools if tool.name in default) <= 6_000
    assert sum(len(on_the_wire(tool).encode()) for tool in tools if tool.name in default) <= 48_000


async def test_everything_together_costs_at_most_12000_tokens(tools: list[Tool]):
    assert sum(cost(tool) for tool in tools) <= 12_000

"""The official conformance suite, scenario by scenario, and the MCP Inspector; skipped where npm cannot be reached."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.suite import NEED_SESSIONS, SCENARIOS, run, served
from tests.node import tool_or_skip

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
EACH = [(wire, scenario) for wire, scenarios in SCENARIOS.items() for scenario in scenarios]


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[bool, str]]:
    """Where it is served, by whether sessions are kept."""
    tool_or_skip("conformance")
    with ExitStack() as stack:
        yield {
            keeps: stack.enter_context(served(how)) for keeps, how in ((False, "as served"), (True, "with sessions"))
        }


@pytest.mark.parametrize(("wire", "scenario"), EACH, ids=[" ".join(each) for each in EACH])
def test_the_official_suite_is_content(urls: dict[bool, str], wire: str, scenario: str):
    outcome = run(urls[(wire, scenario) in NEED_SESSIONS], wire, scenario)
    assert outcome.passed, outcome.said


def inspected(*arguments: str, home: Path, era: str) -> Any:
    """What the Inspector's command line prints of a call to the server over stdio."""
    program, environment = tool_or_skip("mcp-inspector")
    command = [program, "--cli", sys.executable, "-m", "mage_mcp", "--demo", "--protocol-era", era, "--format", "json"]
    environment |= {"HOME": str(home)}  # where it keeps what it learns
    done = subprocess.run(
        [*command, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["result"]


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_the_inspector_lists_tools_that_every_client_can_take_and_calls_one(era: str, tmp_path: Path):
    of_its_own = {"home": tmp_path, "era": era}
    listed = inspected("--method", "tools/list", "--strict", **of_its_own)["tools"]
    assert "get_run" in {tool["name"] for tool in listed}
    call = ["--method", "tools/call", "--tool-name", "get_cluster", "--tool-args-json", '{"cluster": "prod"}']
    assert inspected(*call, **of_its_own)["structuredContent"]["status"] == "Active"
    read = inspected("--method", "resources/read", "--uri", "mage://clusters", **of_its_own)
    assert "prod" in read["contents"][0]["text"]

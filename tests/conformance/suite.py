"""The official conformance suite against this server over HTTP: `python -m tests.conformance`.

Run are the scenarios that a server without the suite's own tools and resources can pass by what it does. Left out are
those that want such fixtures, and those that any server passes by refusing an unknown tool.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.node import tool

BASELINE = Path(__file__).with_name("baseline.yml")
MODERN, LEGACY = "2026-07-28", "2025-11-25"
_OF_BOTH = (
    "tools-list",
    "resources-list",
    "prompts-list",
    "completion-complete",
    "dns-rebinding-protection",
    "server-sse-multiple-streams",
)
SCENARIOS = {
    MODERN: (
        *_OF_BOTH,
        "caching",
        "http-header-validation",
        "input-required-result-unsupported-methods",
        "sep-2164-resource-not-found",
        "server-stateless",
    ),
    LEGACY: (*_OF_BOTH, "ping", "server-initialize", "server-session-lifecycle"),
}
SERVERS = {
    "as served": ("-m", "mage_mcp", "serve", "--http", "--no-auth", "--demo", "--port", "0"),
    "with sessions": ("-m", "tests.conformance.sessions"),
}
NEED_SESSIONS = frozenset({(LEGACY, "server-session-lifecycle"), (LEGACY, "server-sse-multiple-streams")})
"""Which `mage-mcp serve` does not keep, so that replicas need not know each other; the same server object can."""


@dataclass(frozen=True)
class Outcome:
    """What the suite said of one scenario."""

    passed: bool
    said: str


@contextmanager
def served(how: str) -> Iterator[str]:
    """The real server object over the simulated world, in a process of its own; the URL of its endpoint."""
    command = [sys.executable, *SERVERS[how]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def run(url: str, wire: str, scenario: str) -> Outcome:
    """Run one scenario; failures that the baseline names are none, and names that do not fail are.

    Raises NoNpm.
    """
    program, environment = tool("conformance")
    with tempfile.TemporaryDirectory() as results:
        command = [program, "server", "--url", url, "--spec-version", wire, "--scenario", scenario, "-o", results]
        command += ["--expected-failures", str(BASELINE)] if scenario == "server-stateless" else []
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    said = done.stdout + done.stderr
    return Outcome(done.returncode == 0 and "SKIPPED" not in said and "Passed: 0/0" not in said, said)

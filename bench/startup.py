"""From spawning the server to its first tools/list answer, beside an empty one: `python -m bench.startup [--rounds N]`.

Both are real processes over stdio, spawned in turn, on both protocol eras. The goal: at most 1.35 times as long. Exits
with 1 where it is missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure import table

TIMES = 1.35
_EMPTY = """\
import sys

sys.modules["rich.console"] = None
from mcp.server import MCPServer

MCPServer("empty", version="1", log_level="WARNING").run()
"""
"""Without rich, which the SDK would load where it is installed: that is no cost of ours to hide behind."""
COMMANDS = {"empty": [sys.executable, "-c", _EMPTY], "mage-mcp": [sys.executable, "-m", "mage_mcp"]}
_CLIENT = {"name": "bench", "version": "1"}
_MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": _CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_LEGACY = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": _CLIENT}


def till_listed(command: list[str], era: str) -> float:
    """Seconds from spawning to the answer of tools/list, with nothing of this machine's configuration."""
    with tempfile.TemporaryDirectory() as home:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAGE")}
        environment = kept | {"MAGE_URL": "http://127.0.0.1:9", "XDG_CONFIG_HOME": home, "MAGE_MCP_STATE_DIR": home}
        began = time.perf_counter()
        with _spawned(command, environment) as process:
            if era == "2025-11-25":
                _ask(process, "initialize", _LEGACY)
                _send(process, {"jsonrpc": "2.0", "method": "notifications/initialized"})
                _ask(process, "tools/list", {})
            else:
                _ask(process, "tools/list", {"_meta": _MODERN})
            return time.perf_counter() - began


@contextmanager
def _spawned(command: list[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.communicate(timeout=30)  # closes standard input, which ends both


def _send(process: "subprocess.Popen[str]", message: dict[str, object]) -> None:
    assert process.stdin
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()


def _ask(process: "subprocess.Popen[str]", method: str, params: dict[str, object]) -> None:
    assert process.stdout
    _send(process, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    answer = json.loads(process.stdout.readline())
    assert "result" in answer, answer


def measured(rounds: int, era: str) -> dict[str, list[float]]:
    """Milliseconds of each, spawned in turn; which of them comes first changes. One round before warms up."""
    series: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(rounds + 1):
        names = list(COMMANDS) if turn % 2 else list(reversed(COMMANDS))
        for name in names:
            took = till_listed(COMMANDS[name], era)
            if turn:
                series[name].append(took * 1000)
    return series


def ratios(series: dict[str, list[float]]) -> tuple[float, float]:
    """By the medians, and by the fastest of each, which other work on the machine disturbs least."""
    empty, ours = series["empty"], series["mage-mcp"]
    return statistics.median(ours) / statistics.median(empty), min(ours) / min(empty)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    rows, missed = [], False
    for era in ("2026-07-28", "2025-11-25"):
        series = measured(rounds, era)
        median, least = ratios(series)
        missed |= min(median, least) > TIMES
        figures = (f"{statistics.median(each):.0f} / {min(each):.0f}" for each in series.values())
        rows.append([era, *figures, f"{median:.2f}", f"{least:.2f}"])
    print(table(["protocol", "empty, ms median / min", "mage-mcp, ms", "ratio of medians", "of minima"], rows))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

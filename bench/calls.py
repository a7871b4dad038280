"""One tool call beside the same bare HTTP calls, over a real Mage: `python -m bench.calls [--url URL] [--rounds N]`.

The goal for each: at most 1.15 times as long, and 3 ms. Exits with 1 where one is missed.
"""

import argparse
import sys

import anyio

from bench.measure import Bench, Call, Measured, bench, size_of, table
from tests.lab.seed import start_seeded

TIMES, PLUS_MS = 1.15, 3.0


async def calls(on: Bench) -> list[Call]:
    """The tools that read, on runs that this Mage has."""
    failed = await _latest(on, "failed")
    completed = await _latest(on, "completed")
    block = (await on.timed.call("get_run", run=str(completed["run"]))).data["blocks"][0]["block"]
    return [
        Call("list_pipelines", "list_pipelines"),
        Call("get_pipeline", "get_pipeline", {"pipeline": failed["pipeline"]}),
        Call("list_runs", "list_runs"),
        Call("list_runs, by cause", "list_runs", {"group_by": "cause"}),
        Call("get_run, failed", "get_run", {"run": str(failed["run"])}),
        Call("get_run, completed", "get_run", {"run": str(completed["run"])}),
        Call("get_run_logs", "get_run_logs", {"run": str(failed["run"])}),
        Call("get_block_output", "get_block_output", {"block": block, "run": str(completed["run"])}),
        Call("list_triggers", "list_triggers"),
    ]


async def _latest(on: Bench, status: str) -> dict[str, str]:
    rows = (await on.timed.call("list_runs", status=status, limit=1)).data["items"]
    if not rows:
        raise SystemExit(f"This Mage has no {status} run; the bench needs one.")
    latest: dict[str, str] = rows[0]
    return latest


def shown(measured: list[Measured]) -> str:
    """The table."""
    head = [
        "call",
        "requests",
        "KB read",
        "bare ms",
        "tool ms",
        "min",
        "ratio",
        "+ ms",
        "own ms",
        "check ms",
        "KB told",
        "goal",
    ]
    rows = [
        [
            one.call.name,
            one.requests,
            f"{one.received / 1000:.1f}",
            f"{one.bare.median:.1f}",
            f"{one.tool.median:.1f}",
            f"{one.bare.least:.1f} / {one.tool.least:.1f}",
            f"{one.ratio:.2f}",
            f"{one.difference:.1f}",
            f"{one.work:.1f}",
            f"{one.check.median:.1f}",
            f"{size_of(one.answer) / 1000:.1f}",
            "held" if one.is_within(TIMES, PLUS_MS) else "MISSED",
        ]
        for one in measured
    ]
    return table(head, rows)


async def run(url: str, rounds: int) -> bool:
    """Measure and print; whether all goals are held."""
    async with bench(url) as on:
        measured = await on.measure(await calls(on), rounds)
    print(f"Medians of {rounds} pairs. Goal: tool ≤ {TIMES} × bare + {PLUS_MS:.0f} ms.")
    print(
        "`own ms`: processor time of client and server beyond that of the bare requests. `check ms`: what this client"
    )
    print("takes, beside that, to check the answer against the tool's schema, which is the host's affair.\n")
    print(shown(measured))
    return all(one.is_within(TIMES, PLUS_MS) for one in measured)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.calls", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--url", default="", help="a Mage without login that has failed and completed runs")
    where.add_argument("--real", action="store_true", help="start the seeded real Mage of the tests (the default)")
    parser.add_argument("--rounds", type=int, default=30, help="pairs of each call")
    chosen = parser.parse_args()
    if chosen.url:
        held = anyio.run(run, chosen.url, chosen.rounds)
    else:
        with start_seeded() as mage:
            held = anyio.run(run, mage.url, chosen.rounds)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

"""What a page costs at 100 pipelines and at 1,000 with 100,000 runs, on a real Mage: `python -m bench.scale`.

The goals: at 1,000 pipelines a call takes at most 1.2 times what its bare requests take; its answer has the size it has
at 100, give or take digits; no default answer is over 1,500 tokens (bytes / 4), none over 8,000. Exits with 1 where one
is missed.
"""

import argparse
import re
import sys
import time
from dataclasses import dataclass

import anyio

from bench.big import Size, start_big
from bench.measure import Bench, Call, Measured, bench, size_of, table
from tests.host import Answer
from tests.lab.mage import RealMage
from tests.lab.seed import start_seeded

SMALL, LARGE = Size(pipelines=100, runs=10_000), Size(pipelines=1_000, runs=100_000)
TIMES = 1.2
DEFAULT_TOKENS, MOST_TOKENS = 1_500, 8_000
SAME_SIZE = 0.01
"""By how much two answers of one size may differ where each number counts as one character."""
FULL = {"limit": 100}

_NUMBER = re.compile(r"\d+")
_NEXT = re.compile(r',"next_offset":\d+')


async def calls(on: Bench) -> list[Call]:
    """Default and full pages, and single runs. Both Mages give them the same number of rows."""
    failed, completed = [
        (await on.timed.call("list_runs", status=status, limit=1)).data["items"][0]
        for status in ("failed", "completed")
    ]
    lists = {
        "list_pipelines": ("list_pipelines", {}),
        "list_runs": ("list_runs", {}),
        "list_runs, failed": ("list_runs", {"status": "failed"}),
        "list_runs, one pipeline": ("list_runs", {"pipeline": failed["pipeline"]}),
        "list_runs, offset 1,000": ("list_runs", {"offset": 1000}),
        "list_triggers": ("list_triggers", {}),
    }
    return [
        *(Call(name, tool, arguments) for name, (tool, arguments) in lists.items()),
        *(Call(f"{name}, 100", tool, arguments | FULL) for name, (tool, arguments) in lists.items()),
        Call("list_runs, by cause", "list_runs", {"group_by": "cause"}),
        Call("get_pipeline", "get_pipeline", {"pipeline": failed["pipeline"]}),
        Call("get_run, failed", "get_run", {"run": str(failed["run"])}),
        Call("get_run, completed", "get_run", {"run": str(completed["run"])}),
    ]


def bare_size(answer: Answer) -> int:
    """The size of an answer's text where each number counts as one digit, and where to go on as nothing."""
    return len(_NUMBER.sub("0", _NEXT.sub("", answer.text)).encode())


@dataclass(frozen=True)
class Both:
    """One call on the two Mages."""

    small: Measured
    large: Measured

    @property
    def misses(self) -> list[str]:
        """The goals that it misses."""
        most = MOST_TOKENS if FULL.items() <= self.large.call.arguments.items() else DEFAULT_TOKENS
        small, large = bare_size(self.small.answer), bare_size(self.large.answer)
        goals = {
            "time": self.large.is_within(TIMES),
            "size": abs(large - small) <= SAME_SIZE * small,
            "tokens": max(size_of(one.answer) // 4 for one in (self.small, self.large)) <= most,
        }
        return [name for name, held in goals.items() if not held]

    @property
    def row(self) -> list[str]:
        small, large = self.small, self.large
        return [
            large.call.name,
            large.requests,
            f"{small.bare.median:.0f} / {small.tool.median:.0f}",
            f"{large.first.median:.0f}",
            f"{large.bare.median:.0f}",
            f"{large.tool.median:.0f}",
            f"{large.bare.least:.0f} / {large.tool.least:.0f}",
            f"{large.ratio:.2f}",
            f"{large.work:.1f}",
            f"{large.check.median:.1f}",
            f"{large.received / 1000:.0f}",
            str(size_of(small.answer)),
            str(size_of(large.answer)),
            str(size_of(large.answer) // 4),
            "held" if not self.misses else f"MISSED {', '.join(self.misses)}",
        ]


HEAD = [
    "call",
    "requests",
    "at 100: bare / tool ms",
    "at 1,000: first ms",
    "bare ms",
    "tool ms",
    "min",
    "ratio",
    "own ms",
    "check ms",
    "KB read",
    "bytes at 100",
    "at 1,000",
    "tokens",
    "goals",
]


async def _measure(url: str, rounds: int) -> list[Measured]:
    async with bench(url) as on:
        return await on.measure(await calls(on), rounds, first=True)


def measure(size: Size, like: RealMage, rounds: int) -> list[Measured]:
    """Start a Mage of this size, measure, stop it."""
    began = time.monotonic()
    with start_big(size, like) as mage:
        print(f"{size.pipelines} pipelines, {size.runs} runs: up after {time.monotonic() - began:.0f} s", flush=True)
        return anyio.run(_measure, mage.url, rounds)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each call, on each Mage")
    rounds: int = parser.parse_args().rounds
    with start_seeded(history=False) as like:
        small, large = measure(SMALL, like, rounds), measure(LARGE, like, rounds)
    both = [Both(*pair) for pair in zip(small, large, strict=True)]
    print(f"\nMedians of {rounds} rounds. Goals at 1,000 pipelines: tool ≤ {TIMES} × bare; the bytes there are at 100.")
    print(
        "`first`: the first request alone, the page itself. `own ms`: processor time of client and server. `check ms`:"
    )
    print("what this client takes, beside that, to check the answer against the tool's schema: the host's affair.\n")
    print(table(HEAD, [one.row for one in both]))
    return 1 if any(one.misses for one in both) else 0


if __name__ == "__main__":
    sys.exit(main())

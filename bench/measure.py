"""Tool calls beside the bare requests they are made of, in one run: alternating, medians, ratios."""

import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mcp import Client, ClientSession
from mcp.types import CallToolResult

from bench.replay import Recorder, Replay, Sent, after_which
from mage_mcp.server import build_server
from mage_mcp.settings import Cluster, Settings
from tests.host import Answer, Host, Person


@dataclass(frozen=True)
class Call:
    """One tool call and the name it has in the tables."""

    name: str
    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass
class Series:
    """Milliseconds of one thing done many times: of the clock, and of this process's own work."""

    wall: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.wall)

    @property
    def least(self) -> float:
        return min(self.wall)


@dataclass
class Measured:
    """A call, what it sent, what it answered, and both series."""

    call: Call
    sent: list[Sent]
    answer: Answer
    tool: Series = field(default_factory=Series)
    bare: Series = field(default_factory=Series)
    first: Series = field(default_factory=Series)
    """Of its first request alone."""
    check: Series = field(default_factory=Series)
    """Of the client's check of the answer against the tool's schema: the host's work, so `tool` is without it."""

    @property
    def ratio(self) -> float:
        return self.tool.median / self.bare.median

    @property
    def difference(self) -> float:
        """Milliseconds that the tool takes longer, pair by pair."""
        return statistics.median(t - b for t, b in zip(self.tool.wall, self.bare.wall, strict=True))

    @property
    def work(self) -> float:
        """Milliseconds of processor time that the tool costs this process beyond the bare requests."""
        return statistics.median(self.tool.work) - statistics.median(self.bare.work)

    @property
    def requests(self) -> str:
        """How many requests, and in how many steps one after the other: `6 in 2`."""
        depth: list[int] = []
        for follows in after_which(self.sent):
            depth.append(1 + max((depth[i] for i in follows), default=0))
        return f"{len(self.sent)} in {max(depth, default=0)}"

    @property
    def received(self) -> int:
        return sum(note.size for note in self.sent)

    def is_within(self, times: float, plus_ms: float = 0.0) -> bool:
        """By the medians, or by the fastest of each, which other work on the machine disturbs least."""
        pairs = ((self.tool.median, self.bare.median), (self.tool.least, self.bare.least))
        return any(tool <= times * bare + plus_ms for tool, bare in pairs)


@asynccontextmanager
async def host(url: str, wire: Recorder | None = None) -> AsyncIterator[Host]:
    """An MCP client in memory, connected to a server over the Mage at `url`."""
    server = build_server(Settings(clusters=(Cluster(url=url),)), wire=wire)
    async with Client(server) as client:
        yield Host(client, Person())


@asynccontextmanager
async def bench(url: str) -> AsyncIterator["Bench"]:
    """A host to time, one that writes down what it sends, and the bare client."""
    recorder = Recorder()
    async with host(url) as timed, host(url, recorder) as noted, Replay() as replay:
        yield Bench(timed, Check(timed.client.session), noted, recorder, replay)


class Check:
    """Takes the time of a client's check of answers, seconds in all."""

    def __init__(self, session: ClientSession) -> None:
        self.took = 0.0
        self._check = session.validate_tool_result
        session.validate_tool_result = self._timed  # type: ignore[method-assign]

    async def _timed(self, name: str, result: CallToolResult) -> None:
        began = time.perf_counter()
        await self._check(name, result)
        self.took += time.perf_counter() - began


@dataclass
class Bench:
    """What `measure` needs."""

    timed: Host
    check: Check
    noted: Host
    recorder: Recorder
    replay: Replay

    async def measure(self, calls: list[Call], rounds: int, *, first: bool = False) -> list[Measured]:
        """Each call and its bare requests, in turn, `rounds` times; which of them comes first changes.

        With `first`, the first request alone as well, which of a list is the page itself.
        """
        measured = [await self._prepare(call) for call in calls]
        for turn in range(rounds):
            for one in measured:
                ways = [(one.tool, None), (one.bare, one.sent), *([(one.first, one.sent[:1])] if first else [])]
                start = turn % len(ways)
                for series, sent in ways[start:] + ways[:start]:
                    checked = await self._time(one.call, series, sent)
                    if sent is None:
                        one.check.wall.append(checked)
        return measured

    async def _prepare(self, call: Call) -> Measured:
        """Warm up, and find out what the call sends."""
        for _ in range(2):
            await self.timed.call(call.tool, **call.arguments)
            self.recorder.take()
            answer = await self.noted.call(call.tool, **call.arguments)
        sent = self.recorder.take()
        await self.replay.send(sent)
        return Measured(call, sent, answer)

    async def _time(self, call: Call, series: Series, sent: list[Sent] | None) -> float:
        """Do it once, and answer what the client's check took beside that."""
        self.check.took = 0.0
        wall, work = time.perf_counter(), time.process_time()
        if sent is None:
            await self.timed.client.call_tool(call.tool, call.arguments)
        else:
            await self.replay.send(sent)
        work, wall = time.process_time() - work, time.perf_counter() - wall
        checked = self.check.took
        series.work.append((work - checked) * 1000)
        series.wall.append((wall - checked) * 1000)
        return checked * 1000


def size_of(answer: Answer) -> int:
    """Bytes of the larger form of an answer."""
    structured = json.dumps(answer.data, separators=(",", ":"))
    return max(len(answer.text.encode()), len(structured.encode()))


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, padded to be read as it is."""
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in (head, rule, *rows)
    )

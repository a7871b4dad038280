"""The tour itself: the story, told on a screen at a pace that can be read, over a server of its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from mage_mcp.tour.screen import Line, Screen
from mage_mcp.tour.server import Server, launched
from mage_mcp.tour.story import STORY, Digest, Step


@dataclass(frozen=True)
class Pace:
    """Seconds to read by, and how many times as fast as ours the simulated world's time passes while a call waits."""

    per_line_s: float
    world: float

    @classmethod
    def calm(cls) -> "Pace":
        return cls(per_line_s=0.17, world=12)

    @classmethod
    def fast(cls) -> "Pace":
        return cls(per_line_s=0, world=1000)

    async def read(self, lines: int) -> None:
        """Leave the time that so many lines need."""
        await anyio.sleep(self.per_line_s * lines)


@dataclass
class Cost:
    """What was counted: of the list of tools, which every conversation pays, and of the answers so far."""

    tools: int = 0
    of_tools: int = 0
    answers: list[int] = field(default_factory=list)


class Guide:
    """Tells the story of `story.py` (it is its Telling), and counts."""

    def __init__(self, server: Server, screen: Screen, pace: Pace) -> None:
        self._server, self._screen, self._pace = server, screen, pace
        self.cost = Cost()

    async def person(self, text: str) -> None:
        self._screen.show(Line("text"))
        await self._show(Line("person", text), 4)

    async def says(self, text: str) -> None:
        await self._show(Line("says", text), 3)

    async def call(self, tool: str, digest: Digest, **arguments: Any) -> dict[str, Any]:
        await self._show(Line("call", f"{tool}({_shown(arguments)})"), 1)
        reply = await self._server.call(tool, arguments, _Progress(self._screen).hear)
        for line in digest(reply.data):
            await self._show(line, 1)
        self.cost.answers.append(reply.tokens)
        await self._show(Line("cost", f"{reply.tokens} tokens"), 1)
        return reply.data

    async def _show(self, line: Line, worth_lines: int) -> None:
        self._screen.show(line)
        await self._pace.read(worth_lines)


class _Progress:
    """Shows what a server tells while it works; what only repeats itself is left out."""

    def __init__(self, screen: Screen) -> None:
        self._screen, self._last = screen, ""

    async def hear(self, after_s: float, message: str) -> None:
        if message != self._last:
            self._screen.show(Line("progress", f"{after_s:.0f} s: {message}"))
        self._last = message


async def take_the_tour(screen: Screen, pace: Pace, story: Sequence[Step] = STORY) -> Cost:
    """Tell it from beginning to end; what it cost. Raises TourFailed where the server refuses or ends."""

    async def asked(question: str) -> None:
        screen.show(Line("question", question))
        await pace.read(6)
        screen.show(Line("yes", "yes"))

    async with launched(pace.world, asked) as server:
        guide = Guide(server, screen, pace)
        guide.cost.tools, guide.cost.of_tools = await server.tool_tokens()
        for step in story:
            await step(guide)
        return guide.cost


def _shown(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())

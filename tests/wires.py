"""Wires for tests: one that answers by a script, and one to the simulated Mage that breaks where it is told to."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from mage_mcp.client import Clock
from mage_mcp.demo.app import create_app
from mage_mcp.demo.world import World

Answer = Callable[[httpx.Request], httpx.Response]


def says(body: Any = b"", status: int = 200, **headers: str) -> Answer:
    """A fresh answer with this body; anything but bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: httpx.Response(status, content=content, headers=named, request=request)


def breaks(error: type[httpx.TransportError]) -> Answer:
    """No answer. What the library says holds a secret, as it well may."""

    def raise_it(request: httpx.Request) -> httpx.Response:
        raise error("failed at http://bob:planted-password@mage.test/", request=request)

    return raise_it


class Script(httpx.AsyncBaseTransport):
    """Answers each request with the next step, and the last one for ever; remembers the requests."""

    def __init__(self, *steps: Answer) -> None:
        self._steps = list(steps)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return (self._steps.pop(0) if len(self._steps) > 1 else self._steps[0])(request)

    @property
    def sent(self) -> list[tuple[str, str]]:
        return [(request.method, request.url.raw_path.decode()) for request in self.requests]


@dataclass
class _Spoiled:
    method: str
    path: str
    answer: Answer
    arrives: bool
    times: int


class Wire(httpx.AsyncBaseTransport):
    """The simulated Mage, as long as nothing is spoiled."""

    def __init__(self, world: World) -> None:
        self._mage = httpx.ASGITransport(app=create_app(world))
        self._spoiled: list[_Spoiled] = []
        self.requests: list[httpx.Request] = []

    def spoil(self, method: str, path: str, answer: Answer, *, arrives: bool = False, times: int = 1) -> None:
        """Answer so the next `times` requests whose path ends so; whether Mage gets them is told by `arrives`."""
        self._spoiled.append(_Spoiled(method, path, answer, arrives, times))

    def mend(self) -> None:
        self._spoiled.clear()

    def count(self, method: str, path: str = "") -> int:
        return sum(r.method == method and r.url.raw_path.decode().endswith(path) for r in self.requests)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.raw_path.decode().partition("?")[0]
        for spoiled in self._spoiled:
            if spoiled.times and spoiled.method == request.method and path.endswith(spoiled.path):
                spoiled.times -= 1
                if spoiled.arrives:
                    await (await self._mage.handle_async_request(request)).aread()
                return spoiled.answer(request)
        return await self._mage.handle_async_request(request)


class Time:
    """A clock that stands until it is moved; sleeping moves it."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.slept: list[float] = []

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self._sleep)

"""The requests that a tool call sends, written down, and the same ones sent again by a bare HTTP client."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx

_AT_ONCE = 4  # as many connections as the client under test has


@dataclass
class Sent:
    """One request and its answer. Times are of this process's clock."""

    method: str
    url: str
    headers: list[tuple[bytes, bytes]]
    began: float
    ended: float = float("inf")
    size: int = 0


class Recorder(httpx.AsyncBaseTransport):
    """The network, and a note of everything that went over it. A request ends with the last byte of its answer."""

    def __init__(self) -> None:
        self._wire = httpx.AsyncHTTPTransport()
        self.sent: list[Sent] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass it on and note it."""
        if request.method != "GET":
            raise ValueError(f"a bench reads only, and this is a {request.method}")
        note = Sent(request.method, str(request.url), request.headers.raw, began=time.perf_counter())
        self.sent.append(note)
        response = await self._wire.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Noted(response.stream, note)
        return response

    async def aclose(self) -> None:
        """Close the network."""
        await self._wire.aclose()

    def take(self) -> list[Sent]:
        """What was sent since the last look."""
        taken, self.sent = self.sent, []
        return taken


class _Noted(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, note: Sent) -> None:
        self._stream = stream
        self._note = note

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._note.size += len(chunk)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
        self._note.ended = time.perf_counter()


def after_which(sent: list[Sent]) -> list[list[int]]:
    """For each request those that had ended when it began: what ran side by side is sent side by side again."""
    return [[i for i, other in enumerate(sent) if other.ended <= note.began] for note in sent]


class Replay:
    """Sends noted requests again: same URLs, headers and order, answers read and thrown away."""

    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=_AT_ONCE)
        self._http = httpx.AsyncClient(timeout=60, limits=limits, trust_env=False)

    async def __aenter__(self) -> "Replay":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.aclose()

    async def send(self, sent: list[Sent]) -> int:
        """All of them, each when those that it followed have ended; the bytes of the answers."""
        done = [asyncio.Event() for _ in sent]

        async def one(note: Sent, follows: list[int], ended: asyncio.Event) -> int:
            for i in follows:
                await done[i].wait()
            response = await self._http.request(note.method, note.url, headers=note.headers)
            ended.set()
            return len(response.content)

        if len(sent) == 1:
            return await one(sent[0], [], done[0])
        sizes = await asyncio.gather(
            *(one(*each) for each in zip(sent, after_which(sent), done, strict=True)),
        )
        return sum(sizes)

"""Runs that somebody listens to: looked at while anybody does, and told about when they change.

One poller a run, however many listen; it ends with the run, and with its last listener. On 2026-07-28 a client listens
by `subscriptions/listen`. Older clients cannot: the SDK answers their `resources/subscribe` with "method not found",
and offers no public way to serve it. They read the run again, or wait with get_run(wait_s=…).
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote

import anyio
from anyio.abc import TaskGroup
from mcp.server.subscriptions import ResourceUpdated, SubscriptionBus

from mage_mcp.client import Mage
from mage_mcp.client.deadline import call_deadline, outside_of_calls
from mage_mcp.client.records import UNFINISHED, RunRecord
from mage_mcp.errors import MageError, MageInvalid, MageNotFound

MOST_WATCHED = 50
FIRST_S, SLOWEST_S = 2.0, 10.0
"""Between two looks at a run where something happens, and at one where nothing does."""
DOWN_S = 120.0
"""At most, while Mage does not answer: each time twice as long as before."""
_ITS_SHARE = 5
"""A Mage that takes a second for an answer has five to itself."""
_LOOK_WITHIN_S = 30.0
_BEFORE_THE_ACK_S = 1.0
_RUN = re.compile(r"mage://clusters/(?P<cluster>[^/?#]+)/runs/(?P<run>[0-9]{1,18})")

Place = tuple[str, int]


@dataclass
class _Watch:
    """One run, and the addresses under which it is listened to."""

    mage: Mage
    run: int
    uris: Counter[str] = field(default_factory=Counter)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    looked: anyio.Event = field(default_factory=anyio.Event)
    late: bool = False
    """Somebody listens since before Mage first answered, and may have missed what happened until then."""
    over: bool = False


class Watcher:
    """Polls what is listened to, and publishes what changes on the bus. Asks nothing while nobody listens."""

    def __init__(self, bus: SubscriptionBus, mages: Mapping[str, Mage]) -> None:
        self._bus = bus
        self._mages = mages
        self._watches: dict[Place, _Watch] = {}
        self._group: TaskGroup | None = None
        self._listeners: set[anyio.CancelScope] = set()

    def close(self) -> None:
        """End all listening, since the server is about to end."""
        for scope in self._listeners:
            scope.cancel()

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        group, self._group = self._group, None
        if group is not None:
            group.cancel_scope.cancel()
            await group.__aexit__(None, None, None)

    @asynccontextmanager
    async def listening(self, uris: Iterable[str]) -> AsyncIterator[anyio.CancelScope]:
        """While inside, the runs among these are watched. Addresses of anything else never change.

        Entering waits a moment for the first look, so that whoever reads a run afterwards misses nothing. What it gives
        is cancelled by `close`.
        Raises MageInvalid where too many are watched already.
        """
        joined: list[tuple[_Watch, str]] = []
        scope = anyio.CancelScope()
        self._listeners.add(scope)
        try:
            places = ((uri, self._place(uri)) for uri in sorted(set(uris)))
            joined.extend((self._join(place, uri), uri) for uri, place in places if place is not None)
            with anyio.move_on_after(_BEFORE_THE_ACK_S):
                for watch, _ in joined:
                    await watch.looked.wait()
            for watch, _ in joined:
                watch.late |= not watch.looked.is_set()
            yield scope
        finally:
            self._listeners.discard(scope)
            for watch, uri in joined:
                self._leave(watch, uri)

    def _place(self, uri: str) -> Place | None:
        found = _RUN.fullmatch(uri)
        if found is None or unquote(found["cluster"]) not in self._mages:
            return None
        return unquote(found["cluster"]), int(found["run"])

    def _join(self, place: Place, uri: str) -> _Watch:
        watch = self._watches.get(place)
        if watch is None or watch.over:
            if self._group is None:
                raise RuntimeError("use `async with Watcher(…)`: its pollers need somebody to wait for them")
            if sum(not each.over for each in self._watches.values()) >= MOST_WATCHED:
                raise MageInvalid(
                    f"{MOST_WATCHED} runs are watched already.", next_step="End another subscription first."
                )
            watch = self._watches[place] = _Watch(self._mages[place[0]], place[1])
            self._group.start_soon(self._poll, watch)
        watch.uris[uri] += 1
        return watch

    def _leave(self, watch: _Watch, uri: str) -> None:
        watch.uris -= Counter((uri,))
        if not watch.uris:
            watch.scope.cancel()
            place = (watch.mage.name, watch.run)
            if self._watches.get(place) is watch:
                del self._watches[place]

    async def _poll(self, watch: _Watch) -> None:
        with watch.scope, outside_of_calls():
            await self._follow(watch)
        watch.over = True
        watch.looked.set()

    async def _follow(self, watch: _Watch) -> None:
        """Look until the run has ended, or is gone; that is told too."""
        clock, pause = watch.mage.clock, 0.0
        seen: RunRecord | None = None
        while True:
            began = clock.now()
            try:
                with call_deadline(_LOOK_WITHIN_S, clock):
                    now = await watch.mage.runs.record(watch.run)
            except MageNotFound:
                break
            except MageError:
                pause = min(max(FIRST_S, 2 * pause), DOWN_S)
                watch.late |= seen is None
            else:
                if now.status not in UNFINISHED:
                    break
                if watch.late if seen is None else _state(now) != _state(seen):
                    await self._tell(watch)
                    pause = 0.0
                pause = min(max(FIRST_S, 1.2 * pause), SLOWEST_S)
                pause = max(pause, _ITS_SHARE * (clock.now() - began))
                seen = now
            watch.looked.set()
            await clock.sleep(pause)
        if seen is None:
            # It may have ended between being read and being listened to: told once it is listened to for sure.
            watch.looked.set()
            await clock.sleep(FIRST_S)
        await self._tell(watch)

    async def _tell(self, watch: _Watch) -> None:
        for uri in list(watch.uris):
            await self._bus.publish(ResourceUpdated(uri))


def _state(run: RunRecord) -> tuple[str, frozenset[tuple[int, str]]]:
    return run.status, frozenset((block.id, block.status) for block in run.block_runs)

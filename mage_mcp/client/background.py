"""Work that goes on after the call that began it: as long as the client is open, and until it is done."""

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from mage_mcp.client.deadline import outside_of_calls


class Background:
    """A task group of the client's own. Leaving it waits for what still runs, however it is left."""

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._running = 0
        self._idle = anyio.Event()
        self._idle.set()
        self.closing = False
        """The process is to end: what cannot be done soon should be given up."""

    @property
    def busy(self) -> bool:
        return self._running > 0

    async def finish(self) -> None:
        """Wait until nothing runs, and let nothing be tried for ever."""
        self.closing = True
        await self._idle.wait()

    async def __aenter__(self) -> None:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()

    async def __aexit__(self, *_: object) -> None:
        self.closing = True
        group, self._group = self._group, None
        if group is not None:
            # Not told of an exception, it neither wraps it in a group nor cancels what runs.
            await group.__aexit__(None, None, None)

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin `work`: it is not cancelled with the call that began it, and has no part in that call's deadline."""
        if self._group is None:
            raise RuntimeError("use `async with Mage(…)`: this goes on after the call, and somebody has to wait for it")
        if not self._running:
            self._idle = anyio.Event()
        self._running += 1
        self._group.start_soon(self._run, work)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            with outside_of_calls(), anyio.CancelScope(shield=True):
                await work()
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

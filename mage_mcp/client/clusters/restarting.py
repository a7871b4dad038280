"""A restart that, once it may have stopped the cluster, starts it again: as work of its own, whatever its call does."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio

from mage_mcp.client.background import Background
from mage_mcp.client.clusters.cloud import STOPPED, Cloud, CloudState
from mage_mcp.client.clusters.notes import Notes, NotesFile
from mage_mcp.client.clusters.switching import bring_up
from mage_mcp.client.models import iso
from mage_mcp.errors import MageError, MageFailed, MageInvalid, MageReplyInvalid, MageWriteUncertain

log = logging.getLogger(__name__)

T = TypeVar("T")

_POLL_S = 3.0
_SLOWEST_RETRY_S = 30.0
_LONGEST_CLOSING_S = 900.0
"""A process that is told to end does not wait for ever for a Cloud that is gone."""
_STOP_TAKES_AT_MOST_S = 900.0
_STOP_SHOWS_WITHIN_S = 60.0
"""The Cloud may answer with what was before, for a moment."""


class Restart:
    """Stop, wait, start, with the replicas from before. `error` says why nothing was stopped."""

    def __init__(self, cloud: Cloud, notes: NotesFile, background: Background, *, resume: Notes | None = None) -> None:
        self._cloud = cloud
        self._notes = notes
        self._background = background
        self._replicas = resume.replicas if resume else None
        self._resumes = resume is not None
        self.before: CloudState | None = None
        self.began = anyio.Event()
        """The stop was sent, or refused: then `error` is set."""
        self.done = anyio.Event()
        """The start was sent, or given up, or never needed."""
        self.error: MageError | None = None
        self.given_up = False
        self._closing_since: float | None = None

    @property
    def replicas(self) -> int | None:
        return self._replicas

    async def run(self) -> None:
        """Source: Mage Pro API names a restart and shows no call for it; this is made of the two it shows."""
        try:
            if not self._resumes:
                await self._stop()
            self.began.set()
            await self._until_stopped()
            await self._start()
        except MageError as error:
            self.error = error
        finally:
            self.began.set()
            self.done.set()

    async def _stop(self) -> None:
        """Note it, then stop. Raises where the cluster was certainly not stopped."""
        async with self._cloud.writing():
            known = await anyio.to_thread.run_sync(self._notes.read)
            try:
                await self._cloud.again_if_not_taken(partial(self._note_and_put_down, known))
            except MageWriteUncertain:
                return  # it may be going down: it will be looked at, and started
            except MageError as error:
                if isinstance(error, MageFailed | MageReplyInvalid) and await self._may_go_down():
                    return
                await anyio.to_thread.run_sync(self._notes.restore, known)
                raise

    async def _note_and_put_down(self, known: Notes) -> None:
        before = self.before = await self._cloud.state()
        self._replicas = before.replicas or known.replicas
        noted = Notes(replicas=self._replicas, restart_began=iso(self._cloud.clock.utc()))
        try:
            await anyio.to_thread.run_sync(self._notes.write, noted)
        except OSError as error:
            raise MageInvalid(
                f"The restart could not be noted in {self._notes.path().parent} ({type(error).__name__}), so nothing "
                "was stopped: after a crash nobody would know of it.",
                next_step="Make that folder writable, or name another one in MAGE_MCP_STATE_DIR.",
            ) from None
        await self._put_down(before)

    async def _may_go_down(self) -> bool:
        """Whether a stop that the Cloud answered with an error may have begun all the same."""
        try:
            return not (await self._cloud.state()).is_up
        except MageError:
            return True

    async def _put_down(self, state: CloudState) -> None:
        config = {**state.writable_config(), "replicaCount": 0}
        self._cloud.wrote(("replicaCount",))
        await self._cloud.put(config, status=STOPPED, what=f"restart {state.title}", role="Admin")

    async def _until_stopped(self) -> None:
        """Wait, but not for ever: a start of what still stops is better than none."""
        clock = self._cloud.clock
        began, sent_again = clock.now(), False
        while clock.now() - began < _STOP_TAKES_AT_MOST_S:
            state = await self._patiently(self._cloud.state)
            if state is None or state.is_stopped:
                return
            if state.is_up and clock.now() - began >= _STOP_SHOWS_WITHIN_S:
                if sent_again or self._resumes:
                    return  # somebody started it
                sent_again = True
                await self._stop_again()
            await clock.sleep(_POLL_S)

    async def _stop_again(self) -> None:
        """The first one was lost, or somebody started it meanwhile."""

        async def act() -> None:
            state = await self._cloud.state()
            if state.is_up:
                await self._put_down(state)

        try:
            async with self._cloud.writing():
                await self._cloud.again_if_not_taken(act)
        except MageError as error:
            log.warning("The stop of a restart was not sent again: %s", error)

    async def _start(self) -> None:
        started = await self._patiently(lambda: bring_up(self._cloud, self._replicas or 1))
        if started is None:
            self.given_up = True
            return
        self.done.set()
        await anyio.to_thread.run_sync(self._notes.forget)

    async def _patiently(self, act: Callable[[], Awaitable[T]]) -> T | None:
        """Try until it succeeds, whatever hinders it; None where the process must end first."""
        pause = 1.0
        while True:
            try:
                return await act()
            except MageError as error:
                log.warning("A restart goes on; for now: %s", error)
            if self._is_late():
                log.error("A restart is given up, and the cluster may be stopped: start_cluster starts it.")
                return None
            await self._cloud.clock.sleep(pause)
            pause = min(2 * pause, _SLOWEST_RETRY_S)

    def _is_late(self) -> bool:
        """Whether the process has been waiting for this long enough."""
        if not self._background.closing:
            return False
        now = self._cloud.clock.now()
        if self._closing_since is None:
            self._closing_since = now
        return now - self._closing_since > _LONGEST_CLOSING_S

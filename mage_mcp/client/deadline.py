"""One time budget for a whole call: its requests, retries and waits share it."""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio

CALL_BUDGET_S = 50.0
"""Most MCP clients give a tool call 60 s; the answer itself needs some of them."""


@dataclass(frozen=True)
class Clock:
    """Where time comes from, so that tests can make it pass: seconds that only grow, and the time of day."""

    now: Callable[[], float] = anyio.current_time
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    utc: Callable[[], datetime] = lambda: datetime.now(UTC)


class Deadline:
    """Counts down from `budget_s` while it is not paused."""

    def __init__(self, budget_s: float, clock: Clock) -> None:
        self._now = clock.now
        self._ends = self._now() + budget_s
        self._paused_at: float | None = None
        self.patience = anyio.CancelScope()
        """Is cancelled when nobody answers; the whole call runs inside it."""

    def remaining(self) -> float:
        return max(0.0, self._ends - self._now())

    def pause(self, *, at_most_s: float) -> None:
        """Stop counting: the time a person takes to answer a question is not the call's. It has an end of its own."""
        self._paused_at = self._now()
        self.patience.deadline = anyio.current_time() + at_most_s

    def resume(self) -> None:
        if self._paused_at is not None:
            self._ends += self._now() - self._paused_at
            self._paused_at = None
            self.patience.deadline = math.inf


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def call_deadline(budget_s: float = CALL_BUDGET_S, clock: Clock | None = None) -> Iterator[Deadline]:
    """Give everything inside one budget. Nested calls keep the outer one."""
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    deadline = Deadline(budget_s, clock or Clock())
    token = _current.set(deadline)
    try:
        with deadline.patience:
            yield deadline
    finally:
        _current.reset(token)


@contextmanager
def outside_of_calls() -> Iterator[None]:
    """Without the deadline of the call that began this work: a task inherits it, and goes on after the call."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def remaining_s() -> float:
    """What is left of the current call's budget; a full one outside of any call."""
    deadline = _current.get()
    return CALL_BUDGET_S if deadline is None else deadline.remaining()


def current_deadline() -> Deadline | None:
    return _current.get()

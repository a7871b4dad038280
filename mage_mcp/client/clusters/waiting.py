"""Waiting for a cluster to become what it was told to be: bounded, with a word at every look."""

from collections.abc import Awaitable, Callable

from mage_mcp.client.clusters.cloud import CloudState
from mage_mcp.client.clusters.reading import ClusterReader
from mage_mcp.client.deadline import remaining_s
from mage_mcp.client.paths import api
from mage_mcp.errors import MageError, MageRefused

Report = Callable[[float, float, str], Awaitable[None]]
"""Hears of every look: seconds waited, seconds at most, a sentence."""

LONGEST_WAIT_S = 45.0
FOR_THE_ANSWER_S = 4.0
"""Seconds of a call that no wait takes."""
_POLL_FIRST_S = 1.0
_POLL_SLOWEST_S = 5.0


def is_ready(state: CloudState | None, answers: bool | None) -> bool:
    """Active, and its own API answers if it could be asked."""
    return state is not None and state.is_active and answers is not False


class ClusterWaiter(ClusterReader):
    """One cluster, looked at again and again."""

    async def _wait(
        self,
        until: Callable[[CloudState, bool | None], bool],
        wait_s: float,
        progress: Report | None,
        *,
        ask_api: bool = True,
    ) -> tuple[CloudState | None, bool | None]:
        """Look until it is so or the time is over; the last look. A look that fails is no end."""
        clock = self._cloud.clock
        wait_s = min(wait_s, LONGEST_WAIT_S, remaining_s() - FOR_THE_ANSWER_S)
        began, pause = clock.now(), _POLL_FIRST_S
        state: CloudState | None = None
        while True:
            answers: bool | None = None
            try:
                state = await self._cloud.state()
                if ask_api and self._cluster.url:
                    answers = state.is_active and await self._answers()
            except MageError:
                answers = None
            waited = clock.now() - began
            if progress is not None and state is not None and wait_s > 0:
                await progress(round(waited, 1), wait_s, _in_words(state, answers))
            if (state is not None and until(state, answers)) or waited >= wait_s:
                return state, answers
            await clock.sleep(min(pause, wait_s - waited))
            pause = min(pause * 1.3, _POLL_SLOWEST_S)

    async def _answers(self) -> bool:
        try:
            await self._transport.read(api("status"))
        except MageRefused:
            return True
        except MageError:
            return False
        return True


def _in_words(state: CloudState, answers: bool | None) -> str:
    if state.is_active and answers is False:
        return f"{state.title} is {state.status}; its own API does not answer yet"
    return f"{state.title} is {state.status}"

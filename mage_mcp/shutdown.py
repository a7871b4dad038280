"""How the server ends: at once, unless a restart of a cluster is half done; then after its second half."""

import logging
import os
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import anyio

from mage_mcp.client import Mage

log = logging.getLogger(__name__)


@asynccontextmanager
async def finishing_on_sigterm(mages: Collection[Mage]) -> AsyncIterator[None]:
    """While inside, SIGTERM waits for what must not be left half done.

    Closing the clients waits for it too, when stdin was closed; so it is left after them, for there are hosts that send
    SIGTERM two seconds later. `mages` is looked at when the signal comes. The SDK ends on SIGTERM in the middle of
    whatever it does. Windows has no such signal.
    """
    async with anyio.create_task_group() as group:
        if os.name == "posix":
            await group.start(_wait_for_sigterm, mages)
        yield
        group.cancel_scope.cancel()


async def _wait_for_sigterm(mages: Collection[Mage], *, task_status: anyio.abc.TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if any(mage.busy for mage in mages):
                log.warning("SIGTERM came during a restart: the server ends once the cluster was started again.")
            with anyio.CancelScope(shield=True):
                for mage in mages:
                    await mage.idle()
            break
    # The receiver has put the default back: die of the signal, as whoever sent it expects.
    os.kill(os.getpid(), signal.SIGTERM)

"""How the server ends: at once, unless a restart of a cluster is half done; then after its second half."""

import os
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import anyio

from mage_mcp.client import Mage


@asynccontextmanager
async def finishing_on_sigterm(mages: Iterable[Mage]) -> AsyncIterator[None]:
    """While inside, SIGTERM waits for what must not be left half done. A closed stdin does anyway: see `Mage`.

    The SDK ends on SIGTERM in the middle of whatever it does. Windows has no such signal.
    """
    async with anyio.create_task_group() as group:
        if os.name == "posix":
            await group.start(_wait_for_sigterm, list(mages))
        yield
        group.cancel_scope.cancel()


async def _wait_for_sigterm(mages: list[Mage], *, task_status: anyio.abc.TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            with anyio.CancelScope(shield=True):
                for mage in mages:
                    await mage.idle()
            break
    # The receiver has put the default back: die of the signal, as whoever sent it expects.
    os.kill(os.getpid(), signal.SIGTERM)

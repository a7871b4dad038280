"""A host at the real Mage on which everything has failed."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import stdio_host
from tests.host import Host
from tests.lab.failing import FailedRuns


@pytest.fixture(scope="session")
async def failures_host(real_failures: FailedRuns) -> AsyncIterator[Host]:
    """It speaks to the server through a real stdio subprocess."""
    async with stdio_host("auto", MAGE_URL=real_failures.url) as host:
        yield host

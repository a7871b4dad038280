"""What pytest needs to test against a real Mage: the option `--no-real` and three servers."""

import sys
from collections.abc import Iterator

import pytest

from tests.lab.failing import FailedRuns, all_failed
from tests.lab.mage import RealMage
from tests.lab.seed import start_seeded


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer `--no-real`."""
    parser.addoption("--no-real", action="store_true", help="leave out the tests that need a real Mage")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked `real` where it is not wanted, or cannot be; else give it a second try, which is reported.

    Mage has races of its own (see `seed.hold_workers`): of 1,500 such tests, one in some runs meets one.
    """
    if config.getoption("--no-real"):
        reason = "left out by --no-real"
    elif sys.platform == "win32":
        reason = "the lab that starts a real Mage runs on Linux and macOS"
    else:
        for item in items:
            if item.get_closest_marker("real"):
                item.add_marker(pytest.mark.flaky(reruns=1))
        return
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def real_mage() -> Iterator[RealMage]:
    """A real Mage with the demo project and a little history. All tests share it: leave it as you found it."""
    with start_seeded() as mage:
        yield mage


@pytest.fixture(scope="session")
def real_mage_with_login() -> Iterator[RealMage]:
    """A real Mage that asks for a login, EMAIL and PASSWORD of `tests.lab.mage`; the demo project, no runs."""
    with start_seeded(auth=True, history=False) as mage:
        yield mage


@pytest.fixture(scope="session")
def real_failures() -> Iterator[FailedRuns]:
    """A real Mage of its own on which every kind of failure has happened once: half a minute when first used."""
    with all_failed() as runs:
        yield runs

"""Serving stdio pays for nothing that it does not need: beside an empty server, spawned in turn."""

import pytest

from bench.startup import TIMES, measured, ratios

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("era", ["2026-07-28", "2025-11-25"])
def test_from_spawning_to_the_first_list_of_tools_it_takes_little_longer_than_an_empty_server(era: str):
    """By the medians or by the fastest; other work on the machine may spoil a round of either, so three are made."""
    found = []
    for _ in range(3):
        found.append(min(ratios(measured(6, era))))
        if found[-1] <= TIMES:
            return
    raise AssertionError(f"{found} times as long")

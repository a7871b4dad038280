"""Answers that would be too large hold as much as there is room for, and say how to go on."""

import json
from typing import Any

import pytest

from mage_mcp.client.models import Answer, how_many_fit
from mage_mcp.client.room import fair_shares
from mage_mcp.client.run_rows import RunRow
from mage_mcp.client.runs.pages import RunPage
from mage_mcp.tools._answer import to_result


def page_of(rows: int, *, error: str, limit: int, offset: int = 0) -> RunPage:
    row = RunRow(run=1, pipeline="p" * 200, status="failed", failed_block="b" * 40, error=error)
    return RunPage.fitted([row] * rows, total=1_000, limit=limit, offset=offset)


def tokens(answer: Answer) -> int:
    result = to_result(answer)
    texts = (result.content[0].text, json.dumps(result.structured_content, ensure_ascii=False))  # type: ignore[union-attr]
    return max(len(text.encode()) for text in texts) // 4


@pytest.mark.parametrize("letter", ["e", "語"])
@pytest.mark.parametrize(("limit", "most"), [(20, 1_500), (100, 8_000)])
def test_a_page_of_large_rows_is_cut_and_the_next_one_begins_where_it_ends(letter: str, limit: int, most: int) -> None:
    page = page_of(limit, error=letter * 120, limit=limit, offset=40)
    assert tokens(page) <= most
    assert 0 < len(page.items) < limit
    assert page.next_offset == 40 + len(page.items)
    assert f"Only {len(page.items)} rows fit" in page.note


def test_a_page_that_fits_is_whole_and_goes_on_behind_its_limit() -> None:
    page = page_of(90, error="bad", limit=100, offset=40)  # Mage counts rows that it cannot list
    assert (len(page.items), page.next_offset, page.note) == (90, 140, "")


@pytest.mark.parametrize(
    ("values", "room", "fit"),
    [([], 10, 0), (["x" * 100], 10, 1), (["a", "b", "c"], 8, 2), (["語"], 6, 1), ([1, 2], 4, 2)],
)
def test_one_value_fits_always_and_others_by_their_bytes(values: list[Any], room: int, fit: int) -> None:
    assert how_many_fit(values, room=room) == fit


@pytest.mark.parametrize(
    ("sizes", "room", "shares"),
    [
        ({"a": 10, "b": 20}, 100, {"a": 10, "b": 20}),
        ({"a": 10, "b": 500, "c": 900}, 410, {"a": 10, "b": 200, "c": 200}),
        ({"a": 900, "b": 0, "c": 120}, 300, {"a": 180, "b": 0, "c": 120}),
        ({"a": 10, "b": 10}, -5, {"a": 0, "b": 0}),
        ({}, 100, {}),
    ],
)
def test_what_small_parts_leave_of_the_room_the_large_ones_share(
    sizes: dict[str, int], room: int, shares: dict[str, int]
) -> None:
    assert fair_shares(sizes, room=room) == shares

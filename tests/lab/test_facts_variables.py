"""Facts about variables and secrets that the product relies on, checked on a real Mage."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from tests.lab.mage import RealMage
from tests.lab.wire import Refused, Wire

pytestmark = pytest.mark.real

PIPELINE = "fact_variables"
PATH = f"/api/pipelines/{PIPELINE}"
AT_ONCE = 20
VALUES: dict[str, Any] = {
    "whole": 7,
    "digits": "7",
    "fraction": 1.5,
    "no": False,
    "zero": 0,
    "empty_text": "",
    "empty_list": [],
    "empty_object": {},
    "nested": {"list": [1, {"null": None}], "ü": "☕"},
    "json": '{"a": 1}',
    "word_null": "null",
    "word_yes": "yes",
    "tilde": "~",
    "date": "2026-01-01",
    "lines": "a\n  b\n",
    "space": "  x ",
    "odd": "日本 \u2028 \x85 \x07 😀 'a': \"b\" # c",
    "huge_number": 10**30,
    "long": "x" * 49_000,
    "wide": {f"key_{n}": n for n in range(500)},
}


@pytest.fixture
def wire(real_mage: RealMage) -> Iterator[Wire]:
    """A wire to a Mage that has a fresh pipeline for these facts."""
    with Wire(real_mage.url) as wire:
        wire.post("/api/pipelines", {"pipeline": {"name": PIPELINE}})
        yield wire
        wire.delete(PATH)


def _set(wire: Wire, name: str, value: Any) -> dict[str, Any]:
    variable: dict[str, Any] = wire.post(f"{PATH}/variables", {"variable": {"name": name, "value": value}})["variable"]
    return variable


def _read(wire: Wire) -> dict[str, Any]:
    pipeline: dict[str, Any] = wire.get(PATH, includes_content=False, includes_outputs=False)["pipeline"]
    variables: dict[str, Any] = pipeline.get("variables", {})
    return variables


def test_values_of_any_type_come_back_as_they_were_sent(wire: Wire) -> None:
    for name, value in VALUES.items():
        _set(wire, name, value)
    read = _read(wire)
    assert read == VALUES
    assert {name: type(value) for name, value in read.items()} == {name: type(v) for name, v in VALUES.items()}


def test_null_and_names_that_are_no_identifiers_are_refused(wire: Wire) -> None:
    with pytest.raises(Refused, match="Value is empty"):
        _set(wire, "nothing", None)
    for name in ("", "two words", "1st", "a-b", "a.b", "a/b"):
        assert not name.isidentifier()
        with pytest.raises(Refused, match="Invalid variable name"):
            _set(wire, name, 1)
    for name in ("größe", "class", "_", "x" * 300):
        assert name.isidentifier()
        _set(wire, name, 1)
    assert set(_read(wire)) == {"größe", "class", "_", "x" * 300}


def test_a_post_overwrites_and_a_put_goes_by_the_name_in_its_body(wire: Wire) -> None:
    """Why it is the POST that is used for both."""
    _set(wire, "a", 1)
    assert _set(wire, "a", 2)["value"] == 2
    wire.put(f"{PATH}/variables/a", {"variable": {"name": "b", "value": 3}})
    assert _read(wire) == {"a": 2, "b": 3}


def test_what_is_removed_is_gone_and_what_is_not_there_is_an_error_unless_there_never_was_any(wire: Wire) -> None:
    wire.delete(f"{PATH}/variables/never")
    _set(wire, "a", 1)
    _set(wire, "b", 1)
    wire.delete(f"{PATH}/variables/a")
    assert _read(wire) == {"b": 1}
    with pytest.raises(Refused, match="'a'"):
        wire.delete(f"{PATH}/variables/a")
    wire.delete(f"{PATH}/variables/b")
    assert _read(wire) == {}


def test_twenty_variables_set_at_once_are_all_kept(wire: Wire) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda number: _set(wire, f"v_{number}", number), range(AT_ONCE)))
    assert _read(wire) == {f"v_{number}": number for number in range(AT_ONCE)}


def test_the_list_of_secrets_holds_names_and_no_values(wire: Wire) -> None:
    with suppress(Refused):  # of an earlier try
        wire.delete("/api/secrets/fact_secret")
    wire.post("/api/secrets", {"secret": {"name": "fact_secret", "value": "planted-value"}})
    try:
        listed = wire.get("/api/secrets", _limit=1000)
        assert "fact_secret" in [row["name"] for row in listed["secrets"]]
        assert all(set(row) == {"id", "name"} for row in listed["secrets"])
        assert "planted-value" not in str(listed)
    finally:
        wire.delete("/api/secrets/fact_secret")

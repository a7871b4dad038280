"""A member that is put into a file and taken out again leaves every byte as it was."""

import json

import pytest

from mage_mcp.hosts import jsonc
from tests.hosts.files_of_people import (
    EMPTY,
    JSON_WITH_A_TABLE,
    JSON_WITHOUT_A_TABLE,
    JSONC,
    ONLY_JSONC_EMPTY,
    random_jsonc,
    with_table,
)

TABLE = "mcpServers"
ENTRY = {"command": "/opt/mage-mcp", "args": ["--demo", 'a "b" \\ // c'], "env": {"MAGE_URL": "http://localhost:6789"}}
EXACT = JSON_WITH_A_TABLE | JSON_WITHOUT_A_TABLE | JSONC
EVERY = EXACT | EMPTY | ONLY_JSONC_EMPTY


def files(which: dict[str, str]) -> list[object]:
    return [pytest.param(with_table(text, TABLE), id=name) for name, text in which.items()]


@pytest.mark.parametrize("text", files(EVERY))
@pytest.mark.parametrize("entry", [ENTRY, {"command": "x"}, {}], ids=["full", "small", "empty"])
def test_put_adds_the_entry_and_changes_nothing_else(text: str, entry: dict[str, object]):
    before = jsonc.read(text).value
    after = jsonc.read(jsonc.put(text, TABLE, "mage", entry)).value
    assert after == {**before, TABLE: {**before.get(TABLE, {}), "mage": entry}}
    assert list(after[TABLE])[-1] == "mage"
    assert list(after)[: len(before)] == list(before)


@pytest.mark.parametrize("text", files(EXACT))
@pytest.mark.parametrize("entry", [ENTRY, {"command": "x"}, {}], ids=["full", "small", "empty"])
def test_what_was_put_in_and_is_taken_out_leaves_the_bytes_that_were_there(text: str, entry: dict[str, object]):
    assert jsonc.take(jsonc.put(text, TABLE, "mage", entry), TABLE, "mage") == text


@pytest.mark.parametrize("text", files(EMPTY | ONLY_JSONC_EMPTY))
def test_where_an_object_was_empty_it_is_empty_again(text: str):
    after = jsonc.take(jsonc.put(text, TABLE, "mage", ENTRY), TABLE, "mage")
    assert jsonc.read(after).value in ({}, {TABLE: {}})
    assert after.startswith(text.rstrip("\n{} ").partition(f'"{TABLE}"')[0].rstrip("{\n "))


@pytest.mark.parametrize("text", files(EVERY))
def test_put_only_inserts(text: str):
    """All that was there is there, in its order, save an empty object's own white space."""
    kept = iter(jsonc.put(text, TABLE, "mage", ENTRY))
    assert all(character in kept for character in text if not character.isspace())


@pytest.mark.parametrize("text", files(EVERY))
def test_putting_the_same_again_changes_nothing(text: str):
    once = jsonc.put(text, TABLE, "mage", ENTRY)
    assert jsonc.put(once, TABLE, "mage", ENTRY) == once


@pytest.mark.parametrize("text", files(EVERY))
def test_another_value_takes_the_place_of_the_first(text: str):
    changed = jsonc.put(jsonc.put(text, TABLE, "mage", ENTRY), TABLE, "mage", {"command": "y"})
    assert changed == jsonc.put(text, TABLE, "mage", {"command": "y"})


@pytest.mark.parametrize("text", files(EVERY))
def test_line_endings_stay_of_one_kind(text: str):
    after = jsonc.put(text, TABLE, "mage", ENTRY)
    assert after.count("\n") == after.count("\r\n") or "\r" not in after


@pytest.mark.parametrize("text", files(JSON_WITH_A_TABLE | JSON_WITHOUT_A_TABLE))
def test_plain_json_stays_plain(text: str):
    after = jsonc.put(text, TABLE, "mage", ENTRY)
    assert json.loads(after) == jsonc.read(after).value
    assert jsonc.read(after).plain


@pytest.mark.parametrize("text", files(JSONC))
def test_comments_and_trailing_commas_are_noticed(text: str):
    assert not jsonc.read(text).plain


@pytest.mark.parametrize("text", files(JSON_WITH_A_TABLE | JSONC))
def test_entries_that_others_put_behind_it_stay(text: str):
    both = jsonc.put(jsonc.put(text, TABLE, "mage", ENTRY), TABLE, "later", {"command": "z"})
    after = jsonc.take(both, TABLE, "mage")
    assert jsonc.read(after).value == jsonc.read(jsonc.put(text, TABLE, "later", {"command": "z"})).value


@pytest.mark.parametrize("seed", range(300))
def test_files_that_no_person_would_write(seed: int):
    text = random_jsonc(seed, TABLE)
    before = jsonc.read(text)
    added = jsonc.put(text, TABLE, "mage", ENTRY)
    assert jsonc.read(added).value == {**before.value, TABLE: {**before.value.get(TABLE, {}), "mage": ENTRY}}
    after = jsonc.take(added, TABLE, "mage")
    assert before.root
    table = before.root.member(TABLE)
    if before.root.members and (table is None or table.node.members):
        assert after == text
    else:  # an empty object's white space
        assert {TABLE: {}} | jsonc.read(after).value == {TABLE: {}} | before.value


def test_the_looks_of_the_file_are_kept():
    text = '{\n\t"mcpServers": {\n\t\t"other": {}\n\t}\n}\n'
    assert jsonc.put(text, TABLE, "mage", {"command": "x"}) == (
        '{\n\t"mcpServers": {\n\t\t"other": {},\n\t\t"mage": {\n\t\t\t"command": "x"\n\t\t}\n\t}\n}\n'
    )


def test_an_empty_file_becomes_one_as_people_write_it():
    assert jsonc.put("", TABLE, "mage", {"command": "x"}) == (
        '{\n  "mcpServers": {\n    "mage": {\n      "command": "x"\n    }\n  }\n}\n'
    )


def test_the_comma_goes_before_the_comment_and_the_entry_behind_it():
    text = '{\n  "servers": {\n    "other": {} // mine\n  }\n}\n'
    assert jsonc.put(text, "servers", "mage", {}) == (
        '{\n  "servers": {\n    "other": {}, // mine\n    "mage": {}\n  }\n}\n'
    )


def test_what_follows_never_falls_into_a_comment():
    text = '{\n  "servers": { // mine\n    "mage": {} }\n}\n'
    after = jsonc.take(text, "servers", "mage")
    assert jsonc.read(after).value == {"servers": {}}
    assert "// mine" in after


def test_of_a_name_that_stands_twice_the_last_one_counts():
    text = '{"servers": {"x": 1}, "servers": {"mage": {"a": 1}, "mage": {"b": 2}}}'
    assert jsonc.read(text).value == {"servers": {"mage": {"b": 2}}}
    assert jsonc.read(jsonc.put(text, "servers", "mage", {"c": 3})).value == {"servers": {"mage": {"c": 3}}}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        '{"a": 1,, "b": 2}',
        '{"a" 1}',
        '{"a": 1 "b": 2}',
        "{a: 1}",
        "{'a': 1}",
        '{"a": 01}',
        '{"a": .5}',
        '{"a": NaN}',
        '{"a": truely}',
        '{"a": "x\ny"}',
        '{"a": "\\x"}',
        '{"a": 1} {}',
        "{,}",
        "[1 2]",
        '{"a": /* not closed }',
        '{"a": "not closed}',
        "{" * 5 + '"a"',
        '{"a":' * 100_000,
        "mcpServers:\n  a: 1\n",
        "# comment\n{}",
    ],
)
def test_what_is_no_json_is_refused(text: str):
    with pytest.raises(jsonc.NotJson):
        jsonc.put(text, TABLE, "mage", ENTRY)
    with pytest.raises(jsonc.NotJson):
        jsonc.take(text, TABLE, "mage")


@pytest.mark.parametrize(
    "text", ["[]", "1", '"x"', '{"mcpServers": []}', '{"mcpServers": null}', '{"mcpServers": "x"}']
)
def test_where_no_object_is_nothing_is_put(text: str):
    with pytest.raises(jsonc.NotJson, match="no object"):
        jsonc.put(text, TABLE, "mage", ENTRY)


def test_a_refusal_says_the_line():
    with pytest.raises(jsonc.NotJson, match="Line 3"):
        jsonc.read('{\n  "a": 1\n  "b": 2\n}')

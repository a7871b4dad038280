"""What an error says: made short, and made comparable."""

import pytest

from mage_mcp.client.error_texts import (
    LONGEST_MESSAGE,
    LONGEST_SHORT,
    ShortError,
    cause_key,
    excerpt,
    quoted_sql_line,
    short_error,
    tidy,
)
from mage_mcp.client.records import BlockRunRecord

SAME_CAUSE = [
    ("ValueError", "row 17 of 2000 is bad", "row 3 of 1999 is bad"),
    ("ValueError", "took 1.5 s, at most 2", "took 12.25 s, at most 2"),
    ("ValueError", "no customer 'ada'", "no customer 'grace hopper'"),
    ("ValueError", 'no customer "ada"', 'no customer "grace"'),
    ("RuntimeError", "<Job at 0x7f40eb517420> lost", "<Job at 0x7f40eb7ce840> lost"),
    ("RuntimeError", "job 5ffce727ed344bd8b3d119870e5773c2 lost", "job b487178539b8476580c46fefa30ffa79 lost"),
    ("RuntimeError", "job 5ffce727-ed34-4bd8-b3d1-19870e5773c2 lost", "job b4871785-39b8-4765-80c4-6fefa30ffa79 lost"),
    ("OSError", "cannot read /data/2026/11/a.csv", "cannot read /data/2025/b.csv"),
    ("OSError", "cannot read in/2026-11-24.csv", "cannot read in/2026-11-25.csv"),
    ("Timeout", "since 2026-11-24 02:16:07", "since 2026-01-02 12:00:00"),
    ("KeyError", "'row_17'", "'row_18'"),
    ("KeyError", "'ada lovelace'", "'grace hopper'"),
    ("ValueError", "one\n  two", "one two"),
]
OTHER_CAUSE = [
    ("KeyError", "'amount'", "'price'"),
    ("ModuleNotFoundError", "No module named 'psycopg2_x'", "No module named 'duckdb'"),
    ("AttributeError", "'NoneType' object has no attribute 'sort'", "'list' object has no attribute 'sort'"),
    ("ValueError", "row 1 is empty", "row 1 is double"),
]


@pytest.mark.parametrize(("kind", "one", "other"), SAME_CAUSE)
def test_errors_that_differ_in_values_only_have_one_cause(kind: str, one: str, other: str) -> None:
    assert cause_key(ShortError(kind, one), "b") == cause_key(ShortError(kind, other), "b")


@pytest.mark.parametrize(("kind", "one", "other"), OTHER_CAUSE)
def test_errors_that_name_other_things_of_the_code_do_not(kind: str, one: str, other: str) -> None:
    assert cause_key(ShortError(kind, one), "b") != cause_key(ShortError(kind, other), "b")


def test_a_cause_is_of_a_block_and_of_an_error_type() -> None:
    error = ShortError("ValueError", "x")
    assert cause_key(error, "a") != cause_key(error, "b")
    assert cause_key(error, "a") != cause_key(ShortError("TypeError", "x"), "a")
    assert cause_key(error, "part:1") == cause_key(error, "part:2") == cause_key(error, "part")
    assert cause_key(ShortError(), "a") == "a"
    assert len(cause_key(ShortError("ValueError", "word " * 9_000), "a")) <= 2 * LONGEST_SHORT


def test_a_short_error_is_one_line_of_type_and_message() -> None:
    assert str(ShortError("ValueError", "no\n  rows")) == "ValueError: no rows"
    assert str(ShortError("ValueError", "")) == "ValueError"
    assert str(ShortError("", "no rows")) == "no rows"
    assert str(ShortError()) == ""
    assert len(str(ShortError("ValueError", "x" * 500))) == LONGEST_SHORT


def test_metrics_without_a_traceback_still_give_the_text() -> None:
    metrics = {"error": {"error": "password=hunter2\nrefused", "message": "NoneType: None"}}
    block_run = BlockRunRecord.model_validate({"id": 1, "block_uuid": "b", "status": "failed", "metrics": metrics})
    assert str(short_error(block_run)) == "password=••• refused"


def test_a_message_is_cut_in_its_middle_and_to_its_bound() -> None:
    exact = "x" * LONGEST_MESSAGE
    assert tidy(exact) == exact
    cut = tidy("a" * 400 + "b" * 400)
    assert len(cut) == LONGEST_MESSAGE
    assert cut.count("a") > 300
    assert cut.count("b") == 160
    assert "…\n" in cut


def test_sql_ends_where_the_wrapped_error_begins() -> None:
    text = "Execution failed on sql: SELECT 'Error: x'\nFROM t\nthe driver says no\nunable to rollback"
    assert tidy(text, cause="the driver says no") == (
        "Execution failed on sql (left out): the driver says no\nunable to rollback"
    )
    secret = "Execution failed on sql: SELECT 1\npassword=hunter2 refused"
    assert tidy(secret, cause="password=hunter2 refused") == "Execution failed on sql (left out): password=••• refused"


def test_an_excerpt_marks_its_line_and_leaves_out_blank_ends() -> None:
    source = "\n\na = 1\n\nb = 2\n\n\n"
    assert excerpt(source, 3) == ">   3 | a = 1\n    4 |\n    5 | b = 2"
    assert excerpt(source, 5) == "    3 | a = 1\n    4 |\n>   5 | b = 2"
    assert excerpt("one", 1) == ">   1 | one"
    assert excerpt("one", 2) == excerpt("one", 0) == ""
    assert excerpt("a\r\nb\rc", 3).split("\n")[-1] == ">   3 | c"
    assert excerpt("\n" * 9, 4) == ">   4 |"


def test_a_line_the_database_names_counts_only_if_the_file_has_it() -> None:
    source = "SELECT id\nFROM orders\n"
    assert quoted_sql_line("no table\nLINE 2: FROM orders\n   ^", source) == 2
    assert quoted_sql_line("no column\nLINE 1: SELECT i...\n   ^", source) == 1
    for message in ("LINE 2: FROM customers", "LINE 9: FROM orders", "LINE 0: x", "line 2", ""):
        assert quoted_sql_line(message, source) is None

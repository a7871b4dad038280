"""A secret that is masked in a text stays masked, whatever is changed around it, and whichever part is shown."""

import pytest

from mage_mcp.client.blocks.code import check_code, replaced
from mage_mcp.client.diffs import unified
from mage_mcp.client.hidden import hidden_spans, masked_lines
from mage_mcp.errors import MageInvalid
from mage_mcp.text import MASK, show

TEXT = "host: db\npassword: zq8hunter2\nport: 5\nurl: postgres://u:zq8second@h/x\nflag --api-key zq8third\n"
KEY_LINES = [f"MIIEzq8{number:02}abcdefghijklmnopqrstuvwx" for number in range(12)]
MARK = "RSA PRIVATE KEY-----"
KEY = "\n".join(["a = '''", f"-----BEGIN {MARK}", *KEY_LINES, f"-----END {MARK}", "'''", "x = 1"])


def test_lines_are_masked_as_the_whole_is():
    assert "\n".join(masked_lines(TEXT)) + "\n" == show(TEXT)
    assert masked_lines("") == []
    assert masked_lines("a\n\nb") == ["a", "", "b"]
    assert len(masked_lines(KEY)) == len(KEY.split("\n"))
    assert "zq8" not in "".join(masked_lines(KEY))


def test_what_nobody_sees_within_a_name_hides_no_secret():
    text = "pass\u200bword: \u2060zq8hunter2\x1b[0m and more"
    ((start, end),) = hidden_spans(text)
    assert text[start:end].startswith("zq8hunter2")
    assert "zq8" not in "".join(masked_lines(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("password", "note"),
        ("password: ", "note: "),
        ("password: ", "password:\n\n- "),
        ("://", ":/ /"),
        ("--api", "x"),
    ],
    ids=str,
)
def test_a_change_that_takes_the_name_from_a_secret_is_refused(old: str, new: str):
    with pytest.raises(MageInvalid, match="would be seen after this change; nothing was written"):
        replaced(TEXT, old, new, "x.yaml")


@pytest.mark.parametrize("old", ["password: z", "password: zq8hunter", "8hunter2\nport", "zq8hunter", "second@h"])
def test_a_piece_of_a_secret_cannot_be_guessed(old: str):
    right = _refusal(old)
    assert right == _refusal(f"{old[:-1]}\u00e6")
    assert "does not stand in" in right


def _refusal(old: str) -> str:
    with pytest.raises(MageInvalid) as caught:
        replaced(TEXT, old, "x", "x.yaml")
    return str(caught.value)


def test_who_knows_a_secret_may_replace_it_and_all_around_it_can_be_changed():
    assert "zq8new" in replaced(TEXT, "password: zq8hunter2", "password: zq8new", "x.yaml")
    assert "port: 6" in replaced(TEXT, "port: 5", "port: 6", "x.yaml")
    assert replaced(TEXT, "host: db\n", "", "x.yaml").startswith("password: zq8hunter2")


def test_a_diff_beside_a_key_of_several_lines_shows_nothing_of_it():
    diff = unified(KEY, KEY.replace("x = 1", "x = 2"), "x.py")
    assert "-x = 1\n+x = 2" in diff
    assert f" {MASK}" in diff
    assert "zq8" not in diff


def test_a_line_that_is_no_python_is_told_as_it_is_shown():
    with pytest.raises(MageInvalid) as caught:
        check_code(KEY.replace("a = '''\n", "").replace("-----BEGIN", "#-----BEGIN"), "python", "x.py")
    assert "zq8" not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("", "a\n", "@@ -0,0 +1 @@\n+a"),
        ("a\n", "", "@@ -1 +0,0 @@\n-a"),
        ("a\nb\n", "a\nc\n", "@@ -1,2 +1,2 @@\n a\n-b\n+c"),
        ("a\n", "a", "(only the line end at the end of the file changes)"),
    ],
)
def test_a_diff_reads_as_those_of_diff_do(before: str, after: str, told: str):
    assert unified(before, after, "x").endswith(told)

"""Tracebacks as text, in the shapes that Python gives them."""

import sys
import traceback

import pytest

from mage_mcp.client.tracebacks import Frame, Traceback, plain_type, read_traceback
from mage_mcp.client.user_code import project_path, user_frames


def raised(source: str) -> tuple[str, str]:
    """What Python prints when this block code raises, and str(exception)."""
    try:
        exec(compile(source, "<string>", "exec"), {"__name__": "builtins"})
    except Exception as error:
        return traceback.format_exc(), str(error)
    raise AssertionError(source)


def read(source: str) -> Traceback:
    found = read_traceback(*raised(source))
    assert found is not None
    return found


def line_of(source: str) -> int:
    frames, _ = user_frames([f for f in read(source).raised.frames if f.is_block_code], source)
    return frames[-1].line


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("raise ValueError('bad')", "ValueError", "bad"),
        ("raise ValueError('bad: worse: worst')", "ValueError", "bad: worse: worst"),
        ("raise ValueError()", "ValueError", ""),
        ("raise ValueError('')", "ValueError", ""),
        ("e = ValueError()\ne.add_note('word')\nraise e", "ValueError", ""),
        ("e = ValueError('x\\ny')\ne.add_note('KeyError: x')\nraise e", "ValueError", "x\ny"),
        ("e = ValueError('x')\ne.add_note('not a type: x')\nraise e", "ValueError", "x"),
        ("raise ValueError('\\nx')", "ValueError", "x"),
        ("raise ValueError('not x: KeyError: x')", "ValueError", "not x: KeyError: x"),
        ("raise ValueError('one\\ntwo\\n')", "ValueError", "one\ntwo"),
        ("raise ValueError('one\\r\\ntwo')", "ValueError", "one\ntwo"),
        ("raise ValueError('KeyError: 1\\nKeyError: 1')", "ValueError", "KeyError: 1\nKeyError: 1"),
        ("{}['a']", "KeyError", "'a'"),
        ("import json; json.loads('{')", "json.decoder.JSONDecodeError", None),
        ("def f():\n class E(Exception): pass\n raise E('x')\nf()", "f.<locals>.E", "x"),
        ("a b", "SyntaxError", "invalid syntax"),
        ("try:\n 1/0\nexcept Exception as e:\n raise OSError(2, 'gone', 'f') from e", "FileNotFoundError", None),
        ("raise ExceptionGroup('g', [ValueError('g (1 sub-exception)')])", "ExceptionGroup", "g (1 sub-exception)"),
    ],
)
def test_type_and_message_are_those_of_the_exception(source: str, kind: str, message: str | None) -> None:
    text, error = raised(source)
    found = read_traceback(text, error)
    assert found is not None
    assert found.raised.type == kind
    assert found.raised.message == (error if message is None else message)


def test_without_the_exceptions_text_the_traceback_alone_is_read() -> None:
    for source in ("raise ValueError('bad')", "raise ValueError()", "raise ValueError('one\\ntwo')"):
        text, error = raised(source)
        found = read_traceback(text)
        assert found is not None
        assert (found.raised.type, found.raised.message) == ("ValueError", error)


def test_without_the_exceptions_text_chains_and_groups_are_read_as_well() -> None:
    chain, _ = raised("try:\n    1 / 0\nexcept Exception as e:\n    raise ValueError('v') from e")
    group, _ = raised("try:\n    1 / 0\nexcept Exception as e:\n    raise ExceptionGroup('g', [e])")
    of_groups = (
        "try:\n    raise ExceptionGroup('h', [E])\nexcept Exception as e:\n    raise ExceptionGroup('g', [e]) from e"
    )
    groups, _ = raised(of_groups.replace("E]", "OSError()]"))
    one = "g (1 sub-exception)"
    for text, kind, message in (
        (chain, "ValueError", "v"),
        (group, "ExceptionGroup", one),
        (groups, "ExceptionGroup", one),
    ):
        found = read_traceback(text)
        assert found is not None
        assert (found.raised.type, found.raised.message) == (kind, message)
        assert [frame.line for frame in found.raised.frames if frame.is_block_code] == [4]


def test_a_text_that_does_not_belong_is_not_relied_on() -> None:
    text, _ = raised("raise ValueError('bad')")
    found = read_traceback(text, "another text")
    assert found is not None
    assert found.raised.type == "ValueError"


def test_what_is_no_traceback_is_none() -> None:
    for text in ("", "NoneType: None", "ValueError", "Traceback (most recent call last):", "words\nand words"):
        assert read_traceback(text) is None
        assert read_traceback(text, "") is None


def test_notes_are_kept_apart_from_the_message() -> None:
    found = read("e = ValueError('bad')\ne.add_note('seen in row 2\\nof 3')\nraise e")
    assert (found.raised.message, found.notes) == ("bad", "seen in row 2\nof 3")
    assert found.text == "bad\nseen in row 2\nof 3"


def test_the_line_is_that_of_the_last_exception_of_a_chain() -> None:
    explicit = "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('v') from e"
    implicit = "try:\n    1 / 0\nexcept ZeroDivisionError:\n    {}['a']"
    for source in (explicit, implicit):
        assert line_of(source) == 4
        first = read(source).first
        assert first is not None
        assert (first.type, first.message) == ("ZeroDivisionError", "division by zero")
        assert [frame.line for frame in first.frames if frame.is_block_code] == [2]


def test_the_first_of_a_long_chain_is_the_cause() -> None:
    inner = "try:\n  1 / 0\n except Exception as e:\n  raise KeyError(1) from e"
    source = f"try:\n {inner}\nexcept Exception as e:\n raise ValueError('v') from e"
    found = read(source)
    assert found.first is not None
    assert (found.raised.type, found.first.type) == ("ValueError", "ZeroDivisionError")
    assert [frame.line for frame in found.raised.frames if frame.is_block_code] == [7]


def test_exceptions_that_mage_handles_for_itself_are_no_cause() -> None:
    mage = '  File "/opt/mage/lib/python3.11/site-packages/mage_ai/x.py", line 3, in run\n'
    head = "Traceback (most recent call last):\n"
    during = "\nDuring handling of the above exception, another exception occurred:\n\n"
    last = head + '  File "<string>", line 1, in f\nValueError: v\n'
    own = read_traceback(head + mage + "RuntimeError: no running event loop\n" + during + last, "v")
    library = mage.replace("mage_ai", "requests")
    other = read_traceback(head + mage + library + "OSError: refused\n" + during + last, "v")
    assert own is not None
    assert other is not None
    assert own.first is None
    assert other.first is not None


def test_a_group_is_raised_where_it_is_and_lists_what_is_in_it() -> None:
    source = "\n".join(
        [
            "def f():",
            "    raise ValueError('inner')",
            "try:",
            "    f()",
            "except ValueError as e:",
            "    raise ExceptionGroup('outer', [e, ExceptionGroup('deeper', [KeyError('k')])])",
        ]
    )
    found = read(source)
    assert (found.raised.type, found.raised.message) == ("ExceptionGroup", "outer (2 sub-exceptions)")
    assert line_of(source) == 6
    assert [(part.type, part.message) for part in found.inner] == [
        ("ValueError", "inner"),
        ("ExceptionGroup", "deeper (1 sub-exception)"),
        ("KeyError", "'k'"),
    ]
    assert [frame.line for frame in found.inner[0].frames][-1] == 2


def test_lines_of_a_message_that_look_like_a_table_are_left_alone() -> None:
    message = "bad rows:\n| a | b |\n+---------+\n| 1 | 2 |"
    assert read(f"raise ValueError({message!r})").raised.message == message


def test_repeated_frames_are_one() -> None:
    source = "def f():\n    f()\nf()"
    frames, fits = user_frames([f for f in read(source).raised.frames if f.is_block_code], source)
    assert [frame.line for frame in frames] == [3, 2]
    assert fits


def test_frames_are_checked_by_the_function_around_their_line() -> None:
    source = "class A:\n    x = [n for n in (1,)]\n\n@dec\nasync def f():\n    return (lambda: 1)\n"
    for frame in (
        Frame("<string>", 2, "A"),
        Frame("<string>", 2, "<listcomp>"),
        Frame("<string>", 4, "f"),
        Frame("<string>", 6, "<lambda>"),
        Frame("<string>", 6, "<module>"),
    ):
        assert user_frames([frame], source) == ([frame], True)
    for frame in (Frame("<string>", 2, "f"), Frame("<string>", 6, "<genexpr>"), Frame("<string>", 99, "<module>")):
        assert user_frames([frame], source) == ([frame], False)


def test_a_syntax_error_of_another_python_leaves_the_file_as_it_is() -> None:
    frame = Frame("<string>", 1, "")
    assert user_frames([frame], "x = 1\n") == ([frame], True)


def test_a_comprehension_of_several_lines_is_one_function() -> None:
    source = "def f():\n    return [\n        g(n)\n        for n in h()\n    ]\n"
    for number in (2, 3, 4, 5):
        frame = Frame("<string>", number, "<listcomp>")
        assert user_frames([frame], source) == ([frame], True)


def test_code_that_does_not_parse_checks_nothing() -> None:
    frames = [Frame("<string>", 1, "f"), Frame("<string>", 9, "g")]
    for source in ("def f(:", "\0", None, "(" * 500 + ")" * 500):
        assert user_frames(frames, source) == (frames, True)


@pytest.mark.filterwarnings("error")
def test_odd_escapes_in_the_users_code_warn_nobody() -> None:
    frame = Frame("<string>", 2, "f")
    assert user_frames([frame], "def f():\n    return '\\d'\n") == ([frame], True)


@pytest.mark.parametrize(
    ("file", "repo", "expected"),
    [
        ("/srv/p/utils/a.py", "/srv/p", "utils/a.py"),
        ("/srv/p/utils/a.py", "/srv/p/", "utils/a.py"),
        ("/srv/p/utils/a.py", "", "utils/a.py"),
        ("/srv/p/utils/deep/a.py", "/srv/p", "utils/deep/a.py"),
        ("/srv/pp/utils/a.py", "/srv/p", None),
        ("/srv/p/.venv/lib/python3.12/site-packages/a.py", "/srv/p", None),
        ("/usr/lib/python3.12/json/decoder.py", "", None),
        ("/opt/mage_ai/shared/a.py", "", None),
        ("pandas/_libs/index.pyx", "", None),
        ("<frozen importlib._bootstrap>", "", None),
        ("C:\\p\\utils\\a.py", "C:\\p", "utils/a.py"),
    ],
)
def test_only_files_of_the_project_are_the_users(file: str, repo: str, expected: str | None) -> None:
    frames, _ = user_frames([Frame(file, 1, "f")], None, repo)
    assert [project_path(frame.file, repo) for frame in frames] == ([expected] if expected else [])


def test_this_python_prints_the_frames_that_are_read() -> None:
    frame = read("def f():\n    raise ValueError('x')\nf()").raised.frames[-1]
    assert (frame.file, frame.line, frame.function) == ("<string>", 2, "f"), sys.version


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("raise ValueError('bad: worse')", "ValueError"),
        ("raise KeyError('amount')", "KeyError"),
        ("raise ValueError()", None),
        ("raise ValueError('x\\ny')", None),
        ("e = ValueError('x')\ne.add_note('a note')\nraise e", None),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise ValueError('bad')", None),
        ("raise ExceptionGroup('many', [ValueError('bad')])", None),
    ],
)
def test_the_type_of_an_error_that_came_alone_is_told_without_reading_its_frames(source: str, kind: str | None) -> None:
    assert plain_type(*raised(source)) == kind
    assert kind is None or read(source).raised.type == kind


def test_a_traceback_that_holds_nothing_but_its_header_has_no_type() -> None:
    text = "Traceback (most recent call last):\nDuring handling of the above exception, another exception occurred:"
    found = read_traceback(text, "bad")
    assert found is None or found.raised.type == ""

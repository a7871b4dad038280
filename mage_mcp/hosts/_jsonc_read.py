"""JSON with comments and trailing commas, read with the position of every member of every object.

Strict in all else (RFC 8259): what this reads, VS Code, Zed and, without comments and trailing commas, every other
JSON parser read the same way. Of a key that stands twice the last one counts, as it does for them.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

_SPACE = re.compile(r"[ \t\r\n]*+")
_COMMENT = re.compile(r"//[^\r\n]*+|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+"')
_SCALAR = re.compile(r"(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null)(?![\w.])")


class NotJson(ValueError):
    """The text is no JSON, with or without comments; says in which line."""


@dataclass(frozen=True)
class Node:
    """A value at text[start:end]. `members` and `inside` are those of an object.

    `inside` is where a further member goes: behind the last token or comment before the closing brace.
    """

    value: Any
    start: int
    end: int
    members: tuple["Member", ...] = ()
    inside: int = 0

    def member(self, key: str) -> "Member | None":
        return next((member for member in reversed(self.members) if member.key == key), None)


@dataclass(frozen=True)
class Member:
    """`"key": value` from `start` on; `comma` is the position of the comma behind it, None where there is none."""

    key: str
    start: int
    node: Node
    comma: int | None


@dataclass(frozen=True)
class Document:
    """A whole file. `plain` is false where it has comments or trailing commas. An empty file has no `root`."""

    root: Node | None
    plain: bool

    @property
    def value(self) -> Any:
        return self.root.value if self.root else {}


def read(text: str) -> Document:
    """Raises NotJson."""
    reader = _Reader(text)
    try:
        return reader.document()
    except RecursionError:
        raise NotJson("It is nested too deeply.") from None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._behind = 0  # the last comment or token read
        self._plain = True

    def document(self) -> Document:
        self._skip()
        if self._at == len(self._text):
            return Document(None, self._plain)
        root = self._value()
        self._skip()
        if self._at != len(self._text):
            self._fail("something stands behind the end")
        return Document(root, self._plain)

    def _value(self) -> Node:
        start = self._at
        here = self._text[start : start + 1]
        if here == "{":
            return self._object()
        if here == "[":
            return self._array()
        if here == '"':
            return Node(self._string(), start, self._at)
        found = _SCALAR.match(self._text, start)
        if not found:
            self._fail("a value is missing or is none of JSON's")
        self._at = self._behind = found.end()
        return Node(json.loads(found.group()), start, self._at)

    def _object(self) -> Node:
        start = self._at
        self._token("{")
        members: list[Member] = []
        while True:
            self._skip()
            inside = self._behind
            if self._take("}"):
                break
            if members and members[-1].comma is None:
                self._fail("a comma is missing")
            members.append(self._member())
        self._plain &= not (members and members[-1].comma is not None)
        return Node({m.key: m.node.value for m in members}, start, self._at, tuple(members), inside)

    def _member(self) -> Member:
        start = self._at
        key = self._string()
        self._skip()
        self._token(":")
        self._skip()
        node = self._value()
        behind = self._behind
        self._skip()
        comma = self._at
        if self._take(","):
            return Member(key, start, node, comma)
        self._at, self._behind = node.end, behind  # comments are read again: they may be the last thing inside
        return Member(key, start, node, None)

    def _array(self) -> Node:
        start = self._at
        self._token("[")
        values: list[Any] = []
        comma = True
        while True:
            self._skip()
            if self._take("]"):
                break
            if not comma:
                self._fail("a comma is missing")
            values.append(self._value().value)
            self._skip()
            comma = self._take(",")
        self._plain &= not (values and comma)
        return Node(values, start, self._at)

    def _string(self) -> str:
        found = _STRING.match(self._text, self._at)
        if not found:
            self._fail("a string in double quotes is missing or not closed")
        self._at = self._behind = found.end()
        return str(json.loads(found.group()))

    def _take(self, token: str) -> bool:
        if self._text[self._at : self._at + 1] != token:
            return False
        self._at += 1
        self._behind = self._at
        return True

    def _token(self, token: str) -> None:
        if not self._take(token):
            self._fail(f"{token!r} is missing")

    def _skip(self) -> None:
        """Over white space and comments."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            comment = _COMMENT.match(self._text, self._at)
            if not comment:
                return
            self._plain = False
            self._at = self._behind = comment.end()

    def _fail(self, why: str) -> NoReturn:
        line = self._text.count("\n", 0, self._at) + 1
        raise NotJson(f"Line {line}: {why}.")

"""One `[table.name]` of a TOML file, put in or taken out; every other byte stays as it is.

Our own, because tomlkit 0.15.2 does not give back the bytes that were there when what was put in is taken out again,
writes LF into CRLF files, and puts a table in the middle of others. What is written here is read by tomllib before it
is handed out, and refused unless it says what was there and the entry.
"""

import json
import re
import tomllib
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:[^"\\\n]|\\.)*+"|\'[^\'\n]*+\'|#[^\n]*+|\n|[\[\]{}]',
    re.DOTALL,
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class NotToml(ValueError):
    """The text is no TOML, or holds the entry in a form that cannot be edited without touching the rest."""


@dataclass(frozen=True)
class _Section:
    """A table's header with its lines: text[start:end], without blank lines and comments behind them."""

    path: tuple[str, ...]
    start: int
    end: int


def read(text: str) -> dict[str, Any]:
    """Raises NotToml."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotToml(f"{error}.") from None


def put(text: str, table: str, name: str, value: dict[str, Any]) -> str:
    """The text with `[table.name]`, at its end where it is new. Raises NotToml."""
    wanted = read(text)
    servers = wanted.setdefault(table, {})
    if not isinstance(servers, dict):
        raise NotToml(f"In it, {table!r} is no table.")
    servers[name] = value
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = rendered(table, name, value).replace("\n", newline)
    ours = _sections(text, table, name)
    if ours:
        first, *others = ours
        written = text
        for section in reversed(others):
            written = _cut(written, section)
        last = "" if first.end == len(text) and not text.endswith("\n") else newline
        return _checked(written[: first.start] + lines + last + written[first.end :], wanted)
    if not text:
        return lines + newline
    closed = text.endswith("\n")
    gap = newline if closed else newline * 2
    return _checked(text + gap + lines + (newline if closed else ""), wanted)


def take(text: str, table: str, name: str) -> str:
    """The text without `[table.name]`; the same text where it is not there. Raises NotToml."""
    wanted = read(text)
    servers = wanted.get(table)
    if not isinstance(servers, dict) or name not in servers:
        return text
    del servers[name]
    written = text
    for section in reversed(_sections(text, table, name)):
        written = _cut(written, section)
    if not servers and table not in read(written):
        del wanted[table]
    return _checked(written, wanted)


def rendered(table: str, name: str, value: dict[str, Any]) -> str:
    """The entry as lines, without the last line's end."""
    lines = [f"[{_key(table)}.{_key(name)}]"]
    return "\n".join(lines + [f"{_key(key)} = {_value(item)}" for key, item in value.items()])


def _checked(text: str, wanted: dict[str, Any]) -> str:
    try:
        is_right = tomllib.loads(text) == wanted
    except ValueError:
        is_right = False
    if not is_right:
        raise NotToml("It holds its servers in a form that only a person can edit, such as an inline table.")
    return text


def _cut(text: str, section: _Section) -> str:
    """Without the section and one blank line before it; a file that did not end with a line's end does not again."""
    before, after = text[: section.start], text[section.end :]
    unclosed = not text[: section.end].endswith("\n")
    for drop in (before == "" or re.search(r"(?:\n|\A)\r?\n\Z", before), unclosed):
        if drop:
            before = before.removesuffix("\n").removesuffix("\r")
    return before + after


def _sections(text: str, table: str, name: str) -> list[_Section]:
    return [section for section in _all_sections(text) if section.path[:2] == (table, name)]


def _all_sections(text: str) -> list[_Section]:
    headers: list[tuple[int, int]] = []  # start and end of each header's line
    ends: list[int] = []  # of each header's last line that is more than a comment
    for start, end, is_header in _lines(text):
        if is_header:
            headers.append((start, end))
            ends.append(end)
        elif headers and text[start:end].strip() and not text[start:end].lstrip().startswith("#"):
            ends[-1] = end
    return [_Section(_path(text[start:line]), start, end) for (start, line), end in zip(headers, ends, strict=True)]


def _lines(text: str) -> list[tuple[int, int, bool]]:
    """Each statement's lines as (start, end, is a header); strings and arrays over several lines are one."""
    lines: list[tuple[int, int, bool]] = []
    start, depth = 0, 0
    for found in _TOKEN.finditer(text):
        mark = found.group()
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        elif mark == "\n" and depth == 0:
            lines.append((start, found.end(), text[start : found.end()].lstrip().startswith("[")))
            start = found.end()
    if start < len(text):
        lines.append((start, len(text), text[start:].lstrip().startswith("[")))
    return lines


def _path(header: str) -> tuple[str, ...]:
    """The keys of `[a."b".c]`, as tomllib reads them."""
    table: Any = tomllib.loads(header)
    keys: list[str] = []
    while isinstance(table, dict) and table:
        ((key, table),) = table.items()
        keys.append(key)
    return tuple(keys)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)

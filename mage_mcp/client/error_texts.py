"""What an error says, fit to be passed on: cleaned, without SQL and paths of the server, short; and its cause's key."""

import re
from typing import NamedTuple

from mage_mcp.client.records import BlockRunRecord
from mage_mcp.client.tracebacks import Traceback, plain_type, read_traceback
from mage_mcp.text import MASK, one_line, shorten, show, show_end, show_start

LONGEST_MESSAGE = 500
LONGEST_SHORT = 120
_TAIL = 160  # of a long message: what drivers and tools name last is often the reason
_LONGEST_READ = 8_000  # of a message, before it is cleaned; its ends are enough
_CONTEXT_LINES = 3
_LONGEST_CODE_LINE = 160

_INSTALLED = re.compile(r"(?<![^\s\"'(<>])[^\s\"'(<>]*/(?:(?:site|dist)-packages|lib/python\d[\d.]*)/")
_HOME = re.compile(r"(?:/home|/Users|[A-Za-z]:\\Users)[/\\][^\s/\\\"']+[/\\]")
_SQLALCHEMY = re.compile(r"\s*\[SQL: .*\Z", re.DOTALL)
_PANDAS_SQL = "Execution failed on sql"
_PANDAS_QUOTED = re.compile(r"Execution failed on sql '.*?': ", re.DOTALL)
_DRIVER_SPEAKS = re.compile(r"^\s*(?:[\w.]+ )*(?:\w*Error|\w*Exception|ERROR|FATAL)\b.*", re.MULTILINE)
_SQL_LEFT_OUT = f"{_PANDAS_SQL} (left out): "
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)

_NAMED_IN_CODE = ("AttributeError", "ImportError", "KeyError", "ModuleNotFoundError", "NameError", "UnboundLocalError")
_QUOTED = re.compile(r"'(?P<one>(?:[^'\\\n]|\\.)*)'|\"(?P<two>(?:[^\"\\\n]|\\.)*)\"")
_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[/\\][\w.@~+-]+){2,}[/\\]?|\b\w[\w.-]*(?:/[\w.-]+)+")
_HEX = re.compile(r"\b0x[0-9a-f]+\b|\b(?=[0-9a-f-]*\d)[0-9a-f]{8}(?:-?[0-9a-f]{4,}){1,}\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.,:-]\d+)*")


class ShortError(NamedTuple):
    """An error in a list of runs."""

    type: str = ""
    message: str = ""

    def __str__(self) -> str:
        """`TYPE: message` on one line, or the half there is."""
        return one_line(": ".join(part for part in self if part), LONGEST_SHORT)


def short_error(block_run: BlockRunRecord) -> ShortError:
    """The error of a failed block, from its metrics alone; empty where there is none.

    Metrics are cheap (runs come with them) but may be missing, or of an attempt before the last one. A block that is
    not `failed` keeps the error of an earlier attempt, which is nobody's reason.
    """
    error = block_run.metrics.error
    if block_run.status != "failed" or error is None:
        return ShortError()
    plain = plain_type(error.message, error.error)
    read = None if plain else read_traceback(error.message, error.error)
    if read is None:
        return ShortError(one_line(plain or "", LONGEST_SHORT), one_line(tidy(error.error), LONGEST_SHORT))
    kind = one_line(read.raised.type, LONGEST_SHORT)
    return ShortError(kind, one_line(tidy(read.raised.message, cause=_cause(read)), LONGEST_SHORT))


def cause_key(error: ShortError, block: str = "") -> str:
    """The same text for failures of one cause: numbers, quoted values, hex and paths count as equal.

    A quoted name is kept where it is one of the code's own (`KeyError: 'amount'`). Children of a dynamic block count
    as that block.
    """

    def quoted(found: re.Match[str]) -> str:
        value = found["one"] if found["one"] is not None else found["two"]
        is_name = value.isidentifier() and not any(char.isdigit() for char in value)
        return found[0] if is_name and error.type in _NAMED_IN_CODE else "'…'"

    text = _QUOTED.sub(quoted, " ".join(error.message[:LONGEST_MESSAGE].split()))
    for pattern, stands_for in ((_PATH, "‹path›"), (_HEX, "#"), (_NUMBER, "#")):
        text = pattern.sub(stands_for, text)
    return shorten(" ".join(part for part in (block.partition(":")[0], error.type, text) if part), 2 * LONGEST_SHORT)


def tidy(text: str, *, repo_path: str = "", cause: str = "") -> str:
    """A message to pass on. `cause` is the text of the error it wraps, which tells where quoted SQL ends."""
    # A key is masked as a whole: where only its end were left, nothing would tell that it is one.
    text = _KEY_BLOCK.sub(MASK, text)
    half = _LONGEST_READ // 2
    text = show(text) if len(text) <= _LONGEST_READ else f"{show_start(text, half)}\n{show_end(text, half)}"
    text = _without_sql(text.strip(), show_start(cause, _LONGEST_READ))
    return _ends(_without_paths(text, repo_path), LONGEST_MESSAGE)


def excerpt(source: str, line: int) -> str:
    """The lines around `line` with their numbers, that one marked; empty where the source has no such line."""
    # Blanked first, so that the middle of a key is masked as well and every line keeps its number.
    blanked = _KEY_BLOCK.sub(lambda key: MASK + "\n" * key[0].count("\n"), source.replace("\r\n", "\n"))
    lines = blanked.replace("\r", "\n").split("\n")
    if not 1 <= line <= len(lines):
        return ""
    first, last = max(1, line - _CONTEXT_LINES), min(len(lines), line + _CONTEXT_LINES)
    while first < line and not lines[first - 1].strip():
        first += 1
    while last > line and not lines[last - 1].strip():
        last -= 1
    return "\n".join(numbered(number, lines[number - 1], marked=number == line) for number in range(first, last + 1))


def numbered(number: int, text: str, *, marked: bool = False) -> str:
    """One line of an excerpt."""
    shown = shorten(show_start(text, _LONGEST_READ).replace("\n", " ").rstrip(), _LONGEST_CODE_LINE)
    return f"{'>' if marked else ' '} {number:>3} | {shown}".rstrip()


def quoted_sql_line(message: str, source: str) -> int | None:
    """The line of a SQL block that its driver quotes (`LINE 2: FROM …`), if the block's file has just that line."""
    found = re.search(r"^LINE (\d+): (.+?)(?:\.\.\.)?$", message, re.MULTILINE)
    lines = source.splitlines()
    if found is None or not 1 <= int(found[1]) <= len(lines):
        return None
    return int(found[1]) if found[2].strip() in lines[int(found[1]) - 1] else None


def _cause(read: Traceback) -> str:
    return read.first.message if read.first else ""


def _without_sql(text: str, cause: str) -> str:
    text = _SQLALCHEMY.sub(" [SQL left out]", text)
    at = text.find(_PANDAS_SQL)
    if at < 0:
        return text
    head, sql = text[:at], text[at:]
    end = sql.find(cause.strip().split("\n")[0]) if cause.strip() else -1
    if end < 0:
        found = _PANDAS_QUOTED.match(sql)
        speaks = _DRIVER_SPEAKS.search(sql, sql.find("\n") + 1) if "\n" in sql else None
        end = found.end() if found else speaks.start() if speaks else len(sql)
    return (head + _SQL_LEFT_OUT + sql[end:]).strip().removesuffix(":")


def _without_paths(text: str, repo_path: str) -> str:
    repo = repo_path.rstrip("/\\")
    if repo:
        text = re.sub(re.escape(repo) + r"[/\\]", "", text)
    return _HOME.sub("~/", _INSTALLED.sub("", text))


def _ends(text: str, limit: int) -> str:
    """Beginning and end of a text that is too long."""
    if len(text) <= limit:
        return text
    tail = min(_TAIL, limit // 2) if limit <= LONGEST_MESSAGE else limit // 2
    return shorten(text, limit - tail - 1) + "\n" + text[len(text) - tail :].lstrip()

"""Texts that leave this process: cleaned of what hides things, redacted, cut, and fenced. One place for all of them."""

import re
import threading

MASK = "•••"
"""Stands where a secret stood. A write that contains it is refused, so that a masked text is never saved back."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
# Control characters but tab and newline; zero-width, bidirectional, tag and other characters that show as nothing.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_CREDENTIALS_IN_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<who>[^\s/@'\"]*)@", re.IGNORECASE)
_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passwd|pwd|secret|token(?!s\b)|credential"
    r"|api[_-]?key|access[_-]?key|private[_-]?key)[\w.-]*"
)
_SECRET_PAIR = re.compile(
    rf"(?P<name>\b{_NAME}|\bauthorization|\b(?:x-)?api-key|\boauth-token|\bcookie)"
    r"(?P<sep>[\"']?[ \t]*(?:=(?!=)|:(?!:))[ \t]*)"
    r"(?P<value>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(?:bearer\s+|basic\s+)?[^\s,;&\"'}\]\)]+)",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(rf"(?:{_NAME}|.*\bauth\b.*|.*(?:dsn|conn(?:ection)?_?str(?:ing)?))", re.IGNORECASE)
_BEARER = re.compile(r"\b(?P<kind>bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]{4,}")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_CALL = re.compile(r"f?[A-Za-z_][\w.]*[\[(]")  # `password=kwargs[…]` is code, not a password
_AWS_KEY = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")

_known: set[str] = set()
_known_lock = threading.Lock()
_known_pattern: re.Pattern[str] | None = None
_SHORTEST_KNOWN = 4  # shorter ones would mask ordinary words


def remember_secret(value: str) -> None:
    """From now on `redact` masks this very text wherever it turns up: passwords, tokens, keys of the configuration."""
    global _known_pattern  # noqa: PLW0603 - one register for the process, like the log handler that reads it
    if len(value) < _SHORTEST_KNOWN:
        return
    with _known_lock:
        if value in _known:
            return
        _known.add(value)
        _known_pattern = re.compile("|".join(re.escape(s) for s in sorted(_known, key=len, reverse=True)))


def redact(text: str) -> str:
    """Mask what is, or looks like, a secret: known values, credentials in URLs, `password=…`, bearer tokens, keys."""
    if _known_pattern is not None:
        text = _known_pattern.sub(MASK, text)
    text = _CREDENTIALS_IN_URL.sub(_mask_login, text)
    text = _SECRET_PAIR.sub(_mask_pair, text)
    text = _BEARER.sub(rf"\g<kind> {MASK}", text)
    text = _JWT.sub(MASK, text)
    text = _AWS_KEY.sub(MASK, text)
    return _PRIVATE_KEY.sub(MASK, text)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name should not be shown."""
    return _SECRET_NAME.fullmatch(name) is not None


def clean(text: str) -> str:
    """Drop colour codes, control, zero-width, bidirectional and tag characters; mend lone surrogates."""
    text = _ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return mend_surrogates(_HIDDEN.sub("", text))


def mend_surrogates(text: str) -> str:
    """A lone surrogate in an outgoing string would end the stdio server: pair it or replace it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def show(text: str) -> str:
    """`clean`, then `redact`: in this order, since a hidden character could split a secret."""
    return redact(clean(text))


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where it was cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def one_line(text: str, limit: int = 200) -> str:
    """`show`n, on one line, cut."""
    return shorten(" ".join(show(text).split()), limit)


def fence(text: str, language: str = "") -> str:
    """A Markdown code block that the text cannot close: its fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{text}\n{marks}"


def _mask_login(found: re.Match[str]) -> str:
    return f"{found['scheme']}{MASK}@" if found["who"] else found[0]


def _mask_pair(found: re.Match[str]) -> str:
    value = found["value"]
    if MASK in value or value.lower() in {"none", "null", "true", "false"} or _CALL.match(value):
        return found[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{found['name']}{found['sep']}{quote}{MASK}{quote}"

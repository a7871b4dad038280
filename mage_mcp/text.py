"""Texts that leave this process: cleaned of what hides things, redacted, cut, and fenced. One place for all of them."""

import json
import re
import threading
from collections.abc import Callable
from urllib.parse import quote, quote_plus

MASK = "•••"
"""Stands where a secret stood. A write that contains it is refused, so that a masked text is never saved back."""

_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[()*+][0-9A-Z]|\x1b[@-Z\\-_]"
)
# Control characters but tab and newline; zero-width, bidirectional, tag and other characters that show as nothing.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)

# No pattern below may look for its end from every character of a long word: on 100 KB of base64 that takes minutes.
# Hence bounded repeats, possessive ones (`++`), and names that are taken whole and then looked at.
_CREDENTIALS_IN_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{0,30}://)"
    # The second form has a raw `/`, `?` or `#` in the password, which drivers allow; it is not a host and its port.
    r"(?:[^\s/?#'\"]{0,500}|[^\s/?#@:'\"]{0,100}:(?!\d{1,5}[/?#])[^\s'\"]{1,300})@",
    re.IGNORECASE,
)
_TELLTALE = r"passw(?:or)?d|pwd|secret(?!ar)|token(?!s\b|iz)|credential|api[_-]?key|access[_-]?key|private[_-]?key"
_NAME = rf"(?=[\w.-]*?(?:{_TELLTALE}))[\w.-]++"
_SECRET_PAIR = re.compile(
    rf"(?P<name>(?<![\w.-])(?=[\w.-]*?(?:{_TELLTALE}|authorization|cookie(?!s\b)))[\w.-]++)"
    r"(?P<sep>\\*[\"']?[ \t]*(?:=>|:=|(?::[ \t]*(?:str|bytes|SecretStr)(?: \| None)?[ \t]*)?=(?!=)|:(?!:))[ \t]*)"
    r"(?P<value>[bfru]{0,2}(?:\"(?:[^\"\\\n]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'|[\"'][^\s\"']+)"
    r"|\\+[\"'][^\"'\\\n]*+(?:\\+[\"'])?"  # JSON within JSON
    r"|(?:(?:bearer|basic|token|digest|negotiate|apikey)[ \t]+)?(?:[^\s,;&\"'}\])]|[}\])](?=\w))+)",
    re.IGNORECASE,
)
_COOKIES = re.compile(r"(?P<name>\b(?:set-)?cookie[\"']?[ \t]*:[ \t]*[\"']?)[^\n\"']+", re.IGNORECASE)
_SECRET_FLAG = re.compile(
    rf"(?P<flag>(?<![\w-])--{_NAME}(?:[ \t]+[\"']?|[\"'],[ \t]*[\"']))(?!(?:is|was|are|must|and|or|not)\b)"
    r"[^\s,\"'\])-][^\s,\"'\])]*",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(rf"(?:{_NAME}|.*\bauth\b.*|.*(?:dsn|conn(?:ection)?_?str(?:ing)?))", re.IGNORECASE)
_BEARER = re.compile(
    r"\b(?P<kind>bearer|basic)[ \t]+"
    # What follows in ordinary text ("basic information") has neither digits nor mixed case, and is short.
    r"(?=[\w.~+/-]*[\d=]|[\w.~+/-]*(?-i:[a-z][A-Z])|[\w.~+/-]{24})[\w.~+/=-]{8,}",
    re.IGNORECASE,
)
_JWT = re.compile(r"\beyJ[\w-]{8,500}+\.[\w-]{4,8000}+\.[\w-]{4,}")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)", re.DOTALL
)
# `password=kwargs["x"]` is code, not a password: a name with a bracket that is closed, and no word goes on behind it.
_CALL = re.compile(r"[A-Za-z_][\w.]*[\[(][^\n]{0,200}[\])](?!\w)")
_NO_SECRETS = frozenset({"none", "null", "true", "false", "str", "bytes"})
_QUOTES = re.compile(r"[bfru]{0,2}(?P<quotes>\\*[\"'])", re.IGNORECASE)
_WELL_KNOWN = re.compile(
    r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|xox[abeprs]-[\w-]{10,}"
    r"|AIza[\w-]{35}|sk[_-](?:live|test|proj|ant)[_-][\w-]{16,}|dapi[0-9a-f]{32})\b"
)

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
        # As it is, and as it stands in a URL, in JSON and in a repr.
        _known.update({value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1], repr(value)[1:-1]})
        _known_pattern = re.compile("|".join(re.escape(s) for s in sorted(_known, key=len, reverse=True)))


def redact(text: str) -> str:
    """Mask what is, or looks like, a secret: known values, credentials in URLs, `password=…`, bearer tokens, keys."""
    if _known_pattern is not None:
        text = _known_pattern.sub(MASK, text)
    folded = text.casefold()
    for sign in _SIGNS:  # a loop, since `any` takes twice as long, and this sees every text
        if sign in folded:
            break
    else:
        return text
    for signs, pattern, masked in _MASKS:
        if any(sign in folded for sign in signs):
            text = pattern.sub(masked, text)
    return text


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name should not be shown."""
    return _SECRET_NAME.fullmatch(name) is not None


def clean(text: str) -> str:
    """Drop colour codes, control, zero-width, bidirectional and tag characters; mend lone surrogates."""
    if text.isascii() and text.isprintable():
        return text
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
    return found[0] if found[0].endswith("//@") else f"{found['scheme']}{MASK}@"


def _mask_pair(found: re.Match[str]) -> str:
    value = found["value"]
    if value.lower() in _NO_SECRETS or _CALL.match(found.string, found.start("value")):
        return found[0]
    opening = _QUOTES.match(value)
    quotes = opening["quotes"] if opening else ""
    return f"{found['name']}{found['sep']}{opening[0] if opening else ''}{MASK}{quotes}"


# In their order, each with letters of which it needs at least one: few texts hold any, and a pattern takes ten times as
# long to find that out.
_TELLTALE_SIGNS = ("passw", "pwd", "secret", "token", "credential", "key", "authorization", "cookie")
_KEY_SIGNS = ("akia", "asia", "aiza", "dapi", "glpat-", "xox", "sk", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github")
_MASKS: tuple[tuple[tuple[str, ...], re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (("key",), _PRIVATE_KEY, MASK),  # first: a pair would take its first word and hide where it begins
    (("://",), _CREDENTIALS_IN_URL, _mask_login),
    (("cookie",), _COOKIES, rf"\g<name>{MASK}"),
    (_TELLTALE_SIGNS, _SECRET_PAIR, _mask_pair),
    (_TELLTALE_SIGNS, _SECRET_FLAG, rf"\g<flag>{MASK}"),
    (("bearer", "basic"), _BEARER, rf"\g<kind> {MASK}"),
    (("eyj",), _JWT, MASK),
    (_KEY_SIGNS, _WELL_KNOWN, MASK),
)
_SIGNS = frozenset(sign for signs, _, _ in _MASKS for sign in signs)

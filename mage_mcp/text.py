"""Texts that leave this process: cleaned of what hides things, redacted, cut, and fenced. One place for all of them."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

MASK = "•••"
"""Stands where a secret stood. A write that contains it is refused, so that a masked text is never saved back."""

# One that is never closed ends with its line: it must not take the lines below with it.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[()*+][0-9A-Z]|\x1b[@-Z\\-_]"
)
# Control characters but tab and newline; zero-width, bidirectional, tag and other characters that show as nothing.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d159\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
UNSEEN = re.compile(f"{_ANSI.pattern}|{_HIDDEN.pattern}")
"""What `clean` drops."""

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
_LONGEST_WORD = 16
"""Letters only, or digits only: up to here a secret may be an ordinary word, and masks only what is that whole word."""
_LONGEST_SECRET = 1_000
"""Of a text that is cut before it is looked through, so much at the cut is left out: masked texts are short."""
_tokens: dict[str, None] = {}
_MOST_TOKENS = 50_000
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}")
_names: dict[str, None] = {}
_MOST_NAMES = 100_000
_LONGEST_NAME = 300


def remember_secret(value: str) -> None:
    """From now on `redact` masks this very text wherever it turns up: passwords, tokens, keys of the configuration."""
    global _known_pattern  # noqa: PLW0603 - one register for the process, like the log handler that reads it
    if len(value) < _SHORTEST_KNOWN or value in _known:
        return
    # Logs show a text of several lines one by one; a short or ordinary line of it is no secret by itself.
    lines = [line for line in value.split() if len(line) >= _LONGEST_WORD] if "\n" in value else []
    with _known_lock:
        for text in (value, clean(value), *lines):
            # As it is, and as it stands in a URL, in JSON and in a repr.
            in_url = (
                quote(text, safe="", errors="replace"),
                quote_plus(text, errors="replace"),
            )  # it may be half a character
            _known.update((text, *in_url, repr(text)[1:-1]))
            _known.update((json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]))
        _known_pattern = None


def remember_token(value: str) -> None:
    """The same for one of very many, made of letters, digits, `_` and `-`: masked where it stands as a whole word."""
    if _TOKEN.fullmatch(value):
        _keep(value, _tokens, _MOST_TOKENS)


def remember_name(name: str) -> None:
    """What Mage itself calls a pipeline or a block is no secret, even where it looks like one or is the value of one:
    masked, it would break the next call.
    """
    _keep(name, _names, _MOST_NAMES)


def _keep(value: str, register: dict[str, None], most: int) -> None:
    if value not in register:
        if len(register) >= most:
            register.clear()
        register[value] = None


def _pattern_of_known() -> re.Pattern[str]:
    """All of them, by their first letter: a search tries a few dozen letters and then what begins so, longest first."""
    global _known_pattern  # noqa: PLW0603
    with _known_lock:
        by_head: dict[str, list[str]] = {}
        for secret in sorted(filter(None, _known), key=len, reverse=True):
            head, rest = re.escape(secret[0]), re.escape(secret[1:])
            is_word = len(secret) < _LONGEST_WORD and (secret.isalpha() or secret.isdigit())
            by_head.setdefault(head, []).append(rf"(?<!\w{head}){rest}(?!\w)" if is_word else rest)
        _known_pattern = re.compile("|".join(f"{head}(?:{'|'.join(rests)})" for head, rests in by_head.items()))
        return _known_pattern


def redact(text: str) -> str:
    """Mask what is, or looks like, a secret: known values, credentials in URLs, `password=…`, bearer tokens, keys."""
    if text in _names:
        return text
    for pattern, masked in masks(text):
        text = pattern.sub(masked, text)
    return text


def masks(text: str) -> Iterator[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]:
    """What is masked in a text, in this order, each with what then stands there: `MASK`, and what is kept around it."""
    if _known:
        yield _known_pattern or _pattern_of_known(), _mask_known
    if _tokens and len(text) >= _LONGEST_WORD:
        yield _TOKEN, _mask_token
    folded = text.casefold()
    for sign in _SIGNS:  # a loop, since `any` takes twice as long, and this sees every text
        if sign in folded:
            break
    else:
        return
    for signs, pattern, masked in _MASKS:
        if any(sign in folded for sign in signs):
            yield pattern, masked


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name should not be shown."""
    return _SECRET_NAME.fullmatch(name) is not None


def clean(text: str) -> str:
    """Drop colour codes, control, zero-width, bidirectional and tag characters; mend lone surrogates."""
    if text.isascii() and text.isprintable():
        return text
    # Mended first: two halves that only a hidden character kept apart would make another one afterwards.
    text = _ANSI.sub("", mend_surrogates(text).replace("\r\n", "\n").replace("\r", "\n"))
    return _HIDDEN.sub("", text)


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


def show_start(text: str, room: int) -> str:
    """`show`n, the first `room` characters where there are more, less those that may be half a secret."""
    return show(text) if len(text) <= room else show(text[:room])[:-_LONGEST_SECRET] + "…"


def show_end(text: str, room: int) -> str:
    """The same of its end."""
    return show(text) if len(text) <= room else "…" + show(text[-room:])[_LONGEST_SECRET:]


def beginning(text: str, limit: int) -> str:
    """At most `limit` characters of a text of any length: masked before it is cut, for nobody can tell what half a
    secret is.
    """
    return shorten(show_start(text, 4 * limit + _LONGEST_SECRET), limit)


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where it was cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def quoted(name: str, limit: int = 80) -> str:
    """Somebody else's name within a sentence of ours: as it is where it is one plain word, else in quotes and cut."""
    shown = one_line(name, limit)
    return shown if _PLAIN_NAME.fullmatch(shown) else repr(shown)


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


def _mask_known(found: re.Match[str]) -> str:
    return found[0] if _name_around(found.string, found.start(), found.end()) else MASK


def _mask_token(found: re.Match[str]) -> str:
    return MASK if found[0] in _tokens else found[0]


def _name_around(text: str, start: int, end: int) -> int:
    """Where the name of Mage's ends in which this part of a text stands; 0 where it stands in none."""
    for joins in ("_-./:", "_-") if _names else ():
        first, last = start, end
        while first > max(0, start - _LONGEST_NAME) and (text[first - 1].isalnum() or text[first - 1] in joins):
            first -= 1
        while last < min(len(text), end + _LONGEST_NAME) and (text[last].isalnum() or text[last] in joins):
            last += 1
        word = text[first:last]
        if (name := word.strip("./:")) in _names and start >= first + word.index(name):
            return first + word.index(name) + len(name)
    return 0


def _mask_pair(found: re.Match[str]) -> str:
    value = found["value"]
    # A child of a dynamic block, `load_tokens:0`, is a name and no pair.
    if _name_around(found.string, found.start(), found.end("name")) >= found.start("value") + len(value.rstrip("./:")):
        return found[0]
    if value.lower() in _NO_SECRETS or _CALL.match(found.string, found.start("value")):
        return found[0]
    opening = _QUOTES.match(value)
    quotes = opening["quotes"] if opening else ""
    return f"{found['name']}{found['sep']}{opening[0] if opening else ''}{MASK}{quotes}"


_PLAIN_NAME = re.compile(r"[\w./:@+-]+")

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

"""Mage's answers become values or errors here, and nowhere else.

Mage 0.9.80 tells nearly every error with HTTP 200 and an `error` object, so the status line says little. Its texts for
error 404 are unreliable (they are shared between requests and overwritten), so the code and the type decide and the
words are our own.
"""

import json
import re
from typing import Any

from pydantic_core import from_json

from mage_mcp import errors
from mage_mcp.text import one_line, show_start

GATEWAY_STATUSES = frozenset({429, 502, 503, 504})
"""A proxy's answers, or a busy server's: not Mage's own words. Only after 429 is it certain that Mage did not act."""


class StaleSession(Exception):  # a signal within the client, not an error of its own
    """Mage does not accept the session's token (any longer); nothing was done."""


def read_reply(status: int, body: bytes, *, what: str, label: str) -> dict[str, Any]:
    """Turn one HTTP answer into Mage's JSON object.

    `what` names the request for sentences (`GET /api/pipelines`), `label` the cluster.

    Raises MageError by kind, and StaleSession where a new login may help.
    """
    if 300 <= status < 400:
        raise errors.MageReplyInvalid(f"{label} answered {what} with a redirect, which is never followed.")
    try:
        reply = _parse(body)
    except (ValueError, RecursionError):
        raise _not_json(status, body, what=what, label=label) from None
    if not isinstance(reply, dict):
        raise errors.MageReplyInvalid(f"{label} answered {what} with JSON that is no object.")
    error = reply.get("error")
    if isinstance(error, dict):
        raise _refusal(error, what=what, label=label)
    if error or status >= 400:
        raise errors.MageFailed(f"{label} answered {what} with an error (HTTP {status}).", next_step=_TRY_AGAIN)
    return reply


def _parse(body: bytes) -> Any:
    """The JSON value. A page of failed runs is a megabyte or two, which pydantic reads in half the time."""
    try:
        return from_json(body)
    except ValueError:
        return json.loads(body)  # takes what pydantic refuses: half a surrogate pair, a byte order mark


def root(reply: dict[str, Any], key: str, *, kind: type = dict) -> Any:
    """The object or list under Mage's root key.

    Raises MageReplyInvalid where it is missing: an answer without an error is still no answer without its content.
    """
    value = reply.get(key)
    if not isinstance(value, kind):
        raise errors.MageReplyInvalid(
            f"Mage's answer has no {key!r}.", next_step="This version of Mage may not be supported (0.9.80 is)."
        )
    return value


def rows(reply: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The list of objects under Mage's root key.

    Raises MageReplyInvalid where it is missing or holds anything else.
    """
    found: list[Any] = root(reply, key, kind=list)
    if not all(isinstance(row, dict) for row in found):
        raise errors.MageReplyInvalid(f"Mage's answer has something else than objects under {key!r}.")
    return found


def count(reply: dict[str, Any], *, fallback: int) -> int:
    """How many there are in all, as a list's metadata say; `fallback` where they do not."""
    metadata = reply.get("metadata")
    told = metadata.get("count") if isinstance(metadata, dict) else None
    return told if isinstance(told, int) else fallback


_LOOK = "Look with the list tools at what there is."
_TRY_AGAIN = "Try again; if it stays, look at Mage's own log."
_LONGEST_READ = 4_000
_SQL = re.compile(r"\[SQL[:\s]|\[parameters:|\(Background on|\bLINE \d+:")
_PATH = re.compile(r"(?<![\w:/.])(?:[A-Za-z]:)?(?:[/\\][\w.@~+-]+)+[/\\](?=[\w.@~+-])")
_API_ERROR = re.compile(r"\{'code': (?P<code>\d{3}), .*'type': '(?P<type>\w+)'", re.DOTALL)


def _not_json(status: int, body: bytes, *, what: str, label: str) -> errors.MageError:
    if status == 400 and b"path traversal" in body:
        return errors.MageInvalid(
            f"{label} refused {what}: a value contains '../'.", next_step="Leave that out; nothing was done."
        )
    if not body:
        return errors.MageReplyInvalid(f"{label} answered {what} with nothing (HTTP {status}).")
    if body.lstrip()[:1] == b"<":
        return errors.MageReplyInvalid(f"{label} answered {what} with a web page (HTTP {status}), not with JSON.")
    return errors.MageReplyInvalid(f"{label} answered {what} with something that is not JSON (HTTP {status}).")


def _refusal(error: dict[str, Any], *, what: str, label: str) -> Exception:
    """One of Mage's error objects: `{code, message, type}` or `{code: 500, exception, message, errors}`."""
    code, kind = error.get("code"), str(error.get("type") or "")
    if kind == "invalid_api_key":
        return errors.MageAuthRequired(
            f"{label} refused the API key.", next_step="Correct MAGE_API_KEY, or leave it unset: Mage's own is used."
        )
    if kind in {"invalid_oauth_token", "expired_oauth_token"} or code == 401:
        return StaleSession()
    if code == 403:
        if str(error.get("message", "")).startswith("Private access"):
            return StaleSession()
        return errors.MageForbidden(f"{label} does not allow {what} to this user.")
    if code == 404:
        return errors.MageNotFound(f"{label} has no such record ({what}).", next_step=_LOOK)
    if kind == "record_invalid":
        return errors.MageNotFound(f"{label} has no such record, or refused its values ({what}).", next_step=_LOOK)
    if code == 500:
        return _exception(str(error.get("exception") or ""), what=what, label=label)
    reason = _reason(str(error.get("message") or ""))
    return errors.MageFailed(f"{label} refused {what}: {reason}.", exception=reason, next_step=_TRY_AGAIN)


def _exception(text: str, *, what: str, label: str) -> Exception:
    """Mage's uncaught exceptions, told apart by their text (unchanged over many versions)."""
    if re.search(r"Pipeline .* does not exist", text):
        return errors.MageNotFound(f"{label} has no such pipeline ({what}).", next_step=_LOOK)
    if text.startswith("No module named 'mage_ai.api"):
        return errors.MageUnsupported(f"{label} does not know {what}.")
    if "is not among the defined enum values" in text:
        return errors.MageFailed(
            f"{label} cannot read some of its own rows: one of them holds a value that Mage does not know.",
            next_step="A person has to correct that row in Mage's database; every list that touches it fails.",
        )
    if text == "Not enough segments":
        return StaleSession()
    if found := _API_ERROR.match(text):
        return _refusal({"code": int(found["code"]), "type": found["type"]}, what=what, label=label)
    reason = _reason(text)
    return errors.MageFailed(f"{label} failed on {what}: {reason}.", exception=reason, next_step=_TRY_AGAIN)


def _reason(text: str) -> str:
    """One line of Mage's words, without its SQL, its traceback and the folders of its server."""
    first = _SQL.split(show_start(text, _LONGEST_READ).partition("Traceback (most recent call last)")[0])[0]
    return one_line(_PATH.sub("", first)).rstrip(".") or "no reason given"

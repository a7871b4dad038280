"""The Cloud's answers become values or errors here.

What its documentation says: a body with `"error"` is an error, whatever the HTTP status. The rest is caution: the error
may be a sentence or an object, and may repeat what was sent, secrets included.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from mage_mcp import errors
from mage_mcp.client.replies import StaleSession
from mage_mcp.text import MASK, one_line

LOGIN = "POST /sessions"

_CHECK_URL = "Check that MAGE_CLOUD_URL is right, or leave it unset: Mage's own is used."
_TRY_AGAIN = "Try again in a moment; if it stays, look at the cluster in Mage's portal."
_LONGEST_READ = 2_000
_LONGEST_TOLD = 160
_REPEATED = re.compile(r"[{\[]|\bparameters\b", re.IGNORECASE)
_STALE = re.compile(
    r"oauth.?token|session|private access|(?:log(?:ged)?|sign(?:ed)?) in|unauthenticated", re.IGNORECASE
)
_KEY = re.compile(r"api.?key", re.IGNORECASE)
_FORBIDDEN = re.compile(r"not allowed|permission|forbidden|not authori[sz]ed|access|\brole\b", re.IGNORECASE)
_MISSING = re.compile(r"not found|no such|does not exist", re.IGNORECASE)


def read_cloud_reply(status: int, body: bytes, *, what: str, label: str, sent: Any) -> dict[str, Any]:
    """Turn one HTTP answer of the Cloud into its JSON object.

    Raises MageError by kind, and StaleSession where a new login may help; of a login, where it was refused.
    """
    if 300 <= status < 400:
        raise errors.MageReplyInvalid(
            f"{label} answered {what} with a redirect, which is never followed.", next_step=_CHECK_URL
        )
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        if status == 401:
            raise StaleSession from None
        raise errors.MageReplyInvalid(
            f"{label} answered {what} with something that is not JSON (HTTP {status}).",
            next_step=_TRY_AGAIN if status >= 500 else _CHECK_URL,
        ) from None
    if not isinstance(reply, dict):
        raise errors.MageReplyInvalid(f"{label} answered {what} with JSON that is no object.", next_step=_CHECK_URL)
    error = reply.get("error") or reply.get("errors")
    if error or status >= 400:
        raise _refusal(error, status, what=what, label=label, sent=sent)
    return reply


def _refusal(error: Any, status: int, *, what: str, label: str, sent: Any) -> Exception:
    code, kind, words = _parts(error, status)
    told = f"{kind} {words}"
    if _KEY.search(told):
        return errors.MageAuthRequired(
            f"{label} refused the API key.",
            next_step="Correct MAGE_CLOUD_API_KEY, or leave it unset: the portal's own is used.",
        )
    if what == LOGIN and code < 500:
        return StaleSession()
    if code == 401 or (code in {0, 403} and _STALE.search(told)):
        return StaleSession()
    if code == 403 or (not code and _FORBIDDEN.search(told)):
        return errors.MageForbidden(
            f"{label} does not allow {what} to this user.",
            next_step="Ask an Admin of the team in Mage's portal for the role that it needs.",
        )
    if code == 404 or (not code and _MISSING.search(told)):
        return errors.MageNotFound(
            f"{label} has no such record ({what}), or this user may not see it.",
            next_step="Check MAGE_TEAM_ID and MAGE_CLUSTER_ID (team_id and cluster_id in the config file).",
        )
    reason = _reason(words, sent)
    if code >= 500 and what.startswith("PUT"):
        return errors.MageWriteUncertain(
            f"{label} failed on {what} ({reason}), so the change may or may not have happened.",
            next_step="Look at the present state before you try again.",
        )
    return errors.MageFailed(f"{label} refused {what}: {reason}.", exception=reason, next_step=_TRY_AGAIN)


def _parts(error: Any, status: int) -> tuple[int, str, str]:
    """Code (0 where none is told), kind and words of an error in any of its shapes."""
    code = status if status >= 400 else 0
    if not isinstance(error, dict):
        return code, "", _own(error)
    told = error.get("code")
    if isinstance(told, str) and told.isdigit():
        told = int(told)
    words = error.get("message") or error.get("exception") or ""
    return (
        told if isinstance(told, int) and told else code,
        str(error.get("type") or ""),
        _own(words),
    )


def _own(words: Any) -> str:
    """What the Cloud says itself, up to where it repeats what was sent."""
    return _REPEATED.split(words[:_LONGEST_READ], maxsplit=1)[0] if isinstance(words, str) else ""


def _reason(words: str, sent: Any) -> str:
    """The Cloud's words without what they may repeat of the request."""
    text = words
    for leaf in sorted(set(_texts(sent)), key=len, reverse=True):
        for form in (leaf, json.dumps(leaf)[1:-1], repr(leaf)[1:-1]):
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", MASK, text) if len(form) < 4 else text.replace(form, MASK)
    return one_line(text, _LONGEST_TOLD).rstrip(". :") or "no reason given"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != "status":  # `Stopped` is the Cloud's own word
                yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)

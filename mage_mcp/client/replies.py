"""Mage's answers become values or errors here, and nowhere else.

Mage 0.9.80 tells nearly every error with HTTP 200 and an `error` object, so the status line says little. Its texts for
error 404 are unreliable (they are shared between requests and overwritten), so the code and the type decide and the
words are our own.
"""

import json
import re
from typing import Any

from mage_mcp import errors
from mage_mcp.text import one_line

GATEWAY_STATUSES = frozenset({429, 502, 503, 504})
"""A proxy's answers, or a busy server's: no Mage has acted on the request."""


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
        reply = json.loads(body)
    except ValueError:
        raise _not_json(status, body, what=what, label=label) from None
    if not isinstance(reply, dict):
        raise errors.MageReplyInvalid(f"{label} answered {what} with JSON that is no object.")
    error = reply.get("error")
    if isinstance(error, dict):
        raise _refusal(error, what=what, label=label)
    if error or status >= 400:
        raise errors.MageFailed(f"{label} answered {what} with an error (HTTP {status}).", next_step=_TRY_AGAIN)
    return reply


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


_TRY_AGAIN = "Try again; if it stays, look at Mage's own log."


def _not_json(status: int, body: bytes, *, what: str, label: str) -> errors.MageError:
    if status == 400 and b"path traversal" in body:
        return errors.MageInvalid(f"Mage refused {what}: a value contains '../'.")
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
        return errors.MageNotFound(f"{label} has no such record ({what}).")
    if kind == "record_invalid":
        return errors.MageNotFound(f"{label} has no such record, or refused its values ({what}).")
    if code == 500:
        return _exception(str(error.get("exception") or ""), what=what, label=label)
    return errors.MageFailed(f"{label} refused {what}: {one_line(str(error.get('message', '')))}", next_step=_TRY_AGAIN)


def _exception(text: str, *, what: str, label: str) -> Exception:
    """Mage's uncaught exceptions, told apart by their text (unchanged over many versions)."""
    if re.search(r"Pipeline .* does not exist", text):
        return errors.MageNotFound(f"{label} has no such pipeline ({what}).")
    if text.startswith("No module named 'mage_ai.api"):
        return errors.MageUnsupported(f"{label} does not know {what}.")
    if "is not among the defined enum values" in text:
        return errors.MageFailed(
            f"{label} cannot read some of its own rows: one of them holds a value that Mage does not know.",
            next_step="A person has to correct that row in Mage's database; every list that touches it fails.",
        )
    if text == "Not enough segments":
        return StaleSession()
    text = one_line(re.split(r"\[SQL[:\s]|\(Background on", text)[0])
    return errors.MageFailed(
        f"{label} failed on {what}: {text or 'no reason given'}.", exception=text, next_step=_TRY_AGAIN
    )

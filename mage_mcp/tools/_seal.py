"""Codes for clients that cannot ask a person: good for one preview, made and checked with this process's key."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

GOOD_FOR_S = 600


class Seal:
    """Makes a code for what was previewed, and tells whether a code is for what would be done now: once."""

    def __init__(self, key: bytes | None = None, now: Callable[[], float] = time.time) -> None:
        self._key = key or secrets.token_bytes(32)
        self._now = now
        self._spent: dict[str, int] = {}

    def code(self, bound: dict[str, Any]) -> str:
        """A code for `bound`: tool, cluster, arguments and what was previewed."""
        expires = int(self._now()) + GOOD_FOR_S
        return f"{expires:x}-{self._mac(bound, expires)}"

    def opens(self, code: str, bound: dict[str, Any]) -> bool:
        """Whether this process made `code` for exactly `bound`, less than ten minutes ago, and it was not used yet."""
        head, _, mac = code.partition("-")
        try:
            expires = int(head, 16)
        except ValueError:
            return False
        now = self._now()
        self._spent = {mac: end for mac, end in self._spent.items() if end >= now}
        good = expires >= now and mac not in self._spent and hmac.compare_digest(mac, self._mac(bound, expires))
        if good:
            self._spent[mac] = expires
        return good

    def _mac(self, bound: dict[str, Any], expires: int) -> str:
        text = json.dumps([bound, expires], sort_keys=True, separators=(",", ":"), default=str)
        digest = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        return base64.b32encode(digest[:15]).decode().lower()

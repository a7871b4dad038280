"""Codes for clients that cannot ask a person: good for one preview, made and checked with a key that replicas share."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from mage_mcp.tools._caller import principal

GOOD_FOR_S = 600


_PURPOSE = b"mage-mcp: codes to confirm with"


class Seal:
    """Makes a code for what was previewed, and tells whether a code is for what would be done now: once.

    The first of `keys` makes codes, each of them is tried; without any, this process has one of its own. That a code
    was used is known to the process that it was used in: with shared keys each replica takes it once.
    """

    def __init__(self, keys: Sequence[bytes] = (), now: Callable[[], float] = time.time) -> None:
        # The SDK seals with the same keys; none of its texts is a code of ours.
        self._keys = [hmac.digest(key, _PURPOSE, "sha256") for key in keys or (secrets.token_bytes(32),)]
        self._now = now
        self._spent: dict[str, int] = {}

    def code(self, bound: dict[str, Any]) -> str:
        """A code for `bound`: tool, cluster, arguments and what was previewed. Good for who calls now."""
        expires = int(self._now()) + GOOD_FOR_S
        return f"{expires:x}-{_mac(self._keys[0], bound, expires)}"

    def opens(self, code: str, bound: dict[str, Any]) -> bool:
        """Whether `code` was made for this caller and exactly `bound`, within ten minutes, and not used here yet."""
        head, _, mac = code.partition("-")
        try:
            expires = int(head, 16)
        except ValueError:
            return False
        now = self._now()
        self._spent = {mac: end for mac, end in self._spent.items() if end >= now}
        is_ours = mac.isascii() and any(hmac.compare_digest(mac, _mac(key, bound, expires)) for key in self._keys)
        good = expires >= now and mac not in self._spent and is_ours
        if good:
            self._spent[mac] = expires
        return good


def _mac(key: bytes, bound: dict[str, Any], expires: int) -> str:
    text = json.dumps([bound, principal(), expires], sort_keys=True, separators=(",", ":"), default=str)
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:15]).decode().lower()

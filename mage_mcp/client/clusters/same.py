"""Whether two things are one: JSON values, as JSON has it and Python does not (true is no 1); a cluster and a URL."""

import re
from typing import Any
from urllib.parse import urlsplit


def same_json(one: Any, other: Any) -> bool:
    """Keys of objects may come in another order, items of lists may not; 1 and 1.0 are one number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same_json(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def mentions_host(value: Any, url: str) -> bool:
    """Whether any text in a JSON value holds the host of that URL, as a whole. A loopback address says nothing."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # the first request says what is wrong with it
        return False
    if not host or host == "localhost" or host.startswith("127.") or host == "::1":
        return False
    return _holds(value, re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", re.IGNORECASE))


def _holds(value: Any, host: re.Pattern[str]) -> bool:
    if isinstance(value, str):
        return host.search(value) is not None
    if isinstance(value, dict):
        return any(_holds(item, host) for item in value.values())
    return isinstance(value, list) and any(_holds(item, host) for item in value)

"""One log handler for the whole process: to stderr, and redacting the finished text, tracebacks included."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mage_mcp.text import show

_QUIET = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx2": logging.WARNING,
    "asyncio": logging.WARNING,
    "mcp.shared": logging.INFO,  # repeats messages that it cannot read
    "stamina": logging.ERROR,  # one line for every request sent again, without a word on which
}
"""Libraries that log URLs at INFO, or say nothing in many lines, and from which level on they are heard."""

_REFUSED_INPUT = re.compile(r"input_value=.{0,500}?(?=, input_type=)", re.DOTALL)
"""What pydantic repeats of a value that it refused."""


class RedactingFormatter(logging.Formatter):
    """A filter would not see a traceback; a formatter has the last word."""

    def format(self, record: logging.LogRecord) -> str:
        return show(_REFUSED_INPUT.sub("input_value=…", super().format(record)))


def set_up_logging(level: str) -> None:
    """Replace whatever handlers the root logger has by ours."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))


@contextmanager
def without_rich() -> Iterator[None]:
    """While inside, rich cannot be imported: the SDK would load it, 25 ms, for a log handler that ours replaces."""
    if "rich.console" in sys.modules:
        yield
        return
    sys.modules["rich.console"] = None  # type: ignore[assignment] # the import system's word for "not to be had"
    try:
        yield
    finally:
        del sys.modules["rich.console"]

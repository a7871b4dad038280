"""One log handler for the whole process: to stderr, and redacting the finished text, tracebacks included."""

import logging
import sys

from mage_mcp.text import show

_QUIET = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx2": logging.WARNING,
    "asyncio": logging.WARNING,
    "stamina": logging.ERROR,  # one line for every request sent again, without a word on which
}
"""Libraries that log URLs at INFO, or say nothing in many lines, and from which level on they are heard."""


class RedactingFormatter(logging.Formatter):
    """A filter would not see a traceback; a formatter has the last word."""

    def format(self, record: logging.LogRecord) -> str:
        return show(super().format(record))


def set_up_logging(level: str) -> None:
    """Replace whatever handlers the root logger has by ours."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))

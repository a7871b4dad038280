"""One log handler for the whole process: to stderr, and redacting the finished text, tracebacks included."""

import logging
import sys

from mage_mcp.text import show

_QUIET = ("httpx", "httpcore", "httpx2", "stamina", "asyncio")
"""Libraries that log URLs, or retries, at INFO."""


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
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))

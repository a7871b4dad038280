"""The base URL of a Mage server, from what people paste."""

import re
from urllib.parse import urlsplit

from mage_mcp.errors import MageNotConfigured

# First path segments of Mage's web pages and API: a URL pasted from the browser ends before them.
_PAGES = frozenset(
    {
        "api",
        "block-layout",
        "compute",
        "dashboard",
        "files",
        "global-data-products",
        "global-hooks",
        "manage",
        "oauth",
        "overview",
        "pipeline-runs",
        "pipelines",
        "platform",
        "settings",
        "sign-in",
        "templates",
        "terminal",
        "triggers",
        "version-control",
    }
)
_HOST = re.compile(r"[\w.:-]+")


def refuse_login_in(url: str, source: str, instead: str) -> None:
    """Raises MageNotConfigured where a URL, which sentences may show, holds a user's name or password."""
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise MageNotConfigured(f"{source} holds a user name or password.", next_step=f"Use {instead} for these.")


def mage_url(text: str, *, source: str = "MAGE_URL") -> str:
    """The base URL of a Mage server, from what people paste: with a page's path, without a scheme, with a slash."""
    if not text:
        return ""
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", text):
        text = ("http://" if text.startswith(("localhost", "127.", "[::1]")) else "https://") + text
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not _HOST.fullmatch(host) or parts.scheme not in {"http", "https"}:
        raise MageNotConfigured(
            f"{source} is not a URL of a Mage server.", next_step="It looks like http://localhost:6789."
        )
    refuse_login_in(text, source, "MAGE_EMAIL and MAGE_PASSWORD")
    kept: list[str] = []
    for segment in parts.path.split("/"):
        if segment in _PAGES:
            break
        if segment:
            kept.append(segment)
    return f"{parts.scheme}://{parts.netloc}/{'/'.join(kept)}".rstrip("/")

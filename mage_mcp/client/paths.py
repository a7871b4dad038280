"""Identifiers become URL paths here: checked first, then escaped, each as one segment."""

import re
from urllib.parse import quote

from mage_mcp.errors import MageInvalid
from mage_mcp.text import one_line

_LONGEST = 255
# Neither what a URL takes for its own, nor control characters, nor half a character.
_UUID = re.compile(r"[^/\\?#%\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def api(*segments: str | int) -> str:
    """`api("pipelines", "x", "blocks", "a/b")` is `api/pipelines/x/blocks/a%2Fb`, relative to the base URL."""
    return "/".join(("api", *(quote(str(segment), safe="") for segment in segments)))


def pipeline_uuid(text: str) -> str:
    """A pipeline's uuid as given by the caller, or MageInvalid: it never holds a slash, a percent sign or `..`."""
    return _checked(text, kind="pipeline", example="daily_orders")


def block_uuid(text: str) -> str:
    """A block's uuid: may hold `/` (a nested file) and `:` (a dynamic child), but leads nowhere else."""
    for part in text.split("/"):
        _checked(part, kind="block", example="load_orders", whole=text)
    return text


def _checked(text: str, *, kind: str, example: str, whole: str = "") -> str:
    if len(text) > _LONGEST or not _UUID.fullmatch(text) or text.strip() in {"", ".", ".."} or text != text.strip():
        raise MageInvalid(
            f"{one_line(whole or text, 60)!r} cannot be the uuid of a {kind}; nothing was sent.",
            next_step=f"A {kind} uuid looks like {example!r}.",
        )
    return text

"""What a reader calls a run: its id, or a link to it from Mage's UI."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from mage_mcp.errors import MageInvalid
from mage_mcp.settings import Cluster
from mage_mcp.text import one_line

_LINK = re.compile(r"/pipelines/(?P<pipeline>[^/?#]+)/runs/(?P<run>[0-9]{1,18})(?![0-9])")


@dataclass(frozen=True)
class Named:
    """A run as it was named; with its pipeline where that was a link."""

    run: int
    pipeline: str = ""


def run_named(text: str, cluster: Cluster) -> Named:
    """Read an id or a link; a link must lead to this very cluster.

    Raises MageInvalid.
    """
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 19:
        return Named(int(text))
    found = _LINK.search(text)
    if not found:
        raise MageInvalid(
            f"{one_line(text, 80)!r} is neither a run id nor a link to a run.",
            next_step="A link looks like https://host/pipelines/NAME/runs/123.",
        )
    ours = urlsplit(cluster.url)
    try:
        theirs = urlsplit(text if "://" in text else f"//{text}")
        place = _place(theirs)
    except ValueError:
        raise MageInvalid(
            f"{one_line(text, 80)!r} is no link that can be read.", next_step="Give the run's id."
        ) from None
    if place != _place(ours) or theirs.path.split("/pipelines/")[0].rstrip("/") != ours.path.rstrip("/"):
        raise MageInvalid(
            f"The link leads to {one_line(place, 80)!r}, which is not {cluster.label}.",
            next_step="Ask which Mage is meant, or give the run's id.",
        )
    return Named(int(found["run"]), unquote(found["pipeline"]))


def _place(parts: SplitResult) -> str:
    """Host and port, by whatever name this machine is called."""
    host = "localhost" if parts.hostname in {"127.0.0.1", "::1"} else parts.hostname or ""
    return f"{host}:{parts.port}" if parts.port else host

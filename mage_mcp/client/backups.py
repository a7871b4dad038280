"""Former texts of files that are overwritten here: Mage keeps none."""

import hashlib
import os
from datetime import datetime

from mage_mcp.errors import MageNotConfigured
from mage_mcp.settings import state_folder

_LONGEST_NAME = 100


def digest(content: str) -> str:
    """What tells whether a text is still the one that was read: 64 bits of its SHA-256, as 16 hex digits."""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def keep(path: str, content: str, *, cluster: str, now: datetime) -> str:
    """Write a former text, readable by its owner only, and return where it is.

    Raises MageNotConfigured where that cannot be done: then the file must not be overwritten.
    """
    # Two texts may be kept within one second; the same text twice is the same file.
    name = f"{now:%Y%m%dT%H%M%SZ}-{digest(content)}-{_plain(path.replace('/', '__'))[-_LONGEST_NAME:]}"
    file = state_folder() / "backups" / (_plain(cluster) or "mage") / name
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(content.encode("utf-8", "surrogatepass"))
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise MageNotConfigured(
            f"The former text of {path!r} could not be kept ({type(error).__name__}), so nothing was overwritten.",
            next_step="Ask the person to set MAGE_MCP_STATE_DIR to a folder that the server can write to.",
        ) from None
    return str(file)


def _plain(name: str) -> str:
    """Of letters, digits and what every file system takes in a name."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).lstrip(".")

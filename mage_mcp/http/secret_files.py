"""Files that hold one secret a line: read, made, and warned about where others can read them."""

import base64
import logging
import os
import secrets
import stat
from pathlib import Path

from mage_mcp.errors import MageNotConfigured

log = logging.getLogger(__name__)


def new_token() -> str:
    """A bearer token: 256 random bits."""
    return secrets.token_urlsafe(32)


def new_key() -> str:
    """A key to seal with: 32 random bytes as base64."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def add_line(file: Path, line: str) -> None:
    """Put a line at the end of a file; one that is made for it can be read by its owner only.

    Raises MageNotConfigured if it cannot be written.
    """
    try:
        with os.fdopen(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "rb+") as open_file:
            before = open_file.read()
            glue = b"\n" if before and not before.endswith(b"\n") else b""
            open_file.write(glue + line.encode() + b"\n")
    except OSError as error:
        raise MageNotConfigured(
            f"{file} cannot be written ({error.strerror}).", next_step="Name a file in a folder of yours."
        ) from None


def lines_of(file: Path) -> dict[int, str]:
    """What stands in the lines of a file, by their numbers, without empty lines and comments (`# …`).

    Raises OSError, and ValueError where it is no text.
    """
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    return {
        n: line.strip() for n, line in enumerate(lines, start=1) if line.strip() and not line.strip().startswith("#")
    }


def reason(error: OSError | ValueError) -> str:
    """Why a file could not be read, without anything that stands in it."""
    return error.strerror or "unreadable" if isinstance(error, OSError) else "it is no text"


def warn_if_open(file: Path) -> None:
    """Say so where others on the machine can read a file of secrets that we could close to them.

    A mounted secret (Kubernetes, Docker) belongs to somebody else, or is a symlink: its mode is how we can read it.
    """
    if os.name != "posix" or file.is_symlink():
        return
    status = file.stat()
    if status.st_uid == os.geteuid() and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("%s can be read by others on this machine: chmod 600 %s", file, file)

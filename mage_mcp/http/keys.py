"""The keys that replicas share, so that each opens what another has sealed."""

import base64
import binascii
import re
from pathlib import Path

from mage_mcp.errors import MageNotConfigured
from mage_mcp.http.secret_files import lines_of, reason, warn_if_open
from mage_mcp.text import remember_secret

SHORTEST_KEY = 32
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_NEXT = "Make one with: mage-mcp serve --new-key FILE"


def read_keys(file: Path) -> tuple[bytes, ...]:
    """The keys of a file, one a line, as base64 or hex, of 32 bytes or more: the first seals, all of them open.

    Raises MageNotConfigured, in words that repeat nothing of the file.
    """
    try:
        lines = lines_of(file)
    except (OSError, ValueError) as error:
        raise MageNotConfigured(f"The keys file {file} cannot be read: {reason(error)}.", next_step=_NEXT) from None
    keys: list[bytes] = []
    for number, line in lines.items():
        key = _decoded(line)
        if key is None or len(key) < SHORTEST_KEY:
            raise MageNotConfigured(
                f"{file}, line {number}, is no key: {SHORTEST_KEY} random bytes or more, as base64 or hex.",
                next_step=_NEXT,
            )
        if key in keys:
            raise MageNotConfigured(f"{file}, line {number}, repeats a key.", next_step="Remove the line.")
        remember_secret(line)
        keys.append(key)
    if not keys:
        raise MageNotConfigured(f"The keys file {file} holds no key.", next_step=_NEXT)
    warn_if_open(file)
    return tuple(keys)


def _decoded(line: str) -> bytes | None:
    if _HEX.fullmatch(line):
        return bytes.fromhex(line)
    standard = line.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None

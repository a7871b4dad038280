"""A block's configuration: what it may be changed to. Pure functions."""

import json
from typing import Any

from mage_mcp.client.clusters.config_patch import merged
from mage_mcp.errors import MageInvalid
from mage_mcp.text import MASK

_OF_THE_FILE = ("file_path", "file_source")
_LONGEST = 50_000


def checked_settings(given: dict[str, Any]) -> dict[str, Any]:
    """What is to be merged into a configuration.

    Raises MageInvalid for the keys that say which file holds the code (with them Mage makes a block without code, and a
    file that nobody asked for), for masked texts, and for what is no JSON.
    """
    for key in _OF_THE_FILE:
        if key in given:
            raise MageInvalid(
                f"configuration.{key} says which file holds a block's code, and is not changed here; nothing was "
                "changed.",
                next_step="A block's file follows from its name, type and language.",
            )
    try:
        text = json.dumps(given, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, TypeError, RecursionError):
        raise MageInvalid(
            "The configuration cannot be sent as JSON (half a character, NaN, or too deep); nothing was changed.",
            next_step="Give plain texts, numbers, lists and objects.",
        ) from None
    if MASK in text:
        raise MageInvalid(
            f"The configuration holds the mask {MASK}; nothing was changed.", next_step="Leave that key out."
        )
    if len(text) > _LONGEST:
        raise MageInvalid("The configuration is too large; nothing was changed.", next_step="Give less.")
    return given


def new_settings(stored: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The whole configuration, which Mage replaces: objects are merged, null takes a key away."""
    result: dict[str, Any] = merged(stored, checked_settings(given))
    return result

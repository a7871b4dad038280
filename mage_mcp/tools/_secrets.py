"""Values that never pass through a model: taken from the server's own environment, by name."""

import os
import re
from collections.abc import Mapping

from mage_mcp.errors import MageInvalid
from mage_mcp.text import one_line, remember_secret

PREFIX = "MAGE_MCP_SECRET_"
_PLACEHOLDER = re.compile(r"<[^<>]*>|\$\{[^{}]*\}|\*{3,}")


def remember_environment() -> None:
    """Whoever puts a value under such a name calls it a secret; a block may print it before any call uses it."""
    for name, value in os.environ.items():
        if name.startswith(PREFIX):
            remember_secret(value)


def values_from(given: Mapping[str, str] | None, by_name: Mapping[str, str] | None) -> dict[str, str]:
    """The values given, and those that the named variables of this process hold.

    Raises MageInvalid for a name without the prefix (whatever else is in the environment is nobody's business), one
    that is not set, and a variable that is given both ways.
    """
    values = dict(given or {})
    for name, text in values.items():
        if text.startswith(PREFIX) or _PLACEHOLDER.fullmatch(text):
            raise MageInvalid(
                f"The value given for {one_line(name, 60)} in set is a stand-in, not a value; nothing was written.",
                next_step=f"A secret goes by set_from: {{{one_line(name, 60)!r}: '{PREFIX}…'}}. {_known()}",
            )
    for name, source in (by_name or {}).items():
        if not source.startswith(PREFIX):
            raise MageInvalid(
                f"{one_line(source, 60)!r} is no variable that set_from may read; nothing was written.",
                next_step=_known(),
            )
        value = os.environ.get(source)
        if not value:
            raise MageInvalid(
                f"{source} is not set in the server's environment; nothing was written.",
                next_step=f"Ask the person to set it in the client's configuration and restart the server. {_known()}",
            )
        if name in values:
            raise MageInvalid(
                f"{one_line(name, 60)} is in set and in set_from; nothing was written.", next_step="Give it once."
            )
        remember_secret(value)
        values[name] = value
    return values


def _known() -> str:
    """The names that there are, never a value."""
    names = sorted(name for name, value in os.environ.items() if name.startswith(PREFIX) and value)
    shown = ", ".join(one_line(name, 60) for name in names[:10])
    return f"Set in the server's environment: {shown}." if names else f"None is set yet; names begin with {PREFIX}."

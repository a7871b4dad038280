"""Values that never pass through a model: taken from the server's own environment, by name."""

import os
from collections.abc import Mapping

from mage_mcp.errors import MageInvalid
from mage_mcp.text import one_line, remember_secret

PREFIX = "MAGE_MCP_SECRET_"


def values_from(given: Mapping[str, str] | None, by_name: Mapping[str, str] | None) -> dict[str, str]:
    """The values given, and those that the named variables of this process hold.

    Raises MageInvalid for a name without the prefix (whatever else is in the environment is nobody's business), one
    that is not set, and a variable that is given both ways.
    """
    values = dict(given or {})
    for name, source in (by_name or {}).items():
        if not source.startswith(PREFIX):
            raise MageInvalid(
                f"{one_line(source, 60)!r} is no variable that set_from may read; nothing was written.",
                next_step=f"Their names begin with {PREFIX}.",
            )
        value = os.environ.get(source)
        if not value:
            raise MageInvalid(
                f"{source} is not set in the server's environment; nothing was written.",
                next_step="Ask the person to set it in the MCP client's configuration and to restart the server.",
            )
        if name in values:
            raise MageInvalid(
                f"{one_line(name, 60)} is in set and in set_from; nothing was written.", next_step="Give it once."
            )
        remember_secret(value)
        values[name] = value
    return values

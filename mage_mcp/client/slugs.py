"""Names become uuids as Mage makes them: computed here, so that what exists is known before anything is sent."""

import re

from mage_mcp.errors import MageInvalid
from mage_mcp.text import MASK, one_line, show

_DROPPED = re.compile(r'[\ufeff"$\n\r\t]')
_NO_WORD = re.compile(r"\W")
_LONGEST = 100
"""Characters; Mage makes a folder or a file of it, whose name takes 255 bytes."""


def uuid_for(name: str) -> str:
    """`Weekly Report (v2)` becomes `weekly_report__v2_`. Source: Mage `clean_name`."""
    uuid = _NO_WORD.sub("_", _DROPPED.sub("", name))
    return (f"letter_{uuid}" if uuid[:1].isdecimal() else uuid).lower()


def checked_name(name: str, *, what: str) -> str:
    """The name without space around it. Raises MageInvalid for one that makes no uuid worth having."""
    name = name.strip()
    uuid = uuid_for(name)
    if not any(letter.isalnum() for letter in uuid):
        raise MageInvalid(
            f"A {what} needs a name with a letter or a digit; nothing was changed.",
            next_step="Give one such as 'Daily orders'.",
        )
    if len(name) > _LONGEST or len(uuid.encode(errors="replace")) > 2 * _LONGEST:
        raise MageInvalid(
            f"The name of a {what} is at most {_LONGEST} characters here; nothing was changed.",
            next_step="Put the rest into its description.",
        )
    if MASK in name or show(name) != name or len(name.splitlines()) > 1 or show(uuid) != uuid:
        raise MageInvalid(
            f"{one_line(name, 60)!r} cannot be the name of a {what}: it holds what does not show, or looks like a "
            "secret. Nothing was changed.",
            next_step="Use letters, digits and spaces.",
        )
    return name

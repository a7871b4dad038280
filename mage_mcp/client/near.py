"""Names that do not exist: which ones come near."""

import difflib
from collections.abc import Iterable

from mage_mcp.text import one_line

_SHOWN = 5


def did_you_mean(word: str, known: Iterable[str], *, where: str) -> str:
    """A next step: the nearest names, or some of the names there are, or that there are none."""
    names = sorted(set(known))
    if not names:
        return f"There are none {where}."
    near = (
        difflib.get_close_matches(word, names, n=3, cutoff=0.5) or [n for n in names if word.lower() in n.lower()][:3]
    )
    if near:
        return f"Did you mean {' or '.join(repr(one_line(name, 80)) for name in near)}?"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"There are: {', '.join(one_line(name, 80) for name in names[:_SHOWN])}{more}."

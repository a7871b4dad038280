"""What changes in a text, as a unified diff: made from the texts as they are, masked, then cut."""

import difflib

from mage_mcp.text import show

_CONTEXT = 3
_ROOM = 4_000
"""Characters; with what stands around it an answer stays below 1,500 tokens."""


def unified(before: str, after: str, path: str) -> str:
    """The diff, or nothing where the texts are the same. Secrets in it are masked, and a long one is cut at its end."""
    lines = list(
        difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{path}", f"b/{path}", n=_CONTEXT, lineterm="")
    )
    if not lines and before != after:
        lines = ["(only the line end at the end of the file changes)"]
    shown = show("\n".join(lines)).split("\n")
    room = _ROOM
    for number, line in enumerate(shown):
        room -= len(line) + 1
        if room < 0:
            return "\n".join((*shown[:number], f"… {len(shown) - number} more lines of the diff are not shown."))
    return "\n".join(shown)

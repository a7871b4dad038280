"""What changes in a text, as a unified diff: made from the lines as they are, shown masked, then cut."""

import difflib
from collections.abc import Iterator, Sequence

from mage_mcp.client.hidden import masked_lines
from mage_mcp.text import show

_CONTEXT = 3
_ROOM = 4_000
"""Characters; with what stands around it an answer stays below 1,500 tokens."""


def unified(before: str, after: str, path: str) -> str:
    """The diff, or nothing where the texts are the same. Secrets in it are masked, and a long one is cut at its end.

    What is masked in a whole text is masked in its diff, of which a part alone may not tell that it is a secret.
    """
    lines = list(_lines(before, after, path))
    if not lines and before != after:
        lines = ["(only the line end at the end of the file changes)"]
    shown = show("\n".join(lines)).split("\n")
    room = _ROOM
    for number, line in enumerate(shown):
        room -= len(line) + 1
        if room < 0:
            return "\n".join((*shown[:number], f"… {len(shown) - number} more lines of the diff are not shown."))
    return "\n".join(shown)


def _lines(before: str, after: str, path: str) -> Iterator[str]:
    old, new = masked_lines(before), masked_lines(after)
    same = difflib.SequenceMatcher(None, _split(before), _split(after))
    for number, group in enumerate(same.get_grouped_opcodes(_CONTEXT)):
        if not number:
            yield from (f"--- a/{path}", f"+++ b/{path}")
        (_, old_start, _, new_start, _), (_, _, old_end, _, new_end) = group[0], group[-1]
        yield f"@@ -{_range(old_start, old_end)} +{_range(new_start, new_end)} @@"
        for tag, a, b, c, d in group:
            if tag == "equal":
                yield from (f" {line}" for line in old[a:b])
            else:
                yield from (f"-{line}" for line in old[a:b])
                yield from (f"+{line}" for line in new[c:d])


def _split(text: str) -> Sequence[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _range(start: int, end: int) -> str:
    """As `diff` has it: counted from 1, and one line without its number."""
    if end - start == 1:
        return f"{start + 1}"
    return f"{start + (end > start)},{end - start}"

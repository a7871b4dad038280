"""Where a text is shown masked, so that no change of what stands around a secret, and no part of it, lays it open."""

from collections.abc import Callable, Iterable, Sequence

from mage_mcp.text import MASK, UNSEEN, masks

Span = tuple[int, int]
_FILLER = "\ue000"


def hidden_spans(text: str) -> list[Span]:
    """From where to where `show` masks something, in order and apart from each other."""
    gone = {at for found in UNSEEN.finditer(text) for at in range(*found.span())}
    kept: Sequence[int] = [at for at in range(len(text)) if at not in gone] if gone else range(len(text))
    seen = "".join(text[at] for at in kept) if gone else text
    spans: list[Span] = []
    for pattern, masked in masks(seen):
        found: list[Span] = []
        for match in pattern.finditer(seen):
            shown = masked(match) if callable(masked) else match.expand(masked)
            if shown != match[0]:
                head, _, tail = shown.partition(MASK)
                found.append((match.start() + len(head), match.end() - len(tail) * match[0].endswith(tail)))
        spans += found
        # Overwritten in its length: so places stay what they are, and the next pattern sees what is masked as masked.
        seen = _overwritten(seen, found, lambda part: _FILLER * len(part))
    return _united((kept[start], kept[end - 1] + 1) for start, end in spans if end > start)


def masked_lines(text: str) -> list[str]:
    """The lines of a text, as many as it has, each without what is masked in it."""
    masked = _overwritten(text, hidden_spans(text), lambda part: "\n".join(MASK if p else "" for p in part.split("\n")))
    return masked.removesuffix("\n").split("\n") if masked else []


def cuts(start: int, end: int, hidden: Iterable[Span]) -> bool:
    """Whether a part of a text holds a piece of something masked, and not all of it."""
    return any(start < last and first < end and not (start <= first and last <= end) for first, last in hidden)


def lays_open(before: str, after: str, *, start: int, end: int) -> bool:
    """Whether something masked, but for what stood from `start` to `end`, is seen after that was replaced."""
    by, covered = len(after) - len(before), hidden_spans(after)
    outside = [span for span in hidden_spans(before) if span[1] <= start or span[0] >= end]
    moved = [span if span[1] <= start else (span[0] + by, span[1] + by) for span in outside]
    return any(not any(first <= a and b <= last for first, last in covered) for a, b in moved)


def _overwritten(text: str, spans: Iterable[Span], by: Callable[[str], str]) -> str:
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], by(text[start:end])]
        at = end
    return "".join((*parts, text[at:]))


def _united(spans: Iterable[Span]) -> list[Span]:
    """In order; those that touch are one."""
    united: list[Span] = []
    for first, last in sorted(spans):
        if united and first <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], last))
        else:
            united.append((first, last))
    return united

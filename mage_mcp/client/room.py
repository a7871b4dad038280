"""The room of an answer, shared between its parts."""

from collections.abc import Mapping


def fair_shares(sizes: Mapping[str, int], *, room: int) -> dict[str, int]:
    """How much of the room each part gets: what it needs where that is no more than its equal share of what is left."""
    shares: dict[str, int] = {}
    for number, (name, size) in enumerate(sorted(sizes.items(), key=lambda each: each[1])):
        shares[name] = max(0, min(size, room // (len(sizes) - number)))
        room -= shares[name]
    return shares

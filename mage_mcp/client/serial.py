"""Writes to one thing, one after the other: of twenty at once on one pipeline, Mage loses eighteen."""

from weakref import WeakValueDictionary

import anyio


class Serial:
    """A lock for each name, as long as somebody holds or awaits it.

    Hold it from the last read that a write relies on till what was written was read back.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    def __call__(self, *name: str) -> anyio.Lock:
        """The lock of `("pipeline", uuid)`, of `("file", path)`; to be used as `async with serial("file", path):`."""
        return self._locks.setdefault("\0".join(name), anyio.Lock())

"""Whether two JSON values are the same, as JSON has it and Python does not: true is no 1."""

from typing import Any


def same_json(one: Any, other: Any) -> bool:
    """Keys of objects may come in another order, items of lists may not; 1 and 1.0 are one number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same_json(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)

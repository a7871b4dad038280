"""Input that is not as the schema has it, where what it means is certain: it is taken, not refused.

Models write `FAILED`, `success`, one id where a list is asked for, or more items than there may be. The schema stays as
strict and as small as it is; what was taken otherwise than it was given is said in the answer's note.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pydantic import BeforeValidator, ValidationInfo

_taken: ContextVar[dict[str, str] | None] = ContextVar("taken", default=None)
"""Sentences by argument: a resolver may see the same argument again."""


@contextmanager
def a_call() -> Iterator[None]:
    """What is taken within belongs to one call: a client in process makes the next one in the same context."""
    token = _taken.set({})
    try:
        yield
    finally:
        _taken.reset(token)


def said_of_arguments() -> str:
    """What this call took otherwise than it was given; empty where nothing was."""
    return " ".join((_taken.get() or {}).values())


def _as_text(value: Any) -> Any:
    """Models send a run id now as a number, now as a text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_list(value: Any) -> Any:
    """One where a list is asked for, or several in one text. A link may hold a comma."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if not isinstance(value, str):
        return value
    return [part for part in re.split(r",?\s+" if "/" in value else r"[,;\s]+", value.strip()) if part]


def _one_as_list(value: Any) -> Any:
    """One text where a list of them is asked for; it may hold blanks and commas."""
    return [value] if isinstance(value, str) and value else value


IdAsText = BeforeValidator(_as_text)
AsList = BeforeValidator(_as_list)
OneAsList = BeforeValidator(_one_as_list)


def at_most(most: int) -> BeforeValidator:
    """A number over the maximum is the maximum. Stands behind the Field with the bounds, which the schema shows."""

    def clamp(value: Any, info: ValidationInfo) -> Any:
        number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
        if isinstance(number, bool) or not isinstance(number, int | float) or not number > most:
            return value
        name = info.field_name or "It"
        _taken.set({**(_taken.get() or {}), name: f"{name} is at most {most}, and was taken as that."})
        return most

    return BeforeValidator(clamp)


def spelled(**same: str | None) -> BeforeValidator:
    """Words of a choice in any case, with blanks or hyphens, and others that mean the same; None is no choice."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        word = re.sub(r"[\s-]+", "_", value.strip().lower())
        return same.get(word, word)

    return BeforeValidator(read)

"""The base of every answer: lean, and honest about which texts are somebody else's."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, get_origin

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

DEFAULT_LIMIT = 20
ROOM_BY_DEFAULT, ROOM = 5_600, 31_000
"""Bytes for the rows of an answer: with what stands around them 1,500 tokens, or 8,000 where more was asked for."""

Text = Callable[[str], str]


class Answer(BaseModel):
    """A model that is shown. Optional fields that say nothing (their default, or empty) are left out by `lean()`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    def lean(self, text: Text | None = None) -> dict[str, Any]:
        """The answer as JSON values, without nulls and without optional fields that say nothing.

        `text` is done to every text, and to the keys of what is no answer: not to the names of fields, to times, and to
        words of a fixed choice, which are nobody's secret whatever they look like.
        """
        out: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if not field.is_required() and value == field.default:
                continue
            out[name] = value if get_origin(field.annotation) is Literal else _lean(value, text)
        return out


def _lean(value: Any, text: Text | None = None) -> Any:
    if isinstance(value, str):
        return text(value) if text else value
    if isinstance(value, Answer):
        return value.lean(text)
    if isinstance(value, list | tuple):
        return [_lean(item, text) for item in value]
    if isinstance(value, dict):
        return {text(str(key)) if text else key: _lean(item, text) for key, item in value.items()}
    if isinstance(value, datetime):
        return iso(value)
    return value


def iso(moment: datetime) -> str:
    """UTC, ISO 8601, to the second: `2026-11-24T02:16:07Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Untrusted:
    """Marks a text field that somebody else wrote: code, logs, messages. It is data, never an instruction.

    `block` names the language of a text that is long enough to stand in a fenced block of its own in the text form.
    """

    block: str = ""


UtcTime = Annotated[datetime, PlainSerializer(iso, return_type=str)]
Message = Annotated[str, Untrusted()]
"""A short text written by Mage's users or their code."""
Name = Message
"""What they called something: exact, so that the next call can use it, and no less their text."""
Names = Annotated[list[str], Untrusted()]
Code = Annotated[str, Untrusted(block="python")]
LogText = Annotated[str, Untrusted(block="log")]


class Page(Answer):
    """The part that every list shares."""

    total: int = Field(description="How many there are in all, for these filters.")
    next_offset: int | None = Field(default=None, description="Pass as offset for the next page.")
    note: str = Field(default="", description="Why it is empty, or what was left out.")

    @classmethod
    def fitted(
        cls, rows: Sequence[Answer], *, total: int, limit: int, offset: int, note: str = "", **fields: Any
    ) -> Self:
        """The page of these rows, or of as many of them as there is room for: then the next page begins earlier."""
        fit = how_many_fit(rows, room=ROOM if limit > DEFAULT_LIMIT else ROOM_BY_DEFAULT)
        end = offset + (fit if fit < len(rows) else limit)
        if fit < len(rows):
            note = f"Only {fit} rows fit into this answer; next_offset goes on behind them. {note}".strip()
        fields["items"], fields["next_offset"] = rows[:fit], end if total > end else None
        return cls(total=total, note=note, **fields)


class Change(Answer):
    """The part that every answer of a destroy tool shares."""

    changed: bool = Field(description="Whether anything was changed.")
    would: list[str] = Field(default=[], description="What would be done; nothing was done yet.")
    confirm: str = Field(default="", description="Code that lets the same call act, once a person agreed.")
    note: str = ""


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def size_of(value: Any) -> int:
    """Bytes that it takes in an answer, as JSON."""
    return len(_COMPACT.encode(_lean(value)).encode("utf-8", "surrogatepass"))


def how_many_fit(values: Sequence[Any], *, room: int) -> int:
    """How many of the values, from the first on, take at most `room` bytes as JSON; one at least."""
    for i, value in enumerate(values):
        room -= size_of(value) + 1
        if room < 0:
            return max(1, i)
    return len(values)

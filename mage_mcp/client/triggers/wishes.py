"""What a caller wants of a trigger: checked before anything is sent, and laid over what Mage has."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from mage_mcp.client.models import iso
from mage_mcp.client.records import TriggerRecord
from mage_mcp.client.schedules import checked_interval
from mage_mcp.client.triggers.reading import OURS, TriggerStatus
from mage_mcp.errors import MageInvalid
from mage_mcp.text import MASK, is_secret_name, one_line, quoted, shorten, show

Clearable = Literal["description", "start_time"]

_LONGEST_NAME = 255
_LONGEST_TEXT = 5_000
_LONGEST_VARIABLES = 50_000
_LONGEST_SHOWN = 300


@dataclass(frozen=True)
class Wish:
    """What is wanted, checked. None, and "" for texts, mean that nothing is wanted of that field."""

    name: str = ""
    status: TriggerStatus | None = None
    interval: str = ""
    start_time: datetime | None = None
    set_variables: Mapping[str, Any] | None = None
    unset_variables: Sequence[str] = ()
    description: str = ""
    tags: Sequence[str] | None = None
    timeout_s: int | None = None
    clear: Sequence[Clearable] = ()
    note: str = ""
    """How what was given was understood."""

    @property
    def schedules(self) -> bool:
        """Whether it says when to run."""
        return bool(self.interval or self.start_time or "start_time" in self.clear)

    def over(self, record: TriggerRecord) -> dict[str, Any]:
        """The fields of Mage's that have to change, whole: Mage replaces objects and lists, so they are merged here."""
        wanted: dict[str, Any] = {
            "name": self.name or record.name,
            "status": self.status or record.status,
            "schedule_interval": self.interval or record.schedule_interval,
            "description": "" if "description" in self.clear else self.description or record.description,
            "start_time": None if "start_time" in self.clear else self.start_time or record.start_time,
            "tags": sorted(set(record.tags if self.tags is None else self.tags)),
            "variables": {
                name: value
                for name, value in {**record.variables, **(self.set_variables or {})}.items()
                if name not in self.unset_variables
            },
            "settings": _with_timeout(record.settings, self.timeout_s),
        }
        present = fields_of(record)
        return {name: value for name, value in wanted.items() if not same(value, present[name])}

    def never_there(self, record: TriggerRecord) -> str:
        """A word on variables to unset that are not there: a name may be misspelt."""
        names = [quoted(name, 60) for name in self.unset_variables if name not in record.variables]
        return f"There was no variable {', '.join(names[:10])} to unset." if names else ""


def wish(*, now: datetime, start_time: str = "", **given: Any) -> Wish:
    """The wish for these values, as `Wish` names them.

    `start_time` is an ISO time, UTC where it names no zone: Mage drops zones, so it is converted here.

    Raises MageInvalid for what Mage would store and be broken by, and for what would not mean what it says.
    """
    start, note = _start_time(start_time) if start_time.strip() else (None, "")
    if interval := given.get("interval", "").strip():
        given["interval"] = checked_interval(interval, now=now)
    wanted = Wish(start_time=start, note=note, **{name: value for name, value in given.items() if value is not None})
    _check_texts(wanted)
    check_variables(wanted.set_variables or {})
    both = set(wanted.set_variables or {}) & set(wanted.unset_variables)
    both |= {name for name in wanted.clear if getattr(wanted, name)}
    if both:
        raise MageInvalid(f"{one_line(sorted(both)[0], 60)!r} is to be set and removed; nothing was sent.")
    return wanted


def _check_texts(wanted: Wish) -> None:
    texts = {"name": wanted.name, "description": wanted.description, "a tag": "".join(wanted.tags or ())}
    for what, text in texts.items():
        if MASK in text or show(text) != text:
            raise MageInvalid(
                f"{what.capitalize()} holds a mask, what looks like a secret, or hidden characters; nothing was sent.",
                next_step="Give it in plain words.",
            )
        longest = _LONGEST_TEXT if what == "description" else _LONGEST_NAME
        if len(text) > longest or (what != "description" and text != " ".join(text.split())):
            raise MageInvalid(f"{what.capitalize()} must be one line of at most {longest} characters.")
    if wanted.name == OURS:
        raise MageInvalid(
            f"The name {OURS!r} belongs to the trigger that trigger_pipeline uses; nothing was sent.",
            next_step="Choose another.",
        )
    if any(not tag for tag in wanted.tags or ()):
        raise MageInvalid("A tag is empty; nothing was sent.")


def check_variables(variables: Mapping[str, Any], *, outcome: str = "nothing was sent") -> None:
    """Names that blocks can use, JSON values that Mage can keep, nothing masked. Raises MageInvalid, with `outcome`."""
    for name in variables:
        if not name.isidentifier():
            raise MageInvalid(
                f"{one_line(name, 40)!r} is no variable's name; {outcome}.",
                next_step="Names are like Python's: letters, digits, underscores.",
            )
    try:
        text = json.dumps(variables, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        raise MageInvalid(
            f"The variables cannot be sent as JSON (half a character, NaN, or too deep); {outcome}.",
            next_step="Give plain texts, numbers, lists and objects.",
        ) from None
    if MASK in text:
        raise MageInvalid(f"A variable's value holds the mask {MASK}; {outcome}.", next_step="Give the real value.")
    if len(text) > _LONGEST_VARIABLES:
        raise MageInvalid(
            f"The variables are over {_LONGEST_VARIABLES} characters; {outcome}.",
            next_step="Put the data where the pipeline can load it and pass its place.",
        )


def _start_time(text: str) -> tuple[datetime, str]:
    try:
        moment = datetime.fromisoformat(text.strip()).replace(microsecond=0)
        utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise MageInvalid(
            f"start_time cannot be read: {one_line(text, 40)!r}; nothing was sent.",
            next_step="It takes an ISO date or time such as 2026-11-01 or 2026-11-01T06:00:00+02:00.",
        ) from None
    if moment.tzinfo is None:
        return utc, f"The start time was taken as UTC, {iso(utc)}."
    if moment.utcoffset():
        return utc, f"The start time is {iso(utc)}: Mage counts in UTC."
    return utc, ""


def _with_timeout(settings: Mapping[str, Any], timeout_s: int | None) -> dict[str, Any]:
    merged = dict(settings)
    if timeout_s is not None:
        merged.pop("timeout", None)
        if timeout_s:
            merged["timeout"] = timeout_s
    return merged


def fields_of(record: TriggerRecord) -> dict[str, Any]:
    """Everything of a trigger that can be changed, by Mage's names."""
    return {
        "name": record.name,
        "status": record.status,
        "schedule_interval": record.schedule_interval,
        "description": record.description,
        "start_time": record.start_time,
        "tags": sorted(record.tags),
        "variables": record.variables,
        "settings": record.settings,
    }


def same(value: Any, other: Any) -> bool:
    """Equal as JSON has it, where `true` is not `1`."""
    return value == other and (not isinstance(value, dict) or _text(value) == _text(other))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def on_the_wire(fields: Mapping[str, Any]) -> dict[str, Any]:
    """As Mage takes them: times without an offset, null for what is cleared."""
    sent = dict(fields)
    if isinstance(start := sent.get("start_time"), datetime):
        sent["start_time"] = str(start.astimezone(UTC).replace(tzinfo=None))
    if sent.get("description") == "":
        sent["description"] = None
    return sent


def shown_fields(record: TriggerRecord, names: Sequence[str], *, other: TriggerRecord) -> dict[str, Any]:
    """Those fields as the tools' arguments name them; of the variables those that `other` has otherwise."""
    present = fields_of(record)
    shown: dict[str, Any] = {}
    for name in names:
        value = present[name]
        if name == "variables":
            shown[name] = _differing(value, other.variables)
        elif name == "settings":
            shown["timeout_s"] = value.get("timeout") or 0
        elif name == "start_time":
            shown[name] = iso(value) if value else ""
        else:
            shown["interval" if name == "schedule_interval" else name] = value
    return shown


def _differing(variables: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Masked before they are cut."""
    return {
        name: MASK if is_secret_name(name) else _shown(value)
        for name, value in variables.items()
        if name not in other or not same({"": value}, {"": other[name]})
    }


def _shown(value: Any) -> Any:
    masked = _masked(value)
    text = masked if isinstance(masked, str) else _text(masked)
    return masked if len(text) <= _LONGEST_SHOWN else shorten(text, _LONGEST_SHOWN)


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return show(value)
    if isinstance(value, dict):
        return {name: MASK if is_secret_name(name) else _masked(inner) for name, inner in value.items()}
    return [_masked(inner) for inner in value] if isinstance(value, list) else value

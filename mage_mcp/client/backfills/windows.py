"""The window of a backfill, and the dates that Mage makes of it: worked out here, since a bad one hangs Mage for good.

Mage's own preview is never asked for: it counts up to the end in steps of the interval, and with a step of nothing, or
backwards, it never gets there.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from mage_mcp.client.models import iso
from mage_mcp.client.run_rows import parse_moment
from mage_mcp.errors import MageInvalid
from mage_mcp.text import one_line

IntervalType = Literal["second", "minute", "hour", "day", "week", "month", "year"]

MOST_UNITS = 1_000
MOST_RUNS = 2_000
"""Of one backfill: Mage makes them one after the other, and answers nobody meanwhile."""
_LENGTHS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "custom": timedelta(seconds=1),
}
_MONTHS = {"month": 1, "year": 12}
_WORDS = {"daily": "day", "hourly": "hour", "weekly": "week", "monthly": "month", "yearly": "year"}
_YEARS = (1900, 2200)
"""What lies outside is a slip, and far outside Mage's arithmetic ends."""


@dataclass(frozen=True)
class Window:
    """From when to when, both included, and in which steps. Times are UTC."""

    start: datetime
    end: datetime
    interval_type: str
    interval_units: int

    def dates(self) -> Iterator[datetime]:
        """The execution dates, one for each run. Source: Mage orchestration/backfills/service.py."""
        date = self.start
        while date <= self.end:
            yield date
            date = self.after(date)

    def after(self, date: datetime) -> datetime:
        """The next date. A month is counted from the last date, not from the start: from the 31st on it is the 28th
        after a February, and stays so.
        """
        if self.interval_type not in _MONTHS:
            return date + _LENGTHS[self.interval_type] * self.interval_units
        months = date.month - 1 + _MONTHS[self.interval_type] * self.interval_units
        year, month = date.year + months // 12, months % 12 + 1
        return date.replace(year=year, month=month, day=min(date.day, monthrange(year, month)[1]))

    @property
    def count(self) -> int:
        """How many runs it makes."""
        if self.interval_type in _MONTHS:
            return sum(1 for _ in self.dates())
        return (self.end - self.start) // (_LENGTHS[self.interval_type] * self.interval_units) + 1

    @property
    def last(self) -> datetime:
        """The last execution date, which may lie before the end."""
        if self.interval_type in _MONTHS:
            return max(self.dates())
        return self.start + _LENGTHS[self.interval_type] * self.interval_units * (self.count - 1)

    @property
    def interval(self) -> str:
        return f"{self.interval_units} {self.interval_type}{'s' if self.interval_units > 1 else ''}"

    @property
    def title(self) -> str:
        """A name for a backfill of it."""
        step = self.interval if self.interval_units > 1 else self.interval_type
        return f"{_short(self.start)} to {_short(self.last)} by {step}"

    def makes_the_same_as(self, other: "Window") -> bool:
        return (
            self.start == other.start
            and self.last == other.last
            and self.count == other.count
            and all(ours == theirs for ours, theirs in zip(self.dates(), other.dates(), strict=True))
        )

    def shares_with(self, other: "Window") -> int:
        """How many of the dates are also the other's."""
        if other.interval_type in _MONTHS:
            return len(set(self.dates()) & set(other.dates()))
        step = _LENGTHS[other.interval_type] * other.interval_units
        return sum(1 for date in self.dates() if other.start <= date <= other.end and not (date - other.start) % step)


def in_mages_words(interval: str) -> str:
    """`daily`, `@daily` and `days` are `day`; what is no interval stays as it is."""
    word = interval.strip().lower().removeprefix("@")
    return _WORDS.get(word, word.removesuffix("s"))


def sound_window(
    start: datetime | None, end: datetime | None, interval_type: str, interval_units: int | None
) -> Window | None:
    """The window that Mage has stored; None where it has none, or one that cannot be counted to its end."""
    if start is None or end is None or interval_units is None or interval_type not in {*_LENGTHS, *_MONTHS}:
        return None
    window = Window(start, end, interval_type, interval_units)
    if not _YEARS[0] <= start.year <= end.year <= _YEARS[1] or start > end or interval_units < 1:
        return None
    try:
        window.after(end)
    except (ValueError, OverflowError):
        return None
    return window


def checked_window(
    start: str, end: str, *, interval_type: str, interval_units: int, max_runs: int, now: datetime
) -> tuple[Window, str]:
    """The window that is meant, and a word on how the times were understood.

    Times are ISO, UTC where they name no zone, or what `parse_moment` takes besides, as `7d`: that is taken to the full
    interval. A day alone means the whole of it. Raises MageInvalid for what would hang Mage or break it, and for more
    runs than `max_runs`.
    """
    if interval_type not in get_args(IntervalType):
        raise MageInvalid(
            f"{one_line(interval_type, 40)!r} is no interval; nothing was sent.",
            next_step=f"It takes {', '.join(get_args(IntervalType))}.",
        )
    if not 1 <= interval_units <= MOST_UNITS:
        raise MageInvalid(f"interval_units is {interval_units}; it takes 1 to {MOST_UNITS}. Nothing was sent.")
    first = _moment(start, "start", interval_type, now=now)
    last = _moment(end, "end", interval_type, now=now)
    if last < first:
        raise MageInvalid(
            f"The window ends ({iso(last)}) before it starts ({iso(first)}); nothing was sent.",
            next_step="Both ends are included: for a single day, give it as start and as end.",
        )
    window = Window(first, last, interval_type, interval_units)
    if (count := window.count) > max_runs:
        more = f", or max_runs={count} if a person wants them all" if count <= MOST_RUNS else ""
        raise MageInvalid(
            f"From {iso(first)} to {iso(last)} by {window.interval} are {count} runs, over max_runs={max_runs}. "
            "Nothing was sent.",
            next_step=f"Take a shorter window or a longer interval{more}; one backfill has at most {MOST_RUNS}.",
        )
    return window, _how_understood(start, end, window)


def _moment(text: str, name: str, interval_type: str, *, now: datetime) -> datetime:
    try:
        moment = datetime.fromtimestamp(parse_moment(text, name=name, now=now), UTC)
    except (ValueError, OverflowError, OSError):
        raise _out_of_range(name, text) from None
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise _out_of_range(name, text)
    if name == "end" and _is_day(text):
        return moment + timedelta(days=1, seconds=-1)
    return moment if _as_iso(text) else _floor(moment, interval_type)


def _out_of_range(name: str, text: str) -> MageInvalid:
    return MageInvalid(
        f"{name} is {one_line(text, 40)!r}; a window lies between {_YEARS[0]} and {_YEARS[1]}. Nothing was sent."
    )


def _as_iso(text: str) -> datetime | None:
    """None for what is an age or a word."""
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def _is_day(text: str) -> bool:
    """A date without a time, or the word for one."""
    text = text.strip()
    if _as_iso(text) is None:
        return text.lower() in {"today", "yesterday"}
    return len(text) <= len("2026-11-01") and "T" not in text


def _floor(moment: datetime, interval_type: str) -> datetime:
    """To the full minute or hour; for days and longer to midnight."""
    if interval_type == "second":
        return moment
    if interval_type == "minute":
        return moment.replace(second=0)
    hour = moment.replace(minute=0, second=0)
    return hour if interval_type == "hour" else hour.replace(hour=0)


def _how_understood(start: str, end: str, window: Window) -> str:
    given = [_as_iso(text) for text in (start, end)]
    if None in given:
        return f"The window was taken as {iso(window.start)} to {iso(window.end)}."
    if any(moment and moment.utcoffset() for moment in given):
        return f"The window is {iso(window.start)} to {iso(window.end)}: Mage counts in UTC."
    return ""


def _short(moment: datetime) -> str:
    midnight = moment.hour == moment.minute == moment.second == 0
    return f"{moment:%Y-%m-%d}" if midnight else f"{moment:%Y-%m-%d %H:%M:%S}".removesuffix(":00")

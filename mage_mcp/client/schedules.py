"""When an interval or a cron line comes round, as Mage counts it: UTC, weeks from Monday, months from the first.

Mage tells only when it comes next from now on, whatever it missed and whatever start time a trigger has.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from mage_mcp.errors import MageInvalid
from mage_mcp.text import one_line

ONCE, ALWAYS = "@once", "@always_on"
INTERVALS = (ONCE, "@hourly", "@daily", "@weekly", "@monthly", ALWAYS)

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: tuple[tuple[str, ...], ...] = ((), (), (), _MONTHS, _WEEKDAYS)
_CHARACTERS = re.compile(r"[0-9A-Za-z*/, -]+")
_DAYS_BACK = 400
"""A line that came round less often than that is not judged."""
_DAYS_AHEAD = 8 * 366
"""29 February may be eight years away; what does not come in that time comes never."""
_LONGEST = 50
"""Characters that Mage's database has room for."""


def checked_interval(text: str, *, now: datetime) -> str:
    """An interval or a cron line as Mage writes it, `daily` as `@daily`.

    Raises MageInvalid for what is neither, and for a line that never comes round: Mage stores that, and from then on
    its lists of triggers answer errors. Mage takes more kinds of lines (seconds, `L`, `#`); these have five fields.
    """
    line = " ".join(text.split())
    word = f"@{line.removeprefix('@').lower()}"
    if word in INTERVALS:
        return word
    if len(line) > _LONGEST or not _is_cron(line):
        raise MageInvalid(
            f"{one_line(text, 60)!r} is no interval; nothing was sent.",
            next_step=f"It takes {', '.join(INTERVALS)}, or a cron line of five fields in UTC: '30 6 * * 1-5' is 06:30 "
            "from Monday to Friday.",
        )
    if next_due(line, now) is None:
        raise MageInvalid(
            f"The cron line {line!r} never comes round; nothing was sent.",
            next_step="Its day does not exist in its months. Give another.",
        )
    return line


def _is_cron(line: str) -> bool:
    try:
        return _CHARACTERS.fullmatch(line) is not None and bool(_fields(line))
    except ValueError:
        return False


def next_due(interval: str, moment: datetime) -> datetime | None:
    """The earliest moment, not before `moment`, at which a run is due; None where that cannot be told.

    Source: Mage PipelineSchedule.next_execution_date.
    """
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match interval:
        case "@hourly":
            due, following = moment.replace(minute=0, second=0, microsecond=0), timedelta(hours=1)
        case "@daily":
            due, following = midnight, timedelta(days=1)
        case "@weekly":
            due, following = midnight - timedelta(days=midnight.weekday()), timedelta(weeks=1)
        case "@monthly":
            first = midnight.replace(day=1)
            due, following = first, (first + timedelta(days=32)).replace(day=1) - first
        case _:
            moments = _moments(interval, midnight, days=_DAYS_AHEAD, step=timedelta(days=1))
            return next((due for day in moments for due in sorted(day) if due >= moment), None)
    return due if due >= moment else due + following


def last_due(interval: str, now: datetime) -> datetime | None:
    """The latest moment, not after `now`, at which a run was due; None where that cannot be told.

    Source: Mage PipelineSchedule.current_execution_date.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match interval:
        case "@hourly":
            return now.replace(minute=0, second=0, microsecond=0)
        case "@daily":
            return midnight
        case "@weekly":
            return midnight - timedelta(days=now.weekday())
        case "@monthly":
            return midnight.replace(day=1)
        case _:
            return _last_of_cron(interval, now)


def _last_of_cron(line: str, now: datetime) -> datetime | None:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    moments = _moments(line, midnight, days=_DAYS_BACK, step=-timedelta(days=1))
    return next((due for day in moments for due in sorted(day, reverse=True) if due <= now), None)


def _moments(line: str, day: datetime, *, days: int, step: timedelta) -> Iterator[list[datetime]]:
    """When a cron line is due on each of so many days, from that midnight on; nothing for what is no such line."""
    try:
        minutes, hours, month_days, months, weekdays = _fields(line)
    except ValueError:
        return
    fields = line.split()
    either = "*" not in (fields[2][0], fields[4][0])
    for _ in range(days):
        in_month, in_week = day.day in month_days, day.isoweekday() % 7 in weekdays
        # Cron joins the two day fields by "or" when both are given.
        if day.month in months and (in_month or in_week if either else in_month and in_week):
            yield [day.replace(hour=hour, minute=minute) for hour in hours for minute in minutes]
        day += step


def _fields(line: str) -> list[set[int]]:
    """The numbers that each of the five fields names. Raises ValueError."""
    fields = line.lower().split()
    if len(fields) != len(_RANGES):
        raise ValueError("a cron line has five fields")
    return [_values(field, place) for place, field in enumerate(fields)]


def _values(field: str, place: int) -> set[int]:
    """The numbers that a field names; 7 is Sunday like 0.

    Raises ValueError for what is none.
    """
    low, high = _RANGES[place]
    values: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        start = _number(first, place)
        end = _number(last, place) if last else high if step else start
        if not low <= start <= end <= high or (step and int(step) < 1):
            raise ValueError(f"{part} is out of range")
        values.update(range(start, end + 1, int(step or 1)))
    return {value % 7 for value in values} if high == _RANGES[-1][1] else values


def _number(text: str, place: int) -> int:
    return _NAMES[place].index(text) if text and text in _NAMES[place] else int(text)

"""When an interval or a cron line last came round, as Mage counts it: UTC, weeks from Monday, months from the first.

Mage tells only when it comes next, whatever it missed.
"""

from datetime import datetime, timedelta

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: tuple[tuple[str, ...], ...] = ((), (), (), _MONTHS, _WEEKDAYS)
_DAYS_BACK = 400
"""A line that came round less often than that is not judged."""


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
    fields = line.lower().split()
    if len(fields) != len(_RANGES):
        return None
    try:
        minutes, hours, days, months, weekdays = (_values(field, place) for place, field in enumerate(fields))
    except ValueError:
        return None
    either = "*" not in (fields[2][0], fields[4][0])
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(_DAYS_BACK):
        in_month, in_week = day.day in days, day.isoweekday() % 7 in weekdays
        # Cron joins the two day fields by "or" when both are given.
        if day.month in months and (in_month or in_week if either else in_month and in_week):
            moments = (day.replace(hour=hour, minute=minute) for hour in hours for minute in minutes)
            if found := max((moment for moment in moments if moment <= now), default=None):
                return found
        day -= timedelta(days=1)
    return None


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

"""When an interval or a cron line next comes round."""

from datetime import datetime, timedelta

INTERVALS = ("@once", "@hourly", "@daily", "@weekly", "@monthly", "@always_on")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_YEARS_AHEAD = 8


def is_interval(text: str) -> bool:
    """Whether Mage takes this as a `schedule_interval`."""
    if text in INTERVALS:
        return True
    try:
        _parse(text)
    except ValueError:
        return False
    return True


def next_run_at(interval: str, now: datetime) -> datetime | None:
    """When Mage says it comes next. It asks neither the trigger's status nor its start time."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match interval:
        case "@once" | "@always_on":
            return None
        case "@hourly":
            return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        case "@daily":
            return midnight + timedelta(days=1)
        case "@weekly":
            return midnight + timedelta(days=7 - now.weekday())
        case "@monthly":
            return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
        case _:
            return _next_of_cron(interval, now)


def last_run_at(interval: str, now: datetime) -> datetime | None:
    """When it last came round, not after `now`; None for what has no times of its own, or none within two years."""
    if interval in ("@once", "@always_on"):
        return None
    following = next_run_at(interval, now)
    for days in (0.05, 1, 7, 31, 366, 731):
        # The last of the moments between then and now, going from each to the next.
        moment, found = now - timedelta(days=days), None
        while (moment := next_run_at(interval, moment) or now) <= now and moment != following:
            found = moment
        if found:
            return found
    return None


def _parse(text: str) -> list[set[int]]:
    fields = text.split()
    if len(fields) != len(_RANGES):
        raise ValueError("a cron line has five fields")
    return [_values(field, *limits) for field, limits in zip(fields, _RANGES, strict=True)]


def _values(field: str, low: int, high: int) -> set[int]:
    values: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        top = int(last) if last else (high if step else int(first))
        if not low <= int(first) <= top <= high:
            raise ValueError(f"{part} is out of range")
        values.update(range(int(first), top + 1, int(step or 1)))
    return values


def _next_of_cron(line: str, now: datetime) -> datetime | None:
    minutes, hours, days, months, weekdays = _parse(line)
    _, _, day_field, _, weekday_field = line.split()
    moment = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    day = moment.replace(hour=0, minute=0)
    for _ in range(366 * _YEARS_AHEAD):
        in_month = day.day in days
        in_week = day.isoweekday() in weekdays or (day.isoweekday() % 7) in weekdays
        # Cron joins the two day fields by "or" when both are given.
        fits = in_month or in_week if "*" not in (day_field, weekday_field) else in_month and in_week
        if day.month in months and fits:
            for hour in sorted(hours):
                for minute in sorted(minutes):
                    candidate = day.replace(hour=hour, minute=minute)
                    if candidate >= moment:
                        return candidate
        day += timedelta(days=1)
    return None

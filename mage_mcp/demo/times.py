"""The clock of the simulated Mage, and Mage's ways to write a time."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Real time, or a fixed start; either can be advanced. The whole world follows from it."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start
        self._offset = timedelta()

    def now(self) -> datetime:
        return (self._start or datetime.now(UTC)) + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)


def after(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)


def stamp(moment: datetime | None) -> str | None:
    """`2026-11-24 02:16:13.666856`: runs and triggers. Always UTC, never says so."""
    return None if moment is None else str(moment.replace(tzinfo=None))


def second(moment: datetime) -> datetime:
    """The database's own times, `created_at` and `updated_at`, have no fractions."""
    return moment.replace(microsecond=0)


def iso(moment: datetime | None) -> str | None:
    """`2026-11-24T02:16:06.497289`: lists of block runs, and triggers inside pipelines."""
    return None if moment is None else moment.replace(tzinfo=None).isoformat()


def partition(trigger_id: int, execution_date: datetime) -> str:
    """The folder of a run's logs and outputs; runs that share an execution date share it."""
    return f"{trigger_id}/{execution_date:%Y%m%dT%H%M%S_%f}"

"""Windows: half-open ranges of event dates, UTC. Every job takes one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lake.errors import WindowError

EARLIEST = date(1970, 1, 1)


@dataclass(frozen=True)
class Window:
    """The event dates d with start <= d < end. Raises WindowError when there are none."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise WindowError(
                f"window [{self.start}, {self.end}) holds no day: start must be before end; "
                f"for the single day {self.start} pass --start {self.start} --end {self.start + timedelta(days=1)}"
            )
        if self.start < EARLIEST:
            raise WindowError(f"window starts at {self.start}; the earliest date allowed is {EARLIEST}")

    @classmethod
    def day(cls, day: date) -> Window:
        """The window of one day."""
        return cls(day, day + timedelta(days=1))

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    @property
    def as_of(self) -> datetime:
        """The instant at which the window has just ended; features as of it see all of the window."""
        return datetime(self.end.year, self.end.month, self.end.day, tzinfo=UTC)

    @property
    def days(self) -> int:
        """How many days it holds."""
        return (self.end - self.start).days

    def __str__(self) -> str:
        return f"[{self.start}, {self.end})"


def parse_date(text: str) -> date:
    """An ISO date, or the date part of an ISO instant (Airflow's partition keys are instants).

    Raises WindowError for anything else.
    """
    try:
        return datetime.fromisoformat(text.strip()).date()
    except ValueError:
        raise WindowError(f"got the date {text[:40]!r}; allowed is YYYY-MM-DD, for example 2017-12-31") from None

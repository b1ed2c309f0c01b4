"""What a loader is asked for and what it says it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from lake.errors import SourceError, WindowError


@dataclass(frozen=True)
class Days:
    """The event dates that are asked for, half-open, UTC; None means from the first, or to the last.

    Raises WindowError when there is no day between them.
    """

    start: date | None = None
    end: date | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise WindowError(f"window [{self.start}, {self.end}) holds no day: start must be before end")

    @property
    def all(self) -> bool:
        """Whether every event is asked for."""
        return self.start is None and self.end is None

    def hold(self, day: date) -> bool:
        """Whether a date is within."""
        return (self.start is None or day >= self.start) and (self.end is None or day < self.end)

    def __str__(self) -> str:
        return f"{self.start or 'first'}_{self.end or 'last'}"


@dataclass
class LoadReport:
    """What a load did. files: landed now; present: there already; rows: by kind, None where they were not counted."""

    source: str
    files: list[Path] = field(default_factory=list)
    present: list[Path] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)

    def add(self, path: Path, new: bool, kind: str | None = None, rows: int = 0) -> None:
        """Note a file, and the rows it brings."""
        (self.files if new else self.present).append(path)
        if kind and new:
            self.rows[kind] = self.rows.get(kind, 0) + rows

    def __str__(self) -> str:
        """For people: what came, what was there, where it lies, what to do next."""
        counted = ", ".join(f"{rows:,} {kind}" for kind, rows in self.rows.items())
        came = f"{_files(len(self.files))} landed" + (f" ({counted})" if counted else "")
        there = f"; {_files(len(self.present))} there already" if self.present else ""
        folder = f", in {self.files[0].parent.parent}" if self.files else ""
        return f"{self.source}: {came}{there}{folder}. Next: attune run ingest_events --start DATE --end DATE"


def _files(count: int) -> str:
    return f"{count:,} file" if count == 1 else f"{count:,} files"


def no_events(source: str, days: Days, first: date | None, last: date | None) -> SourceError:
    """The error for a window in which the source has no event."""
    held = f"it has events from {first} to {last}" if first else "it has none at all"
    return SourceError(f"{source} has no event in [{days.start or 'first'}, {days.end or 'last'}); {held}")

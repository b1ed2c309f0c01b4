"""What every job has in common: a window, a run id, a report, a row in ops.runs, and an exit code.

A job is a module with `run(context) -> Report`, and AHEAD, the slow libraries it will need. It opens tables, calls
pure functions, writes tables.
Running it twice for the same window leaves the tables as running it once.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lake.console import say
from lake.errors import AttuneError, ContractError, SettingError
from lake.settings import Settings
from lake.window import Window

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# In the order of a night. The values are what a person reads in `attune run --help`.
JOBS = {
    "ingest_events": "landing files to bronze, exactly once a file",
    "clean_events": "bronze to silver: standardise, correct, reject, deduplicate, sessionise, gate",
    "build_features": "silver to gold: day tiles, RFM, engagement, intent, value and affinities, gate",
    "train_models": "gold to MLflow: popularity, repurchase, ALS and the hybrid; promote the better",
    "publish_snapshots": "gold and the champion to tonight's snapshot: rank, apply policy, gate, switch",
    "maintain_tables": "all tables: few files, nothing past its retention; changes no row that is read",
}


# What a night runs, in this order; the others have times of their own.
NIGHT = tuple(JOBS)[:5]

# A detail of clean_events' runs: the first day it cleaned, earlier than the window's when late events came.
CLEANED_FROM = "cleaned from"

# As the operating system words it, wherever in a chain of Java's causes it stands.
DISK_FULL = "No space left on device"


@dataclass
class Report:
    """What a run did: counts for ops.runs and lines for people. `skipped` says why nothing was to be done."""

    rows_read: int | None = None
    rows_clean: int | None = None
    rows_rejected: int | None = None
    rows_duplicate: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
    model_version: str | None = None
    skipped: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)

    def check_books(self) -> None:
        """Raises ContractError unless read = clean + rejected + duplicates."""
        if self.rows_read is None:
            return
        parts = (self.rows_clean or 0, self.rows_rejected or 0, self.rows_duplicate or 0)
        if self.rows_read != sum(parts):
            raise ContractError(
                f"the books do not balance: read {self.rows_read} rows, but clean {parts[0]} + rejected {parts[1]} "
                f"+ duplicates {parts[2]} = {sum(parts)}"
            )


@dataclass
class Context:
    """What a job is given. The Spark session starts when it is first asked for, and with it the imports of `ahead`."""

    job: str
    window: Window
    settings: Settings
    options: dict[str, str] = field(default_factory=dict)
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    ahead: tuple[str, ...] = ()

    @property
    def forced(self) -> bool:
        """Whether the option force=true asks for work that seems to be done."""
        return self.options.get("force", "").lower() in ("true", "yes", "1")

    @cached_property
    def spark(self) -> SparkSession:
        """The session."""
        from lake.session import session

        _import_ahead(self.ahead)
        return session(self.settings, f"attune {self.job} {self.window}")


def execute(job: str, window: Window, settings: Settings, options: dict[str, str] | None = None) -> Report:
    """Run a job, record the run, say what came of it.

    Raises whatever the job raises, after having recorded it; SettingError for an unknown job.
    """
    if job not in JOBS:
        raise SettingError(f"there is no job {job[:60]!r}; jobs: {', '.join(JOBS)}")
    module = importlib.import_module(f"jobs.{job}")
    context = Context(job, window, settings, options or {}, ahead=getattr(module, "AHEAD", ()))
    say(f"{job} {window}: started, run {context.run_id[:8]}")
    started_at, started = datetime.now(UTC), time.monotonic()
    report = Report()
    try:
        report = module.run(context)
        report.check_books()
    except Exception as error:
        _record(context, report, started_at, time.monotonic() - started, "failed", error)
        raise
    seconds = time.monotonic() - started
    state = "skipped" if report.skipped else "done"
    if not report.skipped:
        _record(context, report, started_at, seconds, state, None)
    counts = {
        "read": report.rows_read,
        "clean": report.rows_clean,
        "rejected": report.rows_rejected,
        "duplicates": report.rows_duplicate,
    }
    counted = ", ".join(f"{value:,} {name}" for name, value in counts.items() if value is not None)
    say(f"{job} {window}: {report.skipped or counted or state} ({seconds:.1f} s)")
    return report


def _import_ahead(names: tuple[str, ...]) -> None:
    """Import libraries that take seconds to import while Spark starts and works. Where one fails, its user will say."""

    def imported() -> None:
        with suppress(Exception):
            for name in names:
                importlib.import_module(name)

    if any(name not in sys.modules for name in names):
        threading.Thread(target=imported, name="imports").start()


def _record(
    context: Context,
    report: Report,
    started_at: datetime,
    seconds: float,
    state: str,
    error: Exception | None,
) -> None:
    """Append to ops.runs. A failure to record never hides the failure that is being recorded."""
    from jobs.version import code_version
    from lake import log
    from lake.tables import RUNS

    values = (
        context.run_id, context.job, context.window.start, context.window.end, state, started_at, seconds,
        report.rows_read, report.rows_clean, report.rows_rejected, report.rows_duplicate,
        {key: str(value) for key, value in report.details.items()},
        code_version(), report.model_version, message_of(error) if error else None,
    )  # fmt: skip
    try:
        log.append(context.settings, RUNS, [dict(zip(RUNS.names, values, strict=True))], context.run_id)
    except Exception as failure:
        if error is None:
            raise
        say(f"could not record the failed run in ops.runs: {message_of(failure)}")


def message_of(error: BaseException) -> str:
    """One line of an error: ours as it is; a full disk in words; any other by its kind and first line."""
    if isinstance(error, AttuneError):
        return str(error)
    text = str(error).strip()
    if DISK_FULL in text:
        return f"the disk is full ({DISK_FULL}): every table is as it was before this write. Free space and run again"
    first = text.splitlines()[0] if text else ""
    return f"{type(error).__name__}: {first[:400]}"

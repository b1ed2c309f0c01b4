"""A home that has taken in a generated log, for benchmarks of what comes after."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from benchmarks.console import timed
from jobs.job import execute
from lake.generator import Params, write_log
from lake.settings import Settings
from lake.sources import KINDS, Kind, load
from lake.window import Window

START, DAYS = date(2025, 1, 1), 10


def parameters(events: int) -> Params:
    """A log whose users and items grow with its events, 5 % of its lines with a defect of some kind."""
    return Params(users=max(100, events // 40), items=max(50, events // 100), events=events, start=START, days=DAYS,
                  seed=1, defects=0.05, bots=min(0.001, events / 600 / 1e6))  # fmt: skip


def landed(
    spark: SparkSession, settings: Settings, params: Params, folder: Path, kinds: Iterable[Kind] = KINDS
) -> tuple[Path, float]:
    """Generate a log into the folder, load and ingest it: the folder of its files, and the seconds of ingest."""
    made = write_log(spark, params, folder)
    for kind in kinds:
        load("files", settings, made.folder / kind, made.folder / "generated.toml", kind=kind)
    window = Window(params.start, params.end)
    return made.folder, timed("ingest_events", lambda: execute("ingest_events", window, settings))

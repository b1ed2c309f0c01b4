"""The main job, from outside data to the lists of three users: `attune demo`.

Loads a source, backfills all but the last days in one window, runs the last days as nights of a real Airflow,
which train and publish, and prints what came of it. Running it again goes on where it was: every step is safe
to repeat.
"""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path

from jobs.airflow_home import AirflowHome
from jobs.job import NIGHT, execute
from jobs.summary import Summary, summarise
from lake.console import say, step
from lake.errors import SettingError
from lake.settings import Settings
from lake.sources import load
from lake.window import Window
from models.split import LABEL_WINDOWS as ALL_WINDOWS

# First event date, and the day after the last, of each source that comes by itself or by a file of known content.
DAYS = {
    "complete-journey": Window(date(2017, 1, 1), date(2018, 1, 1)),
    "online-retail-ii": Window(date(2009, 12, 1), date(2011, 12, 10)),
    "movielens-1m": Window(date(2000, 4, 25), date(2003, 3, 1)),
}
BEFORE_TRAINING = ("ingest_events", "clean_events", "build_features")
# Someone waits: each label window more is a fit of all sources, for a gain that a demo need not show.
LABEL_WINDOWS = 1


def run_demo(settings: Settings, source: str, path: Path | None, nights: int, days: Window | None = None) -> Summary:
    """Run it all and return what to show. nights: how many of the last days Airflow runs; 0: none, all in-process.

    days: the event dates, those of the whole source by default. Raises SettingError for an unknown source.
    """
    if source not in DAYS:
        raise SettingError(f"there is no demo of {source[:60]!r}; demos: {', '.join(DAYS)}")
    started = time.monotonic()
    days = days or DAYS[source]
    if nights >= days.days:
        raise SettingError(f"got {nights} nights of {days.days} days; at least one day must be left to backfill")
    settings = _hurried(settings)
    history = Window(days.start, days.end - timedelta(days=nights))
    say(f"writing to {settings.home}; {source}: {history} in one window, then {nights} nights")
    with step(f"loading {source} {history}"):
        load(source, settings, path, start=history.start, end=history.end)
    jobs = BEFORE_TRAINING if nights else NIGHT
    for job in jobs:
        execute(job, history, settings)
    if nights:
        _end_spark()
        _nights(settings, source, path, [days.end - timedelta(days=back) for back in range(nights, 0, -1)])
    return summarise(settings, time.monotonic() - started)


def _hurried(settings: Settings) -> Settings:
    """The settings with fewer label windows, where they do not say how many."""
    if "label_windows" in settings.parameters:
        return settings
    say(
        f"the ranker learns from {LABEL_WINDOWS} label window instead of {ALL_WINDOWS}, which takes less time "
        "(setting parameters, label_windows)"
    )
    return settings.model_copy(update={"parameters": {**settings.parameters, "label_windows": LABEL_WINDOWS}})


def _nights(settings: Settings, source: str, path: Path | None, nights: list[date]) -> None:
    """Let each day arrive and wait until Airflow has carried it through to a snapshot."""
    with AirflowHome(settings) as airflow:
        for day in nights:
            with step(f"night of {day}"):
                load(source, settings, path, start=day, end=day + timedelta(days=1))
                airflow.trigger(day)
                airflow.wait_for(day)


def _end_spark() -> None:
    """Free the memory of this process's session before Airflow's tasks start theirs."""
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is not None:
        running.stop()

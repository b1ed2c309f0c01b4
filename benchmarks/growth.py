"""How clean_events and build_features grow from a log to one of ten times its events. `make bench-growth`.

Users and items grow with the events; the days stay the same. Each size has a home of its own in one JVM, the smaller
first, so that the JVM's warming counts against it: a figure below ten may owe to that.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from pyspark.sql import SparkSession

from benchmarks.console import Figures, timed
from benchmarks.landed import landed, parameters
from jobs.job import execute
from lake.session import session
from lake.settings import Settings
from lake.window import Window

TIMES = 10
JOBS = ("clean_events", "build_features")


def settings_of(home: Path) -> Settings:
    """What somebody with a hundred million events would set, for both sizes."""
    return Settings(home=home, missing_consent="granted", spark_memory="6g", shuffle_partitions=16)


def seconds_of(spark: SparkSession, home: Path, events: int) -> dict[str, float]:
    """Seconds of each job over a log of so many events; its files are removed."""
    settings, params = settings_of(home / "attune"), parameters(events)
    log, _ = landed(spark, settings, params, home / "log")
    shutil.rmtree(log)
    window = Window(params.start, params.end)
    run = {job: partial(execute, job, window, settings) for job in JOBS}
    found = {job: timed(f"{job} of {events:,} events", run[job]) for job in JOBS}
    shutil.rmtree(home)
    return found


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000, help="of the smaller log")
    parser.add_argument("--folder", type=Path, help="where logs and tables go; 600 bytes an event of the larger log")
    given = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="attune-growth-", dir=given.folder) as folder:
        # A home of its own: the session keeps its blocks there, and those of the sizes are removed.
        spark = session(settings_of(Path(folder)), "attune growth")
        small = seconds_of(spark, Path(folder) / "small", given.events)
        large = seconds_of(spark, Path(folder) / "large", given.events * TIMES)
        spark.stop()
    for job in JOBS:
        figures.add(f"growth_{job}", large[job] / small[job], "-")
    figures.add("growth_clean_through_features", sum(large.values()) / sum(small.values()), "<=11")
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

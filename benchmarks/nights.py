"""What one night of build_features costs, by the history behind it.

The generator's genuine events of a year and two nights more (benchmarks/genuine.py). Two homes get the same nights
after the last 30 and after all 365 days of history. The history's tiles are made of its events by features/tiles.py
(ingesting and cleaning a year of files would take hours and measure nothing more); the nights' events go through the
job itself. `python -m benchmarks.nights [--events N]`, or `make bench-nights`. Ours is a whole run of build_features
in a warm JVM: tiles of the night, state, RFM, engagement, value, affinities, gates, writes. The first night makes the
state from all tiles; once the last has been measured, its state is removed and made from nothing, and must be the same.
DuckDB computes RFM and affinities alone as of the same night from all events, in Parquet, and writes them. The year
comes first, so that the JVM's warming counts against it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.console import Figures, timed
from benchmarks.genuine import write_genuine
from benchmarks.peers import by_duckdb
from features.affinity import leanings_at
from features.lift import of_users
from features.rfm_windows import windowed
from features.tiles import in_order, user_day, user_item_day
from jobs import build_features
from jobs.job import CLEANED_FROM, Context
from lake import delta, log
from lake.console import say
from lake.generator import Params
from lake.session import session
from lake.settings import Settings
from lake.tables import (
    AFFINITY,
    ENGAGEMENT,
    EVENTS,
    ITEMS,
    RFM,
    RFM_WINDOWS,
    RUNS,
    USER_DAY,
    USER_ITEM_DAY,
    USER_STATE,
    VALUE,
)
from lake.window import Window

NIGHT = date(2025, 6, 1)
NIGHTS = 2
SHORT, LONG = 30, 365
# So many events of the log ask for a shuffle's task.
EVENTS_A_TASK = 6_000_000
# As in benchmarks/landed.py: people and items grow with the events.
EVENTS_A_USER, EVENTS_AN_ITEM = 40, 100
MOST_ITEMS = 100_000


def parameters(events: int) -> Params:
    """A log of LONG days and the nights after them. events: of LONG days, about."""
    days = LONG + NIGHTS
    return Params(users=max(100, events // EVENTS_A_USER), items=max(50, min(MOST_ITEMS, events // EVENTS_AN_ITEM)),
                  events=events * days // LONG, start=NIGHT - timedelta(days=LONG), days=days, seed=1, bots=0.0,
                  others=0.0)  # fmt: skip


def settings_of(home: Path, events: int) -> Settings:
    """What somebody with so many events would set."""
    tasks = max(4, events // EVENTS_A_TASK)
    return Settings(home=home, missing_consent="granted", spark_memory="6g", shuffle_partitions=tasks)


def prepare(spark: SparkSession, settings: Settings, log_folder: Path, days: int) -> None:
    """A home with the catalogue, the tiles of so many days before NIGHT, the nights' events, and runs that say that the
    nights' cleaning found no late ones.
    """
    events = spark.read.parquet(str(log_folder / "events"))
    delta.append(spark.read.parquet(str(log_folder / "items")), settings, ITEMS, "bench")
    past = events.filter((F.col("event_date") >= F.lit(NIGHT - timedelta(days=days))) & (F.col("event_date") < NIGHT))
    delta.append(in_order(user_item_day(past)), settings, USER_ITEM_DAY, "bench")
    delta.append(in_order(user_day(past)), settings, USER_DAY, "bench")
    delta.append(events.filter(F.col("event_date") >= NIGHT), settings, EVENTS, "bench")
    runs = []
    for number in range(NIGHTS):
        window = Window.day(NIGHT + timedelta(days=number))
        said = {CLEANED_FROM: window.start.isoformat()}
        known = {"run_id": f"clean {number}", "job": "clean_events", "start": window.start, "end": window.end}
        runs.append(known | {"state": "done", "started_at": datetime.now(UTC), "seconds": 1.0, "details": said})
    log.append(settings, RUNS, [dict.fromkeys(RUNS.names) | run for run in runs], "bench")


def night(settings: Settings, number: int) -> float:
    """Seconds of a night's build_features."""
    context = Context("build_features", Window.day(NIGHT + timedelta(days=number)), settings)
    return timed(f"night {number + 1}", lambda: build_features.run(context))


def by_peer(home: Path, repeats: int) -> tuple[float, tuple[int, int]]:
    """Seconds in which DuckDB computes the last night from all events, and its rows of RFM and of affinities."""
    found: list[tuple[int, int]] = []

    def run() -> None:
        found.append(by_duckdb(home / "events", home / "items", NIGHT + timedelta(days=NIGHTS), home))

    return min(timed("DuckDB", run) for _ in range(repeats)), found[-1]


def fingerprint(spark: SparkSession, settings: Settings, number: int) -> tuple[int, ...]:
    """Of RFM, value, engagement and affinities as of the end of a night: rows, and the sum of their hashes."""
    as_of = NIGHT + timedelta(days=number + 1)
    found: list[int] = []
    frames = {
        table: delta.read(spark, settings, table.name).filter(F.col("as_of") == F.lit(as_of))
        for table in (RFM, VALUE, ENGAGEMENT)
    }
    state = delta.read(spark, settings, USER_STATE.name)
    frames[AFFINITY] = leanings_at(state, as_of, of_users(state))
    frames[RFM_WINDOWS] = windowed(state, as_of, settings.rfm_windows_days)
    for table, frame in frames.items():
        hashes = F.sum(F.xxhash64(*table.names).cast("decimal(38,0)"))
        count, total = frame.agg(F.count(F.lit(1)), hashes).collect()[0]
        found += [count, int(total or 0)]
    return tuple(found)


def measure(spark: SparkSession, home: Path, days: int, events: int) -> tuple[float, float, tuple[int, int]]:
    """Seconds of the last night's update, and of the same night from nothing, after this many days of history; and
    the rows of RFM and of affinities that stand then. events: of the whole log.
    """
    settings = settings_of(home / f"{days} days", events)
    timed(f"tiles of {days} days", lambda: prepare(spark, settings, home, days))
    seconds = [night(settings, number) for number in range(NIGHTS)]
    update, before = seconds[-1], fingerprint(spark, settings, NIGHTS - 1)
    shutil.rmtree(delta.table_path(settings, USER_STATE.name))
    nothing = night(settings, NIGHTS - 1)
    if fingerprint(spark, settings, NIGHTS - 1) != before:
        raise SystemExit(f"after {days} days: the update and the computation from nothing differ")
    say(f"{days} days: first night {seconds[0]:.1f} s, update {update:.1f} s, the same from nothing {nothing:.1f} s")
    say(f"{days} days: {before[0]:,} users with RFM, {before[6]:,} affinities, equal both ways")
    shutil.rmtree(settings.home)
    return update, nothing, (before[0], before[6])


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=4_000_000, help="in 365 days; the bounds are asked of 100 M")
    parser.add_argument("--folder", type=Path, help="where the log and the tables go; 400 bytes an event")
    parser.add_argument("--repeats", type=int, default=2, help="of DuckDB, the faster of which counts")
    given = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="attune-nights-", dir=given.folder) as folder:
        home = Path(folder)
        spark = session(settings_of(home, given.events), "attune bench-nights")
        write_genuine(spark, parameters(given.events), home)
        update, nothing, rows = measure(spark, home, LONG, given.events)
        figures.add("nights_recompute_over_update", nothing / update, ">=10")
        peer, theirs = by_peer(home, given.repeats)
        if theirs != rows:
            raise SystemExit(f"not the same rows of RFM and affinities: ours {rows}, DuckDB's {theirs}")
        figures.add("nights_duckdb_recompute_over_update", peer / update, ">=1")
        short, _, _ = measure(spark, home, SHORT, given.events)
        figures.add("nights_365_over_30", update / short, "<=1.2")
        spark.stop()
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

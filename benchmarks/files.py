"""How many files the tables have after 60 nights, with the upkeep of a Sunday and without. `make bench-files`.

Each night writes the tables as the jobs do (a replaced day, a merge of the users who were active, a row of a log);
every seventh ends with the job maintain_tables. Vacuum keeps files for a week of wall-clock time, so what is counted is
files that the latest versions refer to.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.console import Figures
from jobs import maintain_tables
from jobs.job import Context
from lake import delta, log, upkeep
from lake.console import emit_table, say
from lake.session import session
from lake.settings import Settings
from lake.tables import EVENTS, RUNS, USER_STATE
from lake.window import Window

FIRST = date(2025, 1, 1)
WEEK = 7
EVENTS_A_NIGHT = 2_000
USERS = 5_000


def night(spark: SparkSession, settings: Settings, number: int) -> None:
    """One night's writes."""
    day = FIRST + timedelta(days=number)
    ids = spark.range(EVENTS_A_NIGHT).withColumn("n", F.col("id") + number * EVENTS_A_NIGHT)
    people = F.concat(F.lit("user-"), (F.xxhash64("n") % USERS).cast("string"))
    events = ids.select(F.col("n").cast("string").alias("event_id"), people.alias("user_id"),
                        F.lit(day).alias("event_date"))  # fmt: skip
    events = events.withColumn("user_bucket", delta.user_bucket())
    predicate = delta.in_window("event_date", Window.day(day))
    delta.replace_window(delta.completed(events, EVENTS), settings, EVENTS, predicate, "bench")
    active = events.select("user_id", "user_bucket").distinct().withColumn("days", F.lit(number))
    delta.merge(delta.completed(active, USER_STATE), settings, USER_STATE, "bench")
    row = dict.fromkeys(RUNS.names) | {"run_id": str(number), "job": "bench", "started_at": datetime.now(UTC)}
    log.append(settings, RUNS, [row], "bench")


def files(settings: Settings) -> dict[str, int]:
    """Files of each table's latest version."""
    return {name: log.files_of(DeltaTable(log.address(settings, name))).num_rows for name in upkeep.names(settings)}


def measure(spark: SparkSession, home: Path, nights: int, *, kept_up: bool) -> list[dict[str, int]]:
    """Files after each week."""
    settings = Settings(home=home, missing_consent="granted", shuffle_partitions=2)
    found = []
    for number in range(nights):
        night(spark, settings, number)
        if number % WEEK == WEEK - 1:
            if kept_up:
                end = FIRST + timedelta(days=number + 1)
                maintain_tables.run(Context("maintain_tables", Window(end - timedelta(days=1), end), settings))
            found.append(files(settings))
            say(f"night {number + 1}{', kept up' if kept_up else ''}: {found[-1]}")
    return found


def main() -> int:
    """Print the table and the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=60)
    given = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="attune-files-") as folder:
        spark = session(Settings(home=Path(folder), shuffle_partitions=2), "attune bench-files")
        without = measure(spark, Path(folder) / "without", given.nights, kept_up=False)
        kept = measure(spark, Path(folder) / "kept", given.nights, kept_up=True)
        spark.stop()
    rows = [[name, without[-1][name], kept[0][name], kept[-1][name]] for name in kept[-1]]
    emit_table(f"files after {given.nights} nights", ["table", "without", "kept up, week 1", "kept up, last"], rows)
    figures.add("files_after_nights", max(kept[-1].values()), f"<={upkeep.FEW}")
    figures.add("files_without_over_kept_up", sum(without[-1].values()) / sum(kept[-1].values()), "-")
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

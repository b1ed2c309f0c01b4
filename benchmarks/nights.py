"""What one night of build_features costs, by the history behind it.

Two homes get the same nights after 30 and after 365 days of history. The history's tiles are synthesised by Spark
(generating, ingesting and cleaning a year of events would take most of an hour and measure nothing more); the nights'
events go through the job itself. `python -m benchmarks.nights [--tiles N]`, or `make bench-nights`. Ours is a whole run
of build_features in a warm JVM: tiles of the night, state, RFM, engagement, value, affinities, gates, writes. DuckDB
computes RFM and affinities as of the same night from all events, in Parquet, and writes them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.console import Figures, timed
from benchmarks.peers import by_duckdb
from features.affinity import WEIGHTS, leanings_at
from features.lift import of_users
from features.rfm_windows import windowed
from features.tiles import COUNTED
from jobs import build_features
from jobs.job import CLEANED_FROM, Context
from lake import delta, log
from lake.console import say
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
    Table,
)
from lake.window import Window

NIGHT = date(2025, 6, 1)
NIGHTS = 3
SHORT, LONG = 30, 365
PRICE = 9.5
TILES_A_USER = 180
# Views, likes, carts and purchases as in the log that the generator follows.
PURCHASES, CARTS, LIKES = 0.021, 0.053, 0.028


def rows_of(spark: SparkSession, days: int, a_day: int, users: int, items: int, seed: int) -> DataFrame:
    """[n, day, user_id, user_bucket, item_id, kind]: a_day rows a day. The busiest tenth of users has half of them."""

    def draw(question: str) -> Column:
        return F.pmod(F.xxhash64("n", F.lit(f"{seed} {question}")), F.lit(1 << 40)) / float(1 << 40)

    kind = (
        F.when(F.col("_kind") < PURCHASES, "purchase")
        .when(F.col("_kind") < PURCHASES + CARTS, "add_to_cart")
        .when(F.col("_kind") < PURCHASES + CARTS + LIKES, "like")
        .otherwise("view")
    )
    return (
        spark.range(days * a_day)
        .withColumnRenamed("id", "n")
        .withColumn("day", F.floor(F.col("n") / a_day).cast("int"))
        .withColumn("user_id", F.concat(F.lit("user-"), F.floor(F.pow(draw("user"), 3.3) * users).cast("string")))
        .withColumn("user_bucket", delta.user_bucket())
        .withColumn("item_id", F.concat(F.lit("item-"), F.floor(F.pow(draw("item"), 2) * items).cast("string")))
        .withColumn("_kind", draw("kind"))
        .withColumn("kind", kind)
    )


def history(settings: Settings, rows: DataFrame, first: date) -> None:
    """Write the tiles of events_of: one for each row, and the users' days made of them."""
    tiles = rows.withColumn("event_date", F.date_add(F.lit(first), F.col("day"))).withColumns(
        {name: (F.col("kind") == kind).cast("long") for kind, name in COUNTED.items() if name in WEIGHTS}
    )
    tiles = tiles.withColumn("amount", F.col("purchases") * PRICE)
    _write(settings, USER_ITEM_DAY, tiles.withColumn("units", F.col("purchases").cast("double")))
    at = F.to_timestamp(F.col("event_date")) + F.expr("INTERVAL 1 HOUR")
    events = F.count(F.lit(1))
    days = (
        delta.read(rows.sparkSession, settings, USER_ITEM_DAY.name)
        .groupBy("user_id", "event_date")
        .agg(
            F.max("user_bucket").alias("user_bucket"),
            events.alias("events"),
            F.least(F.sum("purchases"), F.lit(1)).alias("orders"),
            F.sum("units").alias("units"),
            F.sum("amount").alias("amount"),
        )
        .withColumn("last_purchase_time", F.when(F.col("orders") > 0, at))
        .withColumn("dayparts", F.create_map(F.lit("night"), F.col("events").cast("double")))
        .withColumn("devices", F.create_map(F.lit("web"), F.col("events").cast("double")))
        .withColumn("country", F.lit("DE"))
    )
    _write(settings, USER_DAY, days)


def events_of(rows: DataFrame, first: date = NIGHT) -> DataFrame:
    """Columns of silver.events that the rows give, their days counted from the first on."""
    at = F.timestamp_seconds(F.unix_timestamp(F.to_timestamp(F.lit(first))) + F.col("day") * 86400 + 3600)
    return rows.select(
        F.concat(F.lit(f"{first} "), "n").alias("event_id"), "user_id", "user_bucket", "item_id",
        F.col("kind").alias("event_type"), at.alias("event_time"), at.cast("date").alias("event_date"),
        F.concat_ws(" ", "user_id", at.cast("date")).alias("session_id"), F.lit(1.0).alias("quantity"),
        F.lit(PRICE).alias("amount"), F.lit("EUR").alias("currency"), F.lit("web").alias("device"),
        F.lit("DE").alias("country"), F.lit("bench").alias("source"), F.lit(False).alias("is_bot"),
    )  # fmt: skip


def nights(settings: Settings, rows: DataFrame) -> None:
    """Write the nights' events, and that each night's cleaning found no late ones."""
    _write(settings, EVENTS, events_of(rows))
    runs = []
    for number in range(NIGHTS):
        window = Window.day(NIGHT + timedelta(days=number))
        said = {CLEANED_FROM: window.start.isoformat()}
        known = {"run_id": f"clean {number}", "job": "clean_events", "start": window.start, "end": window.end}
        runs.append(known | {"state": "done", "started_at": datetime.now(UTC), "seconds": 1.0, "details": said})
    log.append(settings, RUNS, [dict.fromkeys(RUNS.names) | run for run in runs], "bench")


def catalogue_rows(spark: SparkSession, items: int) -> DataFrame:
    """Items of 40 categories and 500 brands."""
    number = F.col("id").cast("string")
    return spark.range(items).select(
        F.concat(F.lit("item-"), number).alias("item_id"),
        F.array(F.concat(F.lit("shelf "), (F.col("id") % 8).cast("string")), (F.col("id") % 40).cast("string")).alias(
            "category"
        ),
        F.concat(F.lit("brand "), (F.col("id") % 500).cast("string")).alias("brand"),
        (1.0 + F.col("id") % 97).alias("price"),
    )


def _write(settings: Settings, table: Table, frame: DataFrame) -> None:
    delta.append(whole(frame, table), settings, table, "bench")


def whole(frame: DataFrame, table: Table) -> DataFrame:
    """The frame with the columns of the contract that it lacks: 0, or null where they are no numbers."""
    absent = {}
    for item in table.columns:
        if item.name not in frame.columns:
            nothing = F.lit(0) if item.type in ("long", "double") else F.lit(None)
            absent[item.name] = nothing.cast(item.type)
    return frame.withColumns(absent)


def night(settings: Settings, number: int) -> float:
    """Seconds of a night's build_features."""
    context = Context("build_features", Window.day(NIGHT + timedelta(days=number)), settings)
    return timed(f"night {number + 1}", lambda: build_features.run(context))


def by_peer(spark: SparkSession, home: Path, days: int, given: argparse.Namespace) -> tuple[float, tuple[int, int]]:
    """Seconds in which DuckDB computes the last night from all events, and its rows of RFM and of affinities."""
    first, a_day, events = NIGHT - timedelta(days=days), given.tiles // LONG, home / "events"
    for length, seed, start in ((days, 1, first), (NIGHTS, 2, NIGHT)):
        rows = rows_of(spark, length, a_day, given.users, given.items, seed)
        whole(events_of(rows, start), EVENTS).write.mode("append").parquet(str(events))
    catalogue_rows(spark, given.items).write.parquet(str(home / "items"))
    found: list[tuple[int, int]] = []

    def run() -> None:
        found.append(by_duckdb(events, home / "items", NIGHT + timedelta(days=NIGHTS), home))

    return min(timed("DuckDB", run) for _ in range(2)), found[-1]


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
        found += [count, int(total)]
    return tuple(found)


def measure(
    spark: SparkSession, home: Path, days: int, given: argparse.Namespace
) -> tuple[float, float, tuple[int, int]]:
    """Seconds of the last night's update, and of the same night from nothing, after this many days of history; and
    the rows of RFM and of affinities that stand then.
    """
    settings = Settings(home=home, missing_consent="granted", shuffle_partitions=4)
    a_day = given.tiles // LONG
    _write(settings, ITEMS, catalogue_rows(spark, given.items))
    first = NIGHT - timedelta(days=days)
    history(settings, rows_of(spark, days, a_day, given.users, given.items, 1), first)
    nights(settings, rows_of(spark, NIGHTS, a_day, given.users, given.items, 2))
    seconds = [night(settings, number) for number in range(NIGHTS)]
    update, before = seconds[-1], fingerprint(spark, settings, NIGHTS - 1)
    shutil.rmtree(delta.table_path(settings, USER_STATE.name))
    nothing = night(settings, NIGHTS - 1)
    if fingerprint(spark, settings, NIGHTS - 1) != before:
        raise SystemExit(f"after {days} days: the update and the computation from nothing differ")
    say(f"{days} days: first night {seconds[0]:.1f} s, update {update:.1f} s, the same from nothing {nothing:.1f} s")
    say(f"{days} days: {before[0]:,} users with RFM, {before[6]:,} affinities, equal both ways")
    return update, nothing, (before[0], before[6])


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=3_650_000, help="user-item-day tiles in 365 days")
    parser.add_argument("--users", type=int, help=f"default: one for {TILES_A_USER} tiles of the year")
    parser.add_argument("--items", type=int, default=5_000)
    given = parser.parse_args()
    given.users = given.users or max(1, given.tiles // TILES_A_USER)
    with tempfile.TemporaryDirectory(prefix="attune-nights-") as folder:
        spark = session(Settings(home=Path(folder), shuffle_partitions=4), "attune bench-nights")
        short, _, _ = measure(spark, Path(folder) / "short", SHORT, given)
        update, nothing, rows = measure(spark, Path(folder) / "long", LONG, given)
        peer, theirs = by_peer(spark, Path(folder), LONG, given)
        if theirs != rows:
            raise SystemExit(f"not the same rows of RFM and affinities: ours {rows}, DuckDB's {theirs}")
        spark.stop()
    figures = Figures()
    figures.add("nights_365_over_30", update / short, "<=1.2")
    figures.add("nights_recompute_over_update", nothing / update, ">=10")
    figures.add("nights_duckdb_recompute_over_update", peer / update, ">=1")
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

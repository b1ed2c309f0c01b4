"""Whether one busy bot or one wanted item holds a stage up: the longest task of each stage over its median.

`make bench-skew`. A log of ten days is taken in, cleaned and made into features with Spark's event log on: one bot has
a million views of a day, and one item is in a tenth of all events. Stages of three tasks or more whose longest runs for
half a second count; in shorter ones it is the scheduler that is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.console import Figures, timed
from jobs.job import execute
from lake.console import emit_table
from lake.session import session
from lake.settings import Settings
from lake.sources import load
from lake.window import Window

NIGHT = date(2025, 6, 1)
PRICE = 9.5
# Views, likes, carts and purchases as in the log that the generator follows.
PURCHASES, CARTS, LIKES = 0.021, 0.053, 0.028
DAYS = 10
HOT = 0.1
TASKS, SECONDS = 3, 0.5
JOBS = ("clean_events", "build_features")

MAPPING = """
name = "skewed"

[events]
format = "parquet"

[events.columns]
event_id = "id"
user_id = "user"
item_id = "item"
event_type = "what"
event_time = "at"
quantity = "pieces"
unit_price = "price"

[events.constants]
currency = "EUR"
device = "web"

[events.time]
format = "iso"
"""


def rows_of(spark: SparkSession, days: int, a_day: int, users: int, items: int, seed: int) -> DataFrame:
    """[n, day, user_id, item_id, kind]: a_day rows a day. The busiest tenth of users has half of them."""

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
        .withColumn("item_id", F.concat(F.lit("item-"), F.floor(F.pow(draw("item"), 2) * items).cast("string")))
        .withColumn("_kind", draw("kind"))
        .withColumn("kind", kind)
    )


def skewed(spark: SparkSession, events: int, bot: int) -> DataFrame:
    """Rows of files: those of rows_of with a tenth of them of one item, and a bot's, ten milliseconds apart."""
    users, items = max(100, events // 40), max(50, events // 100)
    # From one to the other a different part of the hash.
    hot = F.pmod(F.xxhash64("n", F.lit("hot")), F.lit(1000)) < 1000 * HOT
    at = F.unix_timestamp(F.to_timestamp(F.lit(NIGHT))) + F.col("day") * 86400 + F.pmod("n", F.lit(86400))
    genuine = rows_of(spark, DAYS, events // DAYS, users, items, 1).select(
        F.col("n").cast("string").alias("id"), F.col("user_id").alias("user"),
        F.when(hot, "item-0").otherwise(F.col("item_id")).alias("item"), F.col("kind").alias("what"), at.alias("at"),
    )  # fmt: skip
    busy = spark.range(bot).select(
        F.concat(F.lit("bot "), "id").alias("id"), F.lit("bot").alias("user"),
        F.concat(F.lit("item-"), F.col("id") % items).alias("item"), F.lit("view").alias("what"),
        (F.unix_timestamp(F.to_timestamp(F.lit(NIGHT))) + F.col("id") * 0.01).alias("at"),
    )  # fmt: skip
    bought = F.col("what") == "purchase"
    stamp = F.date_format(F.timestamp_micros((F.col("at") * 1e6).cast("long")), "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")
    return (
        genuine.unionByName(busy)
        .withColumns({"at": stamp, "pieces": F.when(bought, "1"), "price": F.when(bought, str(PRICE))})
        .repartition(8, "id")
    )


def stages(folder: Path) -> dict[int, list[float]]:
    """Seconds of the tasks of each stage, from the event logs in a folder."""
    found: dict[int, list[float]] = defaultdict(list)
    for entry in _entries(folder):
        if entry["Event"] == "SparkListenerTaskEnd" and entry.get("Task Metrics"):
            found[entry["Stage ID"]].append(entry["Task Metrics"]["Executor Run Time"] / 1000)
    return found


def _entries(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        with file.open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.startswith('{"Event":"SparkListenerTaskEnd"'))


def main() -> int:
    """Print the BENCH line; 1 when the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=4_000_000, help="genuine ones")
    parser.add_argument("--bot", type=int, default=1_000_000, help="events of the bot")
    given = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="attune-skew-") as folder:
        home, events = Path(folder), Path(folder) / "spark-events"
        settings = Settings(home=home / "attune", missing_consent="granted")
        _log_events(home / "conf", events)
        spark = session(settings, "attune bench-skew")
        skewed(spark, given.events, given.bot).write.parquet(str(home / "files"))
        (home / "skewed.toml").write_text(MAPPING)
        load("files", settings, home / "files", home / "skewed.toml", kind="events")
        window = Window(NIGHT, NIGHT + timedelta(days=DAYS))
        timed("ingest_events", lambda: execute("ingest_events", window, settings))
        before = set(stages(events))
        for job in JOBS:
            timed(job, partial(execute, job, window, settings))
        spark.stop()
        found = {stage: tasks for stage, tasks in stages(events).items() if stage not in before}
    counted = {stage: tasks for stage, tasks in found.items() if len(tasks) >= TASKS and max(tasks) >= SECONDS}
    rows = [[stage, len(tasks), statistics.median(tasks), max(tasks), max(tasks) / statistics.median(tasks)]
            for stage, tasks in counted.items()]  # fmt: skip
    rows.sort(key=lambda row: -row[-1])
    emit_table("most uneven stages", ["stage", "tasks", "median s", "longest s", "ratio"], rows[:10])
    figures.add("skew_longest_task_over_median", rows[0][-1] if rows else 1.0, "<=5")
    return figures.end()


def _log_events(conf: Path, events: Path) -> None:
    """Let the next session of this process keep an event log."""
    conf.mkdir()
    events.mkdir()
    kept = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": events.as_uri(), "spark.eventLog.compress": "false"}
    (conf / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in kept.items()))
    os.environ["SPARK_CONF_DIR"] = str(conf)


if __name__ == "__main__":
    sys.exit(main())

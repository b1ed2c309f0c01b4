"""All row rules and the gate of silver.events, beside Great Expectations alone with the same expectations.

Both read the same standardised frame of a generated log with defects, from Parquet, each event id once. Ours judges
every row with every reason in one pass, and gates what passed, which was written before, as the pipeline's gate reads
what cleaning has written: Spark counts what breaks each promise in one query, GX judges the counts. GX alone evaluates
the same expectations as its own (benchmarks/native_expectations.py) on the whole frame: once so that it names each row
that breaks a rule, as a quarantine needs (its result format COMPLETE, by event id), and once for a verdict alone with
twenty examples (BASIC), which keeps no row apart. `make bench-rules`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.console import Figures, timed
from benchmarks.landed import landed, parameters
from benchmarks.native_expectations import verdict
from expectations.events import ROW_RULES, SUITE
from expectations.gate import gate, new_context
from expectations.rules import failed
from features.standardise import standardise
from lake import delta
from lake.codes import country_codes, currency_codes
from lake.console import say
from lake.session import session
from lake.settings import Settings
from lake.sources.mapping import Mapping
from lake.tables import EVENTS

EVERY_ROW = {
    "result_format": "COMPLETE", "unexpected_index_column_names": ["event_id"], "return_unexpected_index_query": False,
}  # fmt: skip


def standard(spark: SparkSession, settings: Settings, folder: Path, events: int) -> DataFrame:
    """The standardised rows of a generated log, written to Parquet and read back."""
    landed(spark, settings, replace(parameters(events), bots=0.0), folder / "log", ["events"])
    bronze = delta.read(spark, settings, "bronze.generated")
    no_items = spark.createDataFrame([], "item_id string")
    mapping = Mapping.for_home(settings)["generated"]
    rows = standardise(bronze, mapping, country_codes(), currency_codes(), no_items)
    derived = {
        "event_date": F.to_date("event_time"),
        "session_id": F.col("user_id"),
        "user_bucket": delta.user_bucket(),
    }
    rows = rows.filter(F.col("_corrupt_record").isNull()).withColumns(derived)
    once = delta.completed(rows, EVENTS).drop("_source_row").dropDuplicates(["event_id"])
    once.write.parquet(str(folder / "standard"))
    return spark.read.parquet(str(folder / "standard"))


def ours(frame: DataFrame, passed: DataFrame, settings: Settings) -> None:
    """The name of every row that breaks a rule, with all its reasons, and the gate over those that break none."""
    broken = judged(frame).filter(F.size("reasons") > 0).select("event_id", "reasons")
    broken.write.format("noop").mode("overwrite").save()
    gate(passed, EVENTS.name, settings, "bench")


def judged(frame: DataFrame) -> DataFrame:
    """The rows with the column reasons."""
    return frame.withColumn("reasons", failed(ROW_RULES))


def theirs(frame: DataFrame, settings: Settings, result: dict[str, Any]) -> None:
    """The same expectations by GX alone, as it comes, with a result of the format."""
    promises = list(dict.fromkeys((*ROW_RULES, *SUITE)))
    found = verdict(new_context(settings.home / "gx"), frame, promises, result)
    broken = sum(not item.success for item in found.results)
    say(f"GX alone: {broken} of {len(promises)} expectations broken")


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="attune-rules-") as folder:
        settings = Settings(home=Path(folder) / "home", missing_consent="granted")
        spark = session(settings, "attune bench-rules")
        frame = standard(spark, settings, Path(folder), given.events)
        judged(frame).filter(F.size("reasons") == 0).drop("reasons").write.parquet(f"{folder}/passed")
        passed = spark.read.parquet(f"{folder}/passed")
        say(f"{frame.count():,} rows, {len(ROW_RULES)} rules; {passed.count():,} rows passed")
        floor, mine, other, told = [], [], [], []
        for _ in range(given.repeats):
            floor.append(timed("reading every column", lambda: frame.write.format("noop").mode("overwrite").save()))
            mine.append(timed("rules and gate", lambda: ours(frame, passed, settings)))
            other.append(timed("GX alone, every row named", lambda: theirs(frame, settings, EVERY_ROW)))
            told.append(timed("GX alone, a verdict", lambda: theirs(frame, settings, {"result_format": "BASIC"})))
        spark.stop()
    figures.add("rules_gx_alone_over_ours", min(other) / min(mine), ">=5")
    figures.add("rules_gx_verdict_over_ours", min(told) / min(mine), "-")
    figures.add("rules_ours_over_reading", min(mine) / min(floor), "-")
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

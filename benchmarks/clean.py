"""Cleaning beside merely reading: the same JSON lines, on the one hand cleaned, on the other only parsed and written.

`make bench-clean`. Cleaning is the job clean_events over a generated log of ten days with defects, taken in before:
rules with every reason, duplicates, returns, bots, sessions, catalogue, three tables, the gate. The floor reads the
same JSON lines by their known columns and writes them to a Delta table. What ingest adds is printed without a bound.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession

from benchmarks.console import Figures, timed
from benchmarks.landed import landed, parameters
from jobs.job import execute
from lake.console import say
from lake.session import session
from lake.settings import Settings
from lake.sources.mapping import Mapping
from lake.window import Window


def merely_read(spark: SparkSession, settings: Settings, log: Path, target: Path) -> None:
    """Parse the events' JSON lines by their known columns, as strings, and write them to Delta."""
    mapped = Mapping.for_home(settings)["generated"].events.columns.named().values()
    columns = sorted({name for names in mapped for name in names})
    schema = ", ".join(f"`{name}` string" for name in columns)
    spark.read.schema(schema).json(str(log / "events")).write.format("delta").mode("overwrite").save(str(target))


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path, help="where the log and the tables go; 400 bytes an event")
    given = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="attune-clean-", dir=given.folder) as folder:
        home = Path(folder)
        settings, params = Settings(home=home / "attune", missing_consent="granted"), parameters(given.events)
        spark = session(settings, "attune bench-clean")
        log, ingest = landed(spark, settings, params, home / "log")
        window = Window(params.start, params.end)
        floor = timed("merely read", lambda: merely_read(spark, settings, log, home / "floor"))
        clean = timed("clean_events", lambda: execute("clean_events", window, settings))
        # Once more, as the first of two may have warmed the other's code.
        floor = min(floor, timed("merely read", lambda: merely_read(spark, settings, log, home / "floor")))
        spark.stop()
    say(f"a million events: merely read in {1e6 * floor / given.events:.1f} s, ingested in "
        f"{1e6 * ingest / given.events:.1f} s, cleaned in {1e6 * clean / given.events:.1f} s")  # fmt: skip
    figures.add("clean_over_reading", clean / floor, "<=2")
    figures.add("clean_with_ingest_over_reading", (ingest + clean) / floor, "-")
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

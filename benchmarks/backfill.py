"""RFM and affinities of a whole log, beside DuckDB and polars computing the same numbers. `make bench-backfill`.

All read the same Parquet files of the generator's genuine events (benchmarks/genuine.py) and write their rows. Ours
goes by day tiles, as every night does, and writes them too. The second log is only to be seen through, in the memory
that Spark is given.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from benchmarks.console import Figures, timed
from benchmarks.genuine import write_genuine
from benchmarks.peers import by_duckdb, by_polars
from features.affinity import anchor_of, item_keys, leanings, leanings_at
from features.item_history import only
from features.lift import of_users
from features.rfm import rfm
from features.tiles import user_day, user_item_day
from lake.console import say
from lake.generator import Params
from lake.session import session
from lake.settings import Settings

START, DAYS = date(2025, 6, 1), 365
AS_OF = START + timedelta(days=DAYS)
ITEMS = 20_000


def parameters(events: int, users: int) -> Params:
    """A log of a year."""
    return Params(users=users, items=ITEMS, events=events, start=START, days=DAYS, seed=1, bots=0.0, others=0.0)


def ours(spark: SparkSession, folder: Path, out: Path) -> tuple[int, int]:
    """Rows of RFM and of affinities by features/, the day tiles written on the way as a night does."""
    events, items = (spark.read.parquet(str(folder / name)) for name in ("events", "items"))

    def kept(frame: DataFrame, name: str) -> DataFrame:
        frame.write.mode("overwrite").parquet(str(out / name))
        return spark.read.parquet(str(out / name))

    tiles, days = kept(user_item_day(events), "user_item_day"), kept(user_day(events), "user_day")
    ranked = kept(rfm(days, AS_OF), "rfm")
    # A night's state: a lift compares with everybody, so all must be there before the first is told.
    users = kept(leanings(tiles, days, only(item_keys(items)), anchor_of(AS_OF)), "leanings")
    return ranked.count(), kept(leanings_at(users, AS_OF, of_users(users)), "affinity").count()


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed or the numbers differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--large", type=int, default=100_000_000, help="events of the second log; 0 for none")
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--memory", default="6g", help="of Spark")
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="attune-backfill-") as folder:
        home = Path(folder)
        settings = Settings(home=home / "attune", spark_memory=given.memory, shuffle_partitions=8)
        spark = session(settings, "attune bench-backfill")
        write_genuine(spark, parameters(given.events, given.users), home)
        (home / "out").mkdir()
        runs: dict[str, Callable[[], tuple[int, int]]] = {
            "ours": lambda: ours(spark, home, home / "out"),
            "DuckDB": lambda: by_duckdb(home / "events", home / "items", AS_OF, home / "out"),
            "polars": lambda: by_polars(home / "events", home / "items", AS_OF, home / "out"),
        }
        rows = {name: run() for name, run in runs.items()}  # warms each
        if len(set(rows.values())) > 1:
            raise SystemExit(f"not the same rows of RFM and affinities: {rows}")
        say(f"{rows['ours'][0]:,} users with RFM and {rows['ours'][1]:,} affinities by each")
        seconds = {name: min(timed(name, run) for _ in range(given.repeats)) for name, run in runs.items()}
        figures.add(
            "backfill_ours_over_faster_peer", seconds["ours"] / min(seconds["DuckDB"], seconds["polars"]), "<=5"
        )
        if given.large:
            shutil.rmtree(home / "events")
            shutil.rmtree(home / "items")
            write_genuine(spark, parameters(given.large, given.users), home)
            large = timed(f"ours, {given.large:,} events in {given.memory}", lambda: ours(spark, home, home / "out"))
            figures.add("backfill_large_over_small", large / seconds["ours"], "-")
        spark.stop()
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

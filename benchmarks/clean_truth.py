"""How well cleaning finds what is wrong: precision and recall by kind of defect, on a generated log.

Generates a log, loads, ingests and cleans it in a fresh home with the project's own jobs, and joins what became of
each line with the truth. `python -m benchmarks.clean_truth [--events N]`, or `make bench-truth`. Ends with 1 when a
figure misses its bound.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks.landed import landed
from jobs.job import Report, execute
from lake import delta
from lake.console import emit_table, out, say
from lake.generator import Params
from lake.generator.scoring import Score, score
from lake.session import session
from lake.settings import Settings
from lake.window import Window

DAYS = 14
EXACT = 1.0
# The log does not say which of two purchases of one item was sent back: cleaning takes the latest, and a person may
# have bought the item again in the days between, or have two returns of it. All else is decided by the line alone.
# The bound leaves room for a few of the few dozen returns of the default log.
BOUNDS = {"return_matched": 0.90}


def parameters(events: int, defects: float, seed: int, today: date) -> Params:
    """A log of the last DAYS days before a day whose time, with day and month exchanged, lies in the future; of the
    last days before today where there is none.
    """
    yesterday = today - timedelta(days=1)
    past = (yesterday - timedelta(days=back) for back in range(60))
    last = next((day for day in past if day.day <= 12 and date(day.year, day.day, day.month) > today), yesterday)
    start = last - timedelta(days=DAYS - 1)
    return Params(users=max(100, events // 40), items=max(50, events // 100), events=events, start=start, days=DAYS,
                  seed=seed, defects=defects, bots=min(0.001, events / 600 / 1e5), ingested=today)  # fmt: skip


def measure(params: Params, home: Path) -> tuple[Report, list[Score]]:
    """Generate, load, ingest and clean in the home; the books of cleaning, and the scores."""
    settings = Settings(home=home / "attune", missing_consent="withdrawn", shuffle_partitions=2)
    spark = session(settings, "attune bench-truth")
    made, _ = landed(spark, settings, params, home / "log")
    report = execute("clean_events", Window(params.start, params.end), settings)
    tables = (delta.read(spark, settings, name) for name in ("bronze.generated", "silver.events", "silver.rejected"))
    return report, score(spark.read.parquet(str(made / "truth" / "defects")), *tables)


def missed(scores: list[Score]) -> list[str]:
    """The kinds whose precision or recall misses its bound."""
    return [item.kind for item in scores if min(item.precision, item.recall) < BOUNDS.get(item.kind, EXACT)]


def main() -> int:
    """Print the table and the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--defects", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    params = parameters(given.events, given.defects, given.seed, datetime.now(UTC).date()).check()
    with tempfile.TemporaryDirectory(prefix="attune-truth-") as folder:
        report, scores = measure(params, Path(folder))
    emit_table(
        f"cleaning against the truth: {report.rows_read:,} lines of {params.start} to {params.end}, read = "
        f"{report.rows_clean:,} clean + {report.rows_rejected:,} rejected + {report.rows_duplicate:,} duplicates",
        ["kind", "what should become of it", "lines", "precision", "recall"],
        [[item.kind, item.verdict, item.lines, item.precision, item.recall] for item in scores],
    )
    if not any(item.kind == "time_swapped" for item in scores):
        say("time_swapped is not measured today: no recent day gives a later one with day and month exchanged")
    for item in scores:
        bound = BOUNDS.get(item.kind, EXACT)
        for what, figure in (("precision", item.precision), ("recall", item.recall)):
            out.print(f"BENCH truth_{item.kind}_{what} {figure:.4f} >={bound:g}", markup=False)
    return 1 if missed(scores) else 0


if __name__ == "__main__":
    sys.exit(main())

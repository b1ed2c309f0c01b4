"""What a score is worth: the probability that the user wants the item, by isotonic regression.

Zadrozny & Elkan 2002, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates";
Niculescu-Mizil & Caruana 2005, "Predicting Good Probabilities with Supervised Learning".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.errors import ModelError

# Of the score, equally wide: so many numbers reach the driver, however many users there are.
BINS = 2000


@dataclass(frozen=True)
class Points:
    """Probability by score: linear between the points, constant beyond them. scores: ascending. probabilities: never
    falling. Raises ModelError for points that are no such function.
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in pairwise(self.scores))
        kept = all(low <= high for low, high in pairwise((0.0, *self.probabilities, 1.0)))
        if not (self.scores and len(self.scores) == len(self.probabilities) and rising and kept):
            raise ModelError(
                "a calibration needs ascending scores and as many probabilities from 0 to 1 that never fall; "
                f"got {len(self.scores)} scores, {len(self.probabilities)} probabilities"
            )


@dataclass(frozen=True)
class Calibration:
    """Of what: that the user wants the item within so many `days`, where they want any known item within them. own: of
    items they had before; new: of others, whose scores are also learnt among themselves.
    """

    own: Points
    new: Points
    days: float


def from_dict(found: Mapping[str, Any]) -> Calibration:
    """The calibration of such a dictionary as asdict gives. Raises ValueError, KeyError, TypeError or ModelError for
    any other.
    """

    def points(kind: str) -> Points:
        scores, probabilities = (tuple(map(float, found[kind][name])) for name in ("scores", "probabilities"))
        return Points(scores, probabilities)

    return Calibration(points("own"), points("new"), float(found["days"]))


def fit_calibration(scored: DataFrame, days: float, kept: int) -> Calibration | None:
    """Isotonic on bins of the score; None without a row of own or of new items.

    scored: seen (above 0: own), score, label (1 wanted, 0 not) of pairs whose labels the ranker never saw. Of what was
    not wanted `kept` in a hundred are there, as models.ranker.training_rows leaves them: each weighs 100 / kept. days:
    see Calibration.
    """
    rows = binned(scored, kept).collect()
    own, new = (np.array([row[1:] for row in rows if row.own is kind], dtype=float) for kind in (True, False))
    return Calibration(isotonic(own), isotonic(new), days) if len(own) and len(new) else None


def isotonic(bins: np.ndarray) -> Points:
    """By pool-adjacent-violators. bins: of shape (bins, 3): the mean score, the weight, how much of it was wanted."""
    from sklearn.isotonic import IsotonicRegression

    score, weight, wanted = bins.T
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit(score, wanted / weight, sample_weight=weight)
    return Points(tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))


def binned(scored: DataFrame, kept: int) -> DataFrame:
    """own, score (mean), weight, wanted (weights of the wanted): one row for own or new items and each of the BINS that
    holds a pair. scored, kept: see fit_calibration.
    """
    ends = scored.agg(F.min("score").cast("double").alias("low"), F.max("score").cast("double").alias("high"))
    score, wanted = F.col("score").cast("double"), F.col("label") > 0
    # Null, one bin, where all scores are the same.
    place = F.floor(F.try_divide(score - F.col("low"), F.col("high") - F.col("low")) * (BINS - 1))
    weight = F.when(wanted, 1.0).otherwise(100 / kept)
    own = (F.col("seen") > 0).alias("own")
    found = scored.crossJoin(F.broadcast(ends)).groupBy(own, place.alias("bin"))
    return found.agg(
        (F.sum(weight * score) / F.sum(weight)).alias("score"),
        F.sum(weight).alias("weight"),
        F.count_if(wanted).cast("double").alias("wanted"),
    ).drop("bin")


def probability(score: str, calibration: Calibration) -> Column:
    """The probability of a column of scores, double. Beside it stands seen, above 0 for own items."""

    def of(scores: pa.Array, seen: pa.Array) -> pa.Array:
        values = scores.to_numpy(zero_copy_only=False)
        own, new = (np.interp(values, kind.scores, kind.probabilities) for kind in (calibration.own, calibration.new))
        return pa.array(np.where(seen.to_numpy(zero_copy_only=False) > 0, own, new))

    # The stub asks for a type of function, which Spark takes from the hints and warns of when it is given.
    return F.arrow_udf(of, "double")(score, "seen")  # type: ignore[call-overload,no-any-return]

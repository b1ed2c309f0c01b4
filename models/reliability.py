"""How well foretold probabilities come true: a reliability diagram's bins, and what they sum up to."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features.quintiles import score

BINS = 10
# Of the standard normal: 95 %.
Z = 1.959964


@dataclass(frozen=True)
class Bin:
    """Pairs of about the same probability. foretold: its mean. observed: the share that was wanted, with its interval.
    wanted: of so many pairs.
    """

    pairs: int
    wanted: int
    foretold: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Reliability:
    """bins: by rising probability, each with about as many pairs; pairs of one probability are together. brier: mean
    squared difference of probability and outcome (Brier 1950). days: that were looked at.
    """

    bins: tuple[Bin, ...]
    brier: float
    days: float

    @property
    def pairs(self) -> int:
        """User and item."""
        return sum(bin.pairs for bin in self.bins)

    @property
    def foretold(self) -> float:
        """The mean probability."""
        return sum(bin.foretold * bin.pairs for bin in self.bins) / self.pairs

    @property
    def observed(self) -> float:
        """The share that was wanted."""
        return sum(bin.wanted for bin in self.bins) / self.pairs

    @property
    def ece(self) -> float:
        """Expected calibration error (Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian
        Binning"): the mean over pairs of the distance between the bin's foretold and observed share.
        """
        return sum(abs(bin.foretold - bin.observed) * bin.pairs for bin in self.bins) / self.pairs

    @property
    def skill(self) -> float | None:
        """Brier skill score: by what share the Brier score is below that of the observed rate foretold for every pair
        (Murphy 1973). 0 says no more than the rate, 1 everything; None when all or none was wanted.
        """
        constant = self.observed * (1 - self.observed)
        return 1 - self.brier / constant if constant else None

    def figures(self) -> dict[str, float]:
        """What is known, by name."""
        ratio = self.foretold / self.observed if self.observed else None
        found = {"ece": self.ece, "brier": self.brier, "brier_skill": self.skill, "foretold": self.foretold,
                 "observed": self.observed, "foretold_over_observed": ratio, "days": self.days}  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}

    def words(self) -> str:
        """For people."""
        skill = "" if self.skill is None else f", Brier skill {self.skill:+.3f}"
        return (
            f"{self.foretold:.2%} foretold, {self.observed:.2%} wanted within {self.days:.0f} days, of {self.pairs:,} "
            f"candidates; expected calibration error {self.ece:.4f}{skill}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return self.figures() | {"pairs": self.pairs, "bins": [asdict(bin) for bin in self.bins]}


def reliability(foretold: DataFrame, days: float) -> Reliability | None:
    """Bins of equal frequency; None without a row. One action; the frame is read twice.

    foretold: user_id, probability, label (1 wanted, else not, or null); one row a user and item. days: see Reliability.
    """
    parts = [part / BINS for part in range(1, BINS)]
    bounds = foretold.agg(F.percentile_approx("probability", parts, 10_000).alias("bounds"))
    wanted = F.coalesce(F.col("label") > 0, F.lit(False))
    missed = F.col("probability") - wanted.cast("double")
    by_user = (
        foretold.crossJoin(F.broadcast(bounds))
        .groupBy("user_id", score("probability", "bounds").alias("bin"))
        .agg(
            F.count(F.lit(1)).cast("double").alias("n"),
            F.count_if(wanted).cast("double").alias("y"),
            F.sum("probability").alias("foretold"),
            F.sum(missed * missed).alias("missed"),
        )
    )
    sums = {"n": "n", "y": "y", "nn": "n * n", "yy": "y * y", "ny": "n * y", "foretold": "foretold", "missed": "missed"}
    rows = (
        by_user.groupBy("bin")
        .agg(F.count(F.lit(1)).alias("users"), *(F.sum(F.expr(of)).alias(name) for name, of in sums.items()))
        .orderBy("bin")
        .collect()
    )
    if not rows:
        return None
    bins = tuple(
        Bin(int(row.n), int(row.y), row.foretold / row.n, row.y / row.n,
            *interval(row.n, row.y, _spread(row.users, row.n, row.y, row.nn, row.yy, row.ny)))
        for row in rows
    )  # fmt: skip
    return Reliability(bins, sum(row.missed for row in rows) / sum(row.n for row in rows), days)


def interval(pairs: float, wanted: float, variance: float | None = None) -> tuple[float, float]:
    """The 95 % interval of a share: Wilson's (1927), of as many independent pairs as have this variance (Kish 1965,
    "Survey Sampling": the design effect), never more than there are.
    """
    share = wanted / pairs
    independent = min(pairs, share * (1 - share) / variance) if variance and variance > 0 and 0 < share < 1 else pairs
    middle = share + Z**2 / (2 * independent)
    half = Z * math.sqrt(share * (1 - share) / independent + Z**2 / (4 * independent**2))
    whole = 1 + Z**2 / independent
    low, high = (middle - half) / whole, (middle + half) / whole
    return max(min(low, share), 0.0), min(max(high, share), 1.0)


def _spread(users: int, n: float, y: float, nn: float, yy: float, ny: float) -> float | None:
    """Variance of the share y / n when users are drawn, not pairs: of a ratio (Cochran 1977, "Sampling Techniques", 6).
    None when nothing can be said. nn, yy, ny: sums over users of the products of their n and y.
    """
    share = y / n
    variance = (yy - 2 * share * ny + share**2 * nn) / n**2
    return variance * users / (users - 1) if users > 1 else None

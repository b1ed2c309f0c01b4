"""What is on the rise: within a user's cohort, and among items that are new."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.candidates import Catalogue
from models.scorers import Pairs, PopularityScorer, UserBlock

# Days after which a want counts half: a week is the shortest rhythm that shopping has.
HALF_LIFE = 7.0
# A cohort's shares are drawn to those of all by so many wants of today.
PRIOR_WANTS = 200.0
# An item is new so many days after it was first wanted; its rate is drawn down by some days more, as one
# lucky first day says little.
NEW_DAYS, PRIOR_DAYS = 30.0, 7.0


@dataclass(frozen=True)
class TrendScorer:
    """Shares of the latest wants of a user's cohort. take: new items it nominates. cohorts: their names. shares:
    float32 of shape (cohorts + 1, items); the last row is of all, for whoever is in none of them.
    """

    name: str
    take: int
    cohorts: tuple[str, ...]
    shares: np.ndarray

    @cached_property
    def places(self) -> dict[str, int]:
        """Rows of the shares by cohort."""
        return {name: place for place, name in enumerate(self.cohorts)}

    @cached_property
    def scorers(self) -> list[PopularityScorer]:
        """One of each row of the shares."""
        return [PopularityScorer(self.name, self.take, shares) for shares in self.shares]

    def best(self, block: UserBlock) -> list[Pairs]:
        cohort, found = self._cohort(block), []
        for place in np.unique(cohort):
            members = np.flatnonzero(cohort == place)
            profile, often, due = (matrix[members] for matrix in (block.profile, block.often, block.due))
            inner = UserBlock(block.vectors[members], profile, often, due, cohort[members])
            found += [(members[rows], columns) for rows, columns in self.scorers[place].best(inner)]
        return found

    def at(self, block: UserBlock, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return self.shares[self._cohort(block)[rows], columns]

    def _cohort(self, block: UserBlock) -> np.ndarray:
        everybody = len(self.cohorts)
        return np.array([self.places.get(name, everybody) for name in block.cohorts], dtype=np.int64)


def fit_trending(history: DataFrame, cohorts: DataFrame, catalogue: Catalogue, take: int) -> TrendScorer:
    """Of a history: user_id, item_id, x_idle (days since the last want). cohorts: DataFrame[user_id, cohort].

    share(cohort, item) = (w(cohort, item) + PRIOR_WANTS x share(item)) / (w(cohort) + PRIOR_WANTS), where w sums
    0.5 ** (x_idle / HALF_LIFE) over users: a Dirichlet prior (Zhai & Lafferty 2001, of words in documents).
    """
    recent = F.pow(F.lit(0.5), F.col("x_idle") / HALF_LIFE)
    known = history.join(catalogue.frame, "item_id").join(cohorts, "user_id", "left")
    found = known.groupBy("cohort", "item").agg(F.sum(recent).alias("wants")).toArrow()
    column = found["cohort"].combine_chunks().dictionary_encode()
    names = tuple(sorted(column.dictionary.to_pylist()))
    ordered = {name: place for place, name in enumerate(names)}
    places = np.array([ordered[name] for name in column.dictionary.to_pylist()] + [len(names)])
    row = places[column.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)]
    wants = np.zeros((len(names) + 1, len(catalogue.ids)))
    wants[row, found["item"].to_numpy()] = found["wants"].to_numpy()
    everybody = wants.sum(axis=0)
    everybody /= max(everybody.sum(), 1e-9)
    wants[-1] = 0
    shares = (wants + PRIOR_WANTS * everybody) / (wants.sum(axis=1, keepdims=True) + PRIOR_WANTS)
    return TrendScorer("trending", take, names, shares.astype(np.float32))


def arrivals(history: DataFrame) -> DataFrame:
    """Users a day of items first wanted in the last NEW_DAYS days: item_id, score. Keys: item_id.

    history: user_id, item_id, x_age (days since the first want). score = users / (days since the first + PRIOR_DAYS).
    """
    counted = history.groupBy("item_id").agg(F.count(F.lit(1)).alias("users"), F.max("x_age").alias("age"))
    return counted.where(F.col("age") <= NEW_DAYS).select(
        "item_id", (F.col("users") / (F.col("age") + PRIOR_DAYS)).alias("score")
    )

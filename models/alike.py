"""People alike: what those chose whose habits are nearest to a user's.

TIFU-KNN (Hu, He, Gao & Zhang 2020, "Modeling Personalized Item Frequency Information for Next-basket Recommendation"):
a person is a vector of how often they chose each item, each trip weighing a part of the one after it; foretold is their
own vector together with the mean of their nearest neighbours'. Unlike there, likeness is the cosine, and neighbours
come from a pool of people whose size is set: with as many users as the pool holds, or fewer, the search is exact; with
more, a sample stands for all, and what a user costs no longer grows with the users.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.errors import ModelError
from models.candidates import BLOCK_NUMBERS, Catalogue
from models.row_kernels import dense_product
from models.scorers import Pairs, UserBlock, nominated, unit_rows

# Likeness above which two profiles are the same: the user themselves, or one who says nothing that they do not.
SAME = 1 - 1e-5


@dataclass(frozen=True)
class AlikeParameters:
    """people: size of the pool. neighbours: how many of them are asked. own: share of the user's own vector in the
    score, 0 to 1; the neighbours' have the rest. least_items: of a person in the pool.
    """

    people: int = 10_000
    neighbours: int = 100
    own: float = 0.5
    least_items: int = 3

    def check(self) -> None:
        """Raises ModelError that names the first wrong parameter, what was got and what is allowed."""
        for name in ("people", "neighbours", "least_items"):
            if getattr(self, name) < 1:
                raise ModelError(f"alike: got {name}={getattr(self, name)}; it must be at least 1")
        if not 0 <= self.own <= 1:
            raise ModelError(f"alike: got own={self.own}; it must be from 0 to 1")


@dataclass(frozen=True)
class AlikeScorer:
    """take: new items it nominates. people: csr of shape (people, items), float32, rows of length one."""

    name: str
    take: int
    people: sp.csr_matrix
    parameters: AlikeParameters

    def scores(self, block: UserBlock) -> np.ndarray:
        """Of all items: float32 of shape (users, items)."""
        if self.name not in block.kept:
            own, often = self.parameters.own, unit_rows(block.often)
            scores = dense_product(self._nearest(often), self.people)
            scores *= 1 - own
            row = np.repeat(np.arange(often.shape[0]), np.diff(often.indptr))
            scores[row, often.indices] += own * often.data
            block.kept[self.name] = scores
        return block.kept[self.name]

    def best(self, block: UserBlock) -> list[Pairs]:
        return nominated(self.scores(block), block, self.take)

    def at(self, block: UserBlock, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return self.scores(block)[rows, columns]

    @cached_property
    def of_items(self) -> sp.csr_matrix:
        """The people as csr of shape (items, people)."""
        return self.people.T.tocsr()

    def _nearest(self, often: sp.csr_matrix) -> sp.csr_matrix:
        """csr of shape (users, people), float32: of each user's nearest neighbours, one over their number."""
        size, step = self.people.shape[0], max(1, BLOCK_NUMBERS // max(1, self.people.shape[0]))
        kept = min(self.parameters.neighbours, size)
        rows, columns = [], []
        for start in range(0, often.shape[0] if size else 0, step):
            likeness = dense_product(often[start : start + step], self.of_items)
            likeness[likeness > SAME] = 0
            nearest = np.argpartition(-likeness, kept - 1, axis=1)[:, :kept]
            row, place = np.nonzero(np.take_along_axis(likeness, nearest, axis=1) > 0)
            rows.append(row + start)
            columns.append(nearest[row, place])
        row, column = (np.concatenate([np.zeros(0, np.int64), *parts]) for parts in (rows, columns))
        found = np.bincount(row, minlength=often.shape[0])
        return sp.csr_matrix(((1 / found[row]).astype(np.float32), (row, column)), shape=(often.shape[0], size))


def fit_alike(history: DataFrame, catalogue: Catalogue, parameters: AlikeParameters) -> sp.csr_matrix:
    """The pool, as AlikeScorer takes it: people by a hash of their id, the same of the same history.

    history: user_id, item_id, often (above zero). At most `people` of them come to the driver.
    """
    enough = history.groupBy("user_id").agg(F.count(F.lit(1)).alias("items"))
    ordered = enough.where(F.col("items") >= parameters.least_items).orderBy(F.xxhash64("user_id"), "user_id")
    pool = F.broadcast(ordered.limit(parameters.people).select("user_id"))
    found = history.join(pool, "user_id").join(catalogue.frame, "item_id").select("user_id", "item", "often").toArrow()
    person = found["user_id"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    often, item = (found[name].to_numpy() for name in ("often", "item"))
    size = int(person.max(initial=-1)) + 1
    return unit_rows(sp.csr_matrix((often.astype(np.float32), (person, item)), shape=(size, len(catalogue.ids))))

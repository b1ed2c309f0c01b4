"""Scorers: sources of candidates as plain arrays that travel to Spark's workers and never grow with the users.

A scorer has
    name             what its columns are called: <name>_score, <name>_rank
    best(block)      the candidates it nominates for a block of users, as rows and columns of users x items
    at(block, r, c)  its scores of pairs, float32, those of other scorers' nominees among them
A new source of candidates is a new class here. What it nominates holds its LONGEST best items of those a user
has had, and at least as many of the rest, so that the scorer's own lists can be read off the candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from models.metrics import LONGEST
from models.row_kernels import add_weighted_rows, best_of_rows, dense_product
from models.top_k import OrderedItems, best_of

Pairs = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class UserBlock:
    """What scorers know of some users. vectors: float32 of shape (users, rank), zero where there is none.
    profile: csr of shape (users, items), columns sorted: how much each item the user wanted still counts, above
    zero; its pattern is what they have had. often, due: the same pattern, how often they wanted it, lately most, and
    how much it is due again, as models.repurchase scores it. cohorts: object, the name of each one's cohort, or None.
    kept: what a scorer keeps from best() for at(), by its name.
    """

    vectors: np.ndarray
    profile: sp.csr_matrix
    often: sp.csr_matrix
    due: sp.csr_matrix
    cohorts: np.ndarray
    kept: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def had(self) -> Pairs:
        """Rows and columns of what the users have had, in order."""
        return np.repeat(np.arange(self.profile.shape[0]), np.diff(self.profile.indptr)), self.profile.indices


class Scorer(Protocol):
    """See the module."""

    @property
    def name(self) -> str: ...

    def best(self, block: UserBlock) -> list[Pairs]: ...

    def at(self, block: UserBlock, rows: np.ndarray, columns: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class FactorScorer:
    """The product of user and item vectors. take: new items it nominates. items: float32, shape (items, rank)."""

    name: str
    take: int
    items: np.ndarray

    @cached_property
    def ordered(self) -> OrderedItems:
        """The items as top-k wants them."""
        return OrderedItems.of(self.items)

    def best(self, block: UserBlock) -> list[Pairs]:
        rows, columns = block.had
        again = first(rows, columns, self.at(block, rows, columns), LONGEST)
        # Nothing is known of a user without a vector: all items would be equal.
        known = np.flatnonzero(block.vectors.any(axis=1))
        had = block.profile[known]
        found, _ = best_of(block.vectors[known], self.ordered, min(self.take, len(self.items)), had.indptr, had.indices)
        places_of, rank = np.nonzero(found >= 0)
        return [again, (known[places_of], found[places_of, rank].astype(np.int64))]

    def at(self, block: UserBlock, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        if not block.vectors.shape[1]:  # nobody in the block has a vector
            return np.zeros(len(rows), np.float32)
        return np.einsum("pr,pr->p", block.vectors[rows], self.items[columns])


@dataclass(frozen=True)
class LinearScorer:
    """The user's profile times weights of items. take: new items it nominates.

    items: int64 (items,), the columns of the profile that count. weights: float32 (items, dense), their weights in the
    scores of the first of them. rest: int64 (rest,), further columns that are scored; rest_weights: csr (items, rest),
    float32. Others score zero. power: of the profile's weights; 2 halves their half life.
    """

    name: str
    take: int
    items: np.ndarray
    weights: np.ndarray
    rest: np.ndarray
    rest_weights: sp.csr_matrix
    power: float = 1.0

    @cached_property
    def scored(self) -> np.ndarray:
        """The columns that are scored, int64."""
        return np.concatenate([self.items[: self.weights.shape[1]], self.rest])

    def scores(self, block: UserBlock) -> np.ndarray:
        """Of all scored columns: float32 of shape (users, scored)."""
        if self.name not in block.kept:
            profile, dense = block.profile[:, self.items], self.weights.shape[1]
            profile.data = profile.data**self.power
            scores = np.zeros((profile.shape[0], dense + len(self.rest)), np.float32)
            if dense:
                add_weighted_rows(profile, self.weights, scores)
            block.kept[self.name] = dense_product(profile, self.rest_weights, scores, dense)
        return block.kept[self.name]

    def best(self, block: UserBlock) -> list[Pairs]:
        return nominated(self.scores(block), block, self.take, self.scored)

    def at(self, block: UserBlock, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        place = np.full(block.profile.shape[1], -1)
        place[self.scored] = np.arange(len(self.scored))
        found = place[columns]
        return np.where(found >= 0, self.scores(block)[rows, found], np.float32(0))

    def strongest(self, block: UserBlock, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Of pairs, the column of the profile that adds most to the score, int64; -1 where none adds to it."""
        place = np.full(block.profile.shape[1], -1)
        place[self.scored] = np.arange(len(self.scored))
        profile = block.profile[:, self.items]
        lengths = np.where(place[columns] >= 0, np.diff(profile.indptr)[rows], 0)
        pair = np.repeat(np.arange(len(rows)), lengths)
        entry = np.repeat(profile.indptr[rows], lengths) + places(pair)
        own, target = profile.indices[entry], place[columns][pair]
        dense = target < self.weights.shape[1]
        weights = np.zeros(len(pair))
        weights[dense] = self.weights[own[dense], target[dense]]
        if not dense.all():
            further = self.rest_weights[own[~dense], target[~dense] - self.weights.shape[1]]
            weights[~dense] = np.asarray(further).ravel()
        found = np.full(len(rows), -1)
        added = weights * profile.data[entry] ** self.power
        which, best = first(pair, np.arange(len(pair)), np.where(added > 0, added, -np.inf), 1)
        speaks = added[best] > 0
        found[which[speaks]] = self.items[own[best[speaks]]]
        return found


@dataclass(frozen=True)
class DueScorer:
    """What is due again of what the user had: block.due tells all of it. Nothing new."""

    name: str

    def best(self, block: UserBlock) -> list[Pairs]:
        rows, columns = block.had
        return [first(rows, columns, block.due.data, LONGEST)]

    def at(self, block: UserBlock, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        width = block.due.shape[1]
        had_rows, had_columns = block.had
        had, asked = had_rows * np.int64(width) + had_columns, rows * np.int64(width) + columns
        if not len(had):
            return np.zeros(len(asked), np.float32)
        place = np.minimum(np.searchsorted(had, asked), len(had) - 1)
        return np.where(had[place] == asked, block.due.data[place], np.float32(0))


@dataclass(frozen=True)
class PopularityScorer:
    """The same for everybody. take: new items it nominates. counts: float32 of shape (items,); 0: not popular."""

    name: str
    take: int
    counts: np.ndarray

    @cached_property
    def order(self) -> np.ndarray:
        """The items that are popular, the most popular first."""
        return np.argsort(-self.counts, kind="stable")[: np.count_nonzero(self.counts)]

    def best(self, block: UserBlock) -> list[Pairs]:
        rows, columns = block.had
        again = first(rows, columns, self.counts[columns], LONGEST)
        # So far down every user finds enough that is new to them.
        head = self.order[: self.take + int(np.diff(block.profile.indptr).max(initial=0))]
        new = block.profile[:, head].toarray() == 0
        found, places = np.nonzero(new & (np.cumsum(new, axis=1) <= self.take))
        return [again, (found, head[places])]

    def at(self, block: UserBlock, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return self.counts[columns]


@dataclass(frozen=True)
class TokenScorer:
    """What the user's profile holds of each token, as a vector of length one, times what an item has of it. take: new
    items it nominates. items, scored: csr of shape (items, tokens), float32: as part of a profile, and as what is
    scored; where both are the same with rows of length one, the score is their cosine.
    """

    name: str
    take: int
    items: sp.csr_matrix
    scored: sp.csr_matrix

    @cached_property
    def by_token(self) -> sp.csr_matrix:
        """What is scored, csr of shape (tokens, items)."""
        return self.scored.T.tocsr()

    def scores(self, block: UserBlock) -> np.ndarray:
        """Of all items: float32 of shape (users, items)."""
        if self.name not in block.kept:
            block.kept[self.name] = dense_product(unit_rows(block.profile @ self.items), self.by_token)
        return block.kept[self.name]

    def best(self, block: UserBlock) -> list[Pairs]:
        return nominated(self.scores(block), block, self.take)

    def at(self, block: UserBlock, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return self.scores(block)[rows, columns]


def nominated(scores: np.ndarray, block: UserBlock, take: int, columns: np.ndarray | None = None) -> list[Pairs]:
    """The LONGEST best of what each user had, and the `take` best of the rest. What does not speak for an item, a score
    of zero or less, does not nominate it. Of equals the smaller column wins. scores: (users, columns); columns: of the
    catalogue, None: all of it.
    """
    bounds, had = _had(block.profile, columns)
    best = np.empty((len(scores), LONGEST + take), np.int32)
    counts = np.empty((len(scores), 2), np.int64)
    best_of_rows(np.ascontiguousarray(scores, np.float32), bounds, had, LONGEST, take, best, counts)
    pairs = []
    for found, number in ((best[:, :LONGEST], counts[:, 0]), (best[:, LONGEST:], counts[:, 1])):
        there = np.arange(found.shape[1]) < number[:, None]
        pairs.append((np.repeat(np.arange(len(found)), number), found[there].astype(np.int64)))
    return pairs if columns is None else [(rows, columns[place]) for rows, place in pairs]


def _had(profile: sp.csr_matrix, columns: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Bounds and places among the columns of what each user had."""
    if columns is None:
        return profile.indptr.astype(np.int64), profile.indices
    place = np.full(profile.shape[1], -1, np.int32)
    place[columns] = np.arange(len(columns), dtype=np.int32)
    found = place[profile.indices]
    kept = np.concatenate([[0], np.cumsum(found >= 0)])
    return kept[profile.indptr], found[found >= 0]


def unit_rows(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """The rows, each of length one; empty ones stay so. float32."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return (sp.diags((1 / np.maximum(lengths, 1e-9)).astype(np.float32)) @ matrix).tocsr().astype(np.float32)


def first(rows: np.ndarray, columns: np.ndarray, scores: np.ndarray, k: int) -> Pairs:
    """Those of the pairs that are among the k best of their row. Of equals the smaller column wins."""
    order = np.lexsort((columns, -scores, rows))
    kept = order[places(rows[order]) < k]
    return rows[kept], columns[kept]


def places(groups: np.ndarray) -> np.ndarray:
    """The position of each element within its run of equal elements, from 0. groups: sorted."""
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]])) if len(groups) else np.zeros(0, int)
    return np.arange(len(groups)) - np.repeat(starts, np.diff(np.concatenate([starts, [len(groups)]])))

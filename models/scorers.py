"""Scorers: each gives a score to every item for a block of users, as one dense matrix product.

A scorer is plain arrays (it travels to Spark's workers), never grows with the number of users, and has
    name    what its columns are called: <name>_score, <name>_rank
    take    how many of its best new items become candidates
    scores(users: UserBlock) -> float32 array of shape (users, items)
A new source of candidates is a new class here. Rows of a user who has nothing to go by are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class UserBlock:
    """What scorers know of some users. vectors: float32 of shape (users, rank), zero where there is none.
    profile: csr of shape (users, items): how much each item the user wanted still counts, never zero.
    """

    vectors: np.ndarray
    profile: sp.csr_matrix


class Scorer(Protocol):
    """See the module."""

    @property
    def name(self) -> str: ...

    @property
    def take(self) -> int: ...

    def scores(self, users: UserBlock) -> np.ndarray: ...


@dataclass(frozen=True)
class FactorScorer:
    """The product of user and item vectors. items: float32 of shape (items, rank)."""

    name: str
    take: int
    items: np.ndarray

    def scores(self, users: UserBlock) -> np.ndarray:
        return users.vectors @ self.items.T


@dataclass(frozen=True)
class PopularityScorer:
    """The same for everybody. counts: float32 of shape (items,)."""

    name: str
    take: int
    counts: np.ndarray

    def scores(self, users: UserBlock) -> np.ndarray:
        return np.broadcast_to(self.counts, (users.profile.shape[0], len(self.counts)))


@dataclass(frozen=True)
class ContentScorer:
    """Cosine of the profile and the item in the space of tokens. items: csr of shape (items, tokens), rows of
    length one.
    """

    name: str
    take: int
    items: sp.csr_matrix

    def scores(self, users: UserBlock) -> np.ndarray:
        profile = users.profile @ self.items
        lengths = np.sqrt(np.asarray(profile.multiply(profile).sum(axis=1)).ravel())
        products = (profile @ self.items.T).toarray().astype(np.float32)
        return products / np.maximum(lengths, 1e-9).astype(np.float32)[:, None]

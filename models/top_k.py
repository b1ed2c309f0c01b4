"""Exact top-k of vectors against vectors: for all users, for items, and scores of given pairs. No index, no sample.

Users are read in blocks; the item vectors are held by every task. What a user is not to get, because they had it,
is left out inside the block, and items that nobody is to get never enter the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from lake.errors import ModelError
from models.top_k_kernels import best_items
from models.vectors import bounds_of, lists_of, vectors_of

LONGEST_LIST = 10_000


@dataclass(frozen=True)
class OrderedItems:
    """Items by falling length, as the kernel wants them: vectors float32 (offered, rank), lengths float64 (offered,).
    names: int32 (offered,), their numbers. place: int32 (items,), where each number is, -1 for what is not offered.
    """

    vectors: np.ndarray
    lengths: np.ndarray
    names: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, items: np.ndarray, offered: np.ndarray | None = None) -> OrderedItems:
        """items: float32 (items, rank). offered: bool (items,), which may come at all."""
        names = np.arange(len(items), dtype=np.int32) if offered is None else np.flatnonzero(offered).astype(np.int32)
        lengths = np.sqrt((items[names].astype(np.float64) ** 2).sum(axis=1))
        # What is not a number may be anywhere: it is longer than all.
        order = np.argsort(-np.nan_to_num(lengths, nan=np.inf), kind="stable")
        names, lengths = names[order], lengths[order]
        place = np.full(len(items), -1, np.int32)
        place[names] = np.arange(len(names), dtype=np.int32)
        return cls(np.ascontiguousarray(items[names], np.float32), lengths, names, place)


def best_of(
    vectors: np.ndarray,
    items: np.ndarray | OrderedItems,
    k: int,
    indptr: np.ndarray | None = None,
    indices: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k items with the largest products: int32 (users, k), and their scores, float32 (users, k), best first.

    vectors: float32 (users, rank). items: float32 (items, rank), or ordered already, for who asks more than once.
    indptr, indices: CSR of what each user is not to get. Of equals the smaller item wins; -1 and -inf fill up where
    there are fewer than k.
    """
    ordered = items if isinstance(items, OrderedItems) else OrderedItems.of(items)
    return _best(np.asarray(vectors), ordered, k, indptr, indices)


def top_k(users: DataFrame, items: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> DataFrame:
    """The k best items of every user: user_id, items array<int>, scores array<float>, best first.

    users: DataFrame[user_id, vector array<float>] and, where some items are not to come again, seen array<int>:
    positions of items, sorted or not. items: float32 (items, rank). allowed: bool (items,), which may come at all.
    Lists are shorter than k where fewer items are left; a null vector has an empty list. Raises ModelError when k
    is not positive or larger than LONGEST_LIST.
    """
    if not 1 <= k <= LONGEST_LIST:
        raise ModelError(f"top-k: got k={k}; allowed: 1 to {LONGEST_LIST}")
    shared = users.sparkSession.sparkContext.broadcast(OrderedItems.of(items, allowed))
    seen = "seen" in users.columns

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _lists(batch, shared.value, k)

    columns = [name for name in ("user_id", "vector", "seen") if name != "seen" or seen]
    kind = users.schema["user_id"].dataType.simpleString()
    return users.select(*columns).mapInArrow(score, f"user_id {kind}, items array<int>, scores array<float>")


def score_pairs(users: DataFrame, items: np.ndarray) -> DataFrame:
    """Scores of given pairs: user_id, candidates, scores array<float> in the order of the candidates.

    users: DataFrame[user_id, vector, candidates array<int>]; candidates are positions of items.
    """
    shared = users.sparkSession.sparkContext.broadcast(np.ascontiguousarray(items, np.float32))

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            asked, bounds = lists_of(batch.column("candidates"))
            vectors = vectors_of(batch.column("vector"), shared.value.shape[1])
            rows = np.repeat(np.arange(batch.num_rows), np.diff(bounds))
            scores = np.einsum("pf,pf->p", vectors[rows], shared.value[asked])
            lists = pa.ListArray.from_arrays(pa.array(bounds.astype(np.int32)), pa.array(scores.astype(np.float32)))
            yield pa.record_batch(
                [batch.column("user_id"), batch.column("candidates"), lists], ["user_id", "candidates", "scores"]
            )

    kind = users.schema["user_id"].dataType.simpleString()
    return users.select("user_id", "vector", "candidates").mapInArrow(
        score, f"user_id {kind}, candidates array<int>, scores array<float>"
    )


def similar_items(items: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k items most like each by cosine, without itself: int32 (items, k) and float32 (items, k), best first.

    An item whose vector is zero is like no other.
    """
    lengths = np.linalg.norm(items, axis=1, keepdims=True)
    unit = np.divide(items, lengths, out=np.zeros_like(items, np.float32), where=lengths > 0)
    own = np.arange(len(items), dtype=np.int32)
    best, scores = best_of(unit, unit, k, np.arange(len(items) + 1, dtype=np.int64), own)
    nothing = (lengths[:, 0] == 0)[:, None] | (scores == 0)
    return np.where(nothing, -1, best), np.where(nothing, -np.inf, scores)


def _best(
    vectors: np.ndarray, items: OrderedItems, k: int, indptr: np.ndarray | None, indices: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    best = np.empty((len(vectors), k), np.int32)
    scores = np.empty((len(vectors), k), np.float32)
    if indptr is None or indices is None:
        indptr, indices = np.zeros(len(vectors) + 1, np.int64), np.zeros(0, np.int32)
    best_items(
        np.ascontiguousarray(vectors, np.float32), items.vectors, items.lengths, items.names, k,
        *_placed(indptr, indices, items), best, scores,
    )  # fmt: skip
    return best, scores


def _placed(indptr: np.ndarray, indices: np.ndarray, items: OrderedItems) -> tuple[np.ndarray, np.ndarray]:
    """CSR of items by their place in the order, sorted within each user; without what is not offered."""
    place = items.place[indices]
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    keys = rows[place >= 0] * np.int64(len(items.place)) + place[place >= 0]
    keys.sort()
    rows, place = np.divmod(keys, np.int64(max(len(items.place), 1)))
    bounds = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(indptr) - 1))])
    return bounds.astype(np.int64), place.astype(np.int32)


def _lists(batch: pa.RecordBatch, items: OrderedItems, k: int) -> pa.RecordBatch:
    """The lists of a batch of users."""
    known = np.diff(bounds_of(batch.column("vector"))) > 0
    vectors = vectors_of(batch.column("vector"), items.vectors.shape[1])
    indptr = indices = None
    if "seen" in batch.schema.names:
        indices, indptr = lists_of(batch.column("seen"))
    best, scores = _best(vectors, items, min(k, max(len(items.names), 1)), indptr, indices)
    # A list ends where there is nothing left, and never begins without a vector.
    kept = (best >= 0) & known[:, None]
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(best[kept]))
    values = pa.ListArray.from_arrays(pa.array(offsets), pa.array(scores[kept]))
    return pa.record_batch([batch.column("user_id"), lists, values], ["user_id", "items", "scores"])

"""Exact top-k of vectors against vectors: for all users, for items, and scores of given pairs. No index, no sample.

Users are read in blocks; the item vectors are held by every task. What a user is not to get, because they had it,
is left out inside the block, and items that nobody is to get never enter the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from lake.errors import ModelError
from models.top_k_kernels import best_items

LONGEST_LIST = 10_000


def best_of(
    vectors: np.ndarray, items: np.ndarray, k: int, indptr: np.ndarray | None = None, indices: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k items with the largest products: int32 (users, k), and their scores, float32 (users, k), best first.

    vectors: float32 (users, rank). items: float32 (items, rank). indptr, indices: CSR of what each user is not to
    get, sorted within a user. Of equals the smaller item wins; -1 and -inf fill up where there are fewer than k.
    """
    best = np.empty((len(vectors), k), np.int32)
    scores = np.empty((len(vectors), k), np.float32)
    if indptr is None or indices is None:
        indptr, indices = np.zeros(len(vectors) + 1, np.int64), np.zeros(0, np.int32)
    best_items(
        np.ascontiguousarray(vectors, np.float32), np.ascontiguousarray(items, np.float32), k,
        indptr.astype(np.int64, copy=False), indices.astype(np.int32, copy=False), best, scores,
    )  # fmt: skip
    return best, scores


def top_k(users: DataFrame, items: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> DataFrame:
    """The k best items of every user: user_id, items array<int>, scores array<float>, best first.

    users: DataFrame[user_id, vector array<float>] and, where some items are not to come again, seen array<int>:
    positions of items, sorted or not. items: float32 (items, rank). allowed: bool (items,), which may come at all.
    Lists are shorter than k where fewer items are left; a null vector has an empty list. Raises ModelError when k
    is not positive or larger than LONGEST_LIST.
    """
    if not 1 <= k <= LONGEST_LIST:
        raise ModelError(f"top-k: got k={k}; allowed: 1 to {LONGEST_LIST}")
    offered = np.arange(len(items), dtype=np.int32) if allowed is None else np.flatnonzero(allowed).astype(np.int32)
    shared = users.sparkSession.sparkContext.broadcast((np.ascontiguousarray(items[offered], np.float32), offered))
    seen = "seen" in users.columns

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        vectors, names = shared.value
        for batch in batches:
            yield _lists(batch, vectors, names, len(items), k)

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
            asked, bounds = _flat(batch.column("candidates"))
            vectors, _ = _vectors(batch.column("vector"), shared.value.shape[1])
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


def _lists(batch: pa.RecordBatch, items: np.ndarray, names: np.ndarray, count: int, k: int) -> pa.RecordBatch:
    """The lists of a batch of users. names: the number of each item offered, of count items in all."""
    vectors, known = _vectors(batch.column("vector"), items.shape[1])
    indptr = indices = None
    if "seen" in batch.schema.names:
        indptr, indices = _excluded(batch.column("seen"), names, count)
    best, scores = best_of(vectors, items, min(k, max(len(items), 1)), indptr, indices)
    # A list ends where there is nothing left, and never begins without a vector.
    kept = (best >= 0) & known[:, None]
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
    found = names[best[kept]] if len(names) else np.zeros(0, np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(found.astype(np.int32)))
    values = pa.ListArray.from_arrays(pa.array(offsets), pa.array(scores[kept]))
    return pa.record_batch([batch.column("user_id"), lists, values], ["user_id", "items", "scores"])


def _excluded(column: pa.Array, names: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """CSR over the items offered: the seen ones, sorted within each user."""
    seen, bounds = _flat(column)
    place = np.full(count, -1, np.int32)
    place[names] = np.arange(len(names), dtype=np.int32)
    moved = place[seen]
    rows = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    rows, moved = rows[moved >= 0], moved[moved >= 0]
    key = rows * np.int64(count) + moved
    if (np.diff(key) < 0).any():
        order = np.argsort(key, kind="stable")
        rows, moved = rows[order], moved[order]
    return np.searchsorted(rows, np.arange(len(bounds))).astype(np.int64), moved


def _flat(column: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    """The values of all lists and the bounds of each; null is an empty list."""
    lengths = np.nan_to_num(column.value_lengths().to_numpy(zero_copy_only=False)).astype(np.int64)
    return column.flatten().to_numpy(zero_copy_only=False), np.concatenate([[0], np.cumsum(lengths)])


def _vectors(column: pa.ListArray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 (users, rank), zeros where there is none; and which users have one."""
    lengths = np.nan_to_num(column.value_lengths().to_numpy(zero_copy_only=False)).astype(np.int64)
    vectors = np.zeros((len(column), rank), np.float32)
    vectors[lengths > 0] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, rank)
    return vectors, lengths > 0

"""Candidates: the union of all sources, one row a user and item, with the score and rank each source gives it.

Every scorer scores every item for a block of users at once (exact, no index), nominates its best new items,
and scores the nominees of all others too, so that a ranker sees the whole row. What a user has had before
comes in through repurchase. Blocks of users are bounded by memory, whatever the size of the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.errors import ModelError
from models.metrics import LONGEST
from models.scorers import Scorer, UserBlock

# Numbers in one dense matrix of users x items: 40 MB in float32, times a handful of matrices a task.
BLOCK_NUMBERS = 10_000_000


@dataclass(frozen=True)
class Catalogue:
    """Item ids in sorted order; their positions are the columns of every matrix. frame: DataFrame[item_id, item]."""

    ids: list[str]
    frame: DataFrame


def catalogue(history: DataFrame) -> Catalogue:
    """The items of the history, numbered. Raises ModelError when there is none."""
    ids = sorted(row.item_id for row in history.select("item_id").distinct().toLocalIterator())
    if not ids:
        raise ModelError("the history holds no item: no consenting user has bought, liked or rated anything yet")
    table = pa.table({"item_id": pa.array(ids), "item": pa.array(np.arange(len(ids), dtype=np.int32))})
    return Catalogue(ids, F.broadcast(history.sparkSession.createDataFrame(table)))


def profiles(history: DataFrame, own: DataFrame, weight: str, items: Catalogue) -> DataFrame:
    """What the scorers need of each user: user_id, profile (array of item, weight, own; sorted by item).

    history: user_id, item_id and the column `weight` (positive). own: DataFrame[user_id, item_id], the items
    that repurchase nominates; one that is not in the history is left out.
    """
    nominated = own.select("user_id", "item_id", F.lit(True).alias("own"))
    entry = F.struct("item", F.col(weight).cast("float").alias("weight"), F.coalesce("own", F.lit(False)).alias("own"))
    return (
        history.join(nominated, ["user_id", "item_id"], "left")
        .join(items.frame, "item_id")
        .groupBy("user_id")
        .agg(F.array_sort(F.collect_list(entry)).alias("profile"))
    )


def candidates(users: DataFrame, items: Catalogue, scorers: list[Scorer]) -> DataFrame:
    """user_id, item_id, seen, and <name>_score float and <name>_rank int of every scorer. Keys: user_id, item_id.

    users: DataFrame[user_id, profile, vector array<float>]; vector may be null. seen: in the user's profile.
    A row is there when the item is the user's own (repurchase), among the `take` best new items of a scorer, or
    among a scorer's LONGEST best of all items, so that each scorer's own lists can be read off the rows.
    Ranks count from 1 among the user's candidates that are alike in `seen`.
    """
    names = pa.array(items.ids)
    rows = max(1, BLOCK_NUMBERS // len(items.ids))

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for whole in batches:
            for start in range(0, whole.num_rows, rows):
                yield _block(whole.slice(start, rows), names, scorers)

    columns = ", ".join(f"{scorer.name}_score float, {scorer.name}_rank int" for scorer in scorers)
    schema = f"user_id string, item_id string, seen boolean, {columns}"
    return users.select("user_id", "profile", "vector").mapInArrow(score, schema)


def _block(batch: pa.RecordBatch, names: pa.Array, scorers: list[Scorer]) -> pa.RecordBatch:
    """The candidates of one block of users."""
    block, own = _users(batch, len(names))
    seen = np.zeros(block.profile.shape, dtype=bool)
    seen[np.repeat(np.arange(batch.num_rows), np.diff(block.profile.indptr)), block.profile.indices] = True
    chosen = own
    matrices = []
    for scorer in scorers:
        scores = scorer.scores(block)
        matrices.append(scores)
        _choose(chosen, scores, LONGEST)
        if scorer.take:
            _choose(chosen, np.where(seen, -np.inf, scores), scorer.take)
    rows, columns = np.nonzero(chosen)
    again = seen[rows, columns]
    arrays = [batch.column("user_id").take(pa.array(rows)), names.take(pa.array(columns)), pa.array(again)]
    fields = ["user_id", "item_id", "seen"]
    for scorer, scores in zip(scorers, matrices, strict=True):
        found = scores[rows, columns].astype(np.float32)
        arrays += [pa.array(found), pa.array(_ranks(rows, again, found))]
        fields += [f"{scorer.name}_score", f"{scorer.name}_rank"]
    return pa.RecordBatch.from_arrays(arrays, names=fields)


def _users(batch: pa.RecordBatch, items: int) -> tuple[UserBlock, np.ndarray]:
    """The block, and a mask of shape (users, items) of what repurchase nominates."""
    profile = batch.column("profile")
    bounds = np.concatenate([[0], np.cumsum(profile.value_lengths().to_numpy(zero_copy_only=False))]).astype(np.int64)
    entries = profile.flatten()
    item = entries.field("item").to_numpy(zero_copy_only=False).astype(np.int32)
    weight = entries.field("weight").to_numpy(zero_copy_only=False).astype(np.float32)
    # csr_matrix would keep explicit zeros, but a product may drop them: an item once wanted is never quite forgotten.
    shape = (batch.num_rows, items)
    matrix = sp.csr_matrix((np.maximum(weight, np.float32(1e-6)), item, bounds), shape=shape)
    own = np.zeros(shape, dtype=bool)
    nominated = entries.field("own").to_numpy(zero_copy_only=False)
    own[np.repeat(np.arange(batch.num_rows), np.diff(bounds))[nominated], item[nominated]] = True
    return UserBlock(_vectors(batch.column("vector")), matrix), own


def _vectors(column: pa.ListArray) -> np.ndarray:
    """Vectors as one array; zeros for users without one."""
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    rank = int(np.nanmax(lengths, initial=0.0)) if len(lengths) else 0
    vectors = np.zeros((len(column), rank), dtype=np.float32)
    vectors[np.nan_to_num(lengths) > 0] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, max(rank, 1))
    return vectors


def _choose(chosen: np.ndarray, scores: np.ndarray, k: int) -> None:
    """Mark the k best finite scores of each row; of equals at the edge, those first in the catalogue."""
    k = min(k, scores.shape[1])
    edge = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
    above = scores > edge
    equal = (scores == edge) & np.isfinite(edge)
    room = k - above.sum(axis=1, keepdims=True)
    chosen |= above | (equal & (np.cumsum(equal, axis=1) <= room))


def _ranks(rows: np.ndarray, again: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rank of each candidate by score, from 1, within its row and `again`. rows is sorted."""
    group = rows * 2 + again
    order = np.lexsort((np.arange(len(rows)), -scores, group))
    ordered = group[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(rows) else np.zeros(0, int)
    ranks = np.empty(len(rows), dtype=np.int32)
    lengths = np.diff(np.concatenate([starts, [len(rows)]]))
    ranks[order] = np.arange(len(rows)) - np.repeat(starts, lengths) + 1
    return ranks

"""Candidates: the union of all sources, one row a user and item, with the score and rank each source gives it.

Every scorer scores every item for a block of users at once (exact, no index) and nominates its best; then it
scores the nominees of all others too, so that a ranker sees the whole row. What a user has had before comes in
through repurchase. Blocks of users are bounded by memory, whatever the size of the catalogue.
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
from models.scorers import Pairs, Scorer, UserBlock, places
from models.vectors import bounds_of, vectors_of

# Numbers in one dense matrix of users x items: 40 MB in float32, times a few a task.
BLOCK_NUMBERS = 10_000_000
# A product of a profile may lose what is exactly zero: an item once wanted is never quite forgotten.
LEAST_WEIGHT = np.float32(1e-6)


@dataclass(frozen=True)
class Catalogue:
    """Item ids in sorted order; their positions are the columns of every matrix. frame: DataFrame[item_id, item]."""

    ids: list[str]
    frame: DataFrame


def catalogue(items: DataFrame) -> Catalogue:
    """The items, numbered. items: DataFrame[item_id], each once. Raises ModelError when there is none."""
    ids = sorted(items.select("item_id").toArrow()["item_id"].to_pylist())
    if not ids:
        raise ModelError("the history holds no item: no consenting user has bought, liked or rated anything yet")
    table = pa.table({"item_id": pa.array(ids), "item": pa.array(np.arange(len(ids), dtype=np.int32))})
    return Catalogue(ids, F.broadcast(items.sparkSession.createDataFrame(table)))


def profiles(history: DataFrame, items: Catalogue) -> DataFrame:
    """What the scorers need of each user: user_id, profile (array of item, weight, often, due, own; sorted by item).

    history: user_id, item_id, weight, often, due (above zero; see UserBlock), own (whether repurchase nominates the
    item).
    """
    entry = F.struct(
        "item",
        *(F.col(name).cast("float").alias(name) for name in ("weight", "often", "due")),
        F.coalesce("own", F.lit(False)).alias("own"),
    )
    return (
        history.join(items.frame, "item_id")
        .groupBy("user_id")
        .agg(F.sort_array(F.collect_list(entry)).alias("profile"))
    )


def candidates(users: DataFrame, items: Catalogue, scorers: list[Scorer]) -> DataFrame:
    """user_id, item_id, seen, and <name>_score float and <name>_rank int of every scorer. Keys: user_id, item_id.

    users: DataFrame[user_id, profile, vector array<float>, cohort string]; the last two may be null. seen: in the
    user's profile.
    Ranks count from 1 among the user's candidates that are alike in `seen`; of equals the smaller id is first.
    """
    # Hundreds of megabytes: a worker reads what is broadcast once, and a function's own with each of its tasks.
    shared = users.sparkSession.sparkContext.broadcast((pa.array(items.ids), scorers))
    step = max(1, BLOCK_NUMBERS // len(items.ids))

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for whole in batches:
            for start in range(0, whole.num_rows, step):
                yield _block(whole.slice(start, step), *shared.value)

    columns = ", ".join(f"{scorer.name}_score float, {scorer.name}_rank int" for scorer in scorers)
    schema = f"user_id string, item_id string, seen boolean, {columns}"
    return users.select("user_id", "profile", "vector", "cohort").mapInArrow(score, schema)


def _block(batch: pa.RecordBatch, names: pa.Array, scorers: list[Scorer]) -> pa.RecordBatch:
    """The candidates of one block of users."""
    block, own = _users(batch, len(names))
    nominated = [own, *(pairs for scorer in scorers for pairs in scorer.best(block))]
    keys = np.unique(np.concatenate([rows.astype(np.int64) * len(names) + columns for rows, columns in nominated]))
    rows, columns = np.divmod(keys, len(names))
    had_rows, had_columns = block.had
    seen = np.isin(keys, had_rows * np.int64(len(names)) + had_columns, assume_unique=True)
    arrays = [batch.column("user_id").take(pa.array(rows)), names.take(pa.array(columns)), pa.array(seen)]
    fields = ["user_id", "item_id", "seen"]
    for scorer in scorers:
        scores = scorer.at(block, rows, columns).astype(np.float32)
        arrays += [pa.array(scores), pa.array(_ranks(rows, seen, scores))]
        fields += [f"{scorer.name}_score", f"{scorer.name}_rank"]
    return pa.RecordBatch.from_arrays(arrays, names=fields)


def user_block(batch: pa.RecordBatch, items: int) -> UserBlock:
    """The users of a batch with the columns of candidates(); profile alone is asked for."""
    column, names = batch.column("profile"), batch.schema.names
    entries, bounds, shape = column.flatten(), bounds_of(column), (batch.num_rows, items)
    item = entries.field("item").to_numpy(zero_copy_only=False).astype(np.int32)

    def matrix(name: str) -> sp.csr_matrix:
        values = entries.field(name).to_numpy(zero_copy_only=False).astype(np.float32)
        return sp.csr_matrix((np.maximum(values, LEAST_WEIGHT), item, bounds), shape=shape)

    vectors = vectors_of(batch.column("vector")) if "vector" in names else np.zeros((batch.num_rows, 0), np.float32)
    cohorts = np.full(batch.num_rows, None, object)
    if "cohort" in names:
        cohorts = batch.column("cohort").to_numpy(zero_copy_only=False)
    return UserBlock(vectors, matrix("weight"), matrix("often"), matrix("due"), cohorts)


def _users(batch: pa.RecordBatch, items: int) -> tuple[UserBlock, Pairs]:
    """The block, and the pairs that repurchase nominates."""
    block = user_block(batch, items)
    chosen = batch.column("profile").flatten().field("own").to_numpy(zero_copy_only=False).astype(bool)
    rows, columns = block.had
    return block, (rows[chosen], columns[chosen])


def _ranks(rows: np.ndarray, seen: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rank of each candidate by score, from 1, within its row and `seen`."""
    group = rows * 2 + seen
    order = np.lexsort((np.arange(len(rows)), -scores, group))
    ranks = np.empty(len(rows), dtype=np.int32)
    ranks[order] = places(group[order]) + 1
    return ranks

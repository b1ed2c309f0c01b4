"""Item neighbours: items that the same people want, by shrunk cosine (Sarwar et al. 2001).

    similarity(a, b) = n_ab / sqrt(n_a n_b) * n_ab / (n_ab + SHRINK),  n_a: users who wanted a, n_ab: both

The co-occurrence matrix is cut into blocks of items; each task holds one block densely and streams all users
past it, so that neither the pairs nor the users are ever shuffled or collected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from models.candidates import Catalogue

# Items a matrix of pairs may have; the rest are too rare for their pairs to say anything.
MOST_ITEMS = 8000
SHRINK = 10.0
NEIGHBOURS = 100
# Users who want more than this say little about any one pair, and cost its square.
MOST_PER_USER = 1000
BLOCKS = 4


def neighbours(history: DataFrame, items: Catalogue) -> sp.csr_matrix:
    """The NEIGHBOURS most similar items of each item: csr of shape (items, items); row: the item they are of.

    history: user_id, item_id, last_time; one row a user and item. Of a user with more than MOST_PER_USER items
    the latest count. Only the MOST_ITEMS most wanted items take part.
    """
    numbered, item, users = _most_wanted(history, items)
    count = len(item)
    latest = F.row_number().over(Window.partitionBy("user_id").orderBy(F.desc("last_time"), "item_id"))
    wanted = (
        history.join(numbered, "item_id")
        .withColumn("position", latest)
        .where(F.col("position") <= MOST_PER_USER)
        .groupBy("user_id")
        .agg(F.array_sort(F.collect_list("column")).alias("columns"))
    )
    blocks = history.sparkSession.range(BLOCKS).select(F.col("id").cast("int").alias("block"))
    spread = wanted.crossJoin(F.broadcast(blocks)).repartitionById(BLOCKS, F.col("block"))
    size = -(-count // BLOCKS)

    def similar(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        both: np.ndarray | None = None
        start = 0
        for batch in batches:
            if not batch.num_rows:
                continue
            start = batch.column("block")[0].as_py() * size
            if both is None:
                both = np.zeros((max(min(size, count - start), 0), count), dtype=np.float32)
            matrix = _matrix(batch.column("columns"), count)
            both += (matrix[:, start : start + len(both)].T @ matrix).toarray()
        if both is not None and len(both):
            yield _nearest(both, start, users)

    found = spread.select("block", "columns").mapInArrow(similar, "source int, target int, weight float").toArrow()
    source, target = (item[found[name].to_numpy()] for name in ("source", "target"))
    shape = (len(items.ids), len(items.ids))
    return sp.csr_matrix((found["weight"].to_numpy().astype(np.float32), (source, target)), shape=shape)


def _most_wanted(history: DataFrame, items: Catalogue) -> tuple[DataFrame, np.ndarray, np.ndarray]:
    """The items that take part: DataFrame[item_id, column]; by column, their number in the catalogue and users."""
    counted = history.groupBy("item_id").agg(F.count(F.lit(1)).alias("users")).join(items.frame, "item_id")
    best = counted.orderBy(F.desc("users"), "item_id").limit(MOST_ITEMS).select("item_id", "item", "users").toArrow()
    columns = pa.table({"item_id": best["item_id"], "column": pa.array(np.arange(best.num_rows, dtype=np.int32))})
    frame = F.broadcast(history.sparkSession.createDataFrame(columns))
    return frame, best["item"].to_numpy().astype(np.int64), best["users"].to_numpy().astype(np.float32)


def _matrix(column: pa.ListArray, count: int) -> sp.csr_matrix:
    """Users x items, ones."""
    lengths = column.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    indices = column.flatten().to_numpy(zero_copy_only=False).astype(np.int32)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csr_matrix((np.ones(len(indices), dtype=np.float32), indices, bounds), shape=(len(column), count))


def _nearest(both: np.ndarray, start: int, users: np.ndarray) -> pa.RecordBatch:
    """The best neighbours of a block of items. both: users in common, shape (block, items); users: of each item."""
    block = np.arange(len(both))
    both[block, start + block] = 0
    similarity = both / np.sqrt(np.outer(users[start : start + len(both)], users)) * (both / (both + SHRINK))
    k = min(NEIGHBOURS, similarity.shape[1])
    # Ties are settled by the column, so that the same history gives the same neighbours.
    targets = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    weights = np.take_along_axis(similarity, targets, axis=1)
    rows, places = np.nonzero(weights > 0)
    return pa.RecordBatch.from_arrays(
        [
            pa.array((start + rows).astype(np.int32)),
            pa.array(targets[rows, places].astype(np.int32)),
            pa.array(weights[rows, places].astype(np.float32)),
        ],
        names=["source", "target", "weight"],
    )

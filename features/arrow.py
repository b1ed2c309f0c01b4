"""What the NumPy kernels of features/ have in common: whole users in Arrow batches, and names as whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

# Rows that are looked at at once: some 100 MB with their strings.
CHUNK_ROWS = 500_000

# A whole number that is the same for all rows of a user, and by which they come together.
PLACE = "_place"


def by_user(rows: DataFrame, partitions: int | None = None) -> DataFrame:
    """The rows in the order of a new column PLACE, a user's rows in one partition and one after another.

    Sorting whole numbers costs a fifth of sorting names. Two users may share a place, though one in 2^64 does.
    partitions: how many; None leaves it to Spark.
    """
    placed = rows.withColumn(PLACE, F.xxhash64("user_id"))
    exchanged = placed.repartition(partitions, "user_id") if partitions else placed.repartition("user_id")
    return exchanged.sortWithinPartitions(PLACE)


def whole_users(batches: Iterable[pa.RecordBatch], chunk_rows: int = CHUNK_ROWS) -> Iterator[pa.Table]:
    """The rows of by_user in tables of about so many rows, each with its users whole, in the order they come."""
    held: list[pa.RecordBatch] = []
    rows, enough = 0, chunk_rows
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows < enough:
            continue
        table = pa.Table.from_batches(held)
        places = table[PLACE]
        last = pc.index(places, places[-1]).as_py()
        if last:
            yield table.slice(0, last)
        held = table.slice(last).to_batches()
        rows -= last
        # One user of very many rows is not looked through again with every batch.
        enough = max(chunk_rows, 2 * rows)
    if rows:
        yield pa.Table.from_batches(held)


def users_of(rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The user of each row, counted from 0, int64; and a row of each user, in their order."""
    coded = rows["user_id"].combine_chunks().dictionary_encode()
    user = coded.indices.to_numpy().astype(np.int64)
    first = np.empty(len(coded.dictionary), np.int64)
    first[user[::-1]] = np.arange(len(user) - 1, -1, -1)
    return user, first


def codes(column: pa.ChunkedArray) -> np.ndarray:
    """A number from 0 for each distinct value, in no order, int64; -1 for null."""
    coded = column.combine_chunks().dictionary_encode()
    return pc.fill_null(coded.indices, -1).to_numpy().astype(np.int64)


def ranked(*columns: pa.Array) -> tuple[pa.Array, list[np.ndarray]]:
    """The distinct names of all columns in the order of their bytes, as Spark orders them, and the place of each name
    among them, int64 by column; -1 for null.
    """
    coded = [column.dictionary_encode() for column in columns]
    together = pa.concat_arrays([part.dictionary for part in coded]).dictionary_encode()
    order = pc.sort_indices(together.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    names = rank[together.indices.to_numpy()]
    places, start = [], 0
    for part in coded:
        of_part = np.append(names[start : start + len(part.dictionary)], -1)
        places.append(of_part[pc.fill_null(part.indices, -1).to_numpy()])
        start += len(part.dictionary)
    return together.dictionary.take(pa.array(order)), places


def sums(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Sums of the values from each of the first places to the next."""
    return np.add.reduceat(values, first) if len(first) else np.zeros(0, values.dtype)


def starts(ordered: np.ndarray) -> np.ndarray:
    """Where each run of equal numbers begins. ordered: not below 0."""
    return np.flatnonzero(np.diff(ordered, prepend=-1))


def lengths_of(first: np.ndarray, rows: int) -> np.ndarray:
    """How long the runs are that begin at `first`."""
    return np.diff(first, append=rows)

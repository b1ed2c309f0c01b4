"""Sums over users of products of items, by Spark: what linear item models are solved from.

Each task adds up its own users' products in a dense matrix, the rows of the tasks' matrices are exchanged, and the
driver reads items x items numbers, whatever the number of users: from files, as hundreds of megabytes of wide rows are
more than a JVM of a few gigabytes hands over safely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.als_files import Folder
from models.interactions import strength
from models.vectors import bounds_of, vectors_column, vectors_of

# Rows of a matrix in one Arrow batch.
BATCH = 256
SUMS = 3
# row: of the three matrices one below the other. part: the task that added it up.
_SUM = "row int, part int, sums array<float>"
# The files of the added rows, under the folder.
_KEPT = "sums"


@dataclass(frozen=True)
class Windows:
    """Label windows before the instant of the sums: `count` of them, `days` long each, back to back, each weighing
    `decay` of the one after it.
    """

    days: float = 40.0
    count: int = 2
    decay: float = 0.5


@dataclass(frozen=True)
class ItemSums:
    """Each float32 of shape (items, items). together: sum over users of x_i x_j, where x is 0.5 ** (age /
    half_life) of the last want of an item. before: the same as of the beginnings of the windows, with a half life of
    its own. then: sum over users and windows of x_i as of its beginning times whether j was wanted within it.
    """

    together: np.ndarray
    before: np.ndarray
    then: np.ndarray


def item_sums(
    tiles: DataFrame, as_of: float, items: DataFrame, size: int, half_lives: tuple[float, float], windows: Windows,
    folder: str,
) -> ItemSums:  # fmt: skip
    """The sums over the tiles' users. tiles: user-item-day tiles before as_of, in seconds since 1970.

    items: DataFrame[item_id, place], places counting from 0 to size - 1. half_lives: days, of `together` and of the
    other two. folder: path or URI that every worker reaches; what the tasks leave there goes again. Sums are taken in a
    fixed order: the same tiles give the same bits.
    """
    tasks, files = tiles.sparkSession.sparkContext.defaultParallelism, Folder(folder)
    files.remove(_KEPT)
    parts = wants_of(tiles, as_of, items).mapInArrow(_partial(size, half_lives, windows), _SUM)
    ordered = parts.repartition(tasks, "row").sortWithinPartitions("row", "part")
    ordered.mapInArrow(_written(folder), "rows long").collect()
    found = np.zeros((SUMS * size, size), np.float32)
    for name in files.names(_KEPT):
        table = files.read_table(f"{_KEPT}/{name}")
        if table is not None:
            found[table["row"].to_numpy()] = vectors_of(table["sums"], size)
    files.remove(_KEPT)
    return ItemSums(*found.reshape(SUMS, size, size))


def wants_of(tiles: DataFrame, as_of: float, items: DataFrame) -> DataFrame:
    """One row a user, in an order that depends on the tiles alone: wants, array of (place, age in days)."""
    age = ((F.lit(as_of) - F.col("last_time").cast("double")) / 86400).cast("float")
    wants = tiles.where(strength() > 0).select("user_id", "item_id", age.alias("age")).join(items, "item_id")
    entry = F.struct("place", "age")
    users = wants.groupBy("user_id").agg(F.array_sort(F.collect_list(entry)).alias("wants"))
    tasks = tiles.sparkSession.sparkContext.defaultParallelism
    return users.repartition(tasks, "user_id").sortWithinPartitions("user_id").select("wants")


def read_wants(batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User (from 0), place and age of each want of a batch of wants_of()."""
    column = batch.column("wants")
    wants = column.flatten()
    users = np.repeat(np.arange(batch.num_rows), np.diff(bounds_of(column)))
    place, age = (wants.field(name).to_numpy(zero_copy_only=False) for name in ("place", "age"))
    return users, place, age


def factors(
    users: np.ndarray, place: np.ndarray, age: np.ndarray, known: int, size: int, half_lives: tuple[float, float],
    windows: Windows,
) -> Iterator[tuple[int, sp.csr_matrix, sp.csr_matrix]]:  # fmt: skip
    """What the sums over some users are sums of: number, in the order of ItemSums, and two csr matrices, (known, users)
    and (users, size), whose product is a part of the sum of that number.

    users: int, the user of each want, from 0. place: its item, below size. age: days. An item wanted on several days
    comes several times. Items from `known` on are only foretold.
    """
    shape = (int(users.max(initial=-1)) + 1, size)
    latest = _latest(users, place, age, shape, half_lives[0])
    yield 0, latest[:, :known].T.tocsr(), latest
    for number in range(windows.count):
        start = windows.days * (number + 1)
        past, within = age > start, (age <= start) & (age > start - windows.days)
        x = _latest(users[past], place[past], age[past] - start, shape, half_lives[1])
        weighted = x[:, :known].T.tocsr() * np.float32(windows.decay**number)
        yield 1, weighted, x
        yield 2, weighted, _latest(users[within], place[within], age[within], shape, np.inf)


def _latest(
    users: np.ndarray, place: np.ndarray, age: np.ndarray, shape: tuple[int, int], half_life: float
) -> sp.csr_matrix:
    """csr, float32, of 0.5 ** (age / half_life) of each user's latest want of each item."""
    order = np.lexsort((age, place, users))
    users, place, age = users[order], place[order], age[order]
    first = np.ones(len(users), bool)
    first[1:] = (users[1:] != users[:-1]) | (place[1:] != place[:-1])
    weight = (0.5 ** (age[first] / half_life)).astype(np.float32)
    return sp.csr_matrix((weight, (users[first], place[first])), shape=shape)


def _partial(
    size: int, half_lives: tuple[float, float], windows: Windows
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """One task's sums, a row of a matrix a row."""

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        part = _task()
        sums = np.zeros((SUMS, size, size), np.float32)
        for batch in batches:
            for matrix, left, right in factors(*read_wants(batch), size, size, half_lives, windows):
                product = left @ right
                for start in range(0, size, BATCH):
                    sums[matrix, start : start + BATCH] += product[start : start + BATCH].toarray()
        for start in range(0, SUMS * size, BATCH):
            rows = np.arange(start, min(start + BATCH, SUMS * size))
            yield _rows(rows, np.full(len(rows), part), sums.reshape(-1, size)[rows])

    return add


def _written(folder: str) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """One task's added rows as a file of the folder; how many."""

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        added = pa.Table.from_batches(list(_added(batches)))
        Folder(folder).write_table(f"{_KEPT}/part-{_task():05d}.parquet", added)
        yield pa.record_batch([pa.array([added.num_rows])], ["rows"])

    return write


def _task() -> int:
    context = TaskContext.get()
    return context.partitionId() if context is not None else 0


def _added(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of equal number, which lie side by side, added up; a sum that may go on in the next batch waits for it."""
    number, sums = np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
    for batch in batches:
        more = vectors_of(batch.column("sums"))
        number = np.concatenate([number, batch.column("row").to_numpy()])
        sums = np.concatenate([sums.reshape(-1, more.shape[1]), more])
        starts = np.flatnonzero(np.concatenate([[True], number[1:] != number[:-1]]))
        number, sums = number[starts], np.add.reduceat(sums, starts, axis=0)
        yield _rows(number[:-1], np.zeros(len(number) - 1), sums[:-1])
        number, sums = number[-1:], sums[-1:]
    yield _rows(number, np.zeros(len(number)), sums)


def _rows(number: np.ndarray, part: np.ndarray, sums: np.ndarray) -> pa.RecordBatch:
    columns = [pa.array(number, pa.int32()), pa.array(part.astype(np.int32)), vectors_column(sums)]
    return pa.record_batch(columns, ["row", "part", "sums"])

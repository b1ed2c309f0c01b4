"""Sums over users of products of items, by Spark: what linear item models are solved from.

Each task adds up its own users' products in a dense matrix and writes it in slices of rows; each slice is added up by
one task, and the driver reads items x items numbers, whatever the number of users. All by files: hundreds of megabytes
of wide rows are more than a JVM of a few gigabytes hands over safely, and cost it several times what a file does.
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
from models.vectors import bounds_of

# Rows of a matrix that are made dense at once.
BATCH = 256
SUMS = 3
# Under the folder: each task's sums by slices of rows, and the slices of the sum of all.
_PARTS, _KEPT = "parts", "sums"


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


def item_sums(wants: DataFrame, size: int, half_lives: tuple[float, float], windows: Windows, folder: str) -> ItemSums:
    """The sums over users of the first `size` items. wants: as wants_of() gives them.

    half_lives: days, of `together` and of the other two. folder: path or URI that every worker reaches; the sums stay
    there for added_sums() until remove_sums(). Taken in a fixed order: the same wants give the same bits.
    """
    spark = wants.sparkSession
    tasks = spark.sparkContext.defaultParallelism
    remove_sums(folder)
    wants.mapInArrow(_partial(size, half_lives, windows, tasks, folder), "part int").collect()
    spark.range(0, tasks, 1, tasks).mapInArrow(_added(size, folder), "slice long").collect()
    return added_sums(folder, size)


def added_sums(folder: str, size: int) -> ItemSums:
    """The sums that item_sums() left in the folder; zero where it found no want."""
    files = Folder(folder)
    found = [array for name in files.names(_KEPT) if (array := files.read_array(f"{_KEPT}/{name}")) is not None]
    sums = np.concatenate(found) if found else np.zeros((SUMS * size, size), np.float32)
    return ItemSums(*sums.reshape(SUMS, size, size))


def remove_sums(folder: str) -> None:
    """Let them go, and what an interrupted training left of them."""
    for name in (_PARTS, _KEPT):
        Folder(folder).remove(name)


def wants_of(tiles: DataFrame, as_of: float, items: DataFrame) -> DataFrame:
    """One row a user, in an order that depends on the tiles alone: wants, array of (place, age in days).

    tiles: user-item-day tiles before as_of, in seconds since 1970. items: DataFrame[item_id, place], places from 0.
    """
    age = ((F.lit(as_of) - F.col("last_time").cast("double")) / 86400).cast("float")
    wants = tiles.where(strength() > 0).select("user_id", "item_id", age.alias("age")).join(items, "item_id")
    entry = F.struct("place", "age")
    users = wants.groupBy("user_id").agg(F.sort_array(F.collect_list(entry)).alias("wants"))
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
    size: int, half_lives: tuple[float, float], windows: Windows, slices: int, folder: str
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Write one task's sums, the rows of all matrices one below the other, in slices."""

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        part, files = _task(), Folder(folder)
        sums = np.zeros((SUMS, size, size), np.float32)
        for batch in batches:
            users, place, age = read_wants(batch)
            known = place < size
            for matrix, left, right in factors(users[known], place[known], age[known], size, size, half_lives, windows):
                product = left @ right
                for start in range(0, size, BATCH):
                    sums[matrix, start : start + BATCH] += product[start : start + BATCH].toarray()
        for number, rows in enumerate(np.array_split(sums.reshape(-1, size), slices)):
            files.write_array(f"{_PARTS}/{number:05d}/{part:05d}.npy", rows)
        yield pa.record_batch([pa.array([part], pa.int32())], ["part"])

    return add


def _added(size: int, folder: str) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Add up what all tasks wrote of each slice."""

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        files = Folder(folder)
        for batch in batches:
            for number in batch.column("id").to_pylist():
                total = np.zeros((0, size), np.float32)
                for name in files.names(f"{_PARTS}/{number:05d}"):
                    part = files.read_array(f"{_PARTS}/{number:05d}/{name}")
                    if part is not None:
                        total = total + part if len(total) else part
                if len(total):
                    files.write_array(f"{_KEPT}/{number:05d}.npy", total)
                files.remove(f"{_PARTS}/{number:05d}")
            yield pa.record_batch([batch.column("id")], ["slice"])

    return add


def _task() -> int:
    context = TaskContext.get()
    return context.partitionId() if context is not None else 0

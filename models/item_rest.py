"""Linear item models beyond the items whose matrices are dense: a Markov random field of bounded neighbourhoods.

Each further item is foretold from the few dense items it goes with most, and the weights of these solve the ridge
regression on them alone: the sparse approximation of Steck (2019), "Markov Random Fields for Collaborative Filtering",
in which an item depends on its neighbours only. Solved by Spark, a few items at once in each task; the driver receives
items x neighbours numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from pyspark import TaskContext
from pyspark.sql import DataFrame

from models.item_sums import Windows, added_sums, factors, read_wants
from models.row_kernels import largest_of_rows
from models.scorers import places
from models.vectors import lists_of

# Of each item a task keeps so many sums for each neighbour that is wanted in the end.
SPARE = 4
# The sums that neighbours and next are solved from, by their places in ItemSums.
MODELS = (0, 2)
# Sums of a task at once, at most: 160 MB.
NUMBERS = 20_000_000
# Items solved at once.
TOGETHER = 256
_SUM = "item int, model int, part int, dense array<int>, sums array<float>"
_WEIGHTS = "item int, model int, dense array<int>, weights array<float>"


def rest_weights(
    wants: DataFrame, size: int, rest: int, half_lives: tuple[float, float], windows: Windows, regularisation: float,
    neighbours: int, folder: str,
) -> tuple[sp.csr_matrix, sp.csr_matrix]:  # fmt: skip
    """Weights of the dense items in the scores of the rest, csr float32 of shape (dense, rest): neighbours, next.

    wants: as wants_of() gives them, places of the `size` dense items first and then of the rest, which are `rest`.
    neighbours: dense items a further one is foretold from, at most. folder: where item_sums() left the dense sums.
    """
    tasks = wants.sparkSession.sparkContext.defaultParallelism
    parts = wants.mapInArrow(_partial(size, rest, half_lives, windows, neighbours), _SUM)
    ordered = parts.repartition(tasks, "item").sortWithinPartitions("item", "model", "part")

    def solve(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        together = [batch for batch in batches if batch.num_rows]
        if together:
            sums = added_sums(folder, size)
            dense = (sums.together, sums.before)
            yield from _solved(pa.Table.from_batches(together), dense, regularisation, neighbours)

    found = ordered.mapInArrow(solve, _WEIGHTS).toArrow()
    dense, bounds = lists_of(found["dense"])
    weights, _ = lists_of(found["weights"])
    item, model = (np.repeat(found[name].to_numpy(), np.diff(bounds)) for name in ("item", "model"))
    return tuple(
        sp.csr_matrix((weights[model == number], (dense[model == number], item[model == number])), shape=(size, rest))
        for number in range(2)
    )  # type: ignore[return-value]


def solve_neighbourhoods(
    dense_products: np.ndarray, wanted: sp.csr_matrix, regularisation: float, neighbours: int
) -> sp.csr_matrix:
    """Of each row of wanted, csr (items, dense), the weights of its neighbours, csr of the same shape.

    dense_products: float32 (dense, dense). wanted: products of the items and the dense ones. An item's neighbours N are
    those with the largest wanted / sqrt of their own product; their weights solve
    (dense_products_NN + regularisation I) b = wanted_N.
    """
    own = np.sqrt(np.maximum(np.diag(dense_products), 1e-9)).astype(np.float32)
    item, dense, sums = _largest(wanted, neighbours, own)
    order = np.lexsort((dense, -(sums / own[dense]), item))
    item, dense, sums = item[order], dense[order], sums[order]
    number = places(item)
    weights = np.zeros(len(item), np.float32)
    for start in range(0, wanted.shape[0], TOGETHER):
        low, high = np.searchsorted(item, [start, start + TOGETHER])
        row, column = item[low:high] - start, number[low:high]
        index = np.zeros((TOGETHER, neighbours), np.int64)
        there = np.zeros((TOGETHER, neighbours), bool)
        target = np.zeros((TOGETHER, neighbours), np.float32)
        index[row, column], there[row, column], target[row, column] = dense[low:high], True, sums[low:high]
        # What is not there stands apart: its weight is zero.
        matrix = dense_products[index[:, :, None], index[:, None, :]] * (there[:, :, None] & there[:, None, :])
        matrix += regularisation * np.eye(neighbours, dtype=np.float32)
        weights[low:high] = np.linalg.solve(matrix, target[:, :, None])[row, column, 0]
    return sp.csr_matrix((weights, (item, dense)), shape=wanted.shape)


def _largest(
    matrix: sp.csr_matrix, k: int, lengths: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and value of the k largest of each row, in order of rows; each value over its column's length. Of
    equals the smaller column is one.
    """
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    likeness = matrix.data if lengths is None else matrix.data / lengths[matrix.indices]
    chosen = np.zeros(len(rows), bool)
    largest_of_rows(matrix.indptr, matrix.indices, likeness.astype(np.float32, copy=False), k, chosen)
    return rows[chosen], matrix.indices[chosen], matrix.data[chosen]


def _partial(
    size: int, rest: int, half_lives: tuple[float, float], windows: Windows, neighbours: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """One task's sums of the rest with the dense items, the largest of each item."""

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        part = context.partitionId() if context is not None else 0
        read: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        users = 0
        for batch in batches:
            user, place, age = read_wants(batch)
            read.append((user + users, place, age))
            users += batch.num_rows
        if not users:
            return
        user, place, age = (np.concatenate(column) for column in zip(*read, strict=True))
        found = factors(user, place, age, size, size + rest, half_lives, windows)
        pairs = [
            (number, left.T.tocsr(), right[:, size:].T.tocsr()) for number, left, right in found if number in MODELS
        ]
        step = max(1, NUMBERS // size)
        for start in range(0, rest, step):
            for model, number in enumerate(MODELS):
                parts = [right[start : start + step] @ left for kind, left, right in pairs if kind == number]
                item, dense, values = _largest(sum(parts[1:], parts[0]), SPARE * neighbours)
                yield _lists(item + start, dense, values, model, part)

    return add


def _solved(
    sums: pa.Table, shared: tuple[np.ndarray, np.ndarray], regularisation: float, neighbours: int
) -> Iterator[pa.RecordBatch]:
    """The weights of the items of a task."""
    names, place = np.unique(sums["item"].to_numpy(), return_inverse=True)
    dense, bounds = lists_of(sums["dense"])
    values, _ = lists_of(sums["sums"])
    row, model = (np.repeat(column, np.diff(bounds)) for column in (place, sums["model"].to_numpy()))
    for number, dense_products in enumerate(shared):
        chosen = model == number
        shape = (len(names), len(dense_products))
        wanted = sp.csr_matrix((values[chosen], (row[chosen], dense[chosen])), shape=shape)
        weights = solve_neighbourhoods(dense_products, wanted, regularisation, neighbours).tocsr()
        rows = np.repeat(np.arange(len(names)), np.diff(weights.indptr))
        batch = _lists(names[rows], weights.indices, weights.data, number, 0).drop_columns(["part"])
        yield batch.rename_columns(["item", "model", "dense", "weights"])


def _lists(item: np.ndarray, dense: np.ndarray, values: np.ndarray, model: int, part: int) -> pa.RecordBatch:
    """One row an item, from one an item and dense item, in order of items."""
    names, starts = np.unique(item, return_index=True)
    offsets = pa.array(np.append(starts, len(item)).astype(np.int32))
    return pa.record_batch(
        [
            pa.array(names.astype(np.int32)),
            pa.array(np.full(len(names), model, np.int32)),
            pa.array(np.full(len(names), part, np.int32)),
            pa.ListArray.from_arrays(offsets, pa.array(dense.astype(np.int32))),
            pa.ListArray.from_arrays(offsets, pa.array(values)),
        ],
        ["item", "model", "part", "dense", "sums"],
    )

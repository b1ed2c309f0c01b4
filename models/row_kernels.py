"""Compiled loops over rows of matrices: the largest numbers of each without sorting all, and products of sparse rows
where the result is dense, which SciPy would first make as a sparse one.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numba import njit

from models.top_k_kernels import GROUP, any_in_group, item_of, keep_largest, key_of_bits

_compiled = njit(nogil=True, cache=True, error_model="numpy")

# Columns whose weights are added at once: four kilobytes of each item and of each row.
TILE = 1024
# The smallest number in float32 that is above zero.
_LEAST = np.float32(1e-45)


@_compiled
def best_of_rows(scores, indptr, indices, again, new, best, counts):  # type: ignore[no-untyped-def]
    """Fill best, int32 (rows, again + new), and counts, int64 (rows, 2): of each row the columns of the `again` largest
    scores among the marked columns, in its first places, and of the `new` largest of the others, behind them; how many
    there are of both. Only scores above zero count. Of equal ones the smaller column wins.

    scores: float32 (rows, columns). indptr, indices: CSR of the marked columns, sorted or not.
    """
    columns = scores.shape[1]
    room = max(4 * new, new + 4 * GROUP)
    most = np.int64(0)
    for row in range(len(scores)):
        most = max(most, indptr[row + 1] - indptr[row])
    keys = np.empty(max(room, most), np.int64)
    left = np.empty(columns, np.float32)
    bits = left.view(np.int32)
    whole = columns - columns % GROUP
    for row in range(len(scores)):
        left[:] = scores[row]
        n = 0
        for place in range(indptr[row], indptr[row + 1]):
            column = indices[place]
            if left[column] > 0:
                keys[n] = key_of_bits(bits[column], column)
                n += 1
            left[column] = 0
        if n > again:
            keep_largest(keys, n, again)
            n = again
        for place in range(n):
            best[row, place] = item_of(keys[place])
        counts[row, 0] = n
        n, least = 0, _LEAST
        for first in range(0, columns, GROUP):
            if first < whole and not any_in_group(left, first, least):
                continue
            for column in range(first, min(first + GROUP, columns)):
                if left[column] >= least:
                    keys[n] = key_of_bits(bits[column], column)
                    n += 1
            if n > room - GROUP:
                least, n = keep_largest(keys, n, new), new
        if n > new:
            keep_largest(keys, n, new)
            n = new
        for place in range(n):
            best[row, again + place] = item_of(keys[place])
        counts[row, 1] = n


@_compiled
def largest_of_rows(indptr, indices, values, k, chosen):  # type: ignore[no-untyped-def]
    """Mark in chosen, bool, the k largest values of each row of a CSR matrix, all of a shorter row. Of equal ones the
    smaller column wins. values: float32.
    """
    most = np.int64(0)
    for row in range(len(indptr) - 1):
        most = max(most, np.int64(indptr[row + 1] - indptr[row]))
    keys, bits = np.empty(most, np.int64), values.view(np.int32)
    for row in range(len(indptr) - 1):
        start, n = indptr[row], indptr[row + 1] - indptr[row]
        if n <= k:
            chosen[start : start + n] = True
            continue
        for place in range(n):
            keys[place] = key_of_bits(bits[start + place], indices[start + place])
        least = np.partition(keys[:n], n - k)[n - k]
        for place in range(n):
            chosen[start + place] = keys[place] >= least


def add_weighted_rows(left: sp.csr_matrix, weights: np.ndarray, out: np.ndarray) -> None:
    """Add left @ weights to the first columns of out, item by item in their order: bit by bit as SciPy sums it where
    the rows' indices are sorted.

    left: csr (rows, items), float32. weights: float32 (items, columns). out: float32 (rows, columns or more).
    """
    by_item = left.tocsc()
    _add_weighted_rows(by_item.indptr, by_item.indices, by_item.data, weights, out)


@_compiled
def _add_weighted_rows(indptr, rows, data, weights, out):  # type: ignore[no-untyped-def]
    # By item, a part of its weights at a time: they are read from memory once for all rows, not once for each that
    # has the item, while that part of all rows stays in the cache.
    for first in range(0, weights.shape[1], TILE):
        last = min(first + TILE, weights.shape[1])
        for item in range(len(indptr) - 1):
            part = weights[item, first:last]
            for place in range(indptr[item], indptr[item + 1]):
                value, added = data[place], out[rows[place], first:last]
                for column in range(last - first):
                    added[column] += value * part[column]


def dense_product(
    left: sp.csr_matrix, right: sp.csr_matrix, out: np.ndarray | None = None, first: int = 0
) -> np.ndarray:
    """(left @ right).toarray(), float32, bit by bit; or the same into columns of `out` from `first` on, which are zero.

    left, right: csr, float32.
    """
    if out is None:
        out = np.zeros((left.shape[0], right.shape[1]), np.float32)
    _add_product(left.indptr, left.indices, left.data, right.indptr, right.indices, right.data, first, out)
    return out


@_compiled
def _add_product(indptr, indices, data, of, others, weights, first, out):  # type: ignore[no-untyped-def]
    for row in range(len(indptr) - 1):
        added = out[row]
        for place in range(indptr[row], indptr[row + 1]):
            value, middle = data[place], indices[place]
            for other in range(of[middle], of[middle + 1]):
                added[first + others[other]] += value * weights[other]

"""Compiles every kernel now and keeps it, as the set-up does: `python -m models.kernels_ahead`.

What numba compiles lies beside the modules, for this interpreter and this processor; a kernel that was not compiled
ahead is by whoever calls it first, which of a first training are all of Spark's workers at once.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from models.als_kernels import group_by_item, item_product, item_residual, solve_users
from models.row_kernels import add_weighted_rows, best_of_rows, dense_product, largest_of_rows
from models.top_k_kernels import best_items


def compile_all() -> None:
    """Call each kernel once, on one number of the types that it is called with everywhere."""
    bounds, places, ones = np.array([0, 1]), np.zeros(1, np.int32), np.ones(1, np.float32)
    vectors, shift = np.ones((1, 1), np.float32), np.float32(0)
    solve_users(bounds, places, ones, shift, vectors, vectors, ones, vectors.copy(), 1)
    items, ends, users, values = group_by_item(bounds, places, ones, 1)
    item_residual(items, ends, users, values, shift, vectors, vectors, vectors.copy())
    item_product(items, ends, users, values, shift, vectors, vectors, vectors.copy())
    best_items(vectors, vectors, np.ones(1), places, 1, bounds, places, np.zeros((1, 1), np.int32), vectors.copy())
    best_of_rows(vectors, bounds, places, 1, 1, np.zeros((1, 2), np.int32), np.zeros((1, 2), np.int64))
    largest_of_rows(bounds.astype(np.int32), places, ones, 1, np.zeros(1, bool))
    add_weighted_rows(sp.csr_matrix(vectors), vectors, vectors.copy())
    dense_product(sp.csr_matrix(vectors), sp.csr_matrix(vectors))


if __name__ == "__main__":
    compile_all()

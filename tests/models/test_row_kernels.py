"""Compiled loops over rows, beside SciPy and a sort of everything."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from models.row_kernels import TILE, add_weighted_rows, best_of_rows, dense_product, largest_of_rows


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(0, 5), columns=st.integers(1, 700), again=st.integers(1, 20), new=st.integers(1, 80),
    levels=st.sampled_from([1, 3, 1000]), density=st.sampled_from([0.0, 0.05, 1.0]), seed=st.integers(0, 1000),
)  # fmt: skip
def test_the_best_of_marked_and_other_columns_are_those_of_a_sort_with_ties_to_the_smaller_column(
    rows: int, columns: int, again: int, new: int, levels: int, density: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(-levels, levels + 1, (rows, columns)).astype(np.float32)
    marked = sp.random(rows, columns, density, "csr", random_state=seed) if rows else sp.csr_matrix((0, columns))
    best, counts = np.empty((rows, again + new), np.int32), np.empty((rows, 2), np.int64)
    before = scores.copy()
    best_of_rows(scores, marked.indptr, marked.indices, again, new, best, counts)
    np.testing.assert_array_equal(scores, before)
    mask = marked.toarray() > 0
    for row in range(rows):
        order = [column for column in np.argsort(-scores[row], kind="stable") if scores[row, column] > 0]
        for place, (kind, first, most) in enumerate(((True, 0, again), (False, again, new))):
            expected = [column for column in order if mask[row, column] == kind][:most]
            assert sorted(best[row, first : first + counts[row, place]]) == sorted(expected)


def test_a_score_that_is_not_a_number_is_not_among_the_best() -> None:
    scores, best, counts = np.array([[np.nan, 1, 0]], np.float32), np.empty((1, 4), np.int32), np.empty((1, 2), int)
    best_of_rows(scores, np.array([0, 1]), np.array([0], np.int32), 2, 2, best, counts)
    assert counts.tolist() == [[0, 1]] and best[0, 2] == 1


@settings(max_examples=60, deadline=None)
@given(k=st.integers(1, 60), levels=st.sampled_from([1, 3, 1000]), seed=st.integers(0, 1000))
def test_the_largest_of_a_sparse_row_are_those_of_a_sort_with_ties_to_the_smaller_column(
    k: int, levels: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    matrix = sp.random(6, 80, 0.5, "csr", random_state=seed, dtype=np.float32)
    matrix.data = random.integers(-levels, levels + 1, matrix.nnz).astype(np.float32)
    order = random.permutation(80)
    # Its columns in any order.
    matrix = matrix[:, order]
    chosen = np.zeros(matrix.nnz, bool)
    largest_of_rows(matrix.indptr, matrix.indices, matrix.data, k, chosen)
    for row in range(6):
        inside = slice(matrix.indptr[row], matrix.indptr[row + 1])
        pairs = sorted(zip(-matrix.data[inside], matrix.indices[inside], strict=True))[:k]
        assert sorted(matrix.indices[inside][chosen[inside]]) == sorted(column for _, column in pairs)


@pytest.mark.parametrize("density", [0.0, 0.1, 0.9])
def test_a_product_made_dense_is_that_of_scipy_bit_by_bit(density: float) -> None:
    left = sp.random(7, 40, density, "csr", random_state=1, dtype=np.float32)
    right = sp.random(40, 90, density, "csr", random_state=2, dtype=np.float32)
    expected = (left @ right).toarray()
    np.testing.assert_array_equal(dense_product(left, right), expected)
    into = np.zeros((7, 95), np.float32)
    assert dense_product(left, right, into, 5) is into
    np.testing.assert_array_equal(into[:, 5:], expected)
    assert not into[:, :5].any()


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(0, 8), columns=st.sampled_from([1, 7, TILE, TILE + 1, 2 * TILE + 3]), wider=st.integers(0, 5),
    density=st.sampled_from([0.0, 0.1, 1.0]), seed=st.integers(0, 1000),
)  # fmt: skip
def test_weighted_rows_are_added_to_the_first_columns_as_scipy_sums_them(
    rows: int, columns: int, wider: int, density: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    left = sp.random(rows, 30, density, "csr", random_state=seed, dtype=np.float32) if rows else sp.csr_matrix((0, 30))
    left, weights = left.astype(np.float32), random.standard_normal((30, columns), np.float32)
    out = np.zeros((rows, columns + wider), np.float32)
    add_weighted_rows(left, weights, out)
    np.testing.assert_array_equal(out[:, :columns], left @ weights)
    assert not out[:, columns:].any()

"""Vectors and lists between Arrow's list columns and NumPy's matrices."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def vectors_column(vectors: np.ndarray) -> pa.Array:
    """Rows of a float32 matrix as lists."""
    bounds = np.arange(len(vectors) + 1, dtype=np.int32) * np.int32(vectors.shape[1])
    return pa.ListArray.from_arrays(pa.array(bounds), pa.array(np.ascontiguousarray(vectors).ravel()))


def vectors_of(column: pa.ListArray | pa.ChunkedArray, rank: int | None = None) -> np.ndarray:
    """Lists of floats as a float32 matrix, (rows, rank); zeros where a list is null or empty.

    rank: of the lists that are there, which all have the same length; None takes it from them (0 where none is).
    """
    values, bounds = lists_of(column)
    lengths = np.diff(bounds)
    rank = int(lengths.max(initial=0)) if rank is None else rank
    vectors = np.zeros((len(lengths), rank), np.float32)
    if len(values):
        vectors[lengths > 0] = values.reshape(-1, rank)
    return vectors


def lists_of(column: pa.ListArray | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """The values of all lists, and bounds_of() them."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False), bounds_of(column)


def bounds_of(column: pa.ListArray) -> np.ndarray:
    """Where each list begins and ends among the values of all, int64 (rows + 1,); null is an empty list."""
    lengths = np.nan_to_num(column.value_lengths().to_numpy(zero_copy_only=False)).astype(np.int64)
    return np.concatenate([[0], np.cumsum(lengths)])

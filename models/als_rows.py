"""From the rows a task receives to what it trains on: numbers for ids, all tasks agreed on the items, CSR.

Part of what arrives: interactions, held out pairs for validation, and vectors of an earlier training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from models.als_train import Rows
from models.collective import Collective, gather
from models.vectors import vectors_of

INTERACTION, HELD_OUT, VECTOR = 0, 1, 2


@dataclass(frozen=True)
class Data:
    """One task's share. users: ids, sorted. items: ids of all tasks, the most wanted first. wanted: how many users
    want each item. held_out: bool csr (users, items), or None without a validation. start: the users' earlier
    vectors, with zeros for who had none, or None without.
    """

    users: pa.Array
    items: pa.Array
    wanted: np.ndarray
    rows: Rows
    held_out: sp.csr_matrix | None
    start: np.ndarray | None


@dataclass(frozen=True)
class Refused:
    """Why nothing was trained. kind: "wrong" confidences, "empty", or "large". count: of what."""

    kind: str
    count: int


def read(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, rank: int, least_users: int, limit: int, together: Collective
) -> Data | Refused:
    """The task's share of what all tasks read. limit: items that may be replicated.

    batches: user_id, item_id, confidence; and, in a training with a validation or a start, part (one of the
    constants above) and vector. Pairs that come twice are added up; confidences of zero are left out.
    """
    table = pa.Table.from_batches(list(batches), schema=schema)
    held = vectors = None
    if "part" in table.column_names:
        parts = table["part"].to_numpy()
        held, vectors = table.filter(pa.array(parts == HELD_OUT)), table.filter(pa.array(parts == VECTOR))
        table = table.filter(pa.array(parts == INTERACTION))
    confidence = table["confidence"].to_numpy().astype(np.float32)
    nameless = table["user_id"].null_count + table["item_id"].null_count
    bad = nameless + np.count_nonzero(~(np.isfinite(confidence) & (confidence >= 0)))
    wrong = int(together.sum(np.array([bad], np.int64))[0])
    if wrong:
        return Refused("wrong", wrong)
    if not confidence.all():
        table, confidence = table.filter(pa.array(confidence > 0)), confidence[confidence > 0]
    users, user = numbered(table["user_id"])
    own_items, item = numbered(table["item_id"])
    matrix = _matrix(user, item, confidence, len(users), len(own_items))
    items, wanted = _agreed(own_items, np.bincount(matrix.indices, minlength=len(own_items)), least_users, together)
    if not len(items):
        return Refused("empty", 0)
    if len(items) > limit:
        return Refused("large", len(items))
    matrix = _renumbered(matrix, own_items, items)
    kept = np.diff(matrix.indptr) > 0
    matrix, users = matrix[kept], users.filter(pa.array(kept))
    rows = Rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
    start = None if vectors is None or not _any(vectors, together) else _start(vectors, users, rank)
    pairs = None if held is None or not _any(held, together) else _held_out(held, users, items)
    return Data(users, items, wanted, rows, pairs, start)


def numbered(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """The distinct ids, sorted, and the number of each row's id. No null may be among them."""
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    order = pc.array_sort_indices(encoded.dictionary).to_numpy()
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return encoded.dictionary.take(pa.array(order)), place[encoded.indices.to_numpy(zero_copy_only=False)]


def _matrix(user: np.ndarray, item: np.ndarray, confidence: np.ndarray, users: int, items: int) -> sp.csr_matrix:
    """CSR with sorted columns; pairs that come twice are added up in the order of their size, so that the order in
    which rows arrived does not matter.
    """
    matrix = sp.coo_matrix((confidence, (user, item)), shape=(users, items)).tocsr()
    if matrix.nnz < len(confidence):
        order = np.lexsort((confidence, item, user))
        matrix = sp.coo_matrix((confidence[order], (user[order], item[order])), shape=(users, items)).tocsr()
    return matrix


def _agreed(own: pa.Array, counts: np.ndarray, least: int, together: Collective) -> tuple[pa.Array, np.ndarray]:
    """The items of all tasks that enough users want, the most wanted first, and how many want them.

    Where no item has enough users, all stay. The most wanted lie side by side in memory, as they are most read.
    """
    sent = np.frombuffer(_bytes(own), np.uint8)
    heard = [_array(part) for part in gather(together, sent)]
    ids = pa.concat_arrays([part.cast(own.type) for part in heard])
    distinct, number = numbered(pa.chunked_array([ids]))
    start = sum(len(part) for part in heard[: together.rank])
    wanted = np.zeros(len(distinct), np.int64)
    wanted[number[start : start + len(own)]] = counts
    wanted = together.sum(wanted)
    if (wanted >= least).any():
        enough = wanted >= least
        distinct, wanted = distinct.filter(pa.array(enough)), wanted[enough]
    order = np.argsort(-wanted, kind="stable")
    return distinct.take(pa.array(order)), wanted[order]


def _renumbered(matrix: sp.csr_matrix, own: pa.Array, items: pa.Array) -> sp.csr_matrix:
    """The matrix over all tasks' items; what is not among them is left out."""
    place = pc.fill_null(pc.index_in(own, items), -1).to_numpy(zero_copy_only=False)
    if (place < 0).any():
        matrix = matrix[:, place >= 0]
        place = place[place >= 0]
    moved = sp.csr_matrix((matrix.data, place[matrix.indices], matrix.indptr), shape=(matrix.shape[0], len(items)))
    moved.sort_indices()
    return moved


def _start(vectors: pa.Table, users: pa.Array, rank: int) -> np.ndarray:
    start = np.zeros((len(users), rank), np.float32)
    if len(vectors):
        place = pc.fill_null(pc.index_in(vectors["user_id"].combine_chunks(), users), -1).to_numpy()
        start[place[place >= 0]] = vectors_of(vectors["vector"], rank)[place >= 0]
    return start


def _held_out(held: pa.Table, users: pa.Array, items: pa.Array) -> sp.csr_matrix:
    user = pc.fill_null(pc.index_in(held["user_id"].combine_chunks(), users), -1).to_numpy()
    item = pc.fill_null(pc.index_in(held["item_id"].combine_chunks(), items), -1).to_numpy()
    known = (user >= 0) & (item >= 0)
    marks = np.ones(np.count_nonzero(known), bool)
    return sp.coo_matrix((marks, (user[known], item[known])), shape=(len(users), len(items))).tocsr()


def _any(table: pa.Table, together: Collective) -> bool:
    return bool(together.sum(np.array([table.num_rows], np.int64))[0])


def _bytes(ids: pa.Array) -> bytes:
    """The ids as Arrow writes them."""
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([ids], names=["id"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _array(data: np.ndarray) -> pa.Array:
    with pa.ipc.open_stream(pa.py_buffer(data.tobytes())) as reader:
        return reader.read_all()["id"].combine_chunks()

"""What one task of the barrier stage does: read its users' rows, train together with the others, write its vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Thread

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
import xxhash

from models.als_files import Folder, mark, resume, save, tell
from models.als_parameters import AlsParameters
from models.als_rows import Data, Refused, read
from models.als_train import State, Validate, first_items, train
from models.collective import Collective, gather, joined
from models.metrics import ndcg_of
from models.vectors import vectors_column, vectors_of

# What a task answers: one row.
ANSWER = "task int, users long, items long, interactions long, resumed int, refused string, count long"
# Matrices of (items, rank) a task holds at once: vectors, residual, direction, product, what was summed, the best.
REPLICAS = 8
VALIDATION_LENGTH = 10


def worker(
    parameters: AlsParameters, uri: str, schema: bytes
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function for mapInArrow. schema: of what arrives, as Arrow writes it, for a task that gets no row."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import BarrierTaskContext

        # Slow to import, and needed once the rows are there.
        ahead = Thread(target=lambda: __import__("xgboost"), daemon=True)
        ahead.start()
        received = list(batches)
        ahead.join()
        with joined(BarrierTaskContext.get()) as together:
            yield _train(received, pa.ipc.read_schema(pa.py_buffer(schema)), parameters, Folder(uri), together)

    return run


def _train(
    batches: list[pa.RecordBatch], schema: pa.Schema, parameters: AlsParameters, folder: Folder, together: Collective
) -> pa.RecordBatch:
    limit = parameters.replicated_bytes // (4 * parameters.rank * REPLICAS)
    data = read(batches, schema, parameters.rank, parameters.least_users, limit, together)
    batches.clear()
    if isinstance(data, Refused):
        return _answer(together, refused=data.kind, count=data.count)
    first = _first(data, parameters, folder)
    fingerprint = _fingerprint(data, first, parameters, together)
    state = _resumed(folder, fingerprint, together)
    resumed = len(state.log) if state else 0

    def after(current: State) -> None:
        if together.rank == 0:
            tell(folder, current.log[-1])
        if len(current.log) % parameters.checkpoint_every == 0 and len(current.log) < parameters.epochs:
            name = save(folder, current, together.rank, together.size)
            together.sum(np.zeros(1))
            if together.rank == 0:
                mark(folder, name, current, fingerprint)

    state = train(data.rows, state or first, parameters, together,
                  validate=_validation(data, together), after=after)  # fmt: skip
    users, items = state.final
    _write(folder, data, users, items, together.rank)
    return _answer(together, data=data, resumed=resumed)


def _first(data: Data, parameters: AlsParameters, folder: Folder) -> State:
    """Where training starts: earlier vectors where there are some, else random items and users of zeros."""
    order = pc.array_sort_indices(data.items).to_numpy()
    items = np.empty((len(order), parameters.rank), np.float32)
    items[order] = first_items(len(order), parameters)
    earlier = folder.read_table("start/items.parquet")
    if earlier is not None and earlier.num_rows:
        place = pc.fill_null(pc.index_in(earlier["item_id"].combine_chunks(), data.items), -1).to_numpy()
        items[place[place >= 0]] = vectors_of(earlier["vector"], parameters.rank)[place >= 0]
    users = data.start if data.start is not None else np.zeros((data.rows.users, parameters.rank), np.float32)
    return State(users, items)


def _resumed(folder: Folder, fingerprint: list[int], together: Collective) -> State | None:
    """The same checkpoint in all tasks, or none in any."""
    state = resume(folder, fingerprint, together.rank, together.size)
    epochs = gather(together, np.array([len(state.log) if state else 0]))
    return state if state and all(epoch[0] == len(state.log) for epoch in epochs) else None


def _fingerprint(data: Data, first: State, parameters: AlsParameters, together: Collective) -> list[int]:
    """What a checkpoint must have been made of to be taken up: the same parameters, rows, start, items and tasks."""
    digest = xxhash.xxh3_64(repr(parameters).encode())
    held = () if data.held_out is None else (data.held_out.indptr, data.held_out.indices)
    for array in (data.rows.indptr, data.rows.indices, data.rows.confidence, data.wanted, first.users, first.items,
                  *held):  # fmt: skip
        digest.update(np.ascontiguousarray(array).data)
    for ids in (data.users, data.items):
        for buffer in ids.buffers():
            if buffer is not None:
                digest.update(buffer)
    own = np.array([digest.intdigest() >> 1], np.int64)
    return [int(part[0]) for part in gather(together, own)]


def _validation(data: Data, together: Collective) -> Validate | None:
    """nDCG@10 over all items a user has not had, of every user with a held out pair of known items."""
    held = data.held_out
    if held is None:
        return None
    asked = np.flatnonzero(np.diff(held.indptr))
    rows = data.rows
    seen = sp.csr_matrix((np.ones(len(rows.indices), bool), rows.indices, rows.indptr), shape=held.shape)[asked]
    relevant = held[asked]
    relevant.sort_indices()

    def validate(users: np.ndarray, items: np.ndarray) -> float:
        from models.top_k import best_of

        best, _ = best_of(users[asked], items, VALIDATION_LENGTH, seen.indptr, seen.indices)
        own = np.array([ndcg_of(best, relevant).sum(), len(asked)])
        total, count = together.sum(own)
        return float(total / count) if count else 0.0

    return validate


def _write(folder: Folder, data: Data, users: np.ndarray, items: np.ndarray, rank: int) -> None:
    """The result: this task's users; task 0 also writes the items."""
    table = pa.table({"user_id": data.users, "vector": vectors_column(users)})
    folder.write_table(f"result/users/part-{rank:05d}.parquet", table)
    if rank == 0:
        wanted = pa.array(data.wanted)
        folder.write_table(
            "result/items/part-00000.parquet",
            pa.table({"item_id": data.items, "vector": vectors_column(items), "wanted": wanted}),
        )


def _answer(
    together: Collective, *, data: Data | None = None, resumed: int = 0, refused: str | None = None, count: int = 0
) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "task": pa.array([together.rank], pa.int32()),
            "users": pa.array([len(data.users) if data else 0], pa.int64()),
            "items": pa.array([len(data.items) if data else 0], pa.int64()),
            "interactions": pa.array([len(data.rows.indices) if data else 0], pa.int64()),
            "resumed": pa.array([resumed], pa.int32()),
            "refused": pa.array([refused], pa.string()),
            "count": pa.array([count], pa.int64()),
        }
    )

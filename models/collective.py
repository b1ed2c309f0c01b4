"""Sums across the tasks of a barrier stage: the only thing they tell one another while they train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from pyspark import BarrierTaskContext

# Seconds after which a task gives up on one that has not come or no longer answers.
TIMEOUT = 300


class Collective(Protocol):
    """rank: this task's number, from 0. size: how many tasks there are."""

    rank: int
    size: int

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The elementwise sum over all tasks: the same numbers in each. Every task must call it."""
        ...


class Alone:
    """One task."""

    rank, size = 0, 1

    def sum(self, array: np.ndarray) -> np.ndarray:
        return array


class Ring:
    """Tasks joined by XGBoost's collective (Rabit): a ring over TCP, the sums taken in a fixed order."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def sum(self, array: np.ndarray) -> np.ndarray:
        from xgboost import collective

        return collective.allreduce(np.ascontiguousarray(array), collective.Op.SUM).reshape(array.shape)


@contextmanager
def joined(context: BarrierTaskContext) -> Iterator[Collective]:
    """The tasks of the barrier stage, joined. Task 0 hosts the meeting point; its address goes through Spark."""
    infos = context.getTaskInfos()
    rank, size = context.partitionId(), len(infos)
    if size == 1:
        yield Alone()
        return
    import xgboost
    from xgboost import collective
    from xgboost.tracker import RabitTracker

    xgboost.set_config(verbosity=0)
    host = infos[0].address.split(":")[0]
    tracker, address = None, ""
    if rank == 0:
        tracker = RabitTracker(n_workers=size, host_ip=host, sortby="task", timeout=TIMEOUT)
        tracker.start()
        address = f"{host}:{tracker.worker_args()['dmlc_tracker_port']}"
    where, port = context.allGather(address)[0].rsplit(":", 1)
    collective.init(
        dmlc_tracker_uri=where, dmlc_tracker_port=int(port), dmlc_task_id=f"{rank:05d}", dmlc_timeout=TIMEOUT
    )
    # After an exception there is nobody to take leave of: Spark ends the other tasks and their processes.
    yield Ring(rank, size)
    collective.finalize()
    if tracker is not None:
        tracker.wait_for(timeout=TIMEOUT)


def gather(together: Collective, own: np.ndarray) -> list[np.ndarray]:
    """Every task's own one-dimensional array, in the order of the tasks."""
    lengths = np.zeros(together.size, np.int64)
    lengths[together.rank] = len(own)
    bounds = np.concatenate([[0], np.cumsum(together.sum(lengths))])
    whole = np.zeros(bounds[-1], own.dtype)
    whole[bounds[together.rank] : bounds[together.rank + 1]] = own
    if len(whole):
        whole = together.sum(whole)
    return [whole[start:end] for start, end in pairwise(bounds)]

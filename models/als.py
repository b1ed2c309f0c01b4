"""Implicit ALS on Spark: the whole training is one barrier stage of compiled kernels (models/als_train.py).

Users are spread over the tasks by a hash of their id; a task keeps its users' rows and vectors for all epochs, and
all tasks hold all item vectors. Nothing whose size grows with the users passes through the driver: tasks read their
rows from the shuffle and write their vectors to the training's folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from lake.errors import ModelError
from models.als_files import Folder, as_delta, told
from models.als_mllib import fit_mllib
from models.als_parameters import AlsParameters
from models.als_rows import HELD_OUT, INTERACTION, VECTOR
from models.als_task import ANSWER, worker
from models.als_train import Epoch
from models.vectors import vectors_of

__all__ = ["AlsParameters", "Epoch", "Factors", "fit_als", "item_matrix"]

# Seconds between two looks at how far the tasks are.
POLL = 0.5
_NOTHING = (
    "ALS: no interaction with a positive confidence is left; is there a purchase, like or good rating of a "
    "consenting user? Ingest more events, or check the consents"
)


@dataclass(frozen=True)
class Factors:
    """users: DataFrame[user_id, vector array<float>]. items: DataFrame[item_id, vector array<float>, wanted long],
    wanted being how many users wanted the item. Users and items without an interaction that counts are absent.
    epochs: the loss curve; empty from MLlib. resumed: epochs taken from the checkpoint of an interrupted training.
    """

    users: DataFrame
    items: DataFrame
    epochs: tuple[Epoch, ...] = ()
    resumed: int = 0


def fit_als(
    interactions: DataFrame,
    parameters: AlsParameters,
    folder: str,
    *,
    start: Factors | None = None,
    held_out: DataFrame | None = None,
    progress: Callable[[str], None] = lambda message: None,
    tasks: int | None = None,
) -> Factors:
    """Factors of the interactions: user_id, item_id, confidence (finite, not negative; equal pairs are added up).

    folder: path or URI every worker reaches, this training's own. It holds the result, as the Delta tables
    result/users and result/items, so it must stay while the factors are read; a training that was killed goes on
    from the checkpoint it finds there. start: factors of the same rank to start from; new users and items are
    folded in. held_out: DataFrame[user_id, item_id] of later wants; training stops when its nDCG@10 no longer
    rises, and the best epoch's vectors are kept. progress: told of every epoch. tasks: how many train together, at
    most the cluster's free slots; the factors depend on it, as sums are taken in another order.

    Falls back to MLlib with a message where the cluster has no barrier mode, or the catalogue is too large to be
    held by every task. Raises ModelError without interactions, and when a confidence or an id is wrong.
    """
    parameters.check()
    spark = interactions.sparkSession
    reason = _no_barrier(spark) if parameters.solver == "barrier" else "solver=mllib was asked for"
    if reason:
        return _mllib(interactions, parameters, folder, reason, progress)
    files = Folder(folder)
    files.remove("log")
    files.remove("result")
    files.remove("start")
    # A checkpoint stays: it is taken up when it is of the same training.
    confidence = (F.col("confidence") * parameters.alpha).cast("float")
    scaled = interactions.select("user_id", "item_id", confidence.alias("confidence"))
    rows = _with_parts(scaled, held_out, start)
    if start is not None:
        files.write_table("start/items.parquet", start.items.select("item_id", "vector").toArrow())
    slots = _slots(spark)
    count = min(tasks or slots, slots)
    schema = to_arrow_schema(rows.schema).serialize().to_pybytes()
    spread = rows.repartition(count, "user_id")
    with _watched(files, progress) as seen:
        # Spark retries a barrier stage that ends in a shuffle, never one that ends in the result: hence the last step.
        trained = spread.mapInArrow(worker(parameters, folder, schema), ANSWER, barrier=True)
        answers = trained.repartition(1).collect()
    # Of no row at all Spark makes no task.
    refused = answers[0].refused if answers else "empty"
    if refused == "wrong":
        raise ModelError(
            f"ALS: got {answers[0]['count']} interactions without a user or an item, or with a confidence that is "
            "null, NaN, infinite or negative; confidences must be finite and at least 0"
        )
    if refused == "empty":
        raise ModelError(_NOTHING)
    if refused == "large":
        return _mllib(
            interactions, parameters, folder,
            f"{answers[0]['count']} items of rank {parameters.rank} do not fit into replicated_bytes="
            f"{parameters.replicated_bytes} in each task", progress,
        )  # fmt: skip
    files.remove("checkpoint")
    as_delta(files)
    return Factors(
        spark.read.parquet(f"{folder}/result/users"),
        spark.read.parquet(f"{folder}/result/items"),
        tuple(seen),
        answers[0].resumed,
    )


def item_matrix(factors: Factors, ids: list[str]) -> np.ndarray:
    """The items' vectors in the order of ids, float32 of shape (items, rank); zero for an item without one."""
    rows = factors.items.select("item_id", "vector").toArrow()
    vectors = vectors_of(rows["vector"])
    place = pc.index_in(rows["item_id"].combine_chunks(), pa.array(ids, rows.schema.field("item_id").type))
    known = place.is_valid().to_numpy(zero_copy_only=False)
    matrix = np.zeros((len(ids), vectors.shape[1]), dtype=np.float32)
    matrix[place.drop_null().to_numpy()] = vectors[known]
    return matrix


def _with_parts(interactions: DataFrame, held_out: DataFrame | None, start: Factors | None) -> DataFrame:
    """Everything a task needs in one frame; the columns that tell parts from one another only where there are some."""
    if held_out is None and start is None:
        return interactions
    nothing = F.lit(None)
    ids = interactions.schema["item_id"].dataType
    rows = interactions.withColumns({"part": F.lit(INTERACTION), "vector": nothing.cast("array<float>")})
    if held_out is not None:
        rows = rows.unionByName(
            held_out.select("user_id", "item_id").withColumns(
                {"confidence": nothing.cast("float"), "part": F.lit(HELD_OUT), "vector": nothing.cast("array<float>")}
            )
        )
    if start is not None:
        rows = rows.unionByName(
            start.users.select("user_id", "vector").withColumns(
                {"item_id": nothing.cast(ids), "confidence": nothing.cast("float"), "part": F.lit(VECTOR)}
            )
        )
    return rows


class _watched:
    """Tells of every epoch the tasks have written down, while they train."""

    def __init__(self, files: Folder, progress: Callable[[str], None]) -> None:
        self._files, self._progress = files, progress
        self._epochs: list[Epoch] = []
        self._done = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> list[Epoch]:
        self._thread.start()
        return self._epochs

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._done.wait(POLL):
            self._look()

    def _look(self) -> None:
        for epoch in told(self._files, self._epochs[-1].epoch if self._epochs else 0):
            self._epochs.append(epoch)
            validation = "" if epoch.validation is None else f", nDCG@10 {epoch.validation:.4f}"
            self._progress(f"ALS epoch {epoch.epoch}: loss {epoch.loss:.6g}{validation}, {epoch.seconds:.1f} s")


def _slots(spark: SparkSession) -> int:
    """Tasks that can run at the same time: what a barrier stage may use."""
    context = spark.sparkContext._jsc.sc()
    return max(1, context.maxNumConcurrentTasks(context.resourceProfileManager().defaultResourceProfile()))


def _no_barrier(spark: SparkSession) -> str | None:
    """Why barrier mode is not to be had, or None."""
    if spark.conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        return "Spark has no barrier mode with dynamic allocation"
    return None


def _mllib(
    interactions: DataFrame, parameters: AlsParameters, folder: str, reason: str, progress: Callable[[str], None]
) -> Factors:
    progress(f"ALS: Spark MLlib trains instead: {reason}")
    users, items = fit_mllib(interactions, parameters, folder)
    return Factors(users, items)

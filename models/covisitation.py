"""Co-visitation: items that come together in visits, by what was done with either.

A visit is a session of silver.events. For items i and j of one visit, where a and b are the most that was done
with them,

    together(i, j) = sum over visits of 0.5 ** (age / half_life) x weight(a, b) / (items of the visit - 1)
    score(i, j)    = together(i, j) / sqrt(often(i) x often(j))

where often(i) is the sum of the ages' weights of the visits that hold i. The division by the visit's length lets one
long order say no more than one short one; that by both items' frequency is the cosine's (Davidson et al. 2010, "The
YouTube Video Recommendation System", there by one of several such norms).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.errors import ModelError
from models.candidates import Catalogue
from models.interactions import is_positive
from models.scorers import first
from models.vectors import bounds_of

# What was done with an item in a visit, less to more: looked at, put into the cart, wanted.
LOOKED, CARTED, WANTED = range(3)
# How much a pair of kinds says: who looked at both compares them, who wanted both has use for both.
PAIRS = np.array([[0.1, 0.3, 0.5], [0.1, 0.3, 1.0], [0.1, 0.5, 1.0]])
# Numbers of one task's sums that are handed on before more are added, and whole units of a weight of 1: sums of whole
# numbers are the same in any order.
MOST_SUMS, UNIT = 4_000_000, 2.0**20
# Sums in one packed row: 40 KB, as 10,000 rows are handed to Python at once.
PACK = 2_500
_PACKED = "slice int, item binary, other binary, units binary"


@dataclass(frozen=True)
class CovisitationParameters:
    """days: how far back visits are read. half_life: days after which a visit counts half. most_items: a visit of more
    is left out: it is no person's choice of things that go together. neighbours: kept of each item, the nearest.
    profile_half_life: in the profile that the scores are applied to, in days.
    """

    days: int = 180
    half_life: float = 90.0
    most_items: int = 100
    neighbours: int = 50
    profile_half_life: float = 60.0

    def check(self) -> None:
        """Raises ModelError that names the first wrong parameter, what was got and what is allowed."""
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0):
                raise ModelError(f"together: got {name}={value}; it must be above 0")


def fit_covisitation(
    events: DataFrame, catalogue: Catalogue, as_of: datetime, parameters: CovisitationParameters
) -> sp.csr_matrix:
    """csr of shape (items, items), float32: score(i, j) of the row's i and the column's j, none of an item with itself.

    events: silver.events of people, before as_of.
    """
    size, tasks = len(catalogue.ids), events.sparkSession.sparkContext.defaultParallelism
    visits = _visits(events, catalogue, as_of, parameters).persist()
    try:
        held = visits.select(F.explode("items.item").alias("item"), F.rint(F.col("weight") * UNIT).alias("units"))
        totals = held.groupBy("item").agg(F.sum(F.col("units").cast("long")).alias("units")).toArrow()
        often = np.zeros(size)
        often[totals["item"].to_numpy()] = totals["units"].to_numpy()
        sums = visits.repartition(tasks).mapInArrow(_together(size, tasks), _PACKED)
        # Spark's own sums of so many small rows cost several times these, and their exchange row by row does too.
        nearest = sums.repartitionById(tasks, "slice").mapInArrow(
            _nearest(size, np.sqrt(often), parameters.neighbours), "item int, other int, score float"
        )
        found = nearest.toArrow()
    finally:
        visits.unpersist()
    item, other, scores = (found[name].to_numpy() for name in ("item", "other", "score"))
    return sp.csr_matrix((scores, (item, other)), shape=(size, size))


def _visits(events: DataFrame, catalogue: Catalogue, as_of: datetime, parameters: CovisitationParameters) -> DataFrame:
    """One row a visit of two items or more: weight, items: array of (item, done)."""
    since = as_of - timedelta(days=parameters.days)
    recent = events.where((F.col("event_date") >= F.lit(since.date())) & (F.col("event_time") >= F.lit(since)))
    looked, carted = F.col("event_type").isin("view", "click"), F.col("event_type") == "add_to_cart"
    done = F.when(is_positive(), WANTED).when(carted, CARTED).when(looked, LOOKED)
    age = (F.lit(as_of).cast("double") - F.col("event_time").cast("double")) / 86400
    known = recent.where("session_id IS NOT NULL").join(catalogue.frame, "item_id")
    items = (
        known.select("user_id", "session_id", "item", done.alias("done"), age.alias("age"))
        .where("done IS NOT NULL")
        .groupBy("user_id", "session_id", "item")
        .agg(F.max("done").alias("done"), F.min("age").alias("age"))
    )
    entry = F.struct("item", "done")
    visits = items.groupBy("user_id", "session_id").agg(
        F.pow(F.lit(0.5), F.min("age") / parameters.half_life).alias("weight"), F.collect_list(entry).alias("items")
    )
    return visits.where(F.size("items").between(2, parameters.most_items)).select("weight", "items")


def _together(size: int, slices: int) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """One task's sums over pairs of items, in whole units, packed by slices of the items."""

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums = sp.csr_matrix((size, size), dtype=np.int64)
        for batch in batches:
            sums = sums + _block_sums(batch, size)
            if sums.nnz > MOST_SUMS:
                yield from _packed(sums, slices)
                sums = sp.csr_matrix((size, size), dtype=np.int64)
        yield from _packed(sums, slices)

    return add


def _nearest(
    size: int, roots: np.ndarray, neighbours: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Of all sums of one slice of the items, the best scores of each. Of equals the smaller item wins."""

    def choose(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums = sp.csr_matrix((size, size), dtype=np.int64)
        for batch in (batch for batch in batches if batch.num_rows):
            item, other, units = _unpacked(batch)
            sums = sums + sp.csr_matrix((units, (item, other)), shape=(size, size))
        sums.sort_indices()
        found = sums.tocoo()
        scores = (found.data / (roots[found.row] * roots[found.col])).astype(np.float32)
        # Their places are in the order of the items.
        _, kept = first(found.row, np.arange(found.nnz), scores, neighbours)
        columns = [pa.array(part[kept].astype(np.int32)) for part in (found.row, found.col)]
        yield pa.record_batch([*columns, pa.array(scores[kept])], ["item", "other", "score"])

    return choose


def _block_sums(batch: pa.RecordBatch, size: int) -> sp.csr_matrix:
    """Of some visits: int64, whole units, none of an item with itself."""
    column = batch.column("items")
    bounds = bounds_of(column)
    lengths, entries = np.diff(bounds), column.flatten()
    item, done = (entries.field(name).to_numpy(zero_copy_only=False) for name in ("item", "done"))
    visit = np.repeat(np.arange(batch.num_rows), lengths)
    weight = batch.column("weight").to_numpy()
    share = weight / (lengths - 1)
    shape = (batch.num_rows, size)
    total = sp.csr_matrix((size, size), dtype=np.float64)
    for kind in np.unique(done):
        second = done == kind
        left = sp.csr_matrix((PAIRS[done, kind] * share[visit], (visit, item)), shape=shape)
        right = sp.csr_matrix((np.ones(second.sum()), (visit[second], item[second])), shape=shape)
        total = total + left.T.tocsr() @ right
    total.setdiag(0)
    total.data = np.rint(total.data * UNIT)
    total.eliminate_zeros()
    return total.astype(np.int64)


def _packed(sums: sp.csr_matrix, slices: int) -> Iterator[pa.RecordBatch]:
    """The sums, of each slice of the items in rows of PACK of them at most."""
    found = sums.tocoo()
    for number in range(slices):
        own = np.flatnonzero(found.row % slices == number)
        for start in range(0, len(own), PACK):
            kept = own[start : start + PACK]
            parts = found.row[kept].astype(np.int32), found.col[kept].astype(np.int32), found.data[kept]
            cells = [pa.array([part.tobytes()], pa.binary()) for part in parts]
            yield pa.record_batch([pa.array([number], pa.int32()), *cells], ["slice", "item", "other", "units"])


def _unpacked(batch: pa.RecordBatch) -> Iterator[np.ndarray]:
    """Item, other and units of all rows."""
    for name, kind in (("item", np.int32), ("other", np.int32), ("units", np.int64)):
        yield np.concatenate([np.frombuffer(cell.as_buffer(), kind) for cell in batch.column(name)])

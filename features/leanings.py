"""Sums of what users lean to, in NumPy over Arrow: a list of (dimension, key, units, evidence) a user.

Spark's own ways to the same lists cost ten times as much: rows by key have to be aggregated twice, and functions of
arrays ask a lambda for each entry, row by row. Here every step is linear in the entries, or one sort of whole numbers.
Units and evidence are whole numbers, so that a sum is the same in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame

LEANINGS = "array<struct<dimension: string, key: string, units: bigint, evidence: bigint>>"

# Rows that are summed at once: some 100 MB with their strings.
CHUNK_ROWS = 500_000

# What an item says of who wants it.
OF_ITEMS = ("category", "brand", "price_band")

_ENTRY = pa.struct([("dimension", pa.string()), ("key", pa.string()), ("units", pa.int64()), ("evidence", pa.int64())])


class Entries:
    """Entries of lists, one of each array a place. user: which list it belongs to, int64."""

    def __init__(
        self, user: np.ndarray, dimension: pa.Array, key: pa.Array, units: np.ndarray, evidence: np.ndarray
    ) -> None:
        self.user, self.units, self.evidence = user, units, evidence
        self.dimensions, self.dimension = _ranked(dimension)
        self.keys, self.key = _ranked(key)

    @property
    def group(self) -> np.ndarray:
        """A number for each user and dimension, in their order."""
        return self.user * max(1, len(self.dimensions)) + self.dimension

    def summed(self, users: int) -> pa.ListArray:
        """A list for each of the users, in the order of its keys; what adds up to nothing is left out."""
        place = self.group * max(1, len(self.keys)) + self.key
        order = np.argsort(place, kind="stable")
        first = np.flatnonzero(np.diff(place[order], prepend=-1))
        units, evidence = (
            np.add.reduceat(values[order], first) if len(first) else np.zeros(0, np.int64)
            for values in (self.units, self.evidence)
        )
        left = (units != 0) | (evidence != 0)
        rows = order[first][left]
        bounds = np.searchsorted(self.user[rows], np.arange(users + 1)).astype(np.int32)
        entries = [
            self.dimensions.take(pa.array(self.dimension[rows])), self.keys.take(pa.array(self.key[rows])),
            pa.array(units[left]), pa.array(evidence[left]),
        ]  # fmt: skip
        return pa.ListArray.from_arrays(pa.array(bounds), pa.StructArray.from_arrays(entries, fields=list(_ENTRY)))


def summed(rows: DataFrame) -> DataFrame:
    """[user_id, user_bucket, leanings]: a row a user of whom anything is left, from what tiles add.

    rows: [user_id, user_bucket, dimension and key (string, or null), a key of each of OF_ITEMS in the column of its
    name (string, or null), units and evidence of each key that is there].
    """
    schema = f"user_id string, user_bucket int, leanings {LEANINGS}"
    together = rows.repartition("user_id").sortWithinPartitions("user_id")
    return together.mapInArrow(_sums, schema)


def merged(frame: DataFrame, old: str, new: str) -> DataFrame:
    """The frame with the sum of two columns of leanings in place of the first, and without the second."""

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            entries = [batch.column(name) for name in (old, new)]
            total = _stored(entries).summed(batch.num_rows)
            columns = {name: batch.column(name) for name in batch.schema.names if name != new}
            yield pa.RecordBatch.from_pydict(columns | {old: total})

    return frame.mapInArrow(add, frame.drop(new).schema)


def best(users: DataFrame, kept: int, faded: Column, unit: float) -> DataFrame:
    """[user_id, user_bucket, dimension, key, score, share, evidence]: the best `kept` keys of a user and dimension.

    users: [user_id, user_bucket, leanings]. faded: double, of each of them: units x faded, rounded to whole ones, are
    what an entry counts now; above 0 it is one of the best; score: in multiples of `unit`; share: of all above 0 in
    the dimension.
    """

    def told(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            entries = _stored([batch.column("leanings")])
            fading = batch.column("faded").to_numpy()
            now = np.rint(entries.units * fading[entries.user]).astype(np.int64)
            group = entries.group
            order = np.lexsort((entries.key, -now, group))
            order = order[now[order] > 0]
            if not len(order):
                continue
            group, now = group[order], now[order]
            first = np.flatnonzero(np.diff(group, prepend=-1))
            lengths = np.diff(first, append=len(group))
            place = np.arange(len(group)) - np.repeat(first, lengths)
            share = now / np.repeat(np.add.reduceat(now, first), lengths)
            chosen = place < kept
            rows = order[chosen]
            user = pa.array(entries.user[rows])
            yield pa.RecordBatch.from_pydict(
                {
                    "user_id": batch.column("user_id").take(user),
                    "user_bucket": batch.column("user_bucket").take(user),
                    "dimension": entries.dimensions.take(pa.array(entries.dimension[rows])),
                    "key": entries.keys.take(pa.array(entries.key[rows])),
                    "score": now[chosen] / unit,
                    "share": share[chosen],
                    "evidence": entries.evidence[rows],
                }
            )

    asked = users.select("user_id", "user_bucket", "leanings", faded.alias("faded"))
    schema = "user_id string, user_bucket int, dimension string, key string, score double, share double, evidence long"
    return asked.mapInArrow(told, schema)


def _sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for rows in _whole_users(batches):
        ids = rows["user_id"].combine_chunks()
        starts = np.concatenate([[True], pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1)).to_numpy(False)])
        user = np.cumsum(starts) - 1
        first = pa.array(np.flatnonzero(starts))
        leanings = _keyed(rows, user).summed(len(first))
        columns = [ids.take(first), rows["user_bucket"].combine_chunks().take(first), leanings]
        found = pa.RecordBatch.from_arrays(columns, names=["user_id", "user_bucket", "leanings"])
        yield found.filter(pa.array(_lengths(leanings) > 0))


def _keyed(rows: pa.Table, user: np.ndarray) -> Entries:
    """The entries of rows as `summed` takes them."""
    named, columns = rows["dimension"].combine_chunks(), [rows[name].combine_chunks() for name in ("key", *OF_ITEMS)]
    known = [column.is_valid().to_numpy(False) for column in columns]
    dimensions = [
        named.drop_null(),
        *(pa.repeat(name, int(there.sum())) for name, there in zip(OF_ITEMS, known[1:], strict=True)),
    ]
    place = np.concatenate([np.flatnonzero(there) for there in known])
    units, evidence = (rows[name].to_numpy()[place] for name in ("units", "evidence"))
    keys = pa.concat_arrays([column.drop_null() for column in columns])
    return Entries(user[place], pa.concat_arrays(dimensions), keys, units, evidence)


def _stored(columns: list[pa.ListArray]) -> Entries:
    """Entries of columns of leanings with the same rows; null is an empty list."""
    user = [np.repeat(np.arange(len(column)), _lengths(column)) for column in columns]
    entries = pa.concat_arrays([column.flatten() for column in columns])
    units, evidence = (entries.field(name).to_numpy(zero_copy_only=False) for name in ("units", "evidence"))
    return Entries(np.concatenate(user), entries.field("dimension"), entries.field("key"), units, evidence)


def _lengths(lists: pa.Array) -> np.ndarray:
    return np.nan_to_num(pc.list_value_length(lists).to_numpy(zero_copy_only=False)).astype(np.int64)


def _ranked(names: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The distinct names in the order of their bytes, as Spark orders them, and the place of each name among them."""
    coded = names.dictionary_encode()
    order = pc.sort_indices(coded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return coded.dictionary.take(pa.array(order)), rank[coded.indices.to_numpy()]


def _whole_users(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows in tables of about CHUNK_ROWS, none of which ends within a user. A user's rows come together."""
    held: list[pa.RecordBatch] = []
    rows, enough = 0, CHUNK_ROWS
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows < enough:
            continue
        table = pa.Table.from_batches(held)
        ids = table["user_id"]
        last = pc.index(ids, ids[-1]).as_py()
        if last:
            yield table.slice(0, last)
        held = table.slice(last).to_batches()
        rows -= last
        # One user of very many rows is not looked through again with every batch.
        enough = max(CHUNK_ROWS, 2 * rows)
    if rows:
        yield pa.Table.from_batches(held)

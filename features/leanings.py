"""Sums of what users lean to, in NumPy over Arrow: a list of (dimension, key, *AMOUNTS) a user.

Spark's own ways to the same lists cost ten times as much: rows by key have to be aggregated twice, and functions of
arrays ask a lambda for each entry, row by row. Here every step is linear in the entries, or one sort of whole numbers.
Amounts are whole numbers, so that a sum is the same in any order.

recent and before are units of a short half-life, of the user's last period with an event and of the one before it, each
as of its own period's start: see features/affinity.py. What is older is too faint to be kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame

AMOUNTS = ("units", "evidence", "recent", "before")
LEANINGS = f"array<struct<dimension: string, key: string, {', '.join(f'{name}: bigint' for name in AMOUNTS)}>>"

# Rows that are summed at once: some 100 MB with their strings.
CHUNK_ROWS = 500_000

# What an item says of who wants it. Of the path of its categories all levels are told when leanings are read.
PATH = "path"
OF_ITEMS = (PATH, "brand", "price_band")
# What their days say of users.
OF_DAYS = ("daypart", "weekday", "device", "place")
FADED = ("faded", "faded_recent", "faded_before")

# Levels of a path, from the broadest: "category" is the second, or the only one. What lies deeper is left out.
CATEGORY_LEVELS = 2
SEPARATOR = " > "
LEVELS = tuple("category" if level == CATEGORY_LEVELS else f"category_{level}" for level in range(1, 13))

_ENTRY = pa.struct([("dimension", pa.string()), ("key", pa.string()), *((name, pa.int64()) for name in AMOUNTS)])


class Entries:
    """Entries of lists, one of each array a place. user: which list it belongs to, int64. amounts: AMOUNTS, int64."""

    def __init__(self, user: np.ndarray, dimension: pa.Array, key: pa.Array, amounts: Sequence[np.ndarray]) -> None:
        self.user, self.amounts = user, amounts
        self.dimensions, self.dimension = _ranked(dimension)
        self.keys, self.key = _ranked(key)

    @property
    def group(self) -> np.ndarray:
        """A number for each user and dimension, in their order."""
        return self.user * max(1, len(self.dimensions)) + self.dimension

    def by_level(self) -> Entries:
        """The entries with a path told level by level, so that what is below a category adds up in it."""
        if PATH not in (named := self.dimensions.to_pylist()):
            return self
        of_path = self.dimension == named.index(PATH)
        places, rest = np.flatnonzero(of_path), np.flatnonzero(~of_path)
        paths, which = np.unique(self.key[places], return_inverse=True)
        told = [levels(path) for path in self.keys.take(pa.array(paths)).to_pylist()]
        lengths = np.array([len(path) for path in told])
        first = np.cumsum(lengths) - lengths
        many = lengths[which]
        level = np.arange(many.sum()) + np.repeat(first[which] - (np.cumsum(many) - many), many)
        dimensions, keys = (pa.array([pair[side] for path in told for pair in path], pa.string()) for side in (0, 1))
        rows = np.concatenate([rest, np.repeat(places, many)])
        return Entries(
            self.user[rows],
            pa.concat_arrays([self.dimensions.take(pa.array(self.dimension[rest])), dimensions.take(pa.array(level))]),
            pa.concat_arrays([self.keys.take(pa.array(self.key[rest])), keys.take(pa.array(level))]),
            [amount[rows] for amount in self.amounts],
        )

    def summed(self, users: int) -> pa.ListArray:
        """A list for each of the users, in the order of its keys; what adds up to nothing is left out."""
        place = self.group * max(1, len(self.keys)) + self.key
        order = np.argsort(place, kind="stable")
        first = np.flatnonzero(np.diff(place[order], prepend=-1))
        amounts = [
            np.add.reduceat(values[order], first) if len(first) else np.zeros(0, np.int64) for values in self.amounts
        ]
        left = np.any([amount != 0 for amount in amounts], axis=0)
        rows = order[first][left]
        bounds = np.searchsorted(self.user[rows], np.arange(users + 1)).astype(np.int32)
        entries = [
            self.dimensions.take(pa.array(self.dimension[rows])), self.keys.take(pa.array(self.key[rows])),
            *(pa.array(amount[left]) for amount in amounts),
        ]  # fmt: skip
        return pa.ListArray.from_arrays(pa.array(bounds), pa.StructArray.from_arrays(entries, fields=list(_ENTRY)))


def levels(path: str) -> list[tuple[str, str]]:
    """(dimension, key) of each level of a path: 'A > B > C' is 'A', 'A > B' and 'A > B > C'."""
    names = path.split(SEPARATOR)[: len(LEVELS)]
    found = [(LEVELS[place], SEPARATOR.join(names[: place + 1])) for place in range(len(names))]
    return found if len(names) >= CATEGORY_LEVELS else [*found, (LEVELS[CATEGORY_LEVELS - 1], path)]


def summed(rows: DataFrame) -> DataFrame:
    """[user_id, user_bucket, period, leanings]: a row a user of whom anything is left, from what tiles add.

    rows: [user_id, user_bucket, dimension and key (string, or null), a key of each of OF_ITEMS in the column of its
    name (string, or null), units, evidence and recent of each key that is there, period: of recent].
    """
    schema = f"user_id string, user_bucket int, period int, leanings {LEANINGS}"
    together = rows.repartition("user_id").sortWithinPartitions("user_id")
    return together.mapInArrow(_sums, schema)


def merged(frame: DataFrame, old: str, new: str) -> DataFrame:
    """The frame with the sum of two columns of leanings in place of the first, and without the second.

    It has a column period too, and <column>_period of either, not after it: that of their recent units. These go.
    """

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            period = _numbers(batch, "period")
            entries = _stored([batch.column(name) for name in (old, new)])
            behind = np.concatenate(
                [
                    np.repeat(period - _numbers(batch, f"{name}_period"), _lengths(batch.column(name)))
                    for name in (old, new)
                ]
            )
            *others, recent, before = entries.amounts
            entries.amounts = [*others, *_aged(recent, before, behind)]
            columns = {name: batch.column(name) for name in batch.schema.names if name not in gone}
            yield pa.RecordBatch.from_pydict(columns | {old: entries.summed(batch.num_rows)})

    gone = (new, f"{old}_period", f"{new}_period")
    return frame.mapInArrow(add, frame.drop(*gone).schema)


def best(users: DataFrame, kept: int, faded: Sequence[Column], unit: float) -> DataFrame:
    """[user_id, user_bucket, dimension, key, score, share, recent_score, recent_share, evidence, known]: the best
    `kept` keys of a user and dimension.

    users: [user_id, user_bucket, leanings]. faded: double, of units, recent and before of each of them: units x faded,
    rounded to whole ones, are what an entry counts now; above 0 it is one of the best; score: in multiples of `unit`;
    share: of all above 0 in the dimension; known: the events behind these. recent_score and recent_share tell the same
    of recent units, of the keys above 0, as far as those are above 0 too; null where no item is behind the dimension,
    the share also where nothing is. A path is told by its levels.
    """

    def told(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            entries = _stored([_stored([batch.column("leanings")]).by_level().summed(batch.num_rows)])
            units, evidence, recent, before = entries.amounts
            fading = [_numbers(batch, name, np.float64)[entries.user] for name in FADED]
            now = np.rint(units * fading[0]).astype(np.int64)
            lately = np.rint(recent * fading[1] + before * fading[2]).astype(np.int64)
            group = entries.group
            order = np.lexsort((entries.key, -now, group))
            order = order[now[order] > 0]
            if not len(order):
                continue
            group, now, lately, evidence = group[order], now[order], lately[order], evidence[order]
            first = np.flatnonzero(np.diff(group, prepend=-1))
            lengths = np.diff(first, append=len(group))
            place = np.arange(len(group)) - np.repeat(first, lengths)

            def of_dimension(values: np.ndarray, first: np.ndarray = first, each: np.ndarray = lengths) -> np.ndarray:
                return np.repeat(np.add.reduceat(values, first), each)

            share = now / of_dimension(now)
            known, liked = of_dimension(evidence), np.maximum(lately, 0)
            all_liked = of_dimension(liked)
            of_day = np.isin(entries.dimension[order], [entries.dimensions.index(name).as_py() for name in OF_DAYS])
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
                    "recent_score": pa.array(lately[chosen] / unit, mask=of_day[chosen]),
                    "recent_share": pa.array(
                        (liked / np.maximum(all_liked, 1))[chosen], mask=(of_day | (all_liked == 0))[chosen]
                    ),
                    "evidence": evidence[chosen],
                    "known": known[chosen],
                }
            )

    named = (column.alias(name) for column, name in zip(faded, FADED, strict=True))
    asked = users.select("user_id", "user_bucket", "leanings", *named)
    columns = (
        "dimension string, key string, score double, share double, recent_score double, recent_share double, "
        "evidence long, known long"
    )
    return asked.mapInArrow(told, f"user_id string, user_bucket int, {columns}")


def _sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for rows in _whole_users(batches):
        ids = rows["user_id"].combine_chunks()
        starts = np.concatenate([[True], pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1)).to_numpy(False)])
        user = np.cumsum(starts) - 1
        first = np.flatnonzero(starts)
        period = np.maximum.reduceat(rows["period"].to_numpy(), first)
        leanings = _keyed(rows, user, period).summed(len(first))
        columns = [*(rows[name].combine_chunks().take(pa.array(first)) for name in ("user_id", "user_bucket"))]
        columns += [pa.array(period, pa.int32()), leanings]
        found = pa.RecordBatch.from_arrays(columns, names=["user_id", "user_bucket", "period", "leanings"])
        yield found.filter(pa.array(_lengths(leanings) > 0))


def _keyed(rows: pa.Table, user: np.ndarray, period: np.ndarray) -> Entries:
    """The entries of rows as `summed` takes them; period: of each user."""
    named, columns = rows["dimension"].combine_chunks(), [rows[name].combine_chunks() for name in ("key", *OF_ITEMS)]
    known = [column.is_valid().to_numpy(False) for column in columns]
    dimensions = [
        named.drop_null(),
        *(pa.repeat(name, int(there.sum())) for name, there in zip(OF_ITEMS, known[1:], strict=True)),
    ]
    place = np.concatenate([np.flatnonzero(there) for there in known])
    units, evidence, recent = (rows[name].to_numpy()[place] for name in ("units", "evidence", "recent"))
    behind = (period[user] - rows["period"].to_numpy())[place]
    keys = pa.concat_arrays([column.drop_null() for column in columns])
    aged = _aged(recent, np.zeros_like(recent), behind)
    return Entries(user[place], pa.concat_arrays(dimensions), keys, [units, evidence, *aged])


def _stored(columns: list[pa.ListArray]) -> Entries:
    """Entries of columns of leanings with the same rows; null is an empty list."""
    user = [np.repeat(np.arange(len(column)), _lengths(column)) for column in columns]
    entries = pa.concat_arrays([column.flatten() for column in columns])
    amounts = [entries.field(name).to_numpy(zero_copy_only=False) for name in AMOUNTS]
    return Entries(np.concatenate(user), entries.field("dimension"), entries.field("key"), amounts)


def _aged(recent: np.ndarray, before: np.ndarray, behind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """recent and before of a period that lies so many before the one that is told."""
    return np.where(behind == 0, recent, 0), np.where(behind == 0, before, np.where(behind == 1, recent, 0))


def _numbers(batch: pa.RecordBatch, name: str, kind: type = np.int64) -> np.ndarray:
    """A column of numbers; null, where there are no leanings, is 0."""
    return pc.fill_null(batch.column(name), 0).to_numpy(zero_copy_only=False).astype(kind)


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

"""Sums of what users lean to, in NumPy over Arrow: packed entries of (dimension, key, *AMOUNTS) a user.

Spark's own ways to the same sums cost ten times as much: rows by key have to be aggregated twice, and functions of
arrays ask a lambda for each entry, row by row. Here every step is linear in the entries, or one sort of whole numbers.
Amounts are whole numbers, so that a sum is the same in any order.

recent and before are units of a short half-life, of the user's last period with an event and of the one before it, each
as of its own period's start: see features/affinity.py. What is older is too faint to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame

from features.arrow import by_user, lengths_of, ranked, starts, sums, users_of, whole_users
from features.packing import AMOUNTS, OF_DAYS, OF_ITEMS, PATH, STORED, Entries, counts, said_of, unpacked

# Of a user: their packed entries, and the period of `recent`.
PACKED = "user_id string, user_bucket int, period int, packed binary"
FADED = ("faded", "faded_recent", "faded_before")

# Levels of a path, from the broadest: "category" is the second, or the only one. What lies deeper is left out.
CATEGORY_LEVELS = 2
SEPARATOR = " > "
LEVELS = tuple("category" if level == CATEGORY_LEVELS else f"category_{level}" for level in range(1, 13))
# What is told of the entries when they are read: a path by its levels.
TOLD = (*LEVELS, *STORED[1:])

# Of a day: units of an event, before they are rounded; 1, or -1 for a day that is taken back; weekday, from 0 as
# WEEKDAYS; events on the device; events.
OF_DAY = ("kept", "sign", "weekday", "device_events", "events")

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def levels(path: str) -> list[tuple[str, str]]:
    """(dimension, key) of each level of a path: 'A > B > C' is 'A', 'A > B' and 'A > B > C'."""
    names = path.split(SEPARATOR)[: len(LEVELS)]
    found = [(LEVELS[place], SEPARATOR.join(names[: place + 1])) for place in range(len(names))]
    return found if len(names) >= CATEGORY_LEVELS else [*found, (LEVELS[CATEGORY_LEVELS - 1], path)]


def by_level(entries: Entries) -> Entries:
    """The entries with a path told level by level, so that what is below a category adds up in it; not in order."""
    of_path = entries.dimension == STORED.index(PATH)
    places, rest = np.flatnonzero(of_path), np.flatnonzero(~of_path)
    paths, which = np.unique(entries.key[places], return_inverse=True)
    told = [levels(path) for path in entries.keys.take(pa.array(paths)).to_pylist()]
    lengths = np.array([len(path) for path in told], np.int64)
    first = np.cumsum(lengths) - lengths
    many = lengths[which]
    level = np.arange(many.sum()) + np.repeat(first[which] - (np.cumsum(many) - many), many)
    keys, (kept, new) = ranked(entries.keys, pa.array([key for path in told for _, key in path], pa.string()))
    dimension = np.array([TOLD.index(name) for path in told for name, _ in path], np.int64)
    # The dimensions that are no path keep their order behind the levels.
    moved = len(LEVELS) - 1
    found = entries.take(np.concatenate([rest, np.repeat(places, many)]))
    return replace(
        found,
        dimension=np.concatenate([entries.dimension[rest] + moved, dimension[level]]),
        key=np.concatenate([kept[entries.key[rest]], new[level]]),
        keys=keys,
        dimensions=TOLD,
    )


def summed(items: DataFrame, days: DataFrame, parts: Sequence[str]) -> DataFrame:
    """PACKED: a row a user of whom anything is left, from what tiles add.

    items, what users did with items: [user_id, user_bucket, said (see features/packing.py), units, evidence and recent
    of each of its keys, period: of recent].
    days, when, where and on what they were active: [user_id, user_bucket, device, place (either may be null), of_day
    (array<double>: OF_DAY and a count of each of the parts), period]. A row of a further device of a day counts nothing
    else.
    """
    rows = items.unionByName(days, allowMissingColumns=True)
    return by_user(rows).mapInArrow(_summing(tuple(parts)), PACKED)


def merged(frame: DataFrame, old: str, new: str) -> DataFrame:
    """The frame with the sum of two columns of packed leanings in place of the first.

    It has a column period too, and <column>_period of either, not after it: that of their recent units. These go.
    """

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            period = _numbers(batch, "period")
            entries = unpacked(*(batch.column(name) for name in (old, new)))
            behind = np.concatenate(
                [
                    np.repeat(period - _numbers(batch, f"{name}_period"), counts(batch.column(name)))
                    for name in (old, new)
                ]
            )
            *others, recent, before = entries.amounts
            entries = replace(entries, amounts=(*others, *_aged(recent, before, behind)))
            columns = {name: batch.column(name) for name in batch.schema.names if name not in gone}
            yield pa.RecordBatch.from_pydict(columns | {old: entries.together().packed(batch.num_rows)})

    gone = (f"{old}_period", f"{new}_period")
    return frame.mapInArrow(add, frame.drop(*gone).schema)


def totals(users: DataFrame) -> DataFrame:
    """[dimension, key, high, low]: units of all users by what items say, some rows a key; units = 2^32 x high + low.

    users: [packed]. A path is told by its levels.
    """

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            entries = unpacked(batch.column("packed"))
            entries = entries.take(np.flatnonzero(entries.dimension < len(OF_ITEMS)))
            halves = by_level(_by_key(entries)).together()
            yield pa.RecordBatch.from_pydict(
                {
                    "dimension": _names(halves),
                    "key": halves.keys.take(pa.array(halves.key)),
                    "high": halves.amounts[0],
                    "low": halves.amounts[1],
                }
            )

    return users.select("packed").mapInArrow(add, "dimension string, key string, high long, low long")


def best(users: DataFrame, kept: int, faded: Sequence[Column], unit: float) -> DataFrame:
    """[user_id, user_bucket, dimension, key, score, share, recent_score, recent_share, evidence, known]: the best
    `kept` keys of a user and dimension.

    users: [user_id, user_bucket, packed]. faded: double, of units, recent and before of each of them: units x faded,
    rounded to whole ones, are what an entry counts now; above 0 it is one of the best; score: in multiples of `unit`;
    share: of all above 0 in the dimension; known: the events behind these. recent_score and recent_share tell the same
    of recent units, of the keys above 0, as far as those are above 0 too; null where no item is behind the dimension,
    the share also where nothing is. A path is told by its levels.
    """

    def told(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            entries = by_level(unpacked(batch.column("packed"))).together()
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
            first = starts(group)
            lengths = lengths_of(first, len(group))
            place = np.arange(len(group)) - np.repeat(first, lengths)

            def of_dimension(values: np.ndarray, first: np.ndarray = first, each: np.ndarray = lengths) -> np.ndarray:
                return np.repeat(sums(values, first), each)

            share = now / of_dimension(now)
            known, liked = of_dimension(evidence), np.maximum(lately, 0)
            all_liked = of_dimension(liked)
            of_day = entries.dimension[order] >= len(TOLD) - len(OF_DAYS)
            chosen = place < kept
            rows = entries.take(order[chosen])
            user = pa.array(rows.user)
            yield pa.RecordBatch.from_pydict(
                {
                    "user_id": batch.column("user_id").take(user),
                    "user_bucket": batch.column("user_bucket").take(user),
                    "dimension": _names(rows),
                    "key": rows.keys.take(pa.array(rows.key)),
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
    asked = users.select("user_id", "user_bucket", "packed", *named)
    columns = (
        "dimension string, key string, score double, share double, recent_score double, recent_share double, "
        "evidence long, known long"
    )
    return asked.mapInArrow(told, f"user_id string, user_bucket int, {columns}")


def _summing(parts: tuple[str, ...]) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The kernel of summed."""

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in whole_users(batches):
            user, first = users_of(rows)
            each, period = rows["period"].to_numpy().astype(np.int64), np.full(len(first), np.iinfo(np.int32).min)
            np.maximum.at(period, user, each)
            packed = _keyed(rows, user, period[user] - each, parts).together().packed(len(first))
            left = np.flatnonzero(counts(packed))
            columns = [rows[name].combine_chunks().take(pa.array(first[left])) for name in ("user_id", "user_bucket")]
            columns += [pa.array(period[left], pa.int32()), packed.take(pa.array(left))]
            yield pa.RecordBatch.from_arrays(columns, names=["user_id", "user_bucket", "period", "packed"])

    return add


def _keyed(rows: pa.Table, user: np.ndarray, behind: np.ndarray, parts: tuple[str, ...]) -> Entries:
    """The entries of rows of summed. behind: how many periods each lies behind its user's last."""
    said, of_day, device, place = (rows[name].combine_chunks() for name in ("said", "of_day", "device", "place"))
    items, days = (np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)) for column in (said, of_day))
    texts = said.take(pa.array(items)).dictionary_encode()
    whens = [column.take(pa.array(days)) for column in (device, place)]
    constants = [pa.array(names, pa.string()) for names in (parts, WEEKDAYS)]
    keys, (*of_texts, device, place, part, weekday) = ranked(*said_of(texts.dictionary), *whens, *constants)
    text, found = texts.indices.to_numpy(), []
    amounts = [_numbers(rows, name)[items] for name in AMOUNTS[:3]]
    for name, of_text in zip(OF_ITEMS, of_texts, strict=True):
        key = of_text[text]
        found.append(_entries(name, items, key, key >= 0, amounts))
    told = pc.list_flatten(of_day).to_numpy().reshape(-1, len(OF_DAY) + len(parts)).T
    kept, sign, of_week, device_events, events, *of_parts = told
    counted = [
        *(("daypart", np.full(len(days), part[at]), count) for at, count in enumerate(of_parts)),
        ("weekday", weekday[of_week.astype(np.int64)], events),
        ("device", device, device_events),
        ("place", place, events),
    ]
    for name, key, count in counted:
        units, evidence = (np.rint(count * each * sign).astype(np.int64) for each in (kept, 1))
        found.append(_entries(name, days, key, (key >= 0) & (count > 0), (units, evidence, np.zeros_like(units))))
    rows_of, dimension, code, *amounts, recent = (np.concatenate(side) for side in zip(*found, strict=True))
    aged = _aged(recent, np.zeros_like(recent), behind[rows_of])
    return Entries(user[rows_of], dimension, code, (*amounts, *aged), keys)


def _entries(
    name: str, rows: np.ndarray, key: np.ndarray, chosen: np.ndarray, amounts: Iterable[np.ndarray]
) -> tuple[np.ndarray, ...]:
    """Of the chosen: the row, the dimension, the key, and the amounts."""
    there = np.flatnonzero(chosen)
    return rows[there], np.full(len(there), STORED.index(name)), key[there], *(amount[there] for amount in amounts)


def _aged(recent: np.ndarray, before: np.ndarray, behind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """recent and before of a period that lies so many before the one that is told."""
    return np.where(behind == 0, recent, 0), np.where(behind == 0, before, np.where(behind == 1, recent, 0))


def _names(entries: Entries) -> pa.Array:
    """The dimensions by name."""
    return pa.array(entries.dimensions, pa.string()).take(pa.array(entries.dimension))


def _numbers(rows: pa.RecordBatch | pa.Table, name: str, kind: type = np.int64) -> np.ndarray:
    """A column of numbers; null, where there are no leanings, is 0."""
    return pc.fill_null(rows[name], 0).to_numpy(zero_copy_only=False).astype(kind, copy=False)


def _by_key(entries: Entries) -> Entries:
    """One entry for each dimension and key, of all users: the halves of their units, high and low. A sum over users
    would not fit into 64 bits; those of its halves do.
    """
    (units, *_), names = entries.amounts, max(1, len(entries.keys))
    place = entries.dimension * names + entries.key
    high, low = (np.zeros(len(OF_ITEMS) * names, np.int64) for _ in range(2))
    np.add.at(high, place, units >> 32)
    np.add.at(low, place, units & 0xFFFFFFFF)
    found = np.flatnonzero(np.bincount(place, minlength=len(high)))
    amounts = (high[found], low[found])
    return replace(entries, user=np.zeros_like(found), dimension=found // names, key=found % names, amounts=amounts)

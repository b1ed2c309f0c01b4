"""What needs a person's events in order: duplicates, returns, bots and sessions, in NumPy over Arrow.

Spark sorts all rows anew for each order that is asked for, and copies each column of them at each step. Here they come
by user once (features/arrow.py), and what is asked is arithmetic on whole numbers; most of it is asked of the few rows
that it can concern.

What is only compared comes as a hash of 64 bits: a row is taken for a repeat wrongly when two of one user share one,
one pair in 2^64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from features.arrow import by_user, codes, lengths_of, ranked, starts, users_of, whole_users
from features.days import DAY

RETURN_DAYS = 180
BROWSING = ("impression", "view", "click", "search")
BOT_EVENTS_A_DAY = 500
BOT_SECONDS_BETWEEN = 2.0

# Rows that are looked at at once, of some thirty columns: half of them are texts.
ROWS = 200_000
SECOND = 1_000_000
# What a row is known by, and what its repeats are put in order by. Nobody asks for it afterwards.
ORDER = ("received_at", "_file", "_row_hash")
KNOWN_BY = ("_key", *ORDER)
# What an earlier window says: of the user and item, and of the user.
EARLIER, CONTEXT = ("_earlier_time", "_earlier_id"), ("_context_time", "_context_session")
LOOKED_AT = ("event_id", "item_id", "event_type", "event_time", *EARLIER, *CONTEXT)


def in_order(
    events: DataFrame,
    gap_minutes: int,
    earlier: DataFrame | None = None,
    context: DataFrame | None = None,
    partitions: int | None = None,
) -> DataFrame:
    """The events by user, with is_duplicate and, null or false for duplicates, returned_event_id, is_bot, session_id.

    events: [user_id, event_id, item_id (or null), event_type, event_time, _key (long: a hash of what makes a row
    itself), received_at, _file, _row_hash, ...]; the last four go.

    is_duplicate: all but the first received row of a user's event_id, and of a key. The first is the earliest
    received; among rows received together, the least by file and content, so that a repeat marks the same rows.

    returned_event_id: of returns, the user's latest purchase of the item in the RETURN_DAYS before it; null where the
    log holds none. earlier: [event_id, user_id, item_id, event_type, event_time], purchases from before the events'
    window; None when there are none.

    is_bot: of a user's day of at least BOT_EVENTS_A_DAY browsing events, less than BOT_SECONDS_BETWEEN apart on
    average. Purchases never count: a wholesaler's invoice has hundreds of lines in one second.

    session_id: a session ends when the user is inactive for longer than the gap; a new session's id is a hash of user
    and first instant. context: [user_id, event_time, session_id], events of the last gap before the window, or None
    when there are none; a session that runs across the window's start keeps its id, so that day by day equals all at
    once.

    partitions: how many; None leaves it to Spark.
    """
    asked = events.withColumn("_id", F.xxhash64("event_id"))
    if earlier is not None:
        # One row a user and item is enough: only the latest purchase before the window can matter.
        bought = F.max(F.when(F.col("event_type") == "purchase", F.struct("event_time", "event_id")))
        last = earlier.groupBy("user_id", "item_id").agg(bought.alias("_earlier"))
        known = last.select("user_id", "item_id", *_named("_earlier", ("event_time", "event_id"), EARLIER))
        asked = asked.join(F.broadcast(known), ["user_id", "item_id"], "left")
    if context is not None:
        seen = context.groupBy("user_id").agg(F.max(F.struct("event_time", "session_id")).alias("_seen"))
        open_still = seen.select("user_id", *_named("_seen", ("event_time", "session_id"), CONTEXT))
        asked = asked.join(F.broadcast(open_still), "user_id", "left")
    passed = [field for field in asked.schema.fields if field.name not in (*KNOWN_BY, "_id", *EARLIER, *CONTEXT)]
    told = [
        T.StructField("is_duplicate", T.BooleanType()), T.StructField("returned_event_id", T.StringType()),
        T.StructField("is_bot", T.BooleanType()), T.StructField("_opened", T.LongType()),
        T.StructField("_continued", T.StringType()),
    ]  # fmt: skip
    names = tuple(field.name for field in passed)
    found = by_user(asked, partitions).mapInArrow(kernel(names, gap_minutes), T.StructType([*passed, *told]))
    own_id = F.sha2(F.concat_ws("\u0000", "user_id", F.col("_opened").cast("string")), 256).substr(1, 32)
    session = F.coalesce("_continued", F.when(F.col("_opened").isNotNull(), own_id))
    return found.withColumn("session_id", session).drop("_opened", "_continued")


def _named(struct: str, fields: Iterable[str], names: Iterable[str]) -> list[Column]:
    return [F.col(f"{struct}.{field}").alias(name) for field, name in zip(fields, names, strict=True)]


def kernel(names: tuple[str, ...], gap_minutes: int) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What in_order does with Arrow batches of events by user: the columns of these names, and what it adds."""

    def tell(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in whole_users(batches, ROWS):
            user, _ = users_of(rows)
            again = _again(rows, user)
            # The others alone are put in order.
            fine = np.flatnonzero(~again)
            events, user = rows.select([name for name in LOOKED_AT if name in rows.column_names]), user[fine]
            events = events.take(pa.array(fine)) if again.any() else events
            told = {"returned_event_id": _returned(events, user), "is_bot": _bots(events, user)}
            told |= dict(zip(("_opened", "_continued"), _sessions(events, user, gap_minutes), strict=True))
            found = rows.select(list(names)).append_column("is_duplicate", pa.array(again))
            place = np.full(len(again), -1)
            place[fine] = np.arange(len(fine))
            places = pa.array(place, mask=again)
            for name, values in told.items():
                found = found.append_column(name, values.take(places))
            yield from found.to_batches()

    return tell


def _again(rows: pa.Table, user: np.ndarray) -> np.ndarray:
    """Which rows repeat an earlier one's key or id."""
    found = np.zeros(len(user), bool)
    for name in ("_key", "_id"):
        key = rows[name].to_numpy()
        # Nearly all are alone: of the others alone it is asked which came first.
        mixed = key ^ (user << 40)
        ordered = np.sort(mixed)
        several = ordered[1:][ordered[1:] == ordered[:-1]]
        some = np.flatnonzero(np.isin(mixed, several))
        if not len(some):
            continue
        received, file, content = (rows[column].take(pa.array(some)) for column in ORDER)
        _, (place,) = ranked(file.combine_chunks())
        by = (content.to_numpy(), place, _micros(received), key[some], user[some])
        some = some[np.lexsort(by)]
        found[some[1:][(key[some][1:] == key[some][:-1]) & (user[some][1:] == user[some][:-1])]] = True
    return found


def _returned(rows: pa.Table, user: np.ndarray) -> pa.Array:
    """Of returns, the purchase they undo."""
    kind = rows["event_type"]
    returned, bought = _is(kind, "return"), _is(kind, "purchase")
    if not returned.any():
        return pa.nulls(len(user), pa.string())
    items = codes(rows["item_id"]) + 1
    trade = user * (items.max() + 1) + items
    some = np.flatnonzero((returned | bought) & np.isin(trade, trade[returned]))
    ids, at = rows["event_id"].take(pa.array(some)).combine_chunks(), _micros(rows["event_time"])[some]
    _, (id_place,) = ranked(ids)
    back, trade = returned[some], trade[some]
    order = np.lexsort((id_place, back, at, trade))
    ids, at, back, trade = ids.take(pa.array(order)), at[order], back[order], trade[order]
    first = starts(trade)
    begin = np.repeat(first, lengths_of(first, len(trade)))
    last = np.maximum.accumulate(np.where(back, -1, np.arange(len(trade))))
    found = back & (last >= begin)
    last = np.where(found, last, 0)
    undone, since = ids.take(pa.array(last, mask=~found)), at[last]
    if EARLIER[0] in rows.column_names:
        before = [rows[name].take(pa.array(some[order])).combine_chunks() for name in EARLIER]
        held = before[0].is_valid().to_numpy(zero_copy_only=False) & back & ~found
        undone, since = pc.if_else(pa.array(held), before[1], undone), np.where(held, _micros(before[0]), since)
        found |= held
    recent = found & (since >= at - RETURN_DAYS * DAY)
    place = np.full(len(user), -1)
    place[some[order]] = np.where(recent, np.arange(len(order)), -1)
    return undone.take(pa.array(place, mask=place < 0))


def _bots(rows: pa.Table, user: np.ndarray) -> pa.Array:
    """Which rows are of a day as no person has."""
    found = np.zeros(len(user), bool)
    browsing = pc.fill_null(pc.is_in(rows["event_type"], pa.array(BROWSING)), False).to_numpy()
    busy = np.flatnonzero((np.bincount(user[browsing], minlength=user.max(initial=0) + 1) >= BOT_EVENTS_A_DAY)[user])
    if not len(busy):
        return pa.array(found)
    at = _micros(rows["event_time"])[busy]
    date = at // DAY
    _, day = np.unique(user[busy] * (date.max() - date.min() + 1) + date - date.min(), return_inverse=True)
    looks = np.flatnonzero(browsing[busy])
    looks = looks[np.lexsort((at[looks], day[looks]))]
    first = starts(day[looks])
    count = lengths_of(first, len(looks))
    gap = (at[looks][first + count - 1] - at[looks][first]) / SECOND / np.maximum(count - 1, 1)
    bots = day[looks][first[(count >= BOT_EVENTS_A_DAY) & (gap < BOT_SECONDS_BETWEEN)]]
    found[busy[np.isin(day, bots)]] = True
    return pa.array(found)


def _sessions(rows: pa.Table, user: np.ndarray, gap_minutes: int) -> tuple[pa.Array, pa.Array]:
    """When each row's session began, in microseconds; or the name of the one before the window that it continues."""
    at = _micros(rows["event_time"])
    order = np.lexsort((at, user))
    ordered = at[order]
    first = np.zeros(len(order), bool)
    first[starts(user[order])] = True
    since = np.append(ordered[:1], ordered[:-1])
    goes_on = np.zeros(len(order), bool)
    gap = gap_minutes * 60 * SECOND
    if CONTEXT[0] in rows.column_names:
        seen = rows[CONTEXT[0]].combine_chunks().take(pa.array(order))
        goes_on = first & seen.is_valid().to_numpy(zero_copy_only=False) & (ordered - _micros(seen) <= gap)
    opens = first | (ordered - since > gap)
    opener = np.maximum.accumulate(np.where(opens, np.arange(len(order)), 0))
    began = np.empty(len(order), np.int64)
    began[order] = ordered[opener]
    of_before = np.zeros(len(order), bool)
    of_before[order] = goes_on[opener]
    if not of_before.any():
        return pa.array(began), pa.nulls(len(order), pa.string())
    which = np.empty(len(order), np.int64)
    which[order] = order[opener]
    names = rows[CONTEXT[1]].combine_chunks().take(pa.array(which, mask=~of_before))
    return pa.array(began), names


def _is(kind: pa.ChunkedArray, name: str) -> np.ndarray:
    return pc.fill_null(pc.equal(kind, name), False).to_numpy()


def _micros(times: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Microseconds since 1970; an absent time is the earliest."""
    return pc.fill_null(times.cast(pa.int64()), np.iinfo(np.int64).min).to_numpy()

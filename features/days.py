"""A user's days in NumPy over Arrow: one pass over the events, in the order of their users.

Sets, maps and the latest of something have no buffer of a fixed size, so that Spark can only sort for them, and once
for each order that is asked for. Here events are sorted once, by a whole number, and all else is arithmetic on
whole numbers, and sums are exact. What is only counted (sessions, orders, items) comes as a hash of 64 bits, which
costs a fraction of a name on the way: a person's day is told wrongly when two of its own share one, one pair in 2^64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from features.arrow import by_user, codes, lengths_of, ranked, starts, sums, users_of, whole_users

SCHEMA = (
    "user_id string, event_date date, user_bucket int, events long, sessions long, quick_exits long, "
    "back_and_forth long, dwell_ms long, orders long, units double, amount double, amount_returned double, "
    "last_purchase_time timestamp, last_time timestamp, dayparts map<string, double>, "
    "devices map<string, double>, country string"
)
# Money and units are summed in whole millionths.
MICROS = 1e6
# Microseconds of a day.
DAY = 86_400_000_000
NEVER = np.iinfo(np.int64).min
# Whoever is back this soon had not looked for long: a choice, not a measurement. Microseconds.
RAPID = 30_000_000
_TIME = pa.timestamp("us", "UTC")


def days(events: DataFrame, parts: Sequence[str]) -> DataFrame:
    """SCHEMA: a row a user and day, as features.tiles.user_day says.

    events: [user_id, user_bucket, device, country (names; the latter may be null), session, order, and item, of what is
    looked at (long: hashes, or null; an event of an order is a purchase), units, amount, of purchases and of what came
    back, and dwell_ms (long; 0 where there is none), at (microseconds since 1970)]. parts: of a day, all as long.
    """
    return by_user(events).mapInArrow(_kernel(tuple(parts)), SCHEMA)


def _kernel(parts: tuple[str, ...]) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def tell(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in whole_users(batches):
            yield _days(rows, parts)

    return tell


def _days(rows: pa.Table, parts: tuple[str, ...]) -> pa.RecordBatch:
    """The days of whole users."""
    user, _ = users_of(rows)
    at = rows["at"].to_numpy()
    date, time = np.divmod(at, DAY)
    since = date - date.min()
    place = user * (since.max() + 1) + since
    order = np.argsort(place, kind="stable")
    first = starts(place[order])
    lengths = lengths_of(first, len(order))
    days = len(first)
    day = np.empty(len(order), np.int64)
    day[order] = np.repeat(np.arange(days), lengths)

    def of_day(values: np.ndarray) -> np.ndarray:
        return sums(values[order], first)

    def latest(times: np.ndarray) -> pa.Array:
        last = np.maximum.reduceat(times[order], first)
        return pa.array(last, mask=last == NEVER).cast(_TIME)

    session, bought = codes(rows["session"]), codes(rows["order"])
    purchase = bought >= 0
    units, amount, dwell = (rows[name].to_numpy() for name in ("units", "amount", "dwell_ms"))
    sessions, quick_exits = _sessions(day, session, days)
    one = pa.array(order[first])
    found = {"user_id": rows["user_id"].combine_chunks().take(one)}
    found |= {"event_date": pa.array(date[order[first]].astype(np.int32)).cast(pa.date32())}
    found |= {"user_bucket": rows["user_bucket"].combine_chunks().take(one)}
    found |= {"events": lengths, "sessions": sessions, "quick_exits": quick_exits}
    found |= {"back_and_forth": _back_and_forth(day, session, rows["item"], at, days), "dwell_ms": of_day(dwell)}
    found |= {"orders": _orders(user, at, day, bought, days), "units": of_day(units) / MICROS}
    found |= {"amount": of_day(np.where(purchase, amount, 0)) / MICROS}
    found |= {"amount_returned": of_day(np.where(purchase, 0, amount)) / MICROS}
    found |= {"last_purchase_time": latest(np.where(purchase, at, NEVER)), "last_time": latest(at)}
    found |= {"dayparts": _counted(day, time // (DAY // len(parts)), pa.array(parts, pa.string()), days)}
    devices, (device,) = ranked(rows["device"].combine_chunks())
    found |= {"devices": _counted(day, device, devices, days)}
    found |= {"country": _country(day, at, rows["country"].combine_chunks(), days)}
    return pa.RecordBatch.from_pydict(found)


def _sessions(day: np.ndarray, session: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Sessions by day, and those with one event on it."""
    there = session >= 0
    names = session.max(initial=0) + 1
    visits, events = np.unique(day[there] * names + session[there], return_counts=True)
    of_day = visits // names
    return np.bincount(of_day, minlength=days), np.bincount(of_day[events == 1], minlength=days)


def _back_and_forth(
    day: np.ndarray, session: np.ndarray, items: pa.ChunkedArray, at: np.ndarray, days: int
) -> np.ndarray:
    """By day, how often a session came back to the item before the last within RAPID of leaving it."""
    there = np.flatnonzero(items.is_valid().to_numpy() & (session >= 0))
    visit = (day * (session.max(initial=0) + 1) + session)[there]
    item, at = pc.fill_null(items, 0).to_numpy()[there], at[there]
    order = np.lexsort((item, at, visit))
    visit, item, at, day = visit[order], item[order], at[order], day[there[order]]
    # Looks at one item after another are one stay with it.
    another = np.ones(len(item), bool)
    another[1:] = (np.diff(visit) != 0) | (item[1:] != item[:-1])
    first = np.flatnonzero(another)
    left = first[1:-1] - 1
    back = first[2:]
    again = (visit[back] == visit[left]) & (item[back] == item[left]) & (at[back] - at[left] <= RAPID)
    return np.bincount(day[back[again]], minlength=days)


def _orders(user: np.ndarray, at: np.ndarray, day: np.ndarray, bought: np.ndarray, days: int) -> np.ndarray:
    """Orders by the day of their first line."""
    lines = np.flatnonzero(bought >= 0)
    which = user[lines] * (bought.max(initial=0) + 1) + bought[lines]
    by_order = np.lexsort((at[lines], which))
    began = lines[by_order[starts(which[by_order])]]
    return np.bincount(day[began], minlength=days)


def _counted(day: np.ndarray, key: np.ndarray, names: pa.Array, days: int) -> pa.Array:
    """Maps of events by name, in the order of the names."""
    entries, events = np.unique(day * len(names) + key, return_counts=True)
    bounds = np.searchsorted(entries, np.arange(days + 1) * len(names)).astype(np.int32)
    return pa.MapArray.from_arrays(
        pa.array(bounds), names.take(pa.array(entries % len(names))), pa.array(events.astype(np.float64))
    )


def _country(day: np.ndarray, at: np.ndarray, country: pa.Array, days: int) -> pa.Array:
    """The country of the latest event that has one; of several at once the last by name."""
    names, (key,) = ranked(country)
    there = np.flatnonzero(key >= 0)
    order = there[np.lexsort((key[there], at[there], day[there]))]
    last = order[np.flatnonzero(np.diff(day[order], append=days))]
    latest = np.full(days, -1)
    latest[day[last]] = key[last]
    return names.take(pa.array(latest, mask=latest < 0))

"""A user's days in NumPy over Arrow: one pass over the events, in the order of their users.

Sets, maps and the latest of something have no buffer of a fixed size, so that Spark can only sort for them, and once
for each order that is asked for. Here events are sorted once, by a whole number, and all else is arithmetic on
whole numbers: names count by their place among all names, and sums are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from features.arrow import by_user, lengths_of, ranked, starts, sums, users_of, whole_users

# Of an event, in whole numbers; money and units in millionths.
MONEY = ("units", "amount", "amount_returned")
SCHEMA = (
    "user_id string, event_date date, user_bucket int, events long, sessions long, quick_exits long, "
    "back_and_forth long, dwell_ms long, orders long, units double, amount double, amount_returned double, "
    "last_purchase_time timestamp, last_time timestamp, dayparts map<string, double>, "
    "devices map<string, double>, country string"
)
MICROS = 1e6
NEVER = np.iinfo(np.int64).min
# Whoever is back this soon had not looked for long: a choice, not a measurement. Microseconds.
RAPID = 30_000_000
_TIME = pa.timestamp("us", "UTC")


def days(events: DataFrame, parts: Sequence[str]) -> DataFrame:
    """SCHEMA: a row a user and day, as features.tiles.user_day says.

    events: [user_id, user_bucket, event_date, session_id, device, country, source, order and item, of what is looked at
    (names; but for device, they may be null), part (place in parts), units, amount, amount_returned and dwell_ms (long;
    0 where there is none), at and purchased_at (microseconds since 1970; the latter is null where nothing was bought)].
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
    date = rows["event_date"].cast(pa.int32()).to_numpy().astype(np.int64)
    date -= date.min()
    place = user * (date.max() + 1) + date
    order = np.argsort(place, kind="stable")
    first = starts(place[order])
    lengths = lengths_of(first, len(order))
    days = len(first)
    day = np.empty(len(order), np.int64)
    day[order] = np.repeat(np.arange(days), lengths)

    def latest(name: str) -> pa.Array:
        at = np.maximum.reduceat(pc.fill_null(rows[name], NEVER).to_numpy()[order], first)
        return pa.array(at, mask=at == NEVER).cast(_TIME)

    session, source, bought, item = (
        ranked(rows[name].combine_chunks()) for name in ("session_id", "source", "order", "item")
    )
    sessions, quick_exits = _sessions(day, session[1][0], days)
    at = rows["at"].to_numpy()
    found = {name: rows[name].combine_chunks().take(pa.array(order[first])) for name in ("user_id", "event_date")}
    found |= {"user_bucket": rows["user_bucket"].combine_chunks().take(pa.array(order[first]))}
    found |= {"events": lengths, "sessions": sessions, "quick_exits": quick_exits}
    found |= {"back_and_forth": _back_and_forth(day, session[1][0], item[1][0], at, days)}
    found |= {"dwell_ms": sums(rows["dwell_ms"].to_numpy()[order], first)}
    found |= {"orders": _orders(user, date, day, source[1][0], bought[1][0], days)}
    found |= {name: sums(rows[name].to_numpy()[order], first) / MICROS for name in MONEY}
    found |= {"last_purchase_time": latest("purchased_at"), "last_time": latest("at")}
    names = pa.array(parts, pa.string())
    found |= {"dayparts": _counted(day, rows["part"].to_numpy(), names, days)}
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


def _back_and_forth(day: np.ndarray, session: np.ndarray, item: np.ndarray, at: np.ndarray, days: int) -> np.ndarray:
    """By day, how often a session came back to the item before the last within RAPID of leaving it."""
    there = np.flatnonzero((item >= 0) & (session >= 0))
    visit = day * (session.max(initial=0) + 1) + session
    order = there[np.lexsort((item[there], at[there], visit[there]))]
    visit, item, at = visit[order], item[order], at[order]
    # Looks at one item after another are one stay with it.
    first = np.flatnonzero((np.diff(visit, prepend=-1) != 0) | (np.diff(item, prepend=-1) != 0))
    left = first[1:-1] - 1
    back = first[2:]
    again = (visit[back] == visit[left]) & (item[back] == item[left]) & (at[back] - at[left] <= RAPID)
    return np.bincount(day[order[back[again]]], minlength=days)


def _orders(
    user: np.ndarray, date: np.ndarray, day: np.ndarray, source: np.ndarray, bought: np.ndarray, days: int
) -> np.ndarray:
    """Orders by the day of their first line."""
    lines = np.flatnonzero(bought >= 0)
    sources, orders = source.max(initial=0) + 2, bought.max(initial=0) + 1
    which = (user[lines] * sources + source[lines] + 1) * orders + bought[lines]
    by_order = np.lexsort((date[lines], which))
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

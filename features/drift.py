"""Whether a day is like the weeks before it: what is measured of a day, and what is too far from its past.

A measurement is one number of one day: [event_date, measure, key, value]. A night measures its own days only, and
compares the last of them with what the nights before it have left: the cost follows the day, not the history.

    events      events of a type
    nulls       share of events without a value in a column
    rejected    share of the day's lines that were rejected
    category    events of a top category
    currency    events with an amount in a currency
    segment     users of an RFM segment, as of the day after

The mixes of categories, currencies and segments are compared by the population stability index over shares p of the
day and q of the past, sum of (p - q) ln(p / q); above .25 the populations are taken for different (Siddiqi 2006,
"Credit Risk Scorecards"). Shares are smoothed by half a count a key, so that a new or vanished key is finite.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import fmean, median, pstdev
from typing import NamedTuple, Protocol

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

NULLABLE = ("item_id", "session_id", "order_id", "amount", "device", "country")
MIXES = {"category": "category_mix", "currency": "currency_mix", "segment": "segment_mix"}
UNKNOWN = "unknown"

# Fewer days of the past than these say nothing.
LEAST_DAYS = 7
# A weekday is compared with its own kind once there are so many.
LEAST_WEEKDAYS = 3
# Expected counts below it are noise.
LEAST_EVENTS = 50
# A count may be this many times its past, or its past this many times the count.
TIMES = 3.0
# A share may be this far from its past, or this many of the past's standard deviations.
SHARE, DEVIATIONS = 0.05, 4.0
PSI = 0.25


class Measurement(NamedTuple):
    """One number of one day."""

    event_date: date
    measure: str
    key: str
    value: float


class Counted(Protocol):
    """A row of counts_of()."""

    event_date: date
    measure: str
    key: str
    events: int
    nulls: Sequence[int]


@dataclass(frozen=True)
class Verdict:
    """A number beside its past. expected, low, high: None where there is too little of it. state: "within", "beyond",
    or "unknown" with too little of the past.
    """

    measurement: Measurement
    expected: float | None
    low: float | None
    high: float | None
    state: str

    def __str__(self) -> str:
        """For a person."""
        found = self.measurement
        return (
            f"{found.measure} of {found.key} is {found.value:.4g}, expected {self.expected:.4g} "
            f"(allowed {self.low:.4g} to {self.high:.4g})"
        )


def counts_of(events: DataFrame, items: DataFrame) -> DataFrame:
    """What one pass over the events says: [event_date, measure, key, events, nulls]; bots are left out.

    A row a day and event type (measure events), top category and currency. nulls: events without a value, in the order
    of NULLABLE. events: silver.events. items: silver.items.
    """
    people = events.filter(~F.coalesce("is_bot", F.lit(False)))
    top = F.coalesce(F.get("category", F.lit(0)), F.lit(UNKNOWN)).alias("top")
    described = people.join(items.select("item_id", top), "item_id", "left")
    entries = F.array(
        *(
            F.struct(F.lit(measure).alias("measure"), key.alias("key"))
            for measure, key in (
                ("events", F.col("event_type")),
                ("category", F.coalesce("top", F.lit(UNKNOWN))),
                ("currency", F.col("currency")),
            )
        )
    )
    lacking = F.array(*(F.col(name).isNull().cast("long") for name in NULLABLE)).alias("lacking")
    said = described.select("event_date", lacking, F.inline(entries)).filter(F.col("key").isNotNull())
    totals = F.array(*(F.sum(F.get("lacking", F.lit(place))) for place in range(len(NULLABLE))))
    return said.groupBy("event_date", "measure", "key").agg(F.count(F.lit(1)).alias("events"), totals.alias("nulls"))


def measurements(counts: Iterable[Counted], rejected: Mapping[date, int]) -> list[Measurement]:
    """The numbers of each day. counts: rows of counts_of(). rejected: lines by day."""
    found = []
    events: dict[date, int] = defaultdict(int, dict.fromkeys(rejected, 0))
    lacking: dict[date, list[int]] = defaultdict(lambda: [0] * len(NULLABLE))
    for row in counts:
        found.append(Measurement(row.event_date, row.measure, row.key, float(row.events)))
        if row.measure == "events":
            events[row.event_date] += row.events
            lacking[row.event_date] = [old + new for old, new in zip(lacking[row.event_date], row.nulls, strict=True)]
    for day, total in events.items():
        nulls = zip(NULLABLE, lacking[day], strict=True)
        found += [Measurement(day, "nulls", name, count / max(total, 1)) for name, count in nulls]
        lost = rejected.get(day, 0)
        found.append(Measurement(day, "rejected", "all", lost / max(total + lost, 1)))
    return found


def verdicts(day: date, today: Iterable[Measurement], past: Iterable[Measurement]) -> list[Verdict]:
    """The day's numbers beside those of the days before it, most telling first within a measure.

    past: measurements of earlier days; a key that a day does not name counted zero. The mixes come as measurements
    of their own, with the key "psi".
    """
    now = _by_key(measurement for measurement in today if measurement.event_date == day)
    before: dict[date, dict[tuple[str, str], float]] = defaultdict(dict)
    for found in past:
        if found.event_date < day:
            before[found.event_date][found.measure, found.key] = found.value
    kinds = {measure for measure, _ in now} | {measure for numbers in before.values() for measure, _ in numbers}
    answers = []
    for measure in sorted(kinds):
        days = {past_day: numbers for past_day, numbers in before.items() if any(key[0] == measure for key in numbers)}
        if measure in MIXES:
            answers.append(_mix(day, measure, now, days))
            continue
        keys = {key for key in (*now, *(key for numbers in days.values() for key in numbers)) if key[0] == measure}
        judge = _count if measure == "events" else _share
        answers += [judge(Measurement(day, *key, now.get(key, 0.0)), _values(days, key)) for key in sorted(keys)]
    return answers


def _by_key(measurements: Iterable[Measurement]) -> dict[tuple[str, str], float]:
    return {(found.measure, found.key): found.value for found in measurements}


def _values(days: dict[date, dict[tuple[str, str], float]], key: tuple[str, str]) -> dict[date, float]:
    return {day: numbers.get(key, 0.0) for day, numbers in days.items()}


def _count(found: Measurement, past: dict[date, float]) -> Verdict:
    """Against the median of the same weekdays, or of all days while those are few."""
    same = [value for day, value in past.items() if day.weekday() == found.event_date.weekday()]
    expected = median(same if len(same) >= LEAST_WEEKDAYS else past.values()) if past else 0.0
    if len(past) < LEAST_DAYS or (expected < LEAST_EVENTS and found.value < TIMES * LEAST_EVENTS):
        return Verdict(found, None, None, None, "unknown")
    low, high = expected / TIMES, max(expected, LEAST_EVENTS) * TIMES
    return Verdict(found, expected, low, high, "within" if low <= found.value <= high else "beyond")


def _share(found: Measurement, past: dict[date, float]) -> Verdict:
    if len(past) < LEAST_DAYS:
        return Verdict(found, None, None, None, "unknown")
    expected = fmean(past.values())
    room = max(SHARE, DEVIATIONS * pstdev(past.values()))
    low, high = max(0.0, expected - room), min(1.0, expected + room)
    return Verdict(found, expected, low, high, "within" if low <= found.value <= high else "beyond")


def _mix(
    day: date, measure: str, now: dict[tuple[str, str], float], days: dict[date, dict[tuple[str, str], float]]
) -> Verdict:
    mine = {key: value for (name, key), value in now.items() if name == measure}
    theirs: dict[str, float] = defaultdict(float)
    for numbers in days.values():
        for (name, key), value in numbers.items():
            if name == measure:
                theirs[key] += value
    found = Measurement(day, MIXES[measure], "psi", stability_index(mine, theirs))
    few = len(days) < LEAST_DAYS or min(sum(mine.values()), sum(theirs.values())) < LEAST_EVENTS
    if few:
        return Verdict(found, None, None, None, "unknown")
    return Verdict(found, 0.0, 0.0, PSI, "within" if found.value <= PSI else "beyond")


def stability_index(mine: dict[str, float], theirs: dict[str, float]) -> float:
    """Population stability index of two sets of counts by key; 0 when both are empty."""
    keys = sorted(set(mine) | set(theirs))
    mass = [sum(counts.values()) + 0.5 * len(keys) for counts in (mine, theirs)]
    shares = [((mine.get(key, 0.0) + 0.5) / mass[0], (theirs.get(key, 0.0) + 0.5) / mass[1]) for key in keys]
    return sum((own - other) * math.log(own / other) for own, other in shares)

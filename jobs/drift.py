"""Each night beside its trailing weeks: ops.drift, and a word or a stop where the day is unlike them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from pyspark.sql import functions as F

from features.drift import MIXES, Measurement, Verdict, counts_of, measurements, verdicts
from jobs.job import Context
from lake import delta, log
from lake.console import say
from lake.errors import ContractError
from lake.tables import DRIFT, EVENTS, REJECTED
from lake.window import Window

# How many lines of a night that went astray are told; all are in ops.drift.
TOLD = 10


def check_drift(context: Context, tiles: Window, segments: Mapping[str, int]) -> int:
    """Measure the days of the tiles, judge the window's last day, and write both; how many numbers are beyond bounds.

    segments: users of each RFM segment as of the window's end. With the setting drift=off nothing is done; with
    drift=stop, raises ContractError when a number is beyond its bounds, after ops.drift was written.
    """
    settings = context.settings
    if settings.drift == "off":
        return 0
    last = context.window.end - timedelta(days=1)
    now = _measured(context, tiles)
    now += [Measurement(last, "segment", name, float(count)) for name, count in segments.items()]
    found = verdicts(last, now, _past(context, last) + now)
    log.replace(settings, DRIFT, _rows(context, tiles, now, found), tiles, context.run_id)
    beyond = [verdict for verdict in found if verdict.state == "beyond"]
    if beyond:
        told = "; ".join(str(verdict) for verdict in beyond[:TOLD])
        message = f"{last} is unlike the {settings.drift_weeks} weeks before it: {told}. All numbers: {DRIFT.name}"
        if settings.drift == "stop":
            raise ContractError(
                f"{message}. Nothing downstream was touched. If the day is as it should be, run again with "
                "ATTUNE_DRIFT=warn"
            )
        say(message)
    return len(beyond)


def _measured(context: Context, tiles: Window) -> list[Measurement]:
    """Of the days of the tiles. What is collected has a row a day and key: few."""
    read = (context.spark, context.settings)
    events = delta.read(*read, EVENTS.name).filter(delta.in_window("event_date", tiles))
    counts = counts_of(events, delta.read(*read, "silver.items")).collect()
    if not log.may_hold(context.settings, REJECTED.name, "window_date", tiles):
        return measurements(counts, {})
    rejected = delta.read(*read, REJECTED.name).filter(delta.in_window("window_date", tiles))
    by_day = rejected.groupBy("window_date").agg(F.count(F.lit(1)).alias("lines")).collect()
    return measurements(counts, {row.window_date: row.lines for row in by_day})


def _past(context: Context, day: date) -> list[Measurement]:
    """What earlier nights measured of the trailing weeks."""
    weeks = Window(day - timedelta(weeks=context.settings.drift_weeks), day)
    rows = log.rows(context.settings, DRIFT, weeks)
    return [
        Measurement(row["event_date"], row["measure"], row["key"], row["value"])
        for row in rows
        if row["measure"] not in MIXES.values()
    ]


def _rows(context: Context, tiles: Window, now: list[Measurement], found: list[Verdict]) -> list[dict[str, Any]]:
    """Rows of ops.drift for the days of the tiles: all that was measured, and what was judged with its bounds."""
    judged = {verdict.measurement[:3]: verdict for verdict in found}
    numbers = {row[:3]: row for row in now if row.event_date in tiles}
    numbers |= {key: verdict.measurement for key, verdict in judged.items()}
    rows: list[dict[str, Any]] = []
    for key, row in sorted(numbers.items()):
        verdict = judged.get(key)
        bounds = (
            (verdict.expected, verdict.low, verdict.high, verdict.state) if verdict else (None, None, None, "measured")
        )
        rows.append(dict(zip(DRIFT.names, (*row, *bounds, context.run_id), strict=True)))
    return rows

"""silver -> gold: day tiles of the window, then RFM and affinities as of its end, gated before they are written.

Days before the window that cleaning has corrected for late events are computed again; where no run of clean_events
over this window says which they are, all days within the late horizon.
"""

from __future__ import annotations

import json
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.gate import gate
from features.affinity import affinity
from features.consent import consented_events, withdrawn_users, without_consent
from features.rfm import rfm
from features.tiles import user_day, user_item_day
from jobs.job import CLEANED_FROM, Context, Report
from lake import delta, log
from lake.console import say, step
from lake.errors import ContractError
from lake.runs import newest_done
from lake.settings import MissingConsent
from lake.tables import AFFINITY, CONSENTS, EVENTS, RFM, USER_DAY, USER_ITEM_DAY, Table
from lake.window import EARLIEST, Window, parse_date

AHEAD = ("great_expectations",)


def run(context: Context) -> Report:
    """Build the features of the window. Raises ContractError without silver.events, or when a gate fails."""
    settings = context.settings
    missing = settings.consent_default()
    if not delta.exists(context.spark, settings, EVENTS.name):
        raise ContractError(
            f"{EVENTS.name} was never written in {settings.home}; first: attune run clean_events "
            f"--start {context.window.start} --end {context.window.end}"
        )
    tiles = _corrected(context)
    consents = _table(context, "silver.consents")
    with step(f"day tiles {tiles}"):
        # First, because writing the tiles may drop the last trace of a user by which the other tables find them.
        forgotten = _forget(context, consents, missing)
        _write_tiles(context, tiles, consents, missing)
    with step(f"RFM and affinities as of {context.window.end}"):
        return _write_features(context, forgotten)


def _corrected(context: Context) -> Window:
    """The days whose events may have changed since their tiles were made."""
    window = context.window
    cleaned = newest_done(context.settings, "clean_events", window)
    if cleaned is None or CLEANED_FROM not in cleaned["details"]:
        return _recomputed(window, context.settings.late_horizon_days)
    return Window(min(parse_date(cleaned["details"][CLEANED_FROM]), window.start), window.end)


def _recomputed(window: Window, late_days: int) -> Window:
    """The window and the days before it that late events may have corrected."""
    return Window(max(EARLIEST, window.start - timedelta(days=late_days)), window.end)


def _write_tiles(context: Context, tiles: Window, consents: DataFrame, missing: MissingConsent) -> None:
    # One day more is read: an order that began on it must not count again on the first day that is written.
    read = _recomputed(tiles, 1)
    events = _table(context, EVENTS.name).filter(delta.in_window("event_date", read))
    allowed = consented_events(events, consents, missing, context.window.as_of)
    for table, make in ((USER_ITEM_DAY, user_item_day), (USER_DAY, user_day)):
        written = make(allowed).filter(delta.in_window("event_date", tiles))
        delta.replace_window(written, context.settings, table, delta.in_window("event_date", tiles), context.run_id)


def _forget(context: Context, consents: DataFrame, missing: MissingConsent) -> int:
    """Remove users who do not consent from every gold table that is kept by user; how many they were.

    Each table is looked through for itself: tiles of a user may be gone while older scores are still there.
    """
    if missing == "granted" and (log.is_empty(context.settings, CONSENTS.name) or withdrawn_users(consents).isEmpty()):
        return 0
    removed = 0
    for table in (USER_ITEM_DAY, USER_DAY, RFM, AFFINITY):
        users = _table(context, table.name).select("user_id")
        gone = without_consent(users, consents, missing).persist()
        found = gone.count()
        if found:
            delta.delete_users(context.spark, context.settings, table, gone, context.run_id)
        gone.unpersist()
        removed = max(removed, found)
    return removed


def _write_features(context: Context, forgotten: int) -> Report:
    """RFM and affinities: both are gated before either is written."""
    as_of = context.window.as_of
    before = f"event_date < '{context.window.end.isoformat()}'"
    days = _table(context, USER_DAY.name).filter(before)
    item_days = _table(context, USER_ITEM_DAY.name).filter(before)
    made: list[tuple[Table, DataFrame]] = [
        (RFM, rfm(days, as_of).persist()),
        (AFFINITY, affinity(item_days, days, _table(context, "silver.items"), as_of).persist()),
    ]
    for table, frame in made:
        gate(frame, table.name, context.settings, context.run_id)
    today = delta.in_window("as_of", Window.day(context.window.end))
    for table, frame in made:
        delta.replace_window(frame, context.settings, table, today, context.run_id, files=1)
    report = Report(details=_details(made[0][1], made[1][1], days, context, forgotten))
    for _, frame in made:
        frame.unpersist()
    return report


def _details(
    scored: DataFrame, leanings: DataFrame, days: DataFrame, context: Context, forgotten: int
) -> dict[str, str]:
    segments = {row["segment"]: row["count"] for row in scored.groupBy("segment").count().collect()}
    by_dimension = {row["dimension"]: row["count"] for row in leanings.groupBy("dimension").count().collect()}
    seen = (
        days.filter(delta.in_window("event_date", context.window)).agg(F.sum("events"), F.count(F.lit(1))).collect()[0]
    )
    if not seen[0]:
        say(f"{EVENTS.name} holds no event in {context.window} that may be used; scores only grow older")
    return {
        "events": str(seen[0] or 0),
        "user_days": str(seen[1]),
        "users_scored": str(sum(segments.values())),
        "users_removed": str(forgotten),
        "segments": json.dumps(dict(sorted(segments.items(), key=lambda item: -item[1]))),
        "affinities": json.dumps(by_dimension),
    }


def _table(context: Context, name: str) -> DataFrame:
    return delta.read(context.spark, context.settings, name)

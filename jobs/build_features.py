"""silver -> gold: day tiles of the window, then features as of its end, gated before they are written.

Days before the window that cleaning has corrected for late events are computed again; where no run of clean_events
over this window says which they are, all days within the late horizon.
"""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial, reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.gate import gates
from features.affinity import leanings_at
from features.consent import consented_events, withdrawn_users, without_consent
from features.engagement import engagement
from features.habits import HABIT_DAYS, habits
from features.intent import OPEN_DAYS, SEARCH_DAYS, intent, open_items, searches
from features.lift import of_users
from features.rfm import scored
from features.rfm_windows import windowed
from features.tiles import in_order, user_day, user_item_day
from jobs import due, held, value
from jobs.contexts import contexts_at
from jobs.drift import check_drift
from jobs.job import CLEANED_FROM, Context, Report
from jobs.population import population
from jobs.together import together
from jobs.user_state import bring_forward, state_at
from jobs.version import code_version
from lake import delta, log
from lake.console import say, step
from lake.errors import ContractError
from lake.runs import newest_done
from lake.settings import MissingConsent
from lake.state import Marker
from lake.tables import (
    AFFINITY,
    CONSENTS,
    CONTEXT,
    CYCLES,
    DUE_AGAIN,
    ENGAGEMENT,
    EVENTS,
    INTENT,
    ITEMS,
    RFM,
    RFM_WINDOWS,
    USER_DAY,
    USER_ITEM_DAY,
    USER_STATE,
    VALUE,
    Table,
)
from lake.window import EARLIEST, Window, parse_date

AHEAD = ("great_expectations", "scipy.optimize")

# A detail of the runs: what the features were made of.
INPUTS = "made of"


def run(context: Context) -> Report:
    """Build the features of the window. Raises ContractError without silver.events, or when a gate fails."""
    settings = context.settings
    missing = settings.consent_default()
    if not log.exists(settings, EVENTS.name):
        raise ContractError(
            f"{EVENTS.name} was never written in {settings.home}; first: attune run clean_events "
            f"--start {context.window.start} --end {context.window.end}"
        )
    inputs = _inputs(context)
    done = None if context.forced else _done(context, inputs)
    if done:
        return Report(skipped=f"run {done[:8]} built it from the same tables; to build it again: --option force=true")
    tiles = _corrected(context)
    consents = _table(context, "silver.consents")
    with step(f"day tiles {tiles}"):
        # First, because writing the tiles may drop the last trace of a user by which the other tables find them.
        forgotten = _forget(context, consents, missing)
        _write_tiles(context, tiles, consents, missing)
    with step(f"RFM, engagement, intent, what is due again, value and affinities as of {context.window.end}"):
        report = _write_features(context, tiles, forgotten)
    report.details[INPUTS] = inputs
    return report


def _inputs(context: Context) -> str:
    """What the features are made of: versions of tables, and what decides about people without a consent."""
    versions = {name: log.version(context.settings, name) for name in (EVENTS.name, "silver.items", CONSENTS.name)}
    said = {"missing_consent": context.settings.missing_consent, "horizon": context.settings.value_horizon_days,
            "windows": context.settings.rfm_windows_days}  # fmt: skip
    return json.dumps(versions | said | {"code": code_version()})


def _done(context: Context, inputs: str) -> str | None:
    """The run that has done all this already, or None."""
    run = newest_done(context.settings, "build_features", context.window)
    today = Window.day(context.window.end)
    kept = any(log.may_hold(context.settings, table.name, "as_of", today) for table in (RFM, AFFINITY))
    return str(run["run_id"]) if run and kept and run["details"].get(INPUTS) == inputs else None


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
    written = delta.in_window("event_date", tiles)
    made = {USER_ITEM_DAY: user_item_day(allowed), USER_DAY: user_day(allowed)}
    together(
        *(
            partial(
                delta.replace_window, in_order(frame.filter(written)), context.settings, table, written, context.run_id
            )
            for table, frame in made.items()
        )
    )


def _forget(context: Context, consents: DataFrame, missing: MissingConsent) -> int:
    """Remove users who do not consent from every gold table that is kept by user; how many they were.

    Each table is looked through for itself: tiles of a user may be gone while older scores are still there.
    """
    if missing == "granted" and (log.is_empty(context.settings, CONSENTS.name) or withdrawn_users(consents).isEmpty()):
        return 0
    tables = (
        USER_ITEM_DAY, USER_DAY, USER_STATE, RFM, RFM_WINDOWS, ENGAGEMENT, INTENT, AFFINITY, CONTEXT, DUE_AGAIN,
        VALUE,
    )  # fmt: skip
    # One query for all of them: a plan costs more than the reading on most nights.
    users = (_table(context, table.name).select("user_id", F.lit(table.name).alias("held_in")) for table in tables)
    gone = without_consent(reduce(DataFrame.unionByName, users), consents, missing).persist()
    found = {row["held_in"]: row["count"] for row in gone.groupBy("held_in").count().collect()}
    together(
        *(
            partial(
                delta.delete_users, context.spark, context.settings, table, gone.filter(F.col("held_in") == table.name),
                context.run_id,
            )
            for table in tables
            if table.name in found
        )
    )  # fmt: skip
    gone.unpersist()
    return max(found.values(), default=0)


def _write_features(context: Context, tiles: Window, forgotten: int) -> Report:
    """RFM, engagement and value of all users, affinities of those touched, from the state; intent, contexts and what is
    due again from the last days; written when all pass.
    """
    end = context.window.end
    asked = _searches(context).persist()
    meant, done = _intent(context, asked), _habits(context, asked)
    # What needs no state is told meanwhile: to bring that forward is one small step after another.
    (marker, _), *_ = together(partial(bring_forward, context), partial(_settle, meant), partial(_settle, done))
    # Where the window lies in the past the state is made from all tiles: once, for all that is read from it.
    state = state_at(context, end) if marker.as_of == end else state_at(context, end).persist()
    users, engaged = scored(state, end), engagement(state, end).join(done, "user_id", "left")
    lately = windowed(state, end, context.settings.rfm_windows_days)
    anew, again = _affinities(context, marker, state), due.due_at(context, marker)
    placed = contexts_at(context, marker)
    scores = value.value_at(context, state, end)
    told = [
        (RFM, users), (RFM_WINDOWS, lately), (ENGAGEMENT, engaged), (INTENT, meant), (AFFINITY, anew),
        (CONTEXT, placed.rows), (DUE_AGAIN, again.held.rows), (VALUE, scores.frame),
    ]  # fmt: skip
    made = [(table, rows) for table, rows in told if rows is not None]
    # Planned at once too: of few users the plans take longer than the rows.
    together(*(partial(_settle, rows) for _, rows in made if rows is not meant))
    segments = {row["segment"]: row["count"] for row in users.groupBy("segment").count().collect()}
    beyond = check_drift(context, tiles, segments)
    gates(
        [*((rows, table.name) for table, rows in made), *((usual, CYCLES.name) for usual in again.cycles.values())],
        context.settings, context.run_id,
    )  # fmt: skip
    today, days = delta.in_window("as_of", Window.day(end)), sorted({end, marker.as_of})
    written = " OR ".join(delta.in_window("as_of", Window.day(day)) for day in days)
    corrected = tiles.start < context.window.start

    def replace(table: Table, frame: DataFrame, rows: str, files: int | None = 1) -> partial[None]:
        return partial(delta.replace_window, frame, context.settings, table, rows, context.run_id, files)

    together(
        *(replace(table, rows, today) for table, rows in told[:4] if rows is not None),
        replace(AFFINITY, anew, written, None),
        partial(held.write, context, placed, days, corrected=corrected),
        partial(due.write, context, again, days, corrected=corrected),
        partial(value.write, context, scores),
    )
    report = Report(details=_details(segments, context, forgotten) | {"drift": str(beyond), "value": scores.made_by})
    for frame in (asked, done, state, *(rows for _, rows in made), *again.cycles.values()):
        frame.unpersist()
    return report


def _settle(frame: DataFrame) -> None:
    frame.persist().count()


def _searches(context: Context) -> DataFrame:
    """What users searched for in the days before the window's end."""
    allowed = consented_events(
        _lately(context, EVENTS.name, SEARCH_DAYS), _table(context, CONSENTS.name), context.settings.consent_default(),
        context.window.as_of,
    )  # fmt: skip
    return searches(allowed, context.window.end)


def _intent(context: Context, asked: DataFrame) -> DataFrame:
    """Rows of gold.intent as of the window's end: from the tiles of the days before it and the searches."""
    end = context.window.end
    opened = open_items(_lately(context, USER_ITEM_DAY.name, OPEN_DAYS), end)
    return intent(opened, asked, _table(context, ITEMS.name), end)


def _habits(context: Context, asked: DataFrame) -> DataFrame:
    return habits(_lately(context, USER_ITEM_DAY.name, HABIT_DAYS), asked, context.window.end)


def _lately(context: Context, name: str, days: int) -> DataFrame:
    """A table's days before the window's end."""
    since = max(EARLIEST, context.window.end - timedelta(days=days))
    return _table(context, name).filter(delta.in_window("event_date", Window(since, context.window.end)))


def _affinities(context: Context, marker: Marker, state: DataFrame) -> DataFrame:
    """Rows of gold.affinity: as of the marker's date, of the users touched since the latest row before it; and, where
    the window lies in the past, as of its end, of everybody. state: as of the window's end.
    """
    touched = held.touched(context, AFFINITY, marker)
    asked = _table(context, USER_STATE.name) if touched is None else touched
    rows = leanings_at(asked, marker.as_of, population(context, write=True))
    if marker.as_of == context.window.end:
        return rows
    return rows.unionByName(leanings_at(state, context.window.end, of_users(state)))


def _details(segments: dict[str, int], context: Context, forgotten: int) -> dict[str, str]:
    leanings = _table(context, AFFINITY.name).filter(delta.in_window("as_of", Window.day(context.window.end)))
    by_dimension = {row["dimension"]: row["count"] for row in leanings.groupBy("dimension").count().collect()}
    days = _table(context, USER_DAY.name).filter(delta.in_window("event_date", context.window))
    seen = days.agg(F.sum("events"), F.count(F.lit(1))).collect()[0]
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

"""Bringing gold.user_state forward to the tiles as they are: by what has changed in them, or from nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features import item_history
from features.affinity import DIMENSIONS, HALF_LIFE_DAYS, anchor_of, item_keys
from features.consent import without_consent
from features.state import changed, from_nothing
from jobs.job import Context
from jobs.population import following, keep
from lake import delta, log, state
from lake.console import say
from lake.errors import AttuneError
from lake.state import Marker
from lake.tables import AFFINITY, CONSENTS, CONTEXT, DUE_AGAIN, ITEM_KEYS, ITEMS, USER_DAY, USER_ITEM_DAY, USER_STATE
from lake.window import EARLIEST

# Runs at once on one home are few; each loses its turn to another at most once.
ATTEMPTS = 5
TILES = (USER_ITEM_DAY, USER_DAY)


def state_at(context: Context, as_of: date) -> DataFrame:
    """The state as of a date: the table where it stands at that date, and is of this contract, else made from tiles;
    writes nothing.
    """
    if stands_at(context, as_of):
        return delta.read(context.spark, context.settings, USER_STATE.name)
    return as_of_tiles(context, as_of)


def stands_at(context: Context, as_of: date) -> bool:
    """Whether gold.user_state is as of this date, and of this contract."""
    marker = state.read_marker(context.settings)
    if marker is None or marker.as_of != as_of:
        return False
    return marker.columns == USER_STATE.names and marker.dimensions == DIMENSIONS


def bring_forward(context: Context) -> tuple[Marker, bool]:
    """Let gold.user_state hold all tiles of days before the window's end, or before its own date where that is later.

    Whatever happened since its last commit is counted once: late events, days written anew, users forgotten, runs that
    were killed. Gives the date it is as of, with the rest of its marker, and whether it was made from nothing.
    Raises AttuneError when other runs keep coming first.
    """
    for _ in range(ATTEMPTS):
        base = state.read_marker(context.settings)
        # Before the catalogue is read: what comes to it meanwhile is of the next night.
        catalogue = log.version(context.settings, ITEMS.name)
        if base is None or base.versions.get(ITEMS.name) != catalogue:
            _record_keys(context, base)
        for table in TILES:
            state.track(context.settings, table)
        versions = {table.name: log.version(context.settings, table.name) for table in (*TILES, ITEM_KEYS)}
        versions[ITEMS.name] = catalogue
        end = max(context.window.end, base.as_of) if base else context.window.end
        marker = Marker(-1, context.run_id, end, HALF_LIFE_DAYS, versions, datetime.now(UTC), dimensions=DIMENSIONS)
        reason = _why_from_nothing(context, base, marker)
        if base is None or reason is not None:
            say(f"{USER_STATE.name} is made from all tiles: {reason}")
            rows = as_of_tiles(context, end, versions).withColumn("touched", F.lit(end))
            if state.write(rows, context.settings, base, marker, whole=True):
                return marker, True
        elif _write_changes(context, base, marker):
            return marker, False
    raise AttuneError(f"{USER_STATE.name} was changed by other runs {ATTEMPTS} times; run again when they are done")


def as_of_tiles(context: Context, end: date, versions: dict[str, int] | None = None) -> DataFrame:
    """The state as of a date, from all tiles before it; writes nothing."""
    tiles, days = (
        delta.read(context.spark, context.settings, table.name, versions[table.name] if versions else None)
        for table in TILES
    )
    return from_nothing(tiles, days, _keys(context), end)


def _write_changes(context: Context, base: Marker, marker: Marker) -> bool:
    """Apply the changes since base in one commit; True when they are in, or there are none."""
    settings, spark = context.settings, context.spark
    # Most nights only add days: asked of the log, because what takes back makes a plan of twice the stages.
    past = any(state.corrected(settings, table, base, marker.versions[table.name]) for table in TILES)
    item_changes, day_changes = (
        state.changes(spark, settings, table, base, marker.versions, marker.as_of, past=past) for table in TILES
    )
    if past:
        # Who was forgotten is out of the state already.
        consents = delta.read(spark, settings, CONSENTS.name)
        refusing = without_consent(day_changes.select("user_id"), consents, settings.consent_default())
        item_changes, day_changes = (
            frame.join(refusing, "user_id", "left_anti") for frame in (item_changes, day_changes)
        )
    held = delta.read(spark, settings, USER_STATE.name)
    found = changed(held, item_changes, day_changes, _keys(context), anchor_of(marker.as_of)).persist()
    try:
        changes, again, gone = found.agg(
            F.count(F.lit(1)), F.count_if("uncertain"), F.count_if(~F.col("uncertain") & (F.col("days") == 0))
        ).collect()[0]
        if not changes:
            return True
        rows = found.filter("NOT uncertain").drop("uncertain", "added")
        if again:
            say(f"{USER_STATE.name}: {again:,} users whose past has changed are made from all their tiles")
            rows = rows.unionByName(_again(context, found.filter("uncertain").select("user_id"), marker))
        if again or gone:
            # Before the state is written: a run that is killed in between finds them again.
            nothing_left = rows.filter("days = 0").select("user_id")
            for table in (AFFINITY, CONTEXT, DUE_AGAIN):
                delta.delete_users(spark, settings, table, nothing_left, context.run_id)
        # Now: Spark forgets what it keeps of a table, and of what was made of it, when the table is written.
        units = None if again else following(context, found)
        written = state.write(rows.withColumn("touched", F.lit(marker.as_of)), settings, base, marker, whole=False)
        now = state.read_marker(settings)
        if units is not None and written and now is not None and now.commit == units[1]:
            keep(context, *units)
        return written
    finally:
        found.unpersist()


def _again(context: Context, users: DataFrame, marker: Marker) -> DataFrame:
    """State of these users from their tiles; days = 0 for who has none left."""
    tiles, days = (
        delta.read(context.spark, context.settings, table.name, marker.versions[table.name]).join(
            F.broadcast(users), "user_id", "left_semi"
        )
        for table in TILES
    )
    made = from_nothing(tiles, days, _keys(context), marker.as_of)
    return users.join(made, "user_id", "left").withColumn("days", F.coalesce("days", F.lit(0)))


def _why_from_nothing(context: Context, base: Marker | None, marker: Marker) -> str | None:
    """Why changes cannot tell; None when they can."""
    if base is None:
        return "it does not say what it holds"
    if base.columns != marker.columns or base.dimensions != marker.dimensions:
        return "it is of an earlier contract"
    if not all(state.tracked(context.settings, table, base.versions[table.name]) for table in TILES):
        return "changes of the tiles were not kept"
    if base.versions[ITEM_KEYS.name] < 0 <= marker.versions[ITEM_KEYS.name]:
        return "the catalogue was not known before"
    if base.half_life_days != marker.half_life_days or anchor_of(base.as_of) != anchor_of(marker.as_of):
        return f"scores have a new anchor, {anchor_of(marker.as_of)}"
    if datetime.now(UTC) - base.at > state.CHANGES_KEPT:
        return f"it was last written on {base.at:%Y-%m-%d}; changes are kept for {state.CHANGES_KEPT.days} days"
    return None


def _record_keys(context: Context, base: Marker | None) -> None:
    """Note what the catalogue says now, for events from the first day on that the state does not hold yet."""
    history = delta.read(context.spark, context.settings, ITEM_KEYS.name)
    known = item_keys(delta.read(context.spark, context.settings, ITEMS.name))
    since = base.as_of if base else context.window.end
    if log.version(context.settings, ITEM_KEYS.name) < 0:
        since = EARLIEST
    state.record_keys(item_history.changes(history, known, since), context.settings, base, context.run_id)


def _keys(context: Context) -> DataFrame:
    return item_history.versions(delta.read(context.spark, context.settings, ITEM_KEYS.name))

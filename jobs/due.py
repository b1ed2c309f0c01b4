"""gold.due_again: of the users a night touched, by usual cycles that are taken of everybody once a week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features import item_history
from features.due_again import CYCLE_DAYS, bought, cycles, due_again
from jobs.job import Context
from lake import delta, log
from lake.state import Marker
from lake.tables import CYCLES, DUE_AGAIN, ITEM_KEYS, ITEMS, USER_ITEM_DAY, USER_STATE
from lake.window import EARLIEST, Window

# Cycles of everybody are a pass over a year of purchases; in a week they hardly change.
REFIT_DAYS = 7


@dataclass(frozen=True)
class Due:
    """Rows of gold.due_again, and by date those of gold.cycles that are new. touched: whose rows as of the state's date
    are among them; None: everybody's.
    """

    rows: DataFrame
    cycles: dict[date, DataFrame]
    touched: DataFrame | None

    def release(self) -> None:
        """Let persisted frames go."""
        for frame in (self.rows, *self.cycles.values()):
            frame.unpersist()


def due_at(context: Context, marker: Marker) -> Due:
    """As of the marker's date, of the users touched since the latest rows before it; and, where the window lies in the
    past, as of its end, of everybody. Writes nothing.
    """
    since = log.last_date(context.settings, DUE_AGAIN.name, "as_of", marker.as_of)
    touched = None
    if since is not None:
        touched = _table(context, USER_STATE.name).filter(F.col("touched") > F.lit(since)).select("user_id")
    asked = {marker.as_of: touched}
    if context.window.end != marker.as_of:
        asked[context.window.end] = None
    rows, fresh = [], {}
    for day, users in asked.items():
        everybody = _bought(context, day)
        usual = None if context.forced else _kept(context, day)
        if usual is None:
            usual = fresh[day] = cycles(everybody, day).persist()
        own = everybody if users is None else _bought(context, day, users)
        rows.append(due_again(own, usual, day))
    return Due(reduce(DataFrame.unionByName, rows).persist(), fresh, touched)


def write(context: Context, due: Due, days: list[date], *, corrected: bool) -> None:
    """Write the rows as of the days. corrected: days that the state held may have changed, so that nothing is left for
    some of whom there was something: their earlier rows go.
    """
    settings = context.settings
    for day, usual in due.cycles.items():
        today = delta.in_window("as_of", Window.day(day))
        delta.replace_window(usual, settings, CYCLES, today, context.run_id, files=1)
    if corrected and due.touched is not None:
        nothing = due.touched.join(due.rows.select("user_id").distinct(), "user_id", "left_anti")
        delta.delete_users(context.spark, settings, DUE_AGAIN, nothing, context.run_id)
    written = " OR ".join(delta.in_window("as_of", Window.day(day)) for day in days)
    delta.replace_window(due.rows, settings, DUE_AGAIN, written, context.run_id)


def _bought(context: Context, day: date, users: DataFrame | None = None) -> DataFrame:
    since = Window(max(EARLIEST, day - timedelta(days=CYCLE_DAYS)), day)
    tiles = _table(context, USER_ITEM_DAY.name).filter(delta.in_window("event_date", since))
    if users is not None:
        tiles = tiles.join(users, "user_id", "left_semi")
    keys = item_history.versions(_table(context, ITEM_KEYS.name))
    return bought(tiles, keys, _table(context, ITEMS.name), day)


def _kept(context: Context, day: date) -> DataFrame | None:
    """The newest cycles as of a date up to the day, if younger than REFIT_DAYS."""
    last = log.last_date(context.settings, CYCLES.name, "as_of", day + timedelta(days=1))
    if last is None or (day - last).days >= REFIT_DAYS:
        return None
    return _table(context, CYCLES.name).filter(F.col("as_of") == F.lit(last))


def _table(context: Context, name: str) -> DataFrame:
    return delta.read(context.spark, context.settings, name)

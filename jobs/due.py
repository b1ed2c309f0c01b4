"""gold.due_again: of the users a night touched, by usual cycles that are taken of everybody once a week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features import item_history
from features.due_again import CYCLE_DAYS, bought, cycles, due_again
from jobs import held
from jobs.held import Held, made
from jobs.job import Context
from lake import delta, log
from lake.state import Marker
from lake.tables import CYCLES, DUE_AGAIN, ITEM_KEYS, ITEMS, USER_ITEM_DAY
from lake.window import EARLIEST, Window

# Cycles of everybody are a pass over a year of purchases; in a week they hardly change.
REFIT_DAYS = 7


@dataclass(frozen=True)
class Due:
    """Rows of gold.due_again, and by date those of gold.cycles that are new."""

    held: Held
    cycles: dict[date, DataFrame]


def due_at(context: Context, marker: Marker) -> Due:
    """Of whom and as of when: see jobs/held.py. Writes nothing."""
    fresh: dict[date, DataFrame] = {}

    def make(day: date, users: DataFrame | None) -> DataFrame:
        everybody = _bought(context, day)
        usual = None if context.forced else _kept(context, day)
        if usual is None:
            usual = fresh[day] = cycles(everybody, day).persist()
        return due_again(everybody if users is None else _bought(context, day, users), usual, day)

    return Due(made(context, DUE_AGAIN, marker, make), fresh)


def write(context: Context, due: Due, days: list[date], *, corrected: bool) -> None:
    """Write both: see jobs/held.py."""
    for day, usual in due.cycles.items():
        today = delta.in_window("as_of", Window.day(day))
        delta.replace_window(usual, context.settings, CYCLES, today, context.run_id, files=1)
    held.write(context, due.held, days, corrected=corrected)


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

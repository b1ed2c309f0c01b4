"""Rows that hold of a user until their next: a night writes those of the users it touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.job import Context
from lake import delta, log
from lake.state import Marker
from lake.tables import USER_STATE, Table
from lake.window import Window

# The rows as of a date: of these users, [user_id], or of everybody.
Make = Callable[[date, DataFrame | None], DataFrame]


@dataclass(frozen=True)
class Held:
    """Rows of a table. touched: whose rows as of the state's date are among them; None: everybody's."""

    table: Table
    rows: DataFrame
    touched: DataFrame | None


def touched(context: Context, table: Table, marker: Marker) -> DataFrame | None:
    """The rows of gold.user_state of whom nights touched since the latest rows of a table before the marker's date;
    None where there are none: then everybody's are wanted.
    """
    since = log.last_date(context.settings, table.name, "as_of", marker.as_of)
    held = delta.read(context.spark, context.settings, USER_STATE.name)
    return None if since is None else held.filter(F.col("touched") > F.lit(since))


def made(context: Context, table: Table, marker: Marker, make: Make) -> Held:
    """As of the marker's date, of the users touched since the latest rows before it; and, where the window lies in the
    past, as of its end, of everybody. Writes nothing.
    """
    users = touched(context, table, marker)
    users = None if users is None else users.select("user_id")
    rows = [make(marker.as_of, users)]
    if context.window.end != marker.as_of:
        rows.append(make(context.window.end, None))
    return Held(table, reduce(DataFrame.unionByName, rows), users)


def write(context: Context, found: Held, days: list[date], *, corrected: bool) -> None:
    """Write the rows as of the days. corrected: days that the state held may have changed, so that nothing is left for
    some of whom there was something: their earlier rows go.
    """
    if corrected and found.touched is not None:
        nothing = found.touched.join(found.rows.select("user_id").distinct(), "user_id", "left_anti")
        delta.delete_users(context.spark, context.settings, found.table, nothing, context.run_id)
    written = " OR ".join(delta.in_window("as_of", Window.day(day)) for day in days)
    delta.replace_window(found.rows, context.settings, found.table, written, context.run_id)

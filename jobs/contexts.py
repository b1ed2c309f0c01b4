"""gold.context: what the users a night touched prefer when and where, from the tiles of the last weeks."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import DataFrame

from features import item_history
from features.context import CONTEXT_DAYS, preferred
from jobs.held import Held, made
from jobs.job import Context
from lake import delta
from lake.state import Marker
from lake.tables import CONTEXT, ITEM_KEYS, ITEMS, USER_DAY, USER_ITEM_DAY
from lake.window import EARLIEST, Window


def contexts_at(context: Context, marker: Marker) -> Held:
    """Of whom and as of when: see jobs/held.py. Writes nothing."""

    def read(name: str) -> DataFrame:
        return delta.read(context.spark, context.settings, name)

    def make(day: date, users: DataFrame | None) -> DataFrame:
        since = Window(max(EARLIEST, day - timedelta(days=CONTEXT_DAYS)), day)
        tiles, days = (
            read(table.name).filter(delta.in_window("event_date", since)) for table in (USER_ITEM_DAY, USER_DAY)
        )
        if users is not None:
            tiles, days = (frame.join(users, "user_id", "left_semi") for frame in (tiles, days))
        return preferred(tiles, days, item_history.versions(read(ITEM_KEYS.name)), read(ITEMS.name), day)

    return made(context, CONTEXT, marker, make)

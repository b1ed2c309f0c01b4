"""Sources and facts as of an instant, of a log: what a training fits before each cut.

Frames that are read often are settled: written into a training's folder and read back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features.affinity import anchor_of, item_keys, leanings, leanings_at
from features.engagement import engagement
from features.facts import facts as facts_of
from features.facts import users as users_of
from features.item_history import only
from features.lift import of_users
from features.rfm import scored as rfm_of
from features.tiles import user_day, user_item_day
from features.value import fitted, observed
from features.value import scored as valued
from lake.errors import ModelError
from models import hybrid
from models.hybrid import Parameters, Sources
from models.interactions import before
from models.ranking_features import HORIZON_DAYS, feature_date


@dataclass(frozen=True)
class Log:
    """What a training reads, of consenting users. events: silver.events without bots. tiles, days: gold.user_item_day
    and gold.user_day. items: silver.items. wanted: the positives of the events. profiles: silver.users, for a plot; or
    None.
    """

    events: DataFrame
    tiles: DataFrame
    days: DataFrame
    items: DataFrame
    wanted: DataFrame
    profiles: DataFrame | None = None


def fit_before(
    log: Log, instant: datetime, parameters: Parameters, folder: str, progress: Callable[[str], None]
) -> Sources:
    """All sources and facts of what happened before the instant.

    Whole days come from the tiles; the instant's own day is made from its events before the instant. Days count
    from the first midnight at or after the instant, so that this last, partial day is seen. folder, progress: see
    fit_als.
    """
    tiles, days = tiles_before(log, instant)
    tiles, day = settled(tiles, folder, "tiles"), feature_date(instant)
    # Small, and read by the features, the groups, the ladder and a plot.
    people = settled(users_of(facts_of(days)), folder, "people")
    standing = settled(rfm_of(people, day), folder, "rfm")
    # As a night reads them from the state: what all lean to is told by what each does, not by the tiles once more.
    kept = settled(leanings(tiles, days, only(item_keys(log.items)), anchor_of(day)), folder, "leanings")
    told = settled(leanings_at(kept, day, of_users(kept)), folder, "affinity")
    engaged, worth = engagement(people, day), worth_at(people, day)
    return hybrid.fit_sources(
        before(log.events, instant), tiles, standing, told, log.items, instant, parameters, folder,
        engaged=settled(engaged, folder, "engaged"), worth=None if worth is None else settled(worth, folder, "worth"),
        progress=progress,
    )  # fmt: skip


def worth_at(people: DataFrame, day: date) -> DataFrame | None:
    """As features.value.scored gives it, by a fit on the same people; None where they are too few for one."""
    found = observed(people, day)
    try:
        return valued(found, fitted(found, day), day, HORIZON_DAYS)
    except ModelError:
        return None


def tiles_before(log: Log, instant: datetime) -> tuple[DataFrame, DataFrame]:
    """User-item-day and user-day tiles of everything before the instant."""
    today = instant.date()
    # An order that began the day before must not count again: that day is read too, and then left out.
    late = before(log.events.where(F.col("event_date") >= F.lit(today - timedelta(days=1))), instant)
    whole, partial = F.col("event_date") < F.lit(today), F.col("event_date") == F.lit(today)
    tiles = log.tiles.where(whole).unionByName(user_item_day(late.where(partial)))
    days = log.days.where(whole).unionByName(user_day(late).where(partial))
    return tiles, days


def settled(frame: DataFrame, folder: str, name: str) -> DataFrame:
    """The frame, written into a training's folder and read back, while the folder is there.

    Its plan forgets how it was made: a persisted frame carries all of its making into every plan that reads it, and a
    few such plans at once are more than a small driver holds.
    """
    path = f"{folder}/frames/{name}"
    frame.write.mode("overwrite").parquet(path)
    return frame.sparkSession.read.schema(frame.schema).parquet(path)

"""Families of features that are told of people and that the ranker does not look at, as columns it could have: what
`make bench-families` adds to everything else, to see whether it should.

windows        RFM of the last 30, 90 and 365 days (features/rfm_windows.py)
demographics   who people are (features/demographics.py), each trait's values numbered in their order as words
context        of the item's broadest category: its part in the situations the user is in, each weighing as what was
               done there, and its greatest lift in one (features/context.py)
"""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from features.affinity import item_keys
from features.context import preferred
from features.demographics import TRAITS, demographics
from features.facts import facts, users
from features.item_history import only
from features.leanings import SEPARATOR
from features.packing import PATH
from features.rfm import SCORES
from features.rfm_windows import windowed
from models.fitting import Log, tiles_before
from models.ranking_features import feature_date

WINDOWS = (30, 90, 365)
MEASURES = ("frequency", "monetary", *SCORES)
ASIDE = {
    "windows": tuple(f"{measure}_{days}" for days in WINDOWS for measure in MEASURES),
    "demographics": tuple(TRAITS),
    "context": ("context_share", "context_lift"),
}


def beside(rows: pd.DataFrame, log: Log, instant: datetime, end: datetime) -> pd.DataFrame:
    """float32 columns of ASIDE for the rows, in their order, NaN where nothing is known; as of the instant.

    rows: user_id, item_id. end: by which people have said who they are, as nothing says since when they are it.
    """
    tiles, days = tiles_before(log, instant)
    day, asked = feature_date(instant), rows["user_id"].drop_duplicates()
    windows = windowed(users(facts(days)), day, WINDOWS).select("user_id", "window_days", *MEASURES).toPandas()
    lengths = [
        of.set_index("user_id")[list(MEASURES)].add_suffix(f"_{days}") for days, of in windows.groupby("window_days")
    ]
    found = rows.join(pd.concat(lengths, axis=1), on="user_id").join(_who(log, asked, feature_date(end)), on="user_id")
    keys, broadest = only(item_keys(log.items)), F.split(PATH, SEPARATOR)[0].alias("key")
    categories = keys.select("item_id", broadest).toPandas().set_index("item_id")
    told = preferred(tiles, days, keys, log.items, day)
    there = told.groupBy("user_id", "key").agg(
        (F.sum(F.col("share") * F.col("evidence")) / F.sum("evidence")).alias("context_share"),
        F.max("lift").alias("context_lift"),
    )
    found = found.join(categories, on="item_id").merge(there.toPandas(), on=["user_id", "key"], how="left")
    names = [name for family in ASIDE.values() for name in family]
    return found.reindex(columns=names).astype(np.float32)


def _who(log: Log, asked: pd.Series, day: date) -> pd.DataFrame:
    """Each trait as the place of its value among all of them, by user_id; no columns without profiles."""
    if log.profiles is None:
        return pd.DataFrame(index=pd.Index([], name="user_id"))
    people = log.profiles.sparkSession.createDataFrame(asked.to_frame())
    told = demographics(people, log.profiles, day).select("user_id", *TRAITS).toPandas().set_index("user_id")
    return told.apply(lambda values: values.astype("category").cat.codes)

"""Going back and forth, against an independent computation in pandas, on MovieLens-1M.

Its ratings have times to the second. A film counts as its first genre, so that people come back to it, a rating as a
look, and a day as a session.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from features.tiles import user_day
from lake.delta import completed, user_bucket
from lake.tables import EVENTS


@pytest.fixture(scope="module")
def looks(movielens_1m_folder: Path) -> pd.DataFrame:
    """[user_id, at, item_id] of every twentieth user, one an instant: looks at one instant have no order."""
    films = pd.read_csv(
        movielens_1m_folder / "movies.dat", sep="::", engine="python", encoding="latin-1", header=None,
        names=["movie_id", "title", "genres"],
    )  # fmt: skip
    ratings = pd.read_parquet(movielens_1m_folder / "ratings.parquet")
    ratings = ratings[ratings["user_id"] % 20 == 0].merge(films, on="movie_id")
    ratings = ratings.assign(
        user_id=ratings["user_id"].astype(str),
        item_id=ratings["genres"].str.split("|").str[0],
        at=pd.to_datetime(ratings["timestamp"], unit="s", utc=True).astype("datetime64[us, UTC]"),
    )
    return ratings[["user_id", "at", "item_id"]].drop_duplicates(["user_id", "at"]).reset_index(drop=True)


def test_back_and_forth_is_what_pandas_computes(spark: SparkSession, looks: pd.DataFrame, tmp_path: Path) -> None:
    seen = looks.assign(day=looks["at"].dt.date).sort_values(["user_id", "at"])
    keys = ["user_id", "day"]
    # A stay: looks at one genre after another.
    other = (seen["item_id"] != seen["item_id"].shift()) | (seen[keys] != seen[keys].shift()).any(axis=1)
    stays = seen.groupby(other.cumsum()).agg(
        user_id=("user_id", "first"), day=("day", "first"), item=("item_id", "first"), came=("at", "min"),
        left=("at", "max"),
    )  # fmt: skip
    before = stays.groupby(keys)[["item", "left"]].shift(2)
    back = (stays["item"] == before["item"]) & (stays["came"] - before["left"] <= pd.Timedelta(seconds=30))
    expected = back.groupby([stays["user_id"], stays["day"]]).sum()

    looks.to_parquet(tmp_path / "looks.parquet")
    events = spark.read.parquet(str(tmp_path / "looks.parquet")).withColumns(
        {
            "event_id": F.monotonically_increasing_id().cast("string"), "user_bucket": user_bucket(),
            "event_time": F.col("at"), "event_date": F.to_date("at"), "event_type": F.lit("view"),
            "session_id": F.to_date("at").cast("string"), "source": F.lit("films"), "is_bot": F.lit(False),
        }
    )  # fmt: skip
    found = user_day(completed(events, EVENTS)).select("user_id", "event_date", "back_and_forth").toPandas()
    actual = found.set_index(["user_id", "event_date"])["back_and_forth"].sort_index()
    assert len(actual) > 500 and (actual > 0).mean() > 0.2
    assert list(actual.index) == list(expected.sort_index().index)
    assert (actual == expected.sort_index()).all()

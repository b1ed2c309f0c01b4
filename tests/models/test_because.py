"""What of a person's own an explanation names."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from models import because as module
from models.because import because
from models.candidates import Catalogue, catalogue, profiles
from models.scorers import LinearScorer

# Bread speaks for butter and, less so, for jam; tea speaks against butter and for milk, which is not dense.
ITEMS = ("bread", "butter", "jam", "milk", "tea")


@pytest.fixture(scope="module")
def numbered(spark: SparkSession) -> Catalogue:
    return catalogue(spark.createDataFrame([(item,) for item in ITEMS], "item_id string"))


def _scorer(name: str, **weights: float) -> LinearScorer:
    """weights: by <own>_<other>; milk alone is of the rest."""
    place = {item: number for number, item in enumerate(("bread", "butter", "jam", "tea"))}
    dense, rest = np.zeros((4, 4), np.float32), sp.lil_matrix((4, 1), dtype=np.float32)
    for pair, weight in weights.items():
        own, other = pair.split("_")
        if other == "milk":
            rest[place[own], 0] = weight
        else:
            dense[place[own], place[other]] = weight
    return LinearScorer(name, 5, np.array([0, 1, 2, 4]), dense, np.array([3]), rest.tocsr())


def _profiles(spark: SparkSession, numbered: Catalogue, *rows: tuple[str, str, float]) -> DataFrame:
    history = spark.createDataFrame(list(rows), "user_id string, item_id string, weight double")
    return profiles(
        history.withColumns({"often": F.col("weight"), "due": F.col("weight"), "own": F.lit(False)}), numbered
    )


def test_the_item_that_adds_most_is_named_and_other_columns_stay(
    spark: SparkSession, numbered: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two users a block.
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 2 * len(ITEMS))
    scorers = [
        _scorer("next", bread_butter=2.0, tea_butter=-9.0, jam_butter=1.0, tea_milk=0.5, bread_milk=0.4),
        _scorer("neighbours", jam_butter=3.0),
    ]
    own = [("ada", "bread", 0.5), ("ada", "tea", 1.0), ("ada", "jam", 0.9), ("bob", "tea", 1.0), ("cleo", "bread", 1.0)]
    lists = spark.createDataFrame(
        [
            ("ada", "butter", "next", 1), ("ada", "milk", "next", 2), ("ada", "jam", "als", 3),
            ("bob", "butter", "next", 1), ("bob", "butter", "neighbours", 2), ("cleo", "milk", "next", 1),
            ("nobody", "milk", "next", 1),
        ],
        "user_id string, item_id string, source string, rank int",
    )  # fmt: skip
    found = because(lists, _profiles(spark, numbered, *own), numbered, scorers)
    assert found.columns == ["user_id", "item_id", "source", "rank", "because"]
    assert {(row.user_id, row.source, row["rank"]): (row.item_id, row.because) for row in found.collect()} == {
        # Bread counts half here: 1.0 to jam's 0.9.
        ("ada", "next", 1): ("butter", "bread"),
        ("ada", "next", 2): ("milk", "tea"),
        ("ada", "als", 3): ("jam", None),
        ("bob", "next", 1): ("butter", None),
        ("bob", "neighbours", 2): ("butter", None),
        ("cleo", "next", 1): ("milk", "bread"),
        ("nobody", "next", 1): ("milk", None),
    }
    # What may not be named is no part of the profiles: the next strongest is.
    nameable = [row for row in own if row[1] != "bread"]
    again = because(lists, _profiles(spark, numbered, *nameable), numbered, scorers)
    assert again.filter("user_id = 'ada' AND rank = 1").collect()[0].because == "jam"

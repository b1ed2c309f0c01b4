"""Who users are, and that what nobody said is unknown."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from features.demographics import TRAITS, UNKNOWN, demographics, traits
from features.people import users_in_files
from lake.codes import country_codes
from lake.settings import Settings
from lake.sources import movielens
from lake.sources.landing import landing_folder
from lake.sources.mapping import Mapping
from lake.sources.report import Days
from lake.tables import USERS
from tests.features.silver import at, by
from tests.models.data import table_frame

AS_OF = date(2026, 3, 1)

# What silver.users says, and what is told of it besides "unknown".
PEOPLE: dict[str, tuple[dict[str, Any] | None, dict[str, str]]] = {
    "dated": ({"birth_year": 1981, "attributes": {"age": "35-44", "gender": "F"}}, {"age": "45-54", "gender": "F"}),
    "film goer": ({"attributes": {"age_group": "under 18", "occupation": "artist"}},
                  {"age": "under 18", "occupation": "artist"}),
    "household": ({"attributes": {"age": "65+", "kids_count": "3+", "household_comp": "2 Adults Kids", "income": ""}},
                  {"age": "65+", "children": "3+", "household": "2 Adults Kids"}),
    "of age": ({"birth_year": 2008}, {"age": "18-24"}),
    "born tomorrow": ({"birth_year": 2027}, {}),
    "a typing error": ({"birth_year": 1081}, {}),
    "silent": ({}, {}),
    "in no file": (None, {}),
}  # fmt: skip


def test_what_a_source_says_is_told_and_what_it_does_not_is_unknown(spark: SparkSession) -> None:
    rows = [
        {"user_id": user, "updated_at": at("2026-02-28")} | said
        for user, (said, _) in PEOPLE.items()
        if said is not None
    ]
    asked = spark.createDataFrame([(user,) for user in PEOPLE], "user_id string")
    found = by(demographics(asked, table_frame(spark, USERS, rows), AS_OF), "user_id")
    for user, (said, known) in PEOPLE.items():
        expected = dict.fromkeys(TRAITS, UNKNOWN) | known
        assert {name: found[user][name] for name in TRAITS} == expected, user
        assert found[user]["preferences"] == {}
        assert traits(said, AS_OF) == expected, user


@pytest.mark.parametrize(("said", "told"), [("2026-02-28", "M"), ("2026-03-01", UNKNOWN)])
def test_what_is_said_at_or_after_the_date_is_not_known_yet(spark: SparkSession, said: str, told: str) -> None:
    row = {"user_id": "anna", "attributes": {"sex": "M"}, "preferences": {"diet": "vegan"}, "updated_at": at(said, 0)}
    asked = spark.createDataFrame([("anna",)], "user_id string")
    (found,) = demographics(asked, table_frame(spark, USERS, [row]), AS_OF).collect()
    assert (found.gender, found.preferences) == (told, {} if told == UNKNOWN else {"diet": "vegan"})


def test_people_of_movielens_are_what_pandas_reads(
    spark: SparkSession, settings: Settings, movielens_1m_folder: Path
) -> None:
    movielens.load(settings, movielens_1m_folder, Days(date(2001, 1, 1), date(2001, 1, 3)))
    landed = spark.read.parquet(str(landing_folder(settings, movielens.NAME, "users")))
    received = {"_corrupt_record": F.lit(None).cast("string"), "_file": F.lit("users"),
                "_received_at": F.lit(at("2026-02-01")), "_logical_date": F.lit(date(2026, 2, 1))}  # fmt: skip
    profiles = users_in_files(landed.withColumns(received), Mapping.bundled(movielens.NAME), country_codes())
    people = pd.read_csv(
        movielens_1m_folder / "users.dat", sep="::", engine="python", dtype=str,
        names=["user_id", "gender", "age", "occupation", "postcode"],
    )  # fmt: skip
    ages = {"1": "under 18", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55"}
    expected = pd.DataFrame(
        {
            "age": people["age"].map(ages).fillna("56 and over"),
            "gender": people["gender"],
            "writers": people["occupation"] == "20",
        }
    ).set_index(people["user_id"])
    # Everybody is asked about, and as many whom nobody knows.
    asked = spark.createDataFrame(pd.DataFrame({"user_id": [*expected.index, *("?" + expected.index)]}))
    actual = demographics(asked, profiles, AS_OF).toPandas().set_index("user_id")
    known = actual.loc[expected.index]
    assert len(known) == 6040 and (known[["age", "gender"]] == expected[["age", "gender"]]).all(axis=None)
    assert ((known["occupation"] == "writer") == expected["writers"]).all() and expected["writers"].sum() > 200
    assert (actual.loc["?" + expected.index][list(TRAITS)] == UNKNOWN).all(axis=None)
    assert (known[["income", "children", "household"]] == UNKNOWN).all(axis=None)

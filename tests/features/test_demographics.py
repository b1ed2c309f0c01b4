"""Who users are, and that what nobody said is unknown."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pyspark.sql import SparkSession

from features.demographics import TRAITS, UNKNOWN, demographics, traits
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

"""Who users are, as far as a source says: age band, gender, household and the like; "unknown" where it does not.

Nothing needs them: who is in no users file is unknown in everything. What is missing is a state of its own and no
guess, as it tells something too (Rubin, "Inference and missing data", Biometrika 63(3), 1976: what is missing is
seldom missing at random). What a source says in bands of its own stays as it says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

UNKNOWN = "unknown"

# By trait, the attributes that may tell it, the first that is there.
TRAITS = {
    "age": ("age", "age_group"),
    "gender": ("gender", "sex"),
    "income": ("income",),
    "occupation": ("occupation",),
    "marital_status": ("marital_status",),
    "home_ownership": ("home_ownership",),
    "household_size": ("household_size",),
    "household": ("household_comp",),
    "children": ("kids_count", "children"),
}

# The first age of each band; the bands of the census that shops ask by. Older than the oldest person: a wrong year.
BANDS = {0: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-54", 55: "55-64", 65: "65 and over"}
OLDEST = 122


def demographics(asked: DataFrame, profiles: DataFrame, as_of: date) -> DataFrame:
    """[user_id, *TRAITS (string, never null), preferences (map, never null)]: a row a user asked for.

    asked: [user_id], each once. profiles: silver.users; what was said at or after as_of is not known yet. age: the band
    of the years that the user turns in the year of as_of, where a birth year is known; else as the source says it.
    """
    known = profiles.filter(F.col("updated_at") < F.lit(as_of).cast("timestamp"))
    told = {name: F.coalesce(*(_attribute(key) for key in keys)) for name, keys in TRAITS.items()}
    told["age"] = F.coalesce(_band(F.lit(as_of.year) - F.col("birth_year")), told["age"])
    none = F.create_map().cast("map<string,string>")
    return asked.join(known, "user_id", "left").select(
        "user_id",
        *(F.coalesce(value, F.lit(UNKNOWN)).alias(name) for name, value in told.items()),
        F.coalesce("preferences", none).alias("preferences"),
    )


def traits(stated: Mapping[str, Any] | None, as_of: date) -> dict[str, str]:
    """The same of one user, without Spark. stated: birth_year and attributes of their row, or None without one."""
    attributes = (stated or {}).get("attributes") or {}
    found = {
        name: next((attributes[key] for key in keys if attributes.get(key)), None) for name, keys in TRAITS.items()
    }
    born = (stated or {}).get("birth_year")
    if born is not None and 0 <= as_of.year - born <= OLDEST:
        found["age"] = BANDS[max(first for first in BANDS if first <= as_of.year - born)]
    return {name: value or UNKNOWN for name, value in found.items()}


def _attribute(key: str) -> Column:
    value = F.try_element_at("attributes", F.lit(key))
    return F.when(value != "", value)


def _band(age: Column) -> Column:
    bands = F.array(
        *(F.struct(F.lit(first).alias("first"), F.lit(name).alias("name")) for first, name in BANDS.items())
    )
    return F.when(
        age.between(0, OLDEST), F.try_element_at(F.filter(bands, lambda band: band["first"] <= age), F.lit(-1))["name"]
    )

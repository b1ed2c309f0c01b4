"""Small snapshots to publish: every title carries a marker, so that a mix of two snapshots shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lake.settings import Settings
from lake.tables import FALLBACKS
from serving.publish import Gate, publish

DAY = date(2017, 12, 31)
RECOMMENDATION = f"user_id string, segment string, country string, items {FALLBACKS.columns[-1].type}"
FALLBACK = f"rung string, cohort string, items {FALLBACKS.columns[-1].type}"

USERS = ("ada", "bob", "Zoë", "o'brien", 'say "hi"', "../../etc/passwd", "用户-1", "a b\\c")


def items(marker: str, count: int = 3) -> list[tuple[Any, ...]]:
    """A list whose titles begin with the marker."""
    return [
        (rank, f"i{rank}", f"{marker} {rank}", 1.0 / rank, "als", "like what you bought", "fill", 1.0)
        for rank in range(1, count + 1)
    ]


def recommendations(spark: SparkSession, marker: str, users: Sequence[str] = USERS) -> DataFrame:
    """A list a user, and one user, "listless", whose list is empty."""
    rows: list[tuple[Any, ...]] = [(user, "champions", "GB", items(f"{marker} {user}")) for user in users]
    return spark.createDataFrame([*rows, ("listless", "loyal", "FR", [])], RECOMMENDATION)


def fallbacks(spark: SparkSession, marker: str) -> DataFrame:
    """One list a rung."""
    cohorts = (("segment", "loyal"), ("country", "FR"), ("global", "all"))
    return spark.createDataFrame([(*cohort, items(f"{marker} {cohort[1]}")) for cohort in cohorts], FALLBACK)


def publish_marked(
    spark: SparkSession,
    settings: Settings,
    marker: str,
    as_of: date = DAY,
    gate: Gate | None = None,
    users: Sequence[str] = USERS,
) -> str:
    """Publish a snapshot whose titles carry the marker; its id."""
    return publish(
        spark, settings, recommendations(spark, marker, users), fallbacks(spark, marker),
        as_of=as_of, model_version="hybrid/1", run_id=f"run-{marker}-{as_of}", gate=gate,
    )  # fmt: skip

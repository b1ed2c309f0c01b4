"""Three nights of the features job, for all of its tests: a night takes its time. Each looks at people of its own."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs import build_features
from jobs.job import Context, Report
from lake import delta
from lake.settings import Settings
from lake.tables import CONSENTS, EVENTS, ITEMS
from lake.window import Window
from tests.features.silver import at, events, items

WINDOW = Window(date(2026, 3, 1), date(2026, 3, 4))
SECOND, THIRD = Window.day(date(2026, 3, 4)), Window.day(date(2026, 3, 5))


def _bought(user: str, day: str, order: str, item: str = "tea", hour: int = 12, **more: Any) -> dict[str, Any]:
    return {"event_time": at(day, hour), "user_id": user, "order_id": order, "item_id": item, **more}


SEARCH = {"event_time": at("2026-03-03"), "event_type": "search", "item_id": None, "query": "Tea"}
# Only the pan has a category, and only kim and liv have to do with it.
LOOKED = {"event_time": at("2026-03-03", 20), "item_id": "pan", "event_type": "view"}
FIRST_DAYS: list[dict[str, Any]] = [
    _bought("anna", "2026-03-01", "1"),
    _bought("anna", "2026-03-02", "2", "mug"),
    _bought("ben", "2026-03-03", "3", device="mobile"),
    SEARCH | {"user_id": "ben"},
    _bought("emil", "2026-03-03", "4"),
    _bought("ina", "2026-03-01", "5"),
    {"event_time": at("2026-03-03"), "user_id": "ina", "item_id": "cup", "event_type": "add_to_cart"},
    _bought("dan", "2026-03-01", "6", "filter"),
    _bought("dee", "2026-03-01", "7", "filter"),
    _bought("dee", "2026-03-03", "8", "filter"),
    _bought("kim", "2026-03-03", "9", device="mobile"),
    _bought("liv", "2026-03-01", "10"),
    _bought("liv", "2026-03-02", "11", "pan"),
    _bought("gone", "2026-03-03", "12"),
    SEARCH | {"user_id": "gone"},
    LOOKED | {"user_id": "gone"},
]
NEVER_WAS: list[dict[str, Any]] = [
    _bought("dora", "2026-03-02", "20"),
    _bought("dan", "2026-03-03", "21", "filter"),
    LOOKED | {"user_id": "kim"},
]
# The first comes late.
SECOND_DAY: list[dict[str, Any]] = [
    _bought("anna", "2026-03-02", "30", amount=5.0),
    _bought("cleo", "2026-03-04", "31"),
    _bought("ina", "2026-03-04", "32", "cup"),
    _bought("dee", "2026-03-04", "33", "filter"),
    _bought("liv", "2026-03-04", "34", "pan", hour=3),
]
DORA = _bought("dora", "2026-03-04", "35")
CONSENT_SCHEMA = "user_id string, purpose string, at timestamp, granted boolean, source string"


def open_home(spark: SparkSession, settings: Settings, rows: list[dict[str, Any]]) -> Settings:
    seed(spark, settings, rows)
    catalogue = items(
        spark, {"item_id": "tea", "brand": "Ahn", "price": 1.0}, {"item_id": "pan", "category": ["kitchen"]}
    )
    delta.append(catalogue, settings, ITEMS, "seed")
    decide(spark, settings, "gone", at("2026-02-01"), granted=False)
    return settings


def seed(spark: SparkSession, settings: Settings, rows: list[dict[str, Any]]) -> None:
    frame = events(spark, *rows).coalesce(1)
    delta.replace_window(frame, settings, EVENTS, "event_date >= '1970-01-01'", "seed")


def decide(spark: SparkSession, settings: Settings, user: str, when: datetime, *, granted: bool) -> None:
    frame = spark.createDataFrame([(user, "personalisation", when, granted, "shop")], CONSENT_SCHEMA)
    delta.append(frame.withColumn("user_bucket", delta.user_bucket()), settings, CONSENTS, "seed")


def run(settings: Settings, window: Window = WINDOW) -> Report:
    return build_features.run(Context("build_features", window, settings))


def read(spark: SparkSession, settings: Settings, name: str) -> DataFrame:
    frame = delta.read(spark, settings, name)
    return frame.withColumns({map_: F.to_json(map_) for map_ in ("dayparts", "devices") if map_ in frame.columns})


def users_of(spark: SparkSession, settings: Settings, name: str) -> set[str]:
    return {row.user_id for row in delta.read(spark, settings, name).select("user_id").distinct().collect()}


def lived(spark: SparkSession, folder: Path) -> dict[int, tuple[Settings, Report]]:
    """The home as it was after each night, and what the night reported.

    ben withdraws before the second night; NEVER_WAS, and dora altogether, is taken back before the third.
    """
    home = Settings(home=folder / "home", missing_consent="granted", shuffle_partitions=2)

    def kept(number: int, report: Report) -> tuple[Settings, Report]:
        return home.model_copy(update={"home": Path(shutil.copytree(home.home, folder / str(number)))}), report

    found = {1: kept(1, run(open_home(spark, home, [*FIRST_DAYS, *NEVER_WAS])))}
    seed(spark, home, [*FIRST_DAYS, *NEVER_WAS, *SECOND_DAY, DORA])
    decide(spark, home, "ben", datetime(2026, 3, 4, tzinfo=UTC), granted=False)
    found[2] = kept(2, run(home, SECOND))
    seed(spark, home, [*FIRST_DAYS, *SECOND_DAY])
    found[3] = kept(3, run(home, THIRD))
    return found

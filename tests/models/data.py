"""Small frames that look like the lake's, and blocks of users."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import scipy.sparse as sp
from pyspark.sql import DataFrame, SparkSession

from lake.tables import EVENTS, ITEMS, USER_ITEM_DAY, Table
from models.scorers import UserBlock

AS_OF = datetime(2020, 6, 1, tzinfo=UTC)


def block_of(
    profile: sp.csr_matrix, vectors: np.ndarray | None = None, often: sp.csr_matrix | None = None
) -> UserBlock:
    """Users of a profile, without vectors and with the profile as their habits where none are given."""
    vectors = np.zeros((profile.shape[0], 0), np.float32) if vectors is None else vectors
    often = profile if often is None else often
    return UserBlock(vectors, profile, often, profile, np.full(profile.shape[0], None, object))


def table_frame(spark: SparkSession, table: Table, rows: list[dict[str, Any]]) -> DataFrame:
    """Rows of a table's contract; what a row does not name is null."""
    return spark.createDataFrame([tuple(row.get(name) for name in table.names) for row in rows], table.schema)


def tile_frame(spark: SparkSession, rows: list[tuple[str, str, int, int]]) -> DataFrame:
    """gold.user_item_day of (user, item, days before AS_OF, purchases)."""
    return table_frame(
        spark,
        USER_ITEM_DAY,
        [
            {
                "user_id": user,
                "item_id": item,
                "event_date": (AS_OF - timedelta(days=days)).date(),
                "last_time": AS_OF - timedelta(days=days),
                "purchases": purchases,
                "views": 1,
                "units": float(purchases),
                "amount": 2.0 * purchases,
            }
            for user, item, days, purchases in rows
        ],
    )


def purchases(spark: SparkSession, rows: list[tuple[str, str, float]]) -> DataFrame:
    """silver.events: purchases of (user, item, days before AS_OF), one order a user and instant."""
    events = []
    for number, (user, item, days) in enumerate(rows):
        time = AS_OF - timedelta(days=days)
        events.append(
            {
                "event_id": f"e{number}",
                "user_id": user,
                "user_bucket": 0,
                "item_id": item,
                "event_type": "purchase",
                "event_time": time,
                "event_date": time.date(),
                "session_id": f"{user}-{days}",
                "order_id": f"{user}-{days}",
                "quantity": 1.0,
                "amount": 2.0,
                "currency": "EUR",
                "device": "web",
                "country": "GB",
                "source": "test",
                "is_bot": False,
            }
        )
    return table_frame(spark, EVENTS, events)


def item_frame(spark: SparkSession, rows: list[dict[str, Any]]) -> DataFrame:
    """silver.items."""
    return table_frame(spark, ITEMS, rows)


def shop(
    spark: SparkSession, users: int = 50, weeks: int = 20, others: list[tuple[str, str, float]] | None = None
) -> DataFrame:
    """silver.events of a small shop: everybody buys a favourite every week and something new of their kind every other.

    There are two kinds of users and items, even and odd, so that there is something to learn. others: further
    purchases, as `purchases` takes them.
    """
    rows = list(others or [])
    for user in range(users):
        for week in range(weeks):
            days = 7 * (weeks - week) - user % 7 - 0.25
            rows.append((f"u{user:02d}", f"i{user % 10:02d}", days))
            if week % 2:
                rows.append((f"u{user:02d}", f"i{10 + user % 2 + 2 * ((3 * user + week) % 30):02d}", days))
    return purchases(spark, rows)


def shop_items(spark: SparkSession) -> DataFrame:
    """silver.items of the shop: even and odd items differ in category; i01 is sensitive, i02 is sold no longer."""
    return item_frame(
        spark,
        [
            {
                "item_id": f"i{item:02d}",
                "title": f"Item number {item} {'even' if item % 2 == 0 else 'odd'}",
                "category": ["SHOP", "EVEN" if item % 2 == 0 else "ODD"],
                "price": 1.0 + item,
                "sensitive": item == 1,
                "available_to": (AS_OF - timedelta(days=2)).date() if item == 2 else None,
                "source": "test",
            }
            for item in range(70)
        ],
    )

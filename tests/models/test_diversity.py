"""Maximal marginal relevance by one sort, against the algorithm as it is defined, place by place."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import SparkSession

from models.diversity import marginal
from models.policy import best
from tests.models.data import item_frame

CATEGORIES: list[list[str] | None] = [["A", "x"], ["A", "y"], ["A"], ["B", "x"], ["B", "x", "deep"], None, []]


def _similar(one: list[str] | None, other: list[str] | None) -> float:
    shared = 0
    for left, right in zip((one or [])[:2], (other or [])[:2], strict=False):
        if left != right:
            break
        shared += 1
    return shared / 2


def _greedy(scores: dict[str, float], categories: dict[str, list[str] | None], diversity: float) -> list[str]:
    low, high = min(scores.values()), max(scores.values())
    relevance = {item: (score - low) / (high - low) if high > low else 1.0 for item, score in scores.items()}
    left, shown = sorted(scores, key=lambda item: (-scores[item], item)), []
    while left:
        values = [
            (1 - diversity) * relevance[item]
            - diversity * max((_similar(categories[item], categories[other]) for other in shown), default=0.0)
            for item in left
        ]
        # Equal but for rounding is equal.
        shown.append(left.pop(next(n for n, value in enumerate(values) if value >= max(values) - 1e-12)))
    return shown


@pytest.mark.parametrize("diversity", [0.0, 0.35, 1.0])
def test_order_is_that_of_the_greedy_algorithm(spark: SparkSession, diversity: float) -> None:
    random = np.random.default_rng(3)
    names = [f"i{n:02d}" for n in range(14)]
    categories = {name: CATEGORIES[n % len(CATEGORIES)] for n, name in enumerate(names)}
    items = item_frame(spark, [{"item_id": name, "category": path} for name, path in categories.items()])
    # Few different scores, so that ties are many; the last user has one score only.
    scores = {f"u{n:02d}": dict(zip(names, random.integers(0, 9, 14) / 8, strict=True)) for n in range(20)}
    scores["alike"] = dict.fromkeys(names, 0.5)
    rows = spark.createDataFrame(
        [(user, item, float(score)) for user, of_user in scores.items() for item, score in of_user.items()],
        "user_id string, item_id string, score double",
    )
    found: dict[str, dict[int, str]] = {}
    for row in best(marginal(rows, items, diversity), ("user_id",), len(names), "marginal").collect():
        found.setdefault(row.user_id, {})[row["rank"]] = row.item_id
    for user, of_user in scores.items():
        expected = _greedy({item: float(score) for item, score in of_user.items()}, categories, diversity)
        assert [found[user][rank] for rank in sorted(found[user])] == expected, user

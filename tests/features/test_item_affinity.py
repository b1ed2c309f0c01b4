"""Affinities to single items: by hand, and against a plain loop over random histories."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from features.item_affinity import item_affinity, item_shares
from tests.features.silver import by, user_item_days

AS_OF = date(2026, 3, 1)
LIKED = {"views": 1, "purchases": 5, "removes_from_cart": -3, "returns": -5, "hides": -5, "impressions": 0}


def _of_everybody(tiles: DataFrame, half_life: float) -> DataFrame:
    return item_affinity(tiles, item_shares(tiles, AS_OF, half_life), AS_OF, half_life)


def test_items_fade_at_two_half_lives_and_are_compared_with_people(spark: SparkSession) -> None:
    tiles = user_item_days(
        spark,
        {"event_date": AS_OF - timedelta(days=28), "item_id": "tea", "purchases": 1},
        {"event_date": AS_OF - timedelta(days=28), "item_id": "pan", "purchases": 2, "returns": 1},
        {"event_date": AS_OF - timedelta(days=28), "item_id": "knife", "views": 1, "hides": 1},
        {"event_date": AS_OF - timedelta(days=28), "item_id": "pan", "user_id": "ben", "purchases": 2},
        {"event_date": AS_OF, "item_id": "pan", "purchases": 9},
    )
    rows = by(_of_everybody(tiles, 28), "user_id", "key")
    assert set(rows) == {("anna", "tea"), ("anna", "pan"), ("ben", "pan")}, "the knife is hidden, today is not yet"
    tea, pan = rows["anna", "tea"], rows["anna", "pan"]
    assert (tea["score"], tea["recent_score"], tea["share"], tea["evidence"]) == (5 / 2, 5 / 4, 0.5, 1)
    assert (pan["score"], pan["recent_share"], pan["evidence"]) == (5 / 2, 0.5, 3)
    # Of all that people like, a quarter is tea: five of twenty. Behind anna's shares are four events.
    assert tea["lift"] == pytest.approx((4 * 0.5 + 10 * 0.25) / 14 / 0.25)


@examples(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    history=st.dictionaries(
        st.tuples(st.sampled_from(["anna", "ben"]), st.sampled_from(["tea", "pan", "knife"]), st.integers(-3, 90)),
        st.fixed_dictionaries({name: st.integers(0, 3) for name in LIKED}),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_scores_are_what_a_loop_over_the_days_before_finds(
    spark: SparkSession, history: dict[tuple[str, str, int], dict[str, int]]
) -> None:
    """Days at or after the date change nothing: the loop leaves them out."""
    tiles = user_item_days(
        spark,
        *(
            {"user_id": user, "item_id": item, "event_date": AS_OF - timedelta(days=ago)} | counts
            for (user, item, ago), counts in history.items()
        ),
    )
    scores: dict[tuple[str, str], float] = defaultdict(float)
    for (user, item, ago), counts in history.items():
        if ago > 0:
            scores[user, item] += sum(LIKED[name] * count for name, count in counts.items()) * 0.5 ** (ago / 90)
    found = by(_of_everybody(tiles, 90), "user_id", "key")
    # What adds up to nothing may be left by the last bit.
    expected = {key: score for key, score in scores.items() if score > 1e-6}
    assert {key: row["score"] for key, row in found.items() if row["score"] > 1e-6} == pytest.approx(expected, abs=1e-6)

"""Three nights of the features job: what each tells of those it touched, and of those whom it left as they were."""

from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.affinity import leanings_at, standing
from features.context import standing as context_standing
from features.due_again import standing as due_standing
from features.lift import of_users
from jobs.job import Report
from lake import delta
from lake.settings import Settings
from lake.tables import (
    AFFINITY,
    CONTEXT,
    CYCLES,
    DUE_AGAIN,
    ENGAGEMENT,
    INTENT,
    RFM,
    RFM_WINDOWS,
    USER_DAY,
    USER_ITEM_DAY,
    USER_STATE,
)
from tests.frames import assert_same_rows
from tests.jobs.story import SECOND, WINDOW, users_of


@pytest.fixture
def after(story: dict[int, tuple[Settings, Report]]) -> dict[int, Settings]:
    """The home as it was after each night."""
    return {number: home for number, (home, _) in story.items()}


def test_a_late_event_corrects_its_day_and_a_withdrawal_removes_the_user_everywhere(
    spark: SparkSession, after: dict[int, Settings], story: dict[int, tuple[Settings, Report]]
) -> None:
    assert story[2][1].details["users_removed"] == "1"
    for table in (USER_ITEM_DAY, USER_DAY, RFM, RFM_WINDOWS, ENGAGEMENT, AFFINITY):
        assert "ben" in users_of(spark, after[1], table.name), table.name
        assert "ben" not in users_of(spark, after[2], table.name), table.name
    tonight = delta.read(spark, after[2], RFM.name).filter("as_of = '2026-03-05'").collect()
    frequency = {row.user_id: row.frequency for row in tonight}
    assert (frequency["anna"], frequency["cleo"]) == (3, 1)


def test_a_night_writes_affinities_of_whom_it_touched_and_those_of_the_others_stand_and_fade(
    spark: SparkSession, after: dict[int, Settings]
) -> None:
    rows = delta.read(spark, after[2], AFFINITY.name)
    touched = {"anna", "cleo", "dee", "dora", "ina", "liv"}
    assert {row.user_id for row in rows.filter(F.col("as_of") == F.lit(SECOND.end)).collect()} == touched
    state = delta.read(spark, after[2], USER_STATE.name)
    digits = {"score": 6, "recent_score": 6, "share": 9}
    rounded = [F.round(name, kept).alias(name) for name, kept in digits.items()]
    # A lift compares with the population as of the night that touched the user.
    others = [name for name in AFFINITY.names if name not in (*digits, "lift")]
    held, read = (
        frame.select(*others, *rounded)
        for frame in (standing(rows, SECOND.end), leanings_at(state, SECOND.end, of_users(state)))
    )
    assert {row.user_id for row in held.collect()} == touched | {"dan", "emil", "kim"}
    assert_same_rows(held, read)
    # All that dora ever did turns out never to have happened.
    assert users_of(spark, after[3], AFFINITY.name) == (touched | {"dan", "emil", "kim"}) - {"dora"}


def test_intent_is_of_the_days_before_the_night_and_goes_with_its_user(
    spark: SparkSession, after: dict[int, Settings]
) -> None:
    def said(night: int, end: str) -> dict[str, tuple[int, list[str] | None]]:
        rows = delta.read(spark, after[night], INTENT.name).filter(F.col("as_of") == end).collect()
        return {row.user_id: (row.cart_items, row.terms) for row in rows}

    assert said(1, "2026-03-04") == {"ina": (1, None), "ben": (0, ["tea"])}
    # What ina had left she buys; nothing of an earlier night stays of ben, who withdrew.
    assert (said(2, "2026-03-05"), said(2, "2026-03-04")) == ({}, {"ina": (1, None)})


def test_what_is_due_again_is_told_of_whom_a_night_touched_and_goes_when_it_was_never_bought(
    spark: SparkSession, after: dict[int, Settings]
) -> None:
    def standing_rows(night: int) -> dict[str, tuple[date, int, date]]:
        rows = due_standing(delta.read(spark, after[night], DUE_AGAIN.name), date(2026, 3, 31))
        rows = rows.filter("dimension = 'item' AND key = 'filter'")
        return {row.user_id: (row.as_of, row.days, row.due) for row in rows.collect()}

    first = WINDOW.end
    assert standing_rows(1) == {"dan": (first, 2, date(2026, 3, 5)), "dee": (first, 2, date(2026, 3, 5))}
    # dee comes back; the usual cycles are those of the first night. Then one of dan's purchases was not his.
    for night in (1, 2):
        assert {row.as_of for row in delta.read(spark, after[night], CYCLES.name).collect()} == {first}
    assert {user: row[:2] for user, row in standing_rows(2).items()} == {"dan": (first, 2), "dee": (SECOND.end, 3)}
    assert set(standing_rows(3)) == {"dee"}


def test_what_is_preferred_where_is_told_of_whom_a_night_touched_and_goes_when_it_was_never_done(
    spark: SparkSession, after: dict[int, Settings]
) -> None:
    def standing_rows(night: int) -> dict[tuple[str, str, str], tuple[date, int]]:
        rows: DataFrame = context_standing(delta.read(spark, after[night], CONTEXT.name), date(2026, 3, 10))
        return {(row.user_id, row.context, row.situation): (row.as_of, row.evidence) for row in rows.collect()}

    first = WINDOW.end
    kim = {("kim", "daypart", "evening"): (first, 1), ("kim", "week", "working day"): (first, 1),
           ("kim", "device", "mobile"): (first, 1)}  # fmt: skip
    liv = {("liv", "daypart", "afternoon"): (first, 1), ("liv", "week", "working day"): (first, 1),
           ("liv", "device", "web"): (first, 1)}  # fmt: skip
    assert standing_rows(1) == kim | liv
    # liv comes back at another time; then it turns out that kim never looked at the pan, though he was there.
    end = SECOND.end
    liv = {("liv", "daypart", "afternoon"): (end, 1), ("liv", "daypart", "night"): (end, 1),
           ("liv", "week", "working day"): (end, 2), ("liv", "device", "web"): (end, 2)}  # fmt: skip
    assert standing_rows(2) == kim | liv
    assert standing_rows(3) == liv

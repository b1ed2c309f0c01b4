"""The state: kept up by changes it equals the one made from nothing, and features are read from it."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.affinity import affinity, anchor_of, item_keys, leanings_at
from features.engagement import engagement
from features.facts import facts, users
from features.item_history import changes, only, versions
from features.lift import of_users, shares, units_of
from features.packing import PATH, STORED, unpacked
from features.rfm import rfm, scored
from features.state import COLUMNS, changed, from_nothing
from features.tiles import user_day, user_item_day
from lake.delta import conform
from lake.tables import ITEM_KEYS, USER_DAY, USER_ITEM_DAY
from tests.features.histories import DAYS, HISTORIES, Line, day, known
from tests.features.silver import by, events, items, user_days, user_item_days
from tests.frames import assert_same_rows

END = day(DAYS)


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession) -> DataFrame:
    return items(
        spark,
        {"item_id": "tea", "category": ["drinks", "hot"], "brand": "Ahn", "price": 1.0},
        {"item_id": "pan", "category": ["kitchen"], "brand": "Ahn", "price": 30.0},
    ).cache()


@pytest.fixture(scope="module")
def keys(catalogue: DataFrame) -> DataFrame:
    return only(item_keys(catalogue)).cache()


def _stored(frame: DataFrame) -> DataFrame:
    """The rows without how they came about."""
    return frame.localCheckpoint()


def _tiles(spark: SparkSession, history: list[Line], night: int) -> tuple[DataFrame, DataFrame]:
    frame = events(spark, *known(history, night))
    return _stored(conform(user_item_day(frame), USER_ITEM_DAY)), _stored(conform(user_day(frame), USER_DAY))


def _signed(before: DataFrame, after: DataFrame, since: date, until: date) -> DataFrame:
    """All days are written anew: what was known before comes back with -1."""
    when = F.col("event_date")
    gone = before.filter(when < F.lit(since)).withColumn("sign", F.lit(-1))
    return gone.unionByName(after.filter(when < F.lit(until)).withColumn("sign", F.lit(1)))


def _forward(
    state: DataFrame, before: tuple[DataFrame, DataFrame], after: tuple[DataFrame, DataFrame], keys: DataFrame,
    since: date, until: date,
) -> DataFrame:  # fmt: skip
    """The state after the changes between two versions of the tiles, as the job applies them."""
    signed = [_signed(old, new, since, until) for old, new in zip(before, after, strict=True)]
    found = _stored(changed(state, *signed, keys, anchor_of(until)))
    uncertain = found.filter("uncertain").select("user_id")
    again = (frame.join(uncertain, "user_id", "left_semi") for frame in after)
    rows = found.filter("NOT uncertain AND days > 0").select(*COLUMNS).unionByName(from_nothing(*again, keys, until))
    later = state.join(found, "user_id", "left_anti").unionByName(rows.select(*COLUMNS))
    if uncertain.isEmpty():
        # What was added is all by which the population differs.
        added = found.select(F.col("added").alias("packed"))
        assert_same_rows(shares(units_of(state).unionByName(units_of(added))), of_users(later))
    return later


@examples(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=HISTORIES, nights=st.lists(st.integers(0, DAYS + 3), min_size=2, max_size=2, unique=True).map(sorted))
def test_a_state_kept_up_by_changes_equals_one_from_nothing(
    spark: SparkSession, keys: DataFrame, history: list[Line], nights: list[int]
) -> None:
    """Late events, lines taken back, returns, gaps of days; at last all of a person goes."""
    first, last = nights
    before, after = _tiles(spark, history, first), _tiles(spark, history, last)
    since, until = day(first + 1), day(last + 1)
    state = _stored(from_nothing(*before, keys, since))
    later, expected = _forward(state, before, after, keys, since, until), _stored(from_nothing(*after, keys, until))
    assert_same_rows(later, expected)
    without = tuple(frame.filter("user_id <> 'anna'") for frame in after)
    erased = _forward(expected, after, (without[0], without[1]), keys, until, until)
    assert_same_rows(erased, from_nothing(without[0], without[1], keys, until))


@examples(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    histories=st.lists(
        st.dictionaries(st.integers(0, 900), st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12),
        min_size=16, max_size=16,
    )
)  # fmt: skip
def test_years_of_days_come_and_go_and_the_calendar_and_the_recent_scores_hold_the_last_of_them(
    spark: SparkSession, keys: DataFrame, histories: list[dict[int, tuple[int, int]]]
) -> None:
    """Each day has so many events before, and so many after; with none it has no tile."""
    until = day(901)

    def tiles(side: int) -> tuple[DataFrame, DataFrame]:
        rows = [
            {"user_id": str(user), "event_date": day(number), "events": counts[side], "views": counts[side]}
            for user, history in enumerate(histories)
            for number, counts in history.items()
            if counts[side]
        ]
        return user_item_days(spark, *rows), user_days(spark, *rows)

    before, after = tiles(0), tiles(1)
    state = _stored(from_nothing(*before, keys, until))
    later = _stored(_forward(state, before, after, keys, until, until))
    assert_same_rows(later, from_nothing(*after, keys, until))
    for row in later.collect():
        known = sorted(number for number, (_, events) in histories[int(row.user_id)].items() if events)
        assert row.calendar == [day(number) for number in known if number > known[-1] - 365]


def test_changes_that_cancel_touch_nobody_and_a_correction_only_whom_it_corrects(
    spark: SparkSession, keys: DataFrame
) -> None:
    history: list[Line] = [
        (0, "anna", "tea", "purchase", 100, 9, "web", "DE", 0, None),
        (0, "ben", "tea", "purchase", 100, 9, "web", "DE", 0, None),
        (1, "ben", "pan", "view", 100, 9, "web", None, 1, None),
    ]
    before, after = _tiles(spark, history, 1), _tiles(spark, history, 2)
    state = from_nothing(*before, keys, day(2))
    same = [_signed(frame, frame, day(2), day(2)) for frame in before]
    assert changed(state, *same, keys, anchor_of(day(2))).isEmpty()
    signed = [_signed(old, new, day(2), day(2)) for old, new in zip(before, after, strict=True)]
    (ben,) = changed(state, *signed, keys, anchor_of(day(2))).collect()
    assert (ben.user_id, ben.days, ben.uncertain) == ("ben", 2, False)


def test_features_are_read_from_the_state_as_of_any_later_date(
    spark: SparkSession, catalogue: DataFrame, keys: DataFrame
) -> None:
    days = user_days(spark, {"event_date": day(0), "country": "DE", "dayparts": {"night": 2.0}})
    tiles = user_item_days(spark, {"event_date": day(0), "purchases": 1})
    state = from_nothing(tiles, days, keys, day(1))
    later = day(300)
    assert anchor_of(later) == anchor_of(day(1))
    assert_same_rows(scored(state, later), rfm(days, later))
    assert_same_rows(engagement(state, later), engagement(users(facts(days)), later))
    assert_same_rows(leanings_at(state, later, of_users(state)), affinity(tiles, days, catalogue, later))


def test_scores_are_the_same_on_both_sides_of_a_new_anchor(spark: SparkSession, catalogue: DataFrame) -> None:
    anchor = anchor_of(date(2026, 3, 1))
    tiles = user_item_days(spark, {"event_date": date.fromordinal(anchor.toordinal() - 45), "purchases": 3})
    days = user_days(spark, {"event_date": day(-9999)})
    earlier, later = (
        by(affinity(tiles, days, catalogue, date.fromordinal(anchor.toordinal() + shift)), "dimension")
        for shift in (-1, 0)
    )
    assert anchor_of(date.fromordinal(anchor.toordinal() - 1)) != anchor
    for dimension, row in later.items():
        assert row["score"] == pytest.approx(earlier[dimension]["score"] * 2 ** (-1 / 90), abs=1e-7)


def test_an_item_that_changes_its_category_keeps_its_past(spark: SparkSession) -> None:
    def described(category: str) -> DataFrame:
        return item_keys(items(spark, {"item_id": "tea", "category": [category]}))

    history = conform(changes(spark.createDataFrame([], ITEM_KEYS.schema), described("drinks"), day(0)), ITEM_KEYS)
    assert changes(history, described("drinks"), day(2)).isEmpty()
    history = history.unionByName(changes(history, described("health"), day(2)))
    days = user_days(spark, {"event_date": day(0)})
    tiles = user_item_days(spark, *({"event_date": day(number), "views": number} for number in (1, 2, 3)))
    state = from_nothing(tiles, days, versions(history), END)
    entries = unpacked(pa.array([state.collect()[0].packed], pa.binary()))
    of_path = entries.take(np.flatnonzero(entries.dimension == STORED.index(PATH)))
    evidence = dict(zip(of_path.keys.take(pa.array(of_path.key)).to_pylist(), of_path.amounts[1].tolist(), strict=True))
    assert evidence == {"drinks": 1, "health": 5}

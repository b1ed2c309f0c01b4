"""What is held about a person: everything, only of them, and nothing from later than the date that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.affinity import standing
from jobs.profile_words import show
from jobs.user_profile import profile
from lake import delta
from lake.errors import AttuneError, ServingError
from lake.settings import Settings
from lake.tables import (
    AFFINITY,
    CONSENTS,
    CONTEXT,
    DUE_AGAIN,
    ENGAGEMENT,
    EVENTS,
    INTENT,
    REJECTED,
    RFM,
    RFM_WINDOWS,
    TABLES,
    USERS,
    VALUE,
    Table,
)

WHO = 'O\'Brien "Zoë" 用户'
DAY = date(2026, 3, 1)
RFM_ROW = {"recency": 9, "frequency": 2, "monetary": 20.0, "r": 4, "f": 3, "m": 2, "segment": "Loyal"}
ENGAGED = {"stage": "at_risk", "idle": 40, "active_days": 12, "active_28": 0, "depth": 2.25,
           "quick_exit_share": 0.25, "back_and_forth": 1.5, "trend": -0.7, "used": ["view", "add_to_cart"],
           "ignored": ["search"]}  # fmt: skip
MEANT = {
    "cart_items": 1, "cart_value": 12.5, "cart_newest": 3, "cart_oldest": 3, "viewed_items": 0, "searches": 2,
    "terms": ["tea", "茶"], "items": [("kettle", 3, 4, 1, 12.5)],
}  # fmt: skip
WORTH = {"alive": 0.75, "expected_purchases": 1.5, "expected_value": None, "horizon_days": 90}


def at(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def rows(spark: SparkSession, table: Table, *given: dict[str, Any]) -> DataFrame:
    """Rows of a table: what is not given is null."""
    filled = [tuple(({"user_id": WHO} | row).get(name) for name in table.names) for row in given]
    frame = spark.createDataFrame(filled, table.schema)
    return frame.withColumn("user_bucket", delta.user_bucket()) if "user_bucket" in table.names else frame


def event(number: int, day: date, **more: Any) -> dict[str, Any]:
    plain = {"event_id": f"e{number}", "event_time": at(day), "event_date": day, "event_type": "view", "device": "web"}
    return plain | more


def leaning(day: date, key: str, score: float) -> dict[str, Any]:
    return {"as_of": day, "dimension": "category", "key": key, "score": score, "share": score / 3, "lift": 1.5,
            "recent_score": score / 2, "recent_share": None if key == "old" else 0.25, "evidence": 1}  # fmt: skip


@pytest.fixture(scope="module")
def home(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), missing_consent="withdrawn", shuffle_partitions=2)
    other = {"user_id": "somebody else"}
    earlier, later = date(2026, 2, 1), date(2026, 4, 1)
    held: dict[Table, list[dict[str, Any]]] = {
        EVENTS: [
            event(1, earlier, event_type="search", query="tea"),
            event(2, earlier, event_type="purchase", country="DE"),
            event(3, later, event_type="hide", device="tv"),
            event(4, earlier, event_type="like") | other,
        ],
        USERS: [{"birth_year": 1980, "preferences": {"diet": "vegan"}, "source": "shop", "updated_at": at(earlier)}],
        CONSENTS: [
            {"purpose": "personalisation", "at": at(earlier), "granted": True},
            {"purpose": "personalisation", "at": at(earlier), "granted": False},
            {"purpose": "newsletter", "at": at(DAY), "granted": True},
            {"purpose": "personalisation", "at": at(later), "granted": True},
        ],
        ENGAGEMENT: [{"as_of": DAY} | ENGAGED, {"as_of": later} | ENGAGED],
        DUE_AGAIN: [
            {"as_of": day, "dimension": "item", "key": key, "days": 3, "due": when}
            for day, key, when in ((earlier, "old", DAY), (date(2026, 2, 9), "bread", date(2026, 2, 20)),
                                   (date(2026, 2, 9), "tea", date(2026, 3, 4)), (later, "new", later))
        ],
        INTENT: [{"as_of": DAY} | MEANT],
        RFM: [{"as_of": earlier} | RFM_ROW | {"segment": "Promising"}, {"as_of": DAY} | RFM_ROW],
        RFM_WINDOWS: [
            {"as_of": DAY, "window_days": days, "frequency": number, "monetary": 10.0 * number}
            for days, number in ((90, 2), (30, 1))
        ],
        VALUE: [{"as_of": DAY} | WORTH],
        AFFINITY: [
            leaning(earlier, "old", 9.0), leaning(date(2026, 2, 9), "tea", 2.0), leaning(date(2026, 2, 9), "pans", 1.0),
            leaning(later, "new", 3.0), leaning(date(2026, 2, 20), "hers", 3.0) | other,
        ],
        CONTEXT: [
            {"as_of": day, "context": "daypart", "situation": part, "key": key, "share": share, "lift": 1.25}
            for day, part, key, share in (
                (date(2026, 2, 2), "night", "old", 1.0), (date(2026, 2, 20), "evening", "pans", 0.25),
                (date(2026, 2, 20), "evening", "tea", 0.75), (later, "night", "new", 1.0),
            )
        ],
    }  # fmt: skip
    for table, given in held.items():
        delta.append(rows(spark, table, *given), settings, table, "run")
    lines = ['{"person": "O\'Brien \\"Zo\\u00eb\\" \\u7528\\u6237"}', '{"person": "O\'Brien"}']
    rejected = [{"window_date": DAY, "row": line} for line in lines]
    delta.append(rows(spark, REJECTED, *rejected), settings, REJECTED, "run")
    yield settings


def test_what_was_known_before_a_date_is_told_and_nothing_later_and_of_nobody_else(home: Settings) -> None:
    found = profile(home, WHO, DAY)
    assert found.activity == {
        "events": 2, "days": 1, "first": date(2026, 2, 1), "last": date(2026, 2, 1),
        "types": {"search": 1, "purchase": 1}, "devices": {"web": 2}, "countries": {"DE": 1}, "searches": ["tea"],
    }  # fmt: skip
    assert found.stated is not None and found.stated["preferences"] == {"diet": "vegan"}
    assert found.buying is not None and found.buying["segment"] == "Loyal"
    assert found.value is not None and found.value["alive"] == 0.75
    assert [(row["situation"], row["key"]) for row in found.contexts] == [("evening", "tea"), ("evening", "pans")]
    assert profile(home, WHO, date(2026, 3, 25)).contexts == [], "of days too long ago"
    assert found.tonight is None
    before = profile(home, WHO, date(2026, 2, 1))
    assert (before.activity, before.stated, before.leanings, before.consent["at"]) == (None, None, {"category": [
        {"key": "old", "share": 3.0, "lift": 1.5, "recent_share": None, "evidence": 1, "score": 9.0,
         "recent_score": 4.5}]}, None)  # fmt: skip


def test_the_latest_word_counts_and_of_two_at_once_the_withdrawal(home: Settings) -> None:
    assert profile(home, WHO, DAY).consent["granted"] is False
    assert profile(home, WHO, date(2026, 5, 1)).consent["granted"] is True
    assert profile(home, "somebody else", DAY).consent == {"granted": None, "at": None, "missing": "withdrawn"}


def test_leanings_stand_and_fade_as_the_features_say(spark: SparkSession, home: Settings) -> None:
    found = profile(home, WHO, DAY).leanings
    expected = standing(delta.read(spark, home, AFFINITY.name), DAY).filter(F.col("user_id") == WHO)
    kept = expected.collect()
    scores = {row.key: row.score for row in kept}
    assert set(scores) == {"tea", "pans"}
    assert [entry["key"] for entry in found["category"]] == ["tea", "pans"]
    assert {entry["key"]: entry["score"] for entry in found["category"]} == pytest.approx(scores)
    lately = {entry["key"]: entry["recent_score"] for entry in found["category"]}
    assert lately == pytest.approx({row.key: row.recent_score for row in kept})


def test_rows_are_counted_in_every_table_with_a_user(home: Settings) -> None:
    counted = profile(home, WHO, DAY).rows
    assert counted == {"silver.events": 3, "silver.users": 1, "silver.consents": 4, "gold.rfm": 2, "gold.value": 1,
                       "gold.rfm_windows": 2, "gold.affinity": 4, "silver.rejected": 1, "gold.engagement": 2,
                       "gold.intent": 1, "gold.due_again": 4, "gold.context": 4}  # fmt: skip
    with pytest.raises(AttuneError, match="nothing is held about 'nobody'") as refused:
        profile(home, "nobody")
    assert all(table.name in str(refused.value) for table in TABLES.values() if "user_id" in table.names)


def test_the_words_say_what_is_held(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    show(profile(home, WHO, DAY))
    told = capsys.readouterr().out
    for words in (
        f"What is held about {WHO}, from before 2026-03-01", "birth year 1980, diet vegan (from shop)",
        "personalisation withdrawn at 2026-02-01 12:00 UTC", 'searched for "tea"',
        "at risk: active on 12 days, 0 of the last 28, the last 2026-01-20; 2.2 events a session; 25% of "
        "sessions ended after one; back and forth 1.5 times a session; less active than in the 28 days before; "
        "lately used view, add to cart; but not search",
        '1 items left in the cart worth 12.50, for 3 days at most; these are kettle; 2 searches, for "tea", "茶"',
        "2 orders worth 20.00, the last on 2026-02-20; recency 4, frequency 3, money 2 of 5: Loyal",
        "1 orders worth 10.00 in 30 days, 2 orders worth 20.00 in 90 days",
        "age 45-54, gender unknown",
        "still a customer with probability 0.75; 1.5 days with a purchase in 90",
        "tea 67% (1.5 times as much as people, 25% lately, 1 events), pans 33%",
        "there: daypart    evening: tea 75% (1.2 times as much as else), pans 25% (1.2 times as much as else)\n",
        "tea on 2026-03-04 (bought on 3 days), bread on 2026-02-20 (bought on 3 days)\n",
        "no list of their own is published", "silver.rejected 1",
    ):  # fmt: skip
        assert words in told
    assert profile(home, WHO).as_of == date(2026, 4, 1) and profile(home, WHO).intent is None, "of an earlier night"
    show(profile(home, "somebody else", DAY))
    assert "no word on personalisation; that counts as withdrawn here" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["", "x" * 257, "line\nbreak"])
def test_what_cannot_be_an_id_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ServingError, match="allowed is text of 1 to 256 characters"):
        profile(Settings(home=tmp_path), wrong)

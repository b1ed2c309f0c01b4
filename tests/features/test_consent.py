"""Consent: the latest word before the instant decides, and a known withdrawal always does."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import pytest
from pyspark.sql import DataFrame, SparkSession

from features.consent import consented_events, withdrawn_users, without_consent
from tests.features.silver import at

AS_OF = at("2026-03-01", 0)

DECISIONS: list[tuple[str, str, datetime, bool | None]] = [
    ("granted", "personalisation", at("2026-01-01"), True),
    ("withdrew", "personalisation", at("2026-01-01"), True),
    ("withdrew", "personalisation", at("2026-01-02"), False),
    ("came-back", "personalisation", at("2026-01-01"), False),
    ("came-back", "personalisation", at("2026-01-02"), True),
    ("both-at-once", "personalisation", at("2026-01-01"), True),
    ("both-at-once", "personalisation", at("2026-01-01"), False),
    ("unclear", "personalisation", at("2026-01-01"), None),
    ("about-mail", "newsletter", at("2026-01-01"), False),
    ("at-the-instant", "personalisation", AS_OF, True),
    ("withdrew-later", "personalisation", at("2026-01-01"), True),
    ("withdrew-later", "personalisation", at("2026-04-01"), False),
]


@pytest.fixture(scope="module")
def consents(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(DECISIONS, "user_id string, purpose string, at timestamp, granted boolean")


@pytest.fixture(scope="module")
def events(spark: SparkSession) -> DataFrame:
    users = sorted({row[0] for row in DECISIONS} | {"silent"})
    return spark.createDataFrame([(user,) for user in users], "user_id string")


def _users(frame: DataFrame) -> set[str]:
    return {row.user_id for row in frame.collect()}


@pytest.mark.parametrize(
    ("missing", "kept"),
    [
        ("granted", {"granted", "came-back", "about-mail", "at-the-instant", "silent"}),
        ("withdrawn", {"granted", "came-back"}),
    ],
)
def test_the_latest_decision_before_the_instant_decides_and_the_setting_decides_for_the_silent(
    events: DataFrame, consents: DataFrame, missing: Literal["granted", "withdrawn"], kept: set[str]
) -> None:
    assert _users(consented_events(events, consents, missing, AS_OF)) == kept


def test_a_withdrawal_counts_from_after_its_instant_on(consents: DataFrame) -> None:
    assert "withdrew-later" not in _users(withdrawn_users(consents, at("2026-04-01")))
    assert "withdrew-later" in _users(withdrawn_users(consents, at("2026-04-01", 13)))


def test_those_to_be_forgotten_are_those_who_do_not_consent_by_all_that_is_known(
    events: DataFrame, consents: DataFrame
) -> None:
    withdrawn = {"withdrew", "both-at-once", "unclear", "withdrew-later"}
    users = events.select("user_id")
    assert _users(without_consent(users, consents, "granted")) == withdrawn
    assert _users(without_consent(users, consents, "withdrawn")) == withdrawn | {"about-mail", "silent"}

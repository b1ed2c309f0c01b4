"""What a serving team sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lake import log
from lake.errors import ServingError
from lake.settings import Settings
from lake.tables import FALLBACKS, RECOMMENDATIONS
from serving.opened import Opened
from serving.publish import publish
from serving.reader import SnapshotReader
from tests.serving.conftest import Published
from tests.serving.lists import DAY, FALLBACK, RECOMMENDATION, USERS, items

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def reader(published_once: Published) -> SnapshotReader:
    """A reader of the second snapshot."""
    return SnapshotReader(published_once.settings.lake)


@pytest.mark.parametrize("user_id", USERS)
def test_a_known_user_gets_their_own_list(reader: SnapshotReader, published_once: Published, user_id: str) -> None:
    answer = reader.recommend(user_id, 2)
    assert (answer.user_id, answer.snapshot_id, answer.rung, answer.cohort) == (
        user_id, published_once.second, "personal", None
    )  # fmt: skip
    assert [(item.rank, item.title) for item in answer.items] == [
        (1, f"second {user_id} 1"),
        (2, f"second {user_id} 2"),
    ]
    assert (answer.as_of, answer.model_version) == (DAY + timedelta(days=1), "hybrid/1")
    assert answer.items[0].reason == "like what you bought"


def test_an_unknown_user_gets_the_list_of_everyone(reader: SnapshotReader) -> None:
    answer = reader.recommend("nobody", 3)
    assert (answer.rung, answer.cohort, answer.items[0].title) == ("global", "all", "second all 1")


def test_the_ladder_goes_from_segment_to_country_to_everyone(reader: SnapshotReader) -> None:
    asked = [
        reader.recommend("nobody", segment="loyal", country="FR"),
        reader.recommend("nobody", segment="unheard of", country="FR"),
        reader.recommend("nobody", segment="unheard of", country="XX"),
    ]
    assert [(answer.rung, answer.cohort) for answer in asked] == [
        ("segment", "loyal"), ("country", "FR"), ("global", "all"),
    ]  # fmt: skip


def test_stage_and_season_are_rungs_and_a_snapshot_of_before_them_is_read_as_it_was_published(
    spark: SparkSession, settings: Settings, published_once: Published
) -> None:
    lists = spark.createDataFrame(
        [("ada", "champions", "GB", items("ada"), "new"), ("listless", None, "FR", [], "new"),
         ("gone", None, "FR", [], "lapsed")], f"{RECOMMENDATION}, stage string",
    )  # fmt: skip
    rungs = (("stage", "new"), ("country", "FR"), ("season", "all"), ("global", "all"))
    cohorts = spark.createDataFrame([(*rung, items(rung[0])) for rung in rungs], FALLBACK)
    publish(spark, settings, lists, cohorts, as_of=DAY, model_version="hybrid/1", run_id="stages")
    reader = SnapshotReader(settings.lake)
    reader.verify()
    asked: dict[str, dict[str, Any]] = {
        "listless": {}, "gone": {}, "nobody": {"season": True}, "no one": {"stage": "new", "country": "FR"},
    }  # fmt: skip
    told = {user: reader.recommend(user, 1, **known).rung for user, known in asked.items()}
    assert told == {"listless": "stage", "gone": "country", "nobody": "season", "no one": "stage"}
    assert reader.recommend("nobody").rung == "global"
    # As it lay there before the contract had the column.
    before = SnapshotReader(published_once.settings.lake).snapshot
    for table, version in (
        (RECOMMENDATIONS, before.recommendations_version), (FALLBACKS, before.fallbacks_version),
    ):  # fmt: skip
        path = log.address(published_once.settings, table.name)
        frame = spark.read.format("delta").option("versionAsOf", version).load(path).drop("stage")
        frame.write.format("delta").save(str(settings.lake / "before" / table.name.replace(".", "/")))
    older = Opened(str(settings.lake / "before"), replace(before, recommendations_version=0, fallbacks_version=0))
    older.verify()
    assert sum(batch.num_rows for batch in older.batches()) == before.users
    assert older.answer("ada", 1, None, None, datetime.now(UTC)).rung == "personal"
    assert older.answer("listless", 1, None, None, datetime.now(UTC), stage="new").cohort == "loyal"


def test_a_user_with_an_empty_list_gets_that_of_their_segment(reader: SnapshotReader) -> None:
    answer = reader.recommend("listless", country="XX")
    assert (answer.rung, answer.cohort) == ("segment", "loyal")


def test_more_items_than_the_list_has_are_no_error(reader: SnapshotReader) -> None:
    assert len(reader.recommend("ada", 200).items) == 3


@pytest.mark.parametrize(
    ("user_id", "shown"),
    [
        (None, "NoneType"), (7, "int"), (b"ada", "bytes"), ("", "empty"), ("a\x00b", "U+0000"), ("a\nb", "U+000A"),
        ("\ud800", "U+D800"), ("x" * 10_000, "10,000 characters"), ("x" * 257, "257 characters"),
    ],
    ids=["none", "int", "bytes", "empty", "nul", "newline", "lone surrogate", "10 kB", "257"],
)  # fmt: skip
def test_a_malformed_id_is_refused_with_what_is_allowed(reader: SnapshotReader, user_id: str, shown: str) -> None:
    with pytest.raises(ServingError, match="allowed is text of 1 to 256 characters") as raised:
        reader.recommend(user_id)
    assert shown in str(raised.value)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("k", [0, -1, 201, 2.0, "3", None, True])
def test_a_wrong_number_of_items_is_refused(reader: SnapshotReader, k: int) -> None:
    with pytest.raises(ServingError, match="allowed is a whole number from 1 to 200"):
        reader.recommend("ada", k)


def test_an_answer_is_fresh_until_the_snapshot_expires(published_once: Published) -> None:
    # As of 1 January, valid for two days.
    clock = iter((datetime(2018, 1, 2, 23, 59, tzinfo=UTC), datetime(2018, 1, 3, tzinfo=UTC)))
    reader = SnapshotReader(published_once.settings.lake, clock=lambda: next(clock))
    answers = [reader.recommend("ada"), reader.recommend("ada")]
    assert [answer.fresh for answer in answers] == [True, False]
    assert answers[0].valid_until == datetime(2018, 1, 3, tzinfo=UTC)


def test_an_answer_is_json_with_everything_in_it(reader: SnapshotReader) -> None:
    answer = reader.recommend("Zoë", 1)
    found = json.loads(answer.to_json())
    assert found == answer.to_dict()
    assert found["as_of"] == "2018-01-01"
    assert found["items"] == [
        {"rank": 1, "item_id": "i1", "title": "second Zoë 1", "score": 1.0, "source": "als",
         "reason": "like what you bought", "slot_kind": "fill", "propensity": 1.0}
    ]  # fmt: skip


def test_nothing_published_says_what_to_run(settings: Settings) -> None:
    with pytest.raises(ServingError, match="attune nightly"):
        SnapshotReader(settings.lake)


def test_a_vacuumed_snapshot_gives_a_clear_error(published: Published) -> None:
    reader = SnapshotReader(published.settings.lake)
    for file in (published.settings.lake / "gold" / "recommendations").glob("*.parquet"):
        file.unlink()
    with pytest.raises(ServingError, match=r"cannot be read .* refresh"):
        reader.recommend("ada")


def test_memory_is_bounded_by_the_number_of_buckets(published_once: Published) -> None:
    reader = SnapshotReader(published_once.settings.lake, cached_buckets=2)
    for user in (*USERS, *USERS):
        assert reader.recommend(user).rung == "personal"
    assert len(reader.opened._buckets) == 2


def test_reading_and_rolling_back_need_neither_spark_nor_java(published: Published) -> None:
    script = """
import sys
from pathlib import Path
from lake.settings import Settings
from serving.reader import SnapshotReader
from serving.sinks import export
from serving.switch import release, rollback

settings = Settings(home=Path(sys.argv[1]))
reader = SnapshotReader(settings.lake)
assert reader.recommend("ada").rung == "personal"
reader.verify()
rollback(settings, reason="a look")
assert reader.refresh()
release(settings, reason="seen")
export(reader, settings.home / "out.jsonl")
foreign = sorted(name for name in sys.modules if name.split(".")[0] in ("pyspark", "py4j", "delta"))
assert not foreign, foreign
"""
    environment = {"PATH": "", "JAVA_HOME": "", "PYTHONPATH": str(PROJECT), "HOME": os.environ.get("HOME", "")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(published.settings.home)],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

"""The checksum: the same in Spark and without it, blind to order, awake to content."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lake.delta import user_bucket as spark_bucket
from serving import checksum
from serving.bucket import user_bucket
from serving.digests import groups_of
from tests.serving.lists import RECOMMENDATION, items

TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
REAL = st.none() | st.floats(allow_nan=False, allow_infinity=False)
ITEM = st.tuples(st.integers(1, 200), TEXT, TEXT, REAL, TEXT, TEXT, TEXT, REAL)
ROW = st.tuples(TEXT, TEXT, TEXT, st.none() | st.lists(ITEM, max_size=4), TEXT)


def _as_dictionary(row: tuple[Any, ...]) -> dict[str, Any]:
    user_id, segment, country, listed, *stage = row
    found = None if listed is None else [dict(zip(checksum.ITEM, item, strict=True)) for item in listed]
    return {"user_id": user_id, "segment": segment, "country": country, "items": found} | dict(
        zip(["stage"], stage, strict=False)
    )


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(ROW.filter(lambda row: row[0] is not None), min_size=1, max_size=40))
def test_spark_and_python_agree_on_any_rows(spark: SparkSession, rows: list[tuple[Any, ...]]) -> None:
    frame = spark.createDataFrame(rows, f"{RECOMMENDATION}, stage string").withColumn("user_bucket", spark_bucket())
    by_bucket: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        by_bucket.setdefault(user_bucket(row[0]), []).append(_as_dictionary(row))
    expected = [checksum.group_of(checksum.RECOMMENDATIONS, number, members) for number, members in by_bucket.items()]
    found = groups_of(checksum.RECOMMENDATIONS, frame)
    assert sorted(found) == sorted(expected)
    assert checksum.checksum_of(found) == checksum.checksum_of(expected)


def _checksum(*rows: tuple[Any, ...]) -> str:
    group = checksum.group_of(checksum.RECOMMENDATIONS, 0, [_as_dictionary(row) for row in rows])
    return checksum.checksum_of([group])


ONE = ("ada", "champions", "GB", items("x"))
FIRST = items("x")[0]
TWO = ("bob", None, "GB", items("y"))


def test_a_stage_counts_and_without_one_the_checksum_is_that_of_before_there_were_any() -> None:
    assert _checksum((*ONE, None)) == _checksum(ONE) != _checksum((*ONE, "new"))


def test_the_order_of_rows_does_not_matter() -> None:
    assert _checksum(ONE, TWO) == _checksum(TWO, ONE)


@pytest.mark.parametrize(
    "changed",
    [
        ("adb", "champions", "GB", items("x")),
        ("ada", "champions", None, items("x")),
        ("adac", "hampions", "GB", items("x")),
        ("ada", "champions", "GB", items("x")[:2]),
        ("ada", "champions", "GB", items("x")[::-1]),
        ("ada", "champions", "GB", []),
        ("ada", "champions", "GB", None),
        ("ada", "champions", "GB", [(*FIRST[:3], 1.0000000000000002, *FIRST[4:]), *items("x")[1:]]),
    ],
    ids=["id", "null", "boundary", "shorter", "order in list", "empty", "missing", "last bit of a score"],
)  # fmt: skip
def test_any_change_of_content_shows(changed: tuple[Any, ...]) -> None:
    assert _checksum(changed, TWO) != _checksum(ONE, TWO)


def test_a_row_twice_is_not_a_row_once() -> None:
    assert _checksum(ONE, ONE) != _checksum(ONE)


def test_a_known_row_keeps_its_text() -> None:
    row = {"rung": "global", "cohort": "all", "items": [dict(zip(checksum.ITEM, items("é", 1)[0], strict=True))]}
    assert checksum.row_text(row, checksum.FALLBACK) == (
        "6:global3:all[1;1;2:i14:é 1-2162451265447482029;3:als20:like what you bought4:fill-2162451265447482029;"
    )

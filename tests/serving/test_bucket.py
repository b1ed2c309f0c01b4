"""The bucket without Spark is the bucket of Spark."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lake.delta import user_bucket as spark_bucket
from serving.bucket import USER_BUCKETS, user_bucket

IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(ids=st.lists(IDS, min_size=60, max_size=120))
def test_any_text_has_the_bucket_that_spark_gives_it(spark: SparkSession, ids: list[str]) -> None:
    frame = spark.createDataFrame([(number, text) for number, text in enumerate(ids)], "number int, user_id string")
    rows = frame.withColumn("bucket", spark_bucket()).orderBy("number").collect()
    assert [row["bucket"] for row in rows] == [user_bucket(text) for text in ids]


def test_buckets_are_0_to_255_and_all_of_them_are_used() -> None:
    assert {user_bucket(str(number)) for number in range(5000)} == set(range(USER_BUCKETS))

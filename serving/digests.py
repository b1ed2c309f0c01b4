"""The digests of serving.checksum, computed by Spark where the rows are."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from serving.checksum import FALLBACK, FALLBACKS, ITEM, RECOMMENDATION, RECOMMENDATIONS, Group


def groups_of(table: str, frame: DataFrame) -> list[Group]:
    """The digest of each group: at most 256 for the personal lists, one for the fallbacks.

    frame: the contract's columns; personal lists need user_bucket. Only the digests reach the driver.
    """
    columns = RECOMMENDATION if table == RECOMMENDATIONS else FALLBACK
    group = F.col("user_bucket") if table == RECOMMENDATIONS else F.lit(0)
    held = {name: kind for name, kind in columns.items() if kind != "added" or name in frame.columns}
    text = F.concat(*(_field(F.col(name), kind) for name, kind in held.items()))
    rows = frame.select(group.alias("group"), F.sha2(text, 256).alias("digest"))
    digests = F.array_join(F.sort_array(F.collect_list("digest")), "")
    found = rows.groupBy("group").agg(F.count("*").alias("rows"), F.sha2(digests, 256).alias("digest"))
    return [Group(table, row["group"], row["rows"], row["digest"]) for row in found.collect()]


def content_groups(recommendations: DataFrame, fallbacks: DataFrame) -> list[Group]:
    """The digests of both tables."""
    return groups_of(RECOMMENDATIONS, recommendations) + groups_of(FALLBACKS, fallbacks)


def _field(value: Column, kind: str) -> Column:
    if kind in ("text", "added"):
        written = F.concat(F.octet_length(value).cast("string"), F.lit(":"), value)
    elif kind == "whole":
        written = F.concat(value.cast("string"), F.lit(";"))
    elif kind == "real":
        written = F.concat(F.xxhash64(value).cast("string"), F.lit(";"))
    else:
        texts = F.array_join(F.transform(value, _item), "")
        written = F.concat(F.lit("["), F.size(value).cast("string"), F.lit(";"), texts)
    return F.when(value.isNull(), F.lit("" if kind == "added" else "~")).otherwise(written)


def _item(item: Column) -> Column:
    written = F.concat(*(_field(item[name], kind) for name, kind in ITEM.items()))
    return F.when(item.isNull(), F.lit("~")).otherwise(written)

"""Items, users and consents from their files. Pure: rows of bronze in, contract columns out."""

from __future__ import annotations

from typing import TypeVar

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.standardise import Codes, clean_text, with_code
from lake.errors import SourceError
from lake.sources.columns import category, is_sensitive, parse_time, source_column, standard, time_expression
from lake.sources.mapping import Mapping
from lake.sources.sections import Consents, Items, Section, Users

S = TypeVar("S", Items, Users, Consents)

PERSONALISATION_LEVELS = ("none", "segment", "individual")
TRUE_WORDS = ("true", "yes", "y", "1", "granted", "t")


def described_in_files(bronze: DataFrame, mapping: Mapping) -> DataFrame:
    """Catalogue rows from item files: item_id, the description columns, updated_at, price and currency.

    bronze: rows of bronze.<source>_items. Rows without an item id, and unparsable ones, are left out.
    """
    section = _section(mapping.items, mapping, "items")
    path, title = category(section), clean_text(standard(section, "title"))
    return _readable(bronze, section, "item_id").select(
        standard(section, "item_id").alias("item_id"),
        title.alias("title"),
        path.alias("category"),
        clean_text(standard(section, "brand")).alias("brand"),
        _attributes(section.attributes).alias("attributes"),
        parse_time(standard(section, "available_from"), section.time).cast("date").alias("available_from"),
        parse_time(standard(section, "available_to"), section.time).cast("date").alias("available_to"),
        is_sensitive(mapping, path, title).alias("sensitive"),
        F.lit(mapping.name).alias("source"),
        F.col("_logical_date").cast("timestamp").alias("updated_at"),
        standard(section, "price").try_cast("double").alias("price"),
        F.upper(standard(section, "currency")).alias("currency"),
    )


def users_in_files(bronze: DataFrame, mapping: Mapping, countries: Codes) -> DataFrame:
    """Columns of silver.users, but for user_bucket, from rows of bronze.<source>_users; the latest received wins."""
    section = _section(mapping.users, mapping, "users")
    level = F.lower(standard(section, "personalisation_level"))
    named = _readable(bronze, section, "user_id").withColumn("country", clean_text(standard(section, "country")))
    found = with_code(named, "country", countries, section.constants.get("country")).select(
        standard(section, "user_id").alias("user_id"),
        F.struct(
            F.col("country"),
            standard(section, "birth_year").try_cast("double").cast("int").alias("birth_year"),
            _attributes(section.preferences).alias("preferences"),
            _attributes(section.attributes).alias("attributes"),
            F.when(level.isin(*PERSONALISATION_LEVELS), level).alias("personalisation_level"),
            F.lit(mapping.name).alias("source"),
            F.col("_logical_date").cast("timestamp").alias("updated_at"),
        ).alias("_latest"),
        F.struct("_received_at", "_file").alias("_order"),
    )
    return found.groupBy("user_id").agg(F.max_by("_latest", "_order").alias("_latest")).select("user_id", "_latest.*")


def consents_in_files(bronze: DataFrame, mapping: Mapping) -> DataFrame:
    """Columns of silver.consents, but for user_bucket, one row a key; of two words at one instant, withdrawn wins.

    Doubt never grants: a decision that cannot be read is a withdrawal, and so is one without a readable instant,
    which then counts from when its file arrived.
    """
    section = _section(mapping.consents, mapping, "consents")
    at = time_expression(section, "at")
    word = F.lower(standard(section, "granted"))
    granted = F.coalesce(word.isin(*TRUE_WORDS), F.lit(False)) & at.isNotNull()
    return (
        _readable(bronze, section, "user_id")
        .select(
            standard(section, "user_id").alias("user_id"),
            F.coalesce(F.lower(standard(section, "purpose")), F.lit("personalisation")).alias("purpose"),
            F.coalesce(at, F.col("_logical_date").cast("timestamp")).alias("at"),
            granted.alias("granted"),
            F.lit(mapping.name).alias("source"),
        )
        .groupBy("user_id", "purpose", "at")
        .agg(F.min("granted").alias("granted"), F.max("source").alias("source"))
    )


def _section(section: S | None, mapping: Mapping, kind: str) -> S:
    if section is None:
        raise SourceError(f"the mapping of {mapping.name} does not say what its {kind} look like: add [{kind}]")
    return section


def _readable(bronze: DataFrame, section: Section, key: str) -> DataFrame:
    return bronze.filter(F.col("_corrupt_record").isNull() & standard(section, key).isNotNull())


def _attributes(names: tuple[str, ...]) -> Column:
    """The named source columns as a map from name to text, without those that are null."""
    if not names:
        return F.lit(None).cast("map<string,string>")
    pairs = [part for name in names for part in (F.lit(name), clean_text(source_column(name)))]
    return F.map_filter(F.create_map(*pairs), lambda _, value: value.isNotNull())

"""Columns of bronze, read through a mapping: names, standard values, times, categories. Pure; frames come from others.

Bronze keeps every source value as the text that was received. Delta refuses some characters in column names, so a
source column "Customer ID" is called "Customer_ID" there: `bronze_name` says how.
"""

from __future__ import annotations

import re

from pyspark.sql import Column
from pyspark.sql import functions as F

from lake.errors import SourceError
from lake.sources.fields import bronze_name
from lake.sources.mapping import Mapping
from lake.sources.sections import Consents, Events, Items, Section, Time

_OFFSET = r"(?i)[T ]\d{1,2}:\d{2}(:\d{2})?([.]\d+)?\s*(Z|UTC|[+-]\d{1,2}(:?\d{2})?)\s*$"


def source_column(column: str) -> Column:
    """The text of a source column."""
    return F.col(f"`{bronze_name(column)}`")


def standard(section: Section, name: str) -> Column:
    """The text of a standard column: the constant, or the source's value trimmed and put through the value map.

    Null where the source says nothing, or the value map says that the value means nothing. Not for `category`.
    """
    if name in section.constants:
        return F.lit(section.constants[name])
    columns = section.columns.named().get(name)
    if not columns:
        return F.lit(None).cast("string")
    return _mapped(F.trim(source_column(columns[0])), section.values.get(name, {}))


def _mapped(value: Column, values: dict[str, str]) -> Column:
    value = F.when(value != "", value)
    if not values:
        return value
    pairs = [F.lit(text) for pair in values.items() for text in pair]
    mapped = F.coalesce(F.create_map(*pairs)[value], value)
    return F.when(mapped != "", mapped)


def category(section: Events | Items) -> Column:
    """The category path as array<string>, broadest first, without empty levels; null when there is none."""
    levels = section.columns.named().get("category", ())
    if not levels:
        return F.lit(None).cast("array<string>")
    values = section.values.get("category", {})
    path = F.array(*(F.trim(source_column(level)) for level in levels))
    if section.category_separator:
        separator = "".join(letter if letter.isalnum() else f"\\{letter}" for letter in section.category_separator)
        path = F.flatten(F.transform(F.filter(path, lambda level: level.isNotNull()),
                                     lambda level: F.split(level, separator)))  # fmt: skip
    path = F.filter(F.transform(path, lambda level: _mapped(F.trim(level), values)), lambda level: level.isNotNull())
    return F.when(F.size(path) > 0, path)


def is_sensitive(mapping: Mapping, path: Column, title: Column) -> Column:
    """Whether an item with this category path (array<string>) and title must never be recommended; never null."""
    return F.coalesce(_any_level(path, mapping.sensitive.categories), F.lit(False)) | _any_found(
        title, mapping.sensitive.titles
    )


def names_sensitive(mapping: Mapping, text: Column) -> Column:
    """Whether a text that somebody wrote has a pattern of a sensitive category or title anywhere in it; never null."""
    return _any_found(text, (*mapping.sensitive.categories, *mapping.sensitive.titles))


def is_no_item(mapping: Mapping, item_id: Column, path: Column) -> Column:
    """Whether a row about this item is about no product; never null."""
    rules = mapping.events.not_items
    by_id = _any_found(item_id, (rules.pattern,), any_case=False) if rules.pattern else F.lit(False)
    return by_id | F.coalesce(_any_level(path, rules.categories), F.lit(False))


def _any_level(path: Column, patterns: tuple[str, ...]) -> Column:
    if not patterns:
        return F.lit(False)
    whole = "(?i)^(?:" + "|".join(f"(?:{pattern})" for pattern in patterns) + ")$"
    return F.exists(path, lambda level: F.coalesce(level.rlike(whole), F.lit(False)))


def _any_found(text: Column, patterns: tuple[str, ...], *, any_case: bool = True) -> Column:
    if not patterns:
        return F.lit(False)
    pattern = "|".join(f"(?:{pattern})" for pattern in patterns)
    return F.coalesce(text.rlike(f"(?i){pattern}" if any_case else pattern), F.lit(False))


def event_time_expression(mapping: Mapping) -> Column:
    """The instant of an event of bronze.<source>, UTC timestamp; null when it is absent or cannot be parsed."""
    return time_expression(mapping.events, "event_time")


def time_expression(section: Events | Items | Consents, name: str) -> Column:
    """The instant in a standard column of a section with a [.time] table; null when it cannot be parsed.

    Expects the session's time zone to be UTC.
    """
    if name not in section.columns.named():
        raise SourceError(f"{name} has no source column; mapped are: {', '.join(section.columns.named())}")
    return parse_time(standard(section, name), section.time)


def parse_time(text: Column, time: Time) -> Column:
    """A text as UTC timestamp by the first of the formats that parses it; null when none does."""
    return F.coalesce(*(_parse(text, pattern, time.zone) for pattern in time.format))


def _parse(text: Column, pattern: str, zone: str) -> Column:
    if pattern in ("epoch_seconds", "epoch_millis"):
        number = text.try_cast("decimal(22,6)")
        micros = F.round(number * (1_000_000 if pattern == "epoch_seconds" else 1_000), 0)
        # Beyond the years 1 to 9999 nothing is a time, and timestamp_micros would overflow.
        sane = micros.between(F.lit(-62_135_596_800_000_000), F.lit(253_402_300_799_999_999))
        return F.when(sane, F.timestamp_micros(F.when(sane, micros).cast("long")))
    if pattern == "iso":
        # Spark would also take a bare time of day, and mean today: a date has its hyphen after the year.
        dated = (F.instr(text, "-") == 5) & ~F.instr(text, ":").between(1, 5)
        parsed = F.try_to_timestamp(F.when(dated, text))
        if zone == "UTC":
            return parsed
        return F.when(F.coalesce(text.rlike(_OFFSET), F.lit(False)), parsed).otherwise(_in_zone(parsed, zone))
    parsed = F.try_to_timestamp(text, F.lit(pattern))
    return parsed if _says_zone(pattern) else _in_zone(parsed, zone)


def _in_zone(local: Column, zone: str) -> Column:
    return local if zone == "UTC" else F.to_utc_timestamp(local, zone)


def _says_zone(pattern: str) -> bool:
    return bool(set(re.sub(r"'[^']*'", "", pattern)) & set("VzOXxZ"))

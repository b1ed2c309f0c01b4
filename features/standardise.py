"""From source rows (strings, as received) to standard event columns. Nothing is dropped here.

Filled, each with its name in `filled`: `quantity` 1 for a purchase or return that gives none, `amount` from
quantity x unit price, `unit_price` from amount / quantity, `device` "unknown".
Corrected, each with its name in `corrected`: see `correct_signs` and `correct_times`.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.rules import compact
from lake.sources.columns import (
    bronze_name,
    category,
    event_time_expression,
    is_no_item,
    is_sensitive,
    names_sensitive,
    source_column,
    standard,
)
from lake.sources.mapping import Mapping

Codes = Dictionary[str, str]

SPACES = r"[\s\u00a0\u2000-\u200b\u3000]+"
CONTROL = r"[\u0000-\u0008\u000e-\u001f\u007f]"

IDS = ("event_id", "user_id", "item_id", "order_id", "snapshot_id")
NUMBERS = ("quantity", "unit_price", "amount", "rating")
TEXTS = ("query", "surface", "title", "brand")
WHENCE = ("_file", "_window_date", "_logical_date", "_corrupt_record")


def standardise(
    bronze: DataFrame, mapping: Mapping, countries: Codes, currencies: Codes, not_items: DataFrame
) -> DataFrame:
    """Standard columns of every row of bronze.<source>, with `_source_row` (a struct) and whence it came.

    countries, currencies: names and codes in lower case to ISO codes. not_items: [item_id] of the catalogue that
    are no products. Null means that the source said nothing; a number that cannot be read is NaN and an unknown
    currency stays as it is, for the rules to reject.
    What was searched for of a sensitive topic is not kept: `query` is null.
    Adds filled and corrected (arrays of flags), _not_item, _key, a hash of what makes a row itself, by which repeats
    are known, and _row_hash, by which they are put in order.
    """
    events = mapping.events
    source_columns = [F.col(f"`{name}`") for name in bronze.columns if not name.startswith("_")]
    columns: dict[str, Column] = {name: standard(events, name) for name in IDS}
    columns |= {name: _number(standard(events, name)) for name in NUMBERS}
    columns |= {name: clean_text(standard(events, name)) for name in TEXTS}
    columns |= {
        "event_type": F.regexp_replace(F.lower(standard(events, "event_type")), r"[\s-]+", "_"),
        "event_time": event_time_expression(mapping),
        "dwell_ms": standard(events, "dwell_ms").try_cast("double").cast("long"),
        "slot": standard(events, "slot").try_cast("int"),
        "device": F.lower(clean_text(standard(events, "device"))),
        "category": category(events),
        "source": F.lit(mapping.name),
        "received_at": F.col("_received_at"),
        "_source_row": F.struct(*source_columns),
        "_natural_key": natural_key(mapping, bronze.columns),
        "_row_hash": F.xxhash64(*source_columns),
        "_cancelled": cancelled(mapping),
    }
    columns |= {name: clean_text(standard(events, name)) for name in ("country", "currency")}
    selected = bronze.select(*(column.alias(name) for name, column in columns.items()), *WHENCE)
    selected = with_code(selected, "country", countries, events.constants.get("country"))
    selected = with_code(selected, "currency", currencies, events.constants.get("currency"))
    no_item = F.coalesce("_listed_no_item", F.lit(False)) | is_no_item(mapping, F.col("item_id"), F.col("category"))
    unknown = F.col("_country_text").isNotNull() & F.col("country").isNull()
    named = (
        selected.join(F.broadcast(not_items.withColumn("_listed_no_item", F.lit(True))), "item_id", "left")
        .withColumn("corrected", flags({"unknown_country": unknown}))
        .withColumn("currency", F.coalesce("currency", F.upper("_currency_text")))
        # The source's name keeps the event ids of two sources apart.
        .withColumn("event_id", F.concat_ws(":", "source", F.coalesce("event_id", "_natural_key")))
        .withColumn("_not_item", F.coalesce(no_item, F.lit(False)))
        .withColumn("sensitive", is_sensitive(mapping, F.col("category"), F.col("title")))
        .withColumn("query", F.when(~names_sensitive(mapping, F.col("query")), F.col("query")))
        .withColumn("_key", F.xxhash64("_natural_key"))
        .drop("_country_text", "_currency_text", "_listed_no_item", "_natural_key")
    )
    return correct_times(fill(correct_signs(named)))


def cancelled(mapping: Mapping) -> Column:
    """Whether the source says that a row of bronze cancels an earlier purchase; never null."""
    rule = mapping.events.cancellation
    says: Column = F.lit(False)
    if rule and rule.column and rule.prefix:
        says = says | F.startswith(F.trim(source_column(rule.column)), F.lit(rule.prefix))
    if rule and rule.negative_quantity:
        says = says | (_number(standard(mapping.events, "quantity")) < 0)
    return F.coalesce(says, F.lit(False))


def correct_signs(frame: DataFrame) -> DataFrame:
    """Cancellations, and purchases whose quantity and money are both negative, become returns with positive signs.

    A negative quantity at no price is a stock correction, not a return: it stays negative, and is rejected.
    """
    purchase, says = F.col("event_type") == "purchase", F.col("_cancelled")
    paid = F.coalesce(F.col("amount"), F.col("quantity") * F.col("unit_price"))
    negative = F.coalesce((F.col("quantity") < 0) & (paid < 0), F.lit(False))
    returned = F.coalesce(purchase & (says | negative), F.lit(False))
    made = flags({"cancellation_to_return": returned & says, "negative_quantity_to_return": returned & ~says})
    frame = frame.withColumn("_returned", returned).withColumn("_made", made)
    for name in ("quantity", "amount"):
        frame = frame.withColumn(name, F.when(F.col("_returned"), F.abs(name)).otherwise(F.col(name)))
    return (
        frame.withColumn("event_type", F.when(F.col("_returned"), "return").otherwise(F.col("event_type")))
        .withColumn("corrected", F.concat("corrected", "_made"))
        .drop("_returned", "_made", "_cancelled")
    )


def fill(frame: DataFrame) -> DataFrame:
    """Fill what follows from the rest of the row; name what was filled."""
    trade = F.col("event_type").isin("purchase", "return")
    rules: list[tuple[str, Column, Column]] = [
        ("quantity", trade, F.lit(1.0)),
        ("amount", trade, F.col("quantity") * F.col("unit_price")),
        ("unit_price", F.col("quantity") > 0, F.try_divide("amount", "quantity")),
        ("device", F.lit(True), F.lit("unknown")),
    ]
    made = []
    for name, condition, value in rules:
        # Which column was filled is known afterwards: it was null, and no longer is.
        frame = frame.withColumn(f"_had_{name}", F.col(name).isNotNull())
        frame = frame.withColumn(name, F.coalesce(name, F.when(condition, value)))
        made.append(F.when(~F.col(f"_had_{name}") & F.col(name).isNotNull(), F.lit(name)))
    return frame.withColumn("filled", compact(*made)).drop(*(f"_had_{name}" for name, _, _ in rules))


def correct_times(frame: DataFrame) -> DataFrame:
    """Correct the one mistake of a clock that is certain: day and month swapped.

    Certain means: the time as read lies after the row was received, and with day and month exchanged it falls
    on the very date the row arrived for (`_window_date`).
    """
    time = F.col("event_time")
    # F.second would lose the fraction.
    seconds = F.extract(F.lit("SECONDS"), time)
    swapped = F.try_make_timestamp(
        F.year(time), F.dayofmonth(time), F.month(time), F.hour(time), F.minute(time), seconds
    )
    wrong = F.coalesce((time > F.col("received_at")) & (F.to_date(swapped) == F.col("_window_date")), F.lit(False))
    return (
        frame.withColumn("_wrong", wrong)
        .withColumn("event_time", F.when(F.col("_wrong"), swapped).otherwise(time))
        .withColumn("corrected", F.concat("corrected", flags({"day_and_month_swapped": F.col("_wrong")})))
        .drop("_wrong")
    )


def clean_text(text: Column) -> Column:
    """Text for people: control characters out, runs of white space to one space, trimmed; blank is null."""
    plain = F.trim(F.regexp_replace(F.regexp_replace(text, CONTROL, ""), SPACES, " "))
    return F.when(plain != "", plain)


def natural_key(mapping: Mapping, bronze_columns: list[str]) -> Column:
    """SHA-256 over the source columns that make a row itself; all of them when the mapping names none."""
    if mapping.events.identity:
        names = [bronze_name(column) for column in mapping.events.identity.natural_key]
    else:
        names = [name for name in bronze_columns if not name.startswith("_")]
    # A separator that no text file holds, and a mark for null, keep ("a", null), ("a", "") and ("a" alone) apart.
    parts = [F.coalesce(F.col(f"`{name}`"), F.lit("\u0001")) for name in names]
    return F.sha2(F.concat_ws("\u0000", *parts), 256)


def with_code(frame: DataFrame, name: str, codes: Codes, constant: str | None = None) -> DataFrame:
    """The frame with the code in place of a name or code in any case; null when unknown.

    Adds `_<name>_text`, what was given. A constant is looked up here and now.
    """
    frame = frame.withColumnRenamed(name, f"_{name}_text")
    if constant is not None:
        return frame.withColumn(name, F.lit(codes.get(constant.strip().lower())).cast("string"))
    table = frame.sparkSession.createDataFrame(list(codes.items()), f"_key string, {name} string")
    return frame.join(F.broadcast(table), F.lower(f"_{name}_text") == F.col("_key"), "left").drop("_key")


def flags(conditions: dict[str, Column]) -> Column:
    """array<string>: the names of the conditions that hold."""
    return compact(*(F.when(condition, F.lit(name)) for name, condition in conditions.items()))


def _number(text: Column) -> Column:
    return F.coalesce(text.try_cast("double"), F.when(text.isNotNull(), F.lit(float("nan"))))

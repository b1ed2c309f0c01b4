"""From genuine events to the lines of the files, spoilt as their kinds say, each with its truth beside it.

A frame of lines has the truth in columns named as in silver.events (what cleaning should arrive at), the line in
columns SENT (texts, as written), the kind of defect (null for an ordinary line) and the day it lands.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.generator.catalogue import item_id
from lake.generator.chance import below, uniform
from lake.generator.defects import KINDS, TIME_FORMAT, Kind, kind_of, possible
from lake.generator.params import Params
from lake.generator.people import user_id

CURRENCY = "EUR"
SENT = (
    "id", "user", "item", "type", "at", "order", "quantity", "price", "currency", "rating", "dwell", "query", "device",
    "country", "slot",
)  # fmt: skip
# A file is refused when none of its lines has one of these, so they are always written.
ALWAYS = ("user", "item", "type", "at", "order")
TRUTH = (
    "event_id", "kind", "outcome", "reasons", "of_event_id", "user_id", "item_id", "event_type", "event_time",
    "quantity", "currency", "country",
)  # fmt: skip
CUT = 12  # characters that a cut line lacks at its end


def lines(params: Params, people: DataFrame, bots: DataFrame) -> DataFrame:
    """One row a line: TRUTH but for outcome and reasons, the SENT columns under `sent`, and landed (date).

    of_event_id: the event that a further line repeats or returns; the line's own event otherwise.
    """
    ordinary = _named(params, people).withColumn("drawn", kind_of(params)).withColumnRenamed("drawn", "kind")
    ordinary = ordinary.withColumn("kind", F.when(possible(params), F.col("kind")))
    further = F.col("kind").isin(*(kind.name for kind in KINDS if kind.further))
    copies = F.when(further, F.array(F.lit(False), F.lit(True))).otherwise(F.array(F.lit(False)))
    copied = ordinary.withColumn("copy", F.explode(copies))
    # The event's own line is an ordinary one.
    copied = copied.withColumn("kind", F.when(~further | F.col("copy"), F.col("kind"))).drop("copy")
    return _sent(params, copied.unionByName(_named(params, bots).withColumn("kind", F.lit("bot"))))


def texts_of(frame: DataFrame) -> DataFrame:
    """[landed, value]: the lines as JSON."""
    options = {"ignoreNullFields": "true"}
    value = F.to_json("sent", options)
    cut = F.col("kind") == "line_cut"
    whole = F.when(cut, F.substring(value, F.lit(1), F.length(value) - CUT)).otherwise(value)
    return frame.select("landed", F.col("event_time").alias("at"), whole.alias("value"))


def truth_of(frame: DataFrame) -> DataFrame:
    """TRUTH of the lines that are not ordinary: defects of people's events, and the events of bots."""
    outcomes = {kind.name: str(kind.outcome) for kind in KINDS} | {"bot": "bot"}
    # Reasons hold commas themselves; a tab does not occur.
    given = _looked_up({kind.name: "\t".join(sorted(kind.reasons)) for kind in KINDS} | {"bot": ""})
    return frame.filter(F.col("kind").isNotNull()).select(
        "event_id", "kind",
        _looked_up(outcomes).alias("outcome"),
        F.when(given == "", F.array().cast("array<string>")).otherwise(F.split(given, "\t")).alias("reasons"),
        *TRUTH[4:],
    )  # fmt: skip


def _looked_up(values: dict[str, str]) -> Column:
    pairs = [F.lit(text) for pair in values.items() for text in pair]
    return F.create_map(*pairs)[F.col("kind")]


def _named(params: Params, events: DataFrame) -> DataFrame:
    """Events with the names and types that silver.events should have, prices as text, and number (the event's)."""
    trade = F.col("type").isin("purchase", "return")
    event_id = F.concat(F.lit("e"), F.col("id"))
    return events.select(
        F.col("id").alias("number"),
        event_id.alias("event_id"),
        event_id.alias("of_event_id"),
        user_id(params, F.col("user")).alias("user_id"),
        item_id(params, F.col("item")).alias("item_id"),
        F.col("type").alias("event_type"),
        F.col("at").alias("event_time"),
        F.when(trade, F.concat(F.lit("o"), F.col("session"))).alias("order_id"),
        "quantity",
        F.col("price").cast("string").alias("price"),
        F.when(trade, F.lit(CURRENCY)).alias("currency"),
        "country", "device", "rating", "dwell_ms", "query", "slot",
    )  # fmt: skip


def _sent(params: Params, frame: DataFrame) -> DataFrame:
    detail = uniform(params.seed, "defect detail", F.col("number"))
    changed = frame.withColumns(
        {
            name: _changed(F.col(name), name, lambda kind: kind.truth, params, detail)
            for name in ("event_id", "event_type", "event_time", "quantity", "country")
        }
    )
    as_sent = {
        "id": "event_id", "user": "user_id", "item": "item_id", "type": "event_type", "order": "order_id",
        "dwell": "dwell_ms",
    }  # fmt: skip
    plain = {name: F.col(as_sent.get(name, name)).cast("string") for name in SENT if name != "at"}
    plain["at"] = F.date_format("event_time", TIME_FORMAT)
    values = {name: _changed(plain[name], name, lambda kind: kind.sent, params, detail) for name in SENT}
    values |= {name: F.coalesce(values[name], F.lit("")) for name in ALWAYS}
    last = F.lit(params.end - timedelta(days=1))
    late = F.date_add(F.to_date("event_time"), (below(detail, 2) + 1).cast("int"))
    return changed.select(
        *(name for name in TRUTH if name not in ("outcome", "reasons")),
        F.struct(*(values[name].alias(name) for name in SENT)).alias("sent"),
        F.when(F.col("kind") == "arrives_late", F.least(late, last)).otherwise(F.to_date("event_time")).alias("landed"),
    )


def _changed(
    value: Column, name: str, which: Callable[[Kind], dict[str, Callable[[Params, Column], Column]]],
    params: Params, detail: Column,
) -> Column:  # fmt: skip
    """The value, or what the kind of the row makes of it."""
    kind = F.col("kind")
    spoilt = None
    for known in KINDS:
        if (change := which(known).get(name)) is not None:
            made = change(params, detail)
            spoilt = F.when(kind == known.name, made) if spoilt is None else spoilt.when(kind == known.name, made)
    return value if spoilt is None else F.when(kind.isNull(), value).otherwise(spoilt.otherwise(value))

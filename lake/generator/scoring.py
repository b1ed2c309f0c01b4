"""How well cleaning did on a generated log: what became of each line, held against the truth.

A verdict is what cleaning did with a line, in words: "rejected: <reasons>", "duplicate", "return: <correction>",
"corrected: ...", "filled: ...", "bot" or "kept". A line that truth does not name should be kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

SOURCE = "generated"
# What a person did, to which item, and when: how the event of a line without an id is found again.
SAME_EVENT = ("user_id", "item_id", "event_type", "event_time")
# What silver.events must hold as the truth has it.
VALUES = ("user_id", "item_id", "event_type", "event_time", "quantity", "currency", "country")
_ID = r'"id":"([^"]*)"'


@dataclass(frozen=True)
class Score:
    """One kind of defect. lines: how many are so in truth; found: of those, treated as they should be. given: lines of
    the whole log that cleaning gave the verdict of this kind, right: those of them that should have it.
    """

    kind: str
    verdict: str
    lines: int
    found: int
    given: int
    right: int

    @property
    def recall(self) -> float:
        """Share of the kind's lines that were treated as they should be; 0 without a line."""
        return self.found / self.lines if self.lines else 0.0

    @property
    def precision(self) -> float:
        """Share of the lines treated so that should have been; 0 when none was."""
        return self.right / self.given if self.given else 0.0


def score(truth: DataFrame, bronze: DataFrame, events: DataFrame, rejected: DataFrame) -> list[Score]:
    """Scores of all kinds in truth, in the kinds' order, and of `return_matched`: returns and the purchases they undo.

    truth: truth/defects. bronze: bronze.generated. events, rejected: silver.events and silver.rejected of the log.
    Expects the log to be cleaned in one window that begins with its first day.
    """
    expected = truth.withColumn("verdict", _words(F.col("outcome"), F.col("reasons")))
    judged = verdicts(expected, events, rejected)
    return sorted(
        [*_treated(expected, judged), *_dropped(expected, bronze, judged), *_matched(expected, judged)],
        key=lambda item: item.kind,
    )


def verdicts(truth: DataFrame, events: DataFrame, rejected: DataFrame) -> DataFrame:
    """One row a line that was not dropped as a duplicate: [line (its event id), verdict, VALUES, returned_event_id].

    VALUES are null for rejected lines.
    """
    nameless = truth.filter("kind = 'event_id_missing'").select(F.col("event_id").alias("_named"), *SAME_EVENT)
    own = F.regexp_replace("event_id", f"^{SOURCE}:", "")
    made = F.filter("corrected", lambda name: name.endswith("_to_return"))
    # The generated lines never give an amount.
    filled = F.array_remove("filled", "amount")
    verdict = (
        F.when(F.col("is_bot"), F.lit("bot"))
        .when(F.size(made) > 0, _words(F.lit("return"), made))
        .when(F.size("corrected") > 0, _words(F.lit("corrected"), F.col("corrected")))
        .when(F.size(filled) > 0, _words(F.lit("filled"), filled))
        .otherwise(F.lit("kept"))
    )
    # A search has no item; only ids that cleaning made itself, a hash, are looked up.
    hashed = events.withColumn("_made", F.when(F.length(own) == 64, F.lit(True)))
    same = [events[name].eqNullSafe(nameless[name]) for name in SAME_EVENT]
    joined = hashed.join(nameless, [F.col("_made"), *same], "left")
    kept = joined.select(
        F.coalesce("_named", own).alias("line"),
        verdict.alias("verdict"),
        *(events[name] for name in VALUES),
        F.regexp_replace("returned_event_id", f"^{SOURCE}:", "").alias("returned_event_id"),
    )
    refused = rejected.select(
        F.regexp_extract("row", _ID, 1).alias("line"), _words(F.lit("rejected"), F.col("reasons")).alias("verdict")
    )
    return kept.unionByName(refused, allowMissingColumns=True)


def _words(outcome: Column, reasons: Column) -> Column:
    listed = F.array_join(F.array_sort(reasons), "; ")
    return F.when(listed == "", outcome).otherwise(F.concat(outcome, F.lit(": "), listed))


def _treated(truth: DataFrame, judged: DataFrame) -> list[Score]:
    """Scores of all kinds but duplicates."""
    wanted = truth.filter("outcome <> 'duplicate'")
    should = wanted.select(
        F.col("event_id").alias("line"), "kind", "outcome", F.col("verdict").alias("should"),
        *(F.col(name).alias(f"_{name}") for name in VALUES),
    )  # fmt: skip
    same = F.lit(True)
    for name in VALUES:
        same = same & F.col(name).eqNullSafe(F.col(f"_{name}").cast(dict(judged.dtypes)[name]))
    values = (F.col("outcome") == "rejected") | same
    joined = judged.join(should, "line", "left").withColumn(
        "as_it_should", F.when(F.col("should").isNull(), F.col("verdict") == "kept")
        .otherwise((F.col("should") == F.col("verdict")) & values)
    )  # fmt: skip
    given = {
        row["verdict"]: (row["given"], row["right"])
        for row in joined.groupBy("verdict")
        .agg(F.count("*").alias("given"), F.count_if("as_it_should").alias("right"))
        .collect()
    }
    found = {
        row["kind"]: row["found"]
        for row in joined.filter("kind IS NOT NULL").groupBy("kind").agg(F.count_if("as_it_should").alias("found"))
        .collect()
    }  # fmt: skip
    kinds = should.groupBy("kind", "should").count().collect()
    return [
        Score(row["kind"], row["should"], row["count"], found.get(row["kind"], 0), *given.get(row["should"], (0, 0)))
        for row in kinds
    ]


def _dropped(truth: DataFrame, bronze: DataFrame, judged: DataFrame) -> list[Score]:
    """Scores of the kinds of duplicates. Which line of a group stays is free; that only one does is not."""
    repeats = truth.filter("outcome = 'duplicate'")
    grouped = repeats.select(F.col("event_id").alias("line"), F.col("of_event_id").alias("group")).distinct()

    def by_group(lines: DataFrame, name: str) -> DataFrame:
        named = lines.filter("line IS NOT NULL").join(grouped, "line", "left")
        return named.groupBy(F.coalesce("group", "line").alias("group")).agg(F.count("*").alias(name))

    received = bronze.select(F.coalesce("id", F.regexp_extract("_corrupt_record", _ID, 1)).alias("line"))
    # Lines without an id are not among those received; nor may they be among those seen again.
    nameless = truth.filter("kind = 'event_id_missing'").select(F.col("event_id").alias("line"))
    seen = by_group(judged.select("line").join(nameless, "line", "left_anti"), "seen")
    expected = repeats.groupBy(F.col("of_event_id").alias("group")).agg(
        F.count("*").alias("expected"), F.first("kind").alias("kind")
    )
    dropped = F.col("received") - F.coalesce("seen", F.lit(0))
    right = F.least(dropped, F.coalesce("expected", F.lit(0)))
    joined = by_group(received, "received").join(seen, "group", "left").join(expected, "group", "left")
    sums = (F.sum("expected").alias("lines"), F.sum(right).alias("right"), F.sum(dropped).alias("given"))
    counted = joined.groupBy("kind").agg(*sums).collect()
    given = sum(row["given"] for row in counted)
    all_right = sum(row["right"] for row in counted)
    return [
        Score(row["kind"], "duplicate", row["lines"], row["right"], given, all_right) for row in counted if row["kind"]
    ]


def _matched(truth: DataFrame, judged: DataFrame) -> list[Score]:
    """Whether returns name the purchase they undo; none without a return in truth."""
    returns = truth.filter("outcome = 'return'").select(F.col("event_id").alias("line"), "of_event_id")
    named = F.col("returned_event_id")
    row = (
        returns.join(judged, "line", "left")
        .agg(
            F.count("*").alias("lines"), F.count(named).alias("given"),
            F.count_if(named == F.col("of_event_id")).alias("right"),
        )
        .collect()[0]
    )  # fmt: skip
    right = row["right"]
    return [Score("return_matched", "returned_event_id", row["lines"], right, row["given"], right)] if row[0] else []

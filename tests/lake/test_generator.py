"""The generator's frames: the same for a seed whatever the partitions, and as its parameters say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime

import pytest
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lake.errors import SettingError
from lake.generator import Params, catalogue, chance, defects, events, people
from lake.generator.lines import TRUTH, texts_of, truth_of
from lake.generator.params import BOT_EVENTS, MAIN_TYPES
from lake.generator.writing import log_lines
from lake.tables import EVENT_TYPES

SMALL = Params(users=300, items=600, events=12_000, start=date(2024, 2, 1), days=40, seed=3, defects=0.0, bots=0.004)
# The last day, 11 March, with day and month exchanged is 3 November.
SPOILT = replace(SMALL, events=9_000, defects=0.5, bots=0.0, others=0.4, days=40, ingested=date(2024, 3, 12))


@pytest.fixture(scope="module")
def log(spark: SparkSession) -> Iterator[DataFrame]:
    """The events of people of SMALL."""
    found = events.of_people(spark, SMALL).persist()
    yield found
    found.unpersist()


@pytest.fixture(scope="module")
def spoilt(spark: SparkSession) -> Iterator[DataFrame]:
    """The lines of SPOILT."""
    found = log_lines(spark, SPOILT).persist()
    yield found
    found.unpersist()


def _near(found: int, of: int, share: float) -> bool:
    """Within five standard deviations of a binomial's mean: a right generator misses it once in two million."""
    return abs(found - of * share) <= 5 * (of * share * (1 - share)) ** 0.5 + 1


def test_the_same_seed_gives_the_same_lines_whatever_the_partitions_and_another_gives_others(
    spark: SparkSession,
) -> None:
    params = replace(SPOILT, events=2_000)

    def log_of(params: Params, rows_a_task: int = 1_000_000) -> Counter[str]:
        return Counter(row["value"] for row in texts_of(log_lines(spark, params, rows_a_task)).collect())

    first = log_of(params)
    tasks = [events.of_people(spark, params, rows).rdd.getNumPartitions() for rows in (1_000_000, 320)]
    assert tasks == [1, 7]
    assert log_of(params, 320) == first
    assert len(log_of(replace(params, seed=4)) & first) < 10


def test_there_are_exactly_as_many_events_as_asked_for_each_with_its_own_id(
    spark: SparkSession, log: DataFrame
) -> None:
    bots = events.of_bots(spark, SMALL)
    both = log.unionByName(bots)
    assert (SMALL.bot_users, SMALL.bot_events) == (1, BOT_EVENTS)
    assert both.count() == both.select("id").distinct().count() == SMALL.events
    days = both.select(F.min("at"), F.max("at")).collect()[0]
    assert datetime(2024, 2, 1) <= days[0] and days[1] < datetime(2024, 3, 12)


def test_event_types_have_their_shares_and_the_main_four_a_real_logs_ratio(log: DataFrame) -> None:
    counts = {row["type"]: row["count"] for row in log.groupBy("type").count().collect()}
    assert set(SMALL.type_shares) == set(EVENT_TYPES)
    assert all(_near(counts.get(name, 0), SMALL.people_events, share) for name, share in SMALL.type_shares.items())
    four = sum(counts[name] for name in MAIN_TYPES)
    assert all(_near(counts[name], four, share) for name, share in MAIN_TYPES.items())
    assert set(replace(SMALL, others=0.0).type_shares) == set(MAIN_TYPES)


def test_a_session_is_one_persons_burst_on_one_device_and_people_have_several(log: DataFrame) -> None:
    order = Window.partitionBy("session").orderBy("at")
    gaps = log.withColumn("gap", F.unix_seconds("at") - F.unix_seconds(F.lag("at").over(order)))
    assert gaps.agg(F.max("gap")).collect()[0][0] < 1800
    found = log.groupBy("session").agg(F.count_distinct("user", "device").alias("who"), F.count("*").alias("length"))
    longest, mean, who = found.agg(F.max("length"), F.mean("length"), F.max("who")).collect()[0]
    assert who == 1 and longest <= events.BLOCK and 5.5 < mean < 7.5
    devices = log.groupBy("user").agg(F.count_distinct("device").alias("devices")).filter("devices > 1").count()
    assert devices > SMALL.people / 2


def test_items_are_chosen_as_often_as_their_appeal_says_when_nobody_has_a_taste(spark: SparkSession) -> None:
    chosen = events.of_people(spark, replace(SMALL, taste=0.0)).filter("item IS NOT NULL").groupBy("item").count()
    counts = {row["item"]: row["count"] for row in chosen.collect()}
    number = F.regexp_extract("title", r"No. (\d+)", 1).cast("long") - 1
    traits = catalogue.items(spark, SMALL).withColumn("item", number * SMALL.categories + F.col("category"))
    appeal = {row["item"]: row["appeal"] for row in traits.collect()}
    assert abs(sum(appeal.values()) - 1) < 1e-9
    # A tenth of the items has most of the appeal, and is chosen so often.
    top = sorted(appeal, key=lambda item: -appeal[item])[: SMALL.items // 10]
    share = sum(appeal[item] for item in top)
    found = sum(counts.get(item, 0) for item in top) / sum(counts.values())
    assert share > 0.4 and abs(found - share) < 0.03


def test_peoples_events_lean_to_the_categories_and_prices_they_are_said_to_prefer(log: DataFrame) -> None:
    first, second, third = people.preferred(SMALL, F.col("user"))
    tastes = log.filter("item IS NOT NULL").select(
        "user",
        catalogue.category_of(SMALL, F.col("item")).alias("category"),
        catalogue.price_position(SMALL, F.col("item")).alias("position"),
        people.price_level(SMALL, F.col("user")).alias("level"),
        F.array(first, second, third).alias("likes"),
    )
    inside = F.exists("likes", lambda liked: liked == F.col("category"))
    share, similar = tastes.select(F.avg(inside.cast("int")), F.corr("position", "level")).collect()[0]
    # What the same people would choose if each had another person's taste.
    swapped = tastes.select(F.col("user").alias("other"), "likes").distinct()
    others = tastes.withColumn("other", F.pmod(F.col("user") + 1, F.lit(SMALL.people))).drop("likes")
    by_chance = others.join(swapped, "other").select(F.avg(inside.cast("int"))).collect()[0][0]
    assert share > SMALL.taste and share / by_chance > 3
    assert similar > 0.25
    assert tastes.select("likes").filter(F.size(F.array_distinct("likes")) < 3).count() == 0


def test_the_active_are_as_active_as_truth_says_and_bots_are_busy_as_no_person_is(
    spark: SparkSession, log: DataFrame
) -> None:
    truth = {row["id"]: row for row in spark.range(SMALL.users).select(
        "id", people.activity(SMALL, F.col("id")).alias("activity")).collect()}  # fmt: skip
    assert sum(row["activity"] is None for row in truth.values()) == SMALL.bot_users
    assert abs(sum(row["activity"] or 0 for row in truth.values()) - SMALL.people) < 1e-6
    sessions = Counter(row["user"] for row in log.select("user", "session").distinct().collect())
    top = range(SMALL.people // 10)
    share = sum(truth[user]["activity"] for user in top) / SMALL.people
    assert abs(sum(sessions[user] for user in top) / sessions.total() - share) < 0.06 and share > 0.3
    bots = events.of_bots(spark, SMALL).select("user", F.to_date("at").alias("day"), F.unix_seconds("at").alias("at"))
    busy = bots.groupBy("user", "day").agg(F.count("*").alias("n"), (F.max("at") - F.min("at")).alias("span")).collect()
    assert [(row["user"], row["n"]) for row in busy] == [(SMALL.people, BOT_EVENTS)]
    assert busy[0]["span"] / BOT_EVENTS < 2


def test_days_hours_and_weeks_have_their_seasons(spark: SparkSession, log: DataFrame) -> None:
    hours = {row[0]: row[1] for row in log.groupBy(F.hour("at")).count().collect()}
    assert hours[20] > 5 * hours[3]
    year = events.day_weights(replace(SMALL, start=date(2023, 1, 1), days=365))
    assert max(range(365), key=lambda day: year[day]) in range(330, 360)
    assert year[6 * 7 + 5] > year[6 * 7 + 2]  # 1 January 2023 was a Sunday: a Friday and a Tuesday
    day = F.datediff(F.to_date("at"), F.lit(SMALL.start))
    starts = log.groupBy("session").agg(F.min("at").alias("at")).groupBy(day.alias("day")).count().collect()
    weights = events.day_weights(SMALL)
    total = sum(row["count"] for row in starts)
    assert all(_near(row["count"], total, weights[row["day"]] / sum(weights)) for row in starts)


def test_consents_are_withdrawn_and_never_asked_for_in_their_shares(spark: SparkSession) -> None:
    params = replace(SMALL, users=4_000, withdrawn=0.2, never_asked=0.3)
    users = people.users(spark, params)
    counts = {row["consent"]: row["count"] for row in users.groupBy("consent").count().collect()}
    assert _near(counts["withdrawn"], 4_000, 0.2) and _near(counts["never asked"], 4_000, 0.3)
    said = people.decisions(users).groupBy("user_id").agg(F.max_by("granted", "at").alias("granted"))
    last = Counter(row["granted"] for row in said.collect())
    assert last == {True: counts["granted"], False: counts["withdrawn"]}


def test_every_kind_of_defect_is_there_in_its_share_and_in_truth_once_a_line(spoilt: DataFrame) -> None:
    genuine = spoilt.filter("event_id = of_event_id AND NOT (kind <=> 'repeated_line' OR kind <=> 'repeated_event_id')")
    kinds = {row["kind"]: row["count"] for row in truth_of(spoilt).groupBy("kind").count().collect()}
    assert genuine.count() == SPOILT.events
    types = {row[0]: row[1] for row in genuine.groupBy("event_type").count().collect()}
    assert set(kinds) == set(defects.BY_NAME)
    # Where something else forbids it, as on the last day, there are fewer: these three are in the next test.
    restricted = {"cancellation", "negative_quantity", "arrives_late", "time_swapped"}
    for name in set(kinds) - restricted:
        expected = sum(count * defects.shares(SPOILT, kind).get(name, 0) for kind, count in types.items())
        assert abs(kinds[name] - expected) <= 5 * expected**0.5 + 1, name
    assert sum(kinds.values()) + genuine.filter("kind IS NULL").count() == spoilt.count()
    assert truth_of(spoilt).columns == list(TRUTH)


def test_returns_late_lines_and_exchanged_days_are_only_where_cleaning_can_know(spoilt: DataFrame) -> None:
    end = datetime(2024, 3, 12)
    rows = spoilt.filter(F.col("kind").isin("cancellation", "negative_quantity")).collect()
    bought = {row["event_id"]: row for row in spoilt.filter("event_type = 'purchase' AND kind IS NULL").collect()}
    assert rows and all(row["event_time"] < end and row["event_type"] == "return" for row in rows)
    assert all(bought[row["of_event_id"]]["event_time"] < row["event_time"] for row in rows)
    assert all(row["sent"]["quantity"] == f"-{row['quantity']}" for row in rows)
    late = spoilt.filter("kind = 'arrives_late'").collect()
    assert all(0 < (row["landed"] - row["event_time"].date()).days <= 2 for row in late)
    swapped = spoilt.filter("kind = 'time_swapped'").collect()
    assert {(row["event_time"].date(), row["sent"]["at"][:10]) for row in swapped} == {
        (date(2024, 3, 11), "2024-11-03")
    }
    assert "time_swapped" not in defects.shares(replace(SPOILT, ingested=None), "view")


def test_an_ordinary_line_is_sent_as_it_is_in_truth(spoilt: DataFrame) -> None:
    row = spoilt.filter("kind IS NULL AND event_type = 'purchase'").orderBy("event_id").first()
    assert row is not None
    sent = row["sent"]
    assert (sent["id"], sent["user"], sent["item"]) == (row["event_id"], row["user_id"], row["item_id"])
    assert datetime.fromisoformat(sent["at"]).replace(tzinfo=None) == row["event_time"]
    assert (int(sent["quantity"]), sent["currency"], float(sent["price"]) > 0) == (row["quantity"], "EUR", True)


def test_shuffled_numbers_are_a_permutation_and_zipf_shares_sum_to_one(spark: SparkSession) -> None:
    row = spark.range(997).select(
        F.count_distinct(chance.shuffled(1, "x", F.col("id"), 997)),
        F.sum(chance.zipf_share(997, 1.0, F.col("id"))),
        F.sum(chance.zipf_share(997, 0.7, F.col("id"))),
    ).collect()[0]  # fmt: skip
    assert row[0] == 997 and abs(row[1] - 1) < 1e-9 and abs(row[2] - 1) < 1e-9
    kept, alias = chance.alias_tables([1, 2, 5, 0])
    shares = [
        sum((kept[i] if i == n else 0) + (1 - kept[i] if alias[i] == n else 0) for i in range(4)) for n in range(4)
    ]
    assert [round(share * 2, 9) for share in shares] == [1, 2, 5, 0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"items": 3, "days": 0}, "got --items 3; allowed: 10 to 2,000,000,000; got --days 0; allowed: 1 to 3,660"),
        ({"start": date(1970, 1, 1)}, "allowed: 1972-01-01 to 2199-12-31"),
        ({"withdrawn": 0.6, "never_asked": 0.5}, "together at most 1"),
        ({"events": 500}, "at most half of the events may be theirs"),
    ],
)
def test_parameters_out_of_bounds_are_named_with_what_is_allowed(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError) as raised:
        replace(SMALL, **wrong).check()  # type: ignore[arg-type]
    assert said in str(raised.value)

"""RFM, engagement, intent, value, affinities, contexts against an independent computation in pandas, Online Retail II.

A quarter of the customers, to stay quick: those whose number is divisible by four.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.affinity import affinity, anchor_of, item_keys
from features.context import preferred
from features.due_again import bought, cycles, due_again
from features.engagement import engagement
from features.facts import facts, users
from features.habits import habits
from features.intent import open_items, searches
from features.item_history import only
from features.rfm import rfm
from features.rfm_windows import windowed
from features.state import COLUMNS, changed, from_nothing
from features.tiles import user_day, user_item_day
from features.value import observed
from lake.delta import completed, conform, user_bucket
from lake.tables import CYCLES, EVENTS, ITEMS

AS_OF = date(2011, 9, 1)
HALF_LIFE = 60.0


@dataclass(frozen=True)
class Retail:
    """The lines in pandas, and the tiles Spark made of the same lines."""

    lines: pd.DataFrame
    days: DataFrame
    item_days: DataFrame
    items: DataFrame


@pytest.fixture(scope="module")
def retail(spark: SparkSession, online_retail_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Retail:
    raw = pd.read_csv(online_retail_file, dtype=str)
    raw.columns = [name.replace(" ", "").lower() for name in raw.columns]
    raw = raw.rename(
        columns={"invoice": "order_id", "invoiceno": "order_id", "stockcode": "item_id", "unitprice": "price"}
    )
    raw = raw[raw["customerid"].notna()].drop_duplicates()
    raw["user_id"] = raw["customerid"].str.replace(".0", "", regex=False)
    raw = raw[raw["user_id"].astype(int) % 4 == 0]
    raw[["quantity", "price"]] = raw[["quantity", "price"]].astype(float)
    raw = raw[(raw["price"] > 0) & (raw["quantity"] != 0)].reset_index(drop=True)
    raw["event_time"] = pd.to_datetime(raw["invoicedate"]).dt.tz_localize("UTC").astype("datetime64[us, UTC]")
    raw["event_date"] = raw["event_time"].dt.date
    raw["is_return"] = raw["quantity"] < 0
    raw["amount"] = (raw["quantity"].abs() * raw["price"]).round(6)
    raw["event_id"] = raw.index.astype(str)
    # Every second return counts as matched: what is asked here is that the two computations agree on it.
    raw["matched"] = raw["is_return"] & (raw.index % 2 == 0)
    # The file says where, but not on what: devices are dealt out, every fifth line from an unknown one.
    raw["device"] = np.where(raw.index % 5 == 0, None, np.where(raw.index % 3 == 0, "mobile", "web"))
    file = tmp_path_factory.mktemp("retail") / "lines.parquet"
    raw.to_parquet(file)

    lines = spark.read.parquet(str(file))
    events = lines.select(
        "event_id", "user_id", user_bucket().alias("user_bucket"), "item_id", "order_id", "event_time", "event_date",
        F.when(F.col("is_return"), "return").otherwise("purchase").alias("event_type"),
        F.abs("quantity").alias("quantity"), "amount", F.lit("retail").alias("source"), F.lit(False).alias("is_bot"),
        F.when(F.col("matched"), F.lit("some purchase")).alias("returned_event_id"),
        F.concat("user_id", F.lit(" "), "event_date").alias("session_id"), "device", "country",
    )  # fmt: skip
    events = completed(events, EVENTS).persist()
    items = _catalogue(spark, raw)
    return Retail(raw, user_day(events).persist(), user_item_day(events).persist(), items)


def _catalogue(spark: SparkSession, lines: pd.DataFrame) -> DataFrame:
    """A catalogue with what the file has: latest prices; the first letters of the code serve as category and brand."""
    latest = lines.sort_values(["event_time", "event_id"]).groupby("item_id")["price"].last()
    rows = [
        {"item_id": item, "category": [item[0], item[:2], item[:3]], "brand": item[:4], "price": float(price)}
        for item, price in latest.items()
    ]
    return spark.createDataFrame([tuple(row.get(name) for name in ITEMS.names) for row in rows], ITEMS.schema)


def _quintile(values: pd.Series) -> pd.Series:
    """1 + floor(5 x share of strictly smaller values), by ranking."""
    return 1 + (5 * (values.rank(method="min").astype(int) - 1)) // len(values)


def _segment(r: int, fm: int) -> str:
    """The grid once more, as the conditions a textbook gives."""
    if (r >= 4 and fm == 5) or (r == 5 and fm == 4):
        return "Champions"
    if r in (3, 4) and fm >= 4:
        return "Loyal"
    if r >= 4 and fm in (2, 3):
        return "Potential Loyalist"
    if r >= 4:
        return "New Customers" if r == 5 else "Promising"
    if r == 3:
        return "Need Attention" if fm == 3 else "About To Sleep"
    if fm == 5:
        return "Can't Lose Them"
    if fm >= 3:
        return "At Risk"
    return "Hibernating" if (r, fm) == (2, 2) else "Lost"


def test_rfm_is_what_pandas_computes(retail: Retail) -> None:
    past = retail.lines[retail.lines["event_date"] < AS_OF]
    bought = past[~past["is_return"]].groupby("user_id")
    expected = pd.DataFrame(
        {
            "recency": bought["event_date"].max().map(lambda day: (AS_OF - day).days),
            "tenure": bought["event_date"].min().map(lambda day: (AS_OF - day).days),
            "frequency": bought["order_id"].nunique(),
            "monetary": bought["amount"].sum(),
        }
    )
    returned = past[past["matched"]].groupby("user_id")["amount"].sum()
    expected["monetary"] = (expected["monetary"] - returned.reindex(expected.index).fillna(0)).clip(lower=0).round(6)
    expected["r"] = _quintile(-expected["recency"])
    expected["f"] = _quintile(expected["frequency"])
    expected["m"] = _quintile(expected["monetary"])
    fm = np.ceil((expected["f"] + expected["m"]) / 2).astype(int)
    expected["segment"] = [_segment(r, both) for r, both in zip(expected["r"], fm, strict=True)]

    actual = rfm(retail.days, AS_OF).toPandas().set_index("user_id").sort_index()
    expected = expected.sort_index()
    assert len(actual) > 1000
    assert list(actual.index) == list(expected.index)
    for column in ("recency", "tenure", "frequency", "r", "f", "m", "segment"):
        assert (actual[column] == expected[column]).all(), column
    np.testing.assert_allclose(actual["monetary"], expected["monetary"], rtol=1e-6)
    assert actual["segment"].nunique() == 11


def test_rfm_of_a_window_is_what_pandas_computes(retail: Retail) -> None:
    since = AS_OF - timedelta(days=90)
    past = retail.lines[retail.lines["event_date"] < AS_OF]
    bought = past[~past["is_return"]]
    began = bought.groupby(["user_id", "order_id"])["event_date"].min()
    frequency = began[began >= since].groupby("user_id").size()
    lately = past[past["event_date"] >= since]
    money = lately[~lately["is_return"]].groupby("user_id")["amount"].sum()
    returned = lately[lately["matched"]].groupby("user_id")["amount"].sum()
    expected = pd.DataFrame({"frequency": frequency}).sort_index()
    net = money.reindex(expected.index) - returned.reindex(expected.index).fillna(0)
    expected["monetary"] = net.clip(lower=0).round(6)
    expected["recency"] = bought.groupby("user_id")["event_date"].max().map(lambda day: (AS_OF - day).days)
    expected["r"], expected["f"] = _quintile(-expected["recency"]), _quintile(expected["frequency"])
    expected["m"] = _quintile(expected["monetary"])
    known = users(facts(retail.days.filter(F.col("event_date") < F.lit(AS_OF))))
    actual = windowed(known, AS_OF, (90,)).toPandas().set_index("user_id").sort_index()
    assert len(actual) > 300 and list(actual.index) == list(expected.index)
    for column in ("recency", "frequency", "r", "f", "m"):
        assert (actual[column] == expected[column]).all(), column
    np.testing.assert_allclose(actual["monetary"], expected["monetary"], rtol=1e-6)


def _clumpiness(ages: list[int]) -> float:
    gaps = -np.diff([366, *sorted((age for age in ages if age <= 365), reverse=True), 0]) / 366
    return float(1 + (gaps * np.log(gaps)).sum() / np.log(len(gaps))) if len(gaps) > 1 else np.nan


def test_engagement_is_what_pandas_computes(retail: Retail) -> None:
    """A session is a day here."""
    past = retail.lines[retail.lines["event_date"] < AS_OF]
    lines = past.groupby(["user_id", "event_date"]).size().rename("events").reset_index()
    lines["age"] = lines["event_date"].map(lambda day: (AS_OF - day).days)
    lines["silence"] = lines["age"] - lines.groupby("user_id")["age"].shift(1)
    by_user = lines.groupby("user_id")

    def within(start: int, end: int) -> pd.Series:
        return lines["age"].between(start, end).groupby(lines["user_id"]).sum()

    expected = pd.DataFrame({"age": by_user["age"].max(), "idle": by_user["age"].min(), "active_days": by_user.size()})
    for length in (7, 28, 91):
        expected[f"active_{length}"] = within(1, length)
    expected["events"] = past.groupby("user_id").size()
    expected["sessions"] = expected["active_days"]
    expected["depth"] = expected["events"] / expected["sessions"]
    expected["quick_exit_share"] = (lines["events"] == 1).groupby(lines["user_id"]).mean()
    expected["trend"] = np.log1p(within(1, 28)) - np.log1p(within(29, 56))
    expected["clumpiness"] = by_user["age"].apply(lambda ages: _clumpiness(list(ages)))
    back = ((lines["age"] <= 30) & (lines["silence"] < -90)).groupby(lines["user_id"]).any()
    idle = pd.cut(expected["idle"], [0, 30, 90, np.inf], labels=["active", "at_risk", "lapsed"]).astype(str)
    stage = idle.mask((idle == "active") & back, "returned").mask(expected["age"] <= 30, "new")

    before = retail.days.filter(F.col("event_date") < F.lit(AS_OF))
    actual = engagement(users(facts(before)), AS_OF).toPandas().set_index("user_id").sort_index()
    assert len(actual) > 1000 and list(actual.index) == list(expected.index)
    for column in ("age", "idle", "active_days", "active_7", "active_28", "active_91", "events", "sessions"):
        assert (actual[column] == expected[column]).all(), column
    for column in ("depth", "quick_exit_share", "trend", "clumpiness"):
        np.testing.assert_allclose(actual[column], expected[column], rtol=1e-9, atol=1e-12, err_msg=column)
    assert (actual["stage"] == stage).all()
    assert actual["stage"].value_counts().min() > 10, "a stage that hardly anybody is in"


def test_carts_and_looks_are_what_pandas_computes(retail: Retail) -> None:
    """In the busiest month."""
    until, keys = date(2011, 12, 1), ["user_id", "item_id"]
    days, tiles = _dealt(retail, until)
    past = days[(days["event_date"] < until) & (days["event_date"] >= until - timedelta(days=30))].copy()
    past["age"] = past["event_date"].map(lambda day: (until - day).days)
    settled = past[(past["purchases"] > 0) | (past["hides"] > 0)].groupby(keys)["age"].min().rename("settled")
    past = past.join(settled, on=keys)
    past = past[past["settled"].isna() | (past["age"] < past["settled"])].sort_values("age", ascending=False)
    past["looks"] = past[["views", "clicks"]].max(axis=1)
    cart = past[past["adds_to_cart"] + past["removes_from_cart"] > 0].groupby(keys).tail(1).set_index(keys)
    expected = past.groupby(keys)["looks"].sum().to_frame()
    expected["cart_idle"] = cart["age"].where(cart["adds_to_cart"] > cart["removes_from_cart"])
    expected["look_idle"] = past[past["looks"] > 0].groupby(keys)["age"].min()
    expected = expected[expected["cart_idle"].notna() | (expected["looks"] > 0)].sort_index().astype(float)
    actual = open_items(tiles, until).toPandas().set_index(keys).sort_index()[expected.columns].astype(float)
    assert len(actual) > 800 and actual["cart_idle"].notna().mean() > 0.2
    pd.testing.assert_frame_equal(actual, expected)


def _dealt(retail: Retail, until: date) -> tuple[pd.DataFrame, DataFrame]:
    """Item tiles of 60 days and more: the lines say when; what they did is dealt out, the same on both sides."""
    names = ["views", "clicks", "adds_to_cart", "adds_to_cart", "removes_from_cart", "purchases", "hides"]
    lines = retail.lines[retail.lines["event_date"] >= until - timedelta(days=60)]
    # Few items, so that people come back to them.
    dealt = lines.assign(item_id=lines["item_id"].str[:2], did=[names[place % len(names)] for place in lines.index])
    days = dealt.groupby(["user_id", "item_id", "event_date", "did"]).size().unstack("did", fill_value=0).reset_index()
    others = dict.fromkeys(("dislikes", "returns", "likes", "ratings"), F.lit(0))
    return days, retail.days.sparkSession.createDataFrame(days).withColumns({"user_bucket": user_bucket(), **others})


def test_what_is_used_and_passed_by_is_what_pandas_computes(retail: Retail) -> None:
    until = date(2011, 12, 1)
    days, tiles = _dealt(retail, until)
    asked = tiles.filter("user_id LIKE '%6'").select("user_id").distinct().withColumn("searches", F.lit(3).cast("long"))
    kinds = {"views": "view", "clicks": "click", "purchases": "purchase", "hides": "hide",
             "adds_to_cart": "add_to_cart", "removes_from_cart": "remove_from_cart"}  # fmt: skip
    past = days[(days["event_date"] < until) & (days["event_date"] >= until - timedelta(days=28))]
    done = past.groupby("user_id")[list(kinds)].sum().rename(columns=kinds)
    searched = [user for user in days["user_id"].unique() if user.endswith("6")]
    done = done.reindex(done.index.union(searched), fill_value=0)
    done["search"] = np.where(done.index.isin(searched), 3, 0)
    busy = done.sum(axis=1) >= 10
    common = (done[busy] > 0).mean() >= 0.1
    actual = habits(tiles, asked, until).toPandas().set_index("user_id").sort_index()
    assert len(actual) > 250 and list(actual.index) == list(done.index)
    assert [set(used) for used in actual["used"]] == [set(done.columns[row > 0]) for row in done.to_numpy()]
    most = [user for user, counts in done.iterrows() if (counts == counts.max()).sum() == 1]
    assert all(actual["used"][user][0] == done.loc[user].idxmax() for user in most) and len(most) > 100
    expected = {user: set(common.index[common & (done.loc[user] == 0)]) for user in done.index[busy]}
    assert {user: set(told) for user, told in actual["ignored"].dropna().items()} == expected
    assert any(expected.values()) and busy.mean() < 0.95


def test_what_is_due_again_is_what_pandas_computes(retail: Retail) -> None:
    past = retail.lines[~retail.lines["is_return"] & (retail.lines["event_date"] < AS_OF)]
    past = past[past["event_date"] >= AS_OF - timedelta(days=365)].copy()
    past["category"] = past["item_id"].str[0] + " > " + past["item_id"].str[:2]
    parts = []
    for dimension, name in (("item", "item_id"), ("category", "category")):
        days = past[["user_id", name, "event_date"]].drop_duplicates().rename(columns={name: "key"})
        told = days.groupby(["user_id", "key"])["event_date"].agg(["size", "min", "max"]).reset_index()
        told["span"] = [(end - start).days for start, end in zip(told["min"], told["max"], strict=True)]
        of_key = told.groupby("key").agg(span=("span", "sum"), rows=("size", "sum"), users=("size", "size"))
        of_key["returning"] = (told["size"] > 1).groupby(told["key"]).sum()
        gaps = of_key["rows"] - of_key["users"]
        usual = (of_key["span"] + 20 * of_key["span"].sum() / gaps.sum()) / (gaps + 20)
        known = (of_key["returning"] >= 5) & (of_key["returning"] >= 0.2 * of_key["users"])
        told = told[(told["size"] > 1) | told["key"].map(known)]
        told["cycle"] = (told["span"] + 3 * told["key"].map(usual)) / (told["size"] - 1 + 3)
        parts.append(told.assign(dimension=dimension))
    expected = pd.concat(parts)
    expected["due"] = [
        day + timedelta(days=int(np.floor(cycle + 0.5)))
        for day, cycle in zip(expected["max"], expected["cycle"], strict=True)
    ]
    few = expected.groupby(["user_id", "dimension"])["key"].transform("size") <= 50
    keys = ["user_id", "dimension", "key"]
    found = bought(retail.item_days, only(item_keys(retail.items)), retail.items, AS_OF)
    actual = due_again(found, conform(cycles(found, AS_OF), CYCLES), AS_OF).toPandas()
    assert actual.groupby(["user_id", "dimension"]).size().max() == 50
    both = actual.merge(expected[few], on=keys, suffixes=("", "_expected")).set_index(keys)
    assert len(both) == few.sum() > 5_000 and len(both) < len(actual)
    assert (both["days"] == both["size"]).all() and (both["last_bought"] == both["max"]).all()
    np.testing.assert_allclose(both["cycle"], both["cycle_expected"], rtol=1e-9)
    assert (both["due"] == both["due_expected"]).all()


def test_what_the_value_models_look_at_is_what_pandas_counts(retail: Retail) -> None:
    past = retail.lines[retail.lines["event_date"] < AS_OF]
    bought = past[~past["is_return"]].groupby("user_id")
    first, last = bought["event_date"].min(), bought["event_date"].max()
    returned = past[past["matched"]].groupby("user_id")["amount"].sum()
    expected = pd.DataFrame(
        {
            "purchases": bought["event_date"].nunique(),
            "last": [(end - start).days for start, end in zip(first, last, strict=True)],
            "age": [(AS_OF - start).days - 1 for start in first],
        }
    )
    expected["again"] = expected["purchases"] - 1
    expected["mean"] = (bought["amount"].sum() - returned.reindex(expected.index).fillna(0)) / expected["purchases"]
    before = retail.days.filter(F.col("event_date") < F.lit(AS_OF))
    actual = observed(users(facts(before)), AS_OF).toPandas().set_index("user_id").sort_index()
    assert len(actual) > 1000 and list(actual.index) == list(expected.index)
    for column in ("purchases", "again", "last", "age"):
        assert (actual[column] == expected[column]).all(), column
    np.testing.assert_allclose(actual["mean"], expected["mean"], rtol=1e-6, atol=1e-6)
    assert (actual["mean"] < 0).any(), "nobody sent back more than was bought: the test says less than it should"


def test_affinities_are_what_pandas_computes(retail: Retail) -> None:
    past = retail.lines[retail.lines["event_date"] < AS_OF].copy()
    ages = past["event_date"].map(lambda day: (AS_OF - day).days)
    weight = np.where(past["is_return"], -5.0, 5.0)
    past["score"] = weight * 0.5 ** (ages / HALF_LIFE)
    # A fortnight's half-life, over the user's last period of twelve of them and the one before.
    period = past["event_date"].map(lambda day: (day - date(1970, 1, 1)).days // 168)
    held = period >= period.groupby(past["user_id"]).transform("max") - 1
    past["recent"] = weight * 0.5 ** (ages / 14) * held
    assert not held.all()
    latest = retail.lines.sort_values(["event_time", "event_id"]).groupby("item_id")["price"].last()
    past["price_band"] = (
        past["item_id"].map(_quintile(latest)).map({1: "lowest", 2: "low", 3: "middle", 4: "high", 5: "highest"})
    )
    past["category_1"] = past["item_id"].str[0]
    past["category"] = past["category_1"] + " > " + past["item_id"].str[:2]
    past["category_3"] = past["category"] + " > " + past["item_id"].str[:3]
    past["brand"] = past["item_id"].str[:4]
    parts = []
    for dimension in ("category_1", "category", "category_3", "brand", "price_band"):
        summed = past.groupby(["user_id", dimension])
        summed = summed.agg(score=("score", "sum"), recent_score=("recent", "sum"), evidence=("score", "size"))
        people = past.groupby(dimension)["score"].sum().rename("people").reset_index()
        people["people"] = (people["people"] / people["people"].clip(lower=0).sum()).where(people["people"] > 2**-20)
        summed = summed.reset_index().merge(people, on=dimension)
        parts.append(summed.rename(columns={dimension: "key"}).assign(dimension=dimension))
    past["seen"] = 0.5 ** (ages / HALF_LIFE)
    past = _with_situations(past)
    for dimension in ("daypart", "weekday", "device", "place"):
        summed = past.groupby(["user_id", dimension])["seen"].agg(score="sum", evidence="size").reset_index()
        parts.append(summed.rename(columns={dimension: "key"}).assign(dimension=dimension))
    expected = pd.concat(parts)
    expected = expected[expected["score"] > 2**-32]
    by_dimension = expected.assign(liked=expected["recent_score"].clip(lower=0)).groupby(["user_id", "dimension"])
    expected["share"] = expected["score"] / by_dimension["score"].transform("sum")
    recent = by_dimension["liked"].transform("sum")
    expected["recent_share"] = (expected["recent_score"].clip(lower=0) / recent).where(recent > 2**-20)
    known, people = by_dimension["evidence"].transform("sum"), expected["people"]
    expected["lift"] = (known * expected["share"] + 10 * people) / (known + 10) / people
    expected = expected.sort_values(["user_id", "dimension", "score"], ascending=[True, True, False])
    expected = expected.groupby(["user_id", "dimension"]).head(50)

    actual = affinity(retail.item_days, retail.days, retail.items, AS_OF, HALF_LIFE).toPandas()
    keys = ["user_id", "dimension", "key"]
    both = actual.merge(expected, on=keys, how="outer", suffixes=("", "_expected"), indicator=True)
    # What pandas and Spark may disagree on: a return that takes back its purchase of the same day to the last bit,
    # and which of two equal scores is the fiftieth.
    odd = both[both["_merge"] != "both"]
    assert len(odd) <= 0.002 * len(both), odd.head()
    both = both[both["_merge"] == "both"]
    assert len(both) > 30_000
    assert (both["evidence"] == both["evidence_expected"]).all()
    np.testing.assert_allclose(both["score"], both["score_expected"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(both["share"], both["share_expected"], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(both["recent_score"], both["recent_score_expected"], rtol=1e-6, atol=1e-6)
    told = both["lift_expected"].notna() & both["lift"].notna()
    assert (both["lift"].isna() == both["lift_expected"].isna()).mean() > 0.999 and told.sum() > 20_000
    np.testing.assert_allclose(both["lift"][told], both["lift_expected"][told], rtol=1e-3)
    told = both["recent_share_expected"].notna() & (both["recent_score"] > 1e-3)
    assert told.sum() > 10_000
    np.testing.assert_allclose(both["recent_share"][told], both["recent_share_expected"][told], rtol=1e-3)


def _with_situations(lines: pd.DataFrame) -> pd.DataFrame:
    """daypart and weekday of each line; place: of the day's latest line."""
    parts = np.array(["night", "morning", "afternoon", "evening"])
    days = pd.to_datetime(lines["event_date"])
    place = lines.sort_values(["event_time", "country"]).groupby(["user_id", "event_date"])["country"].last()
    return lines.assign(daypart=parts[lines["event_time"].dt.hour // 6], weekday=days.dt.day_name().str.lower()).join(
        place.rename("place"), on=["user_id", "event_date"]
    )


def test_what_is_preferred_in_a_situation_is_what_pandas_computes(retail: Retail) -> None:
    """In the busiest month, by the first letter of the code."""
    until = date(2011, 12, 1)
    lines = retail.lines[(retail.lines["event_date"] < until) & (retail.lines["event_date"] >= until - timedelta(28))]
    lines = _with_situations(lines).assign(score=np.where(lines["is_return"], -5, 5), key=lines["item_id"].str[0])
    of_day = lines.groupby(["user_id", "event_date", "device"]).size().rename("lines").reset_index()
    of_day = of_day.sort_values(["lines", "device"], ascending=[False, True]).groupby(["user_id", "event_date"]).first()
    tiles = lines.sort_values("event_time").groupby(["user_id", "event_date", "item_id"]).agg(
        score=("score", "sum"), evidence=("score", "size"), daypart=("daypart", "last"), place=("place", "last"),
        key=("key", "last"), weekday=("weekday", "last"),
    ).join(of_day["device"]).reset_index()  # fmt: skip
    tiles["week"] = np.where(tiles["weekday"].isin(["saturday", "sunday"]), "weekend", "working day")
    own = tiles.groupby(["user_id", "key"])["score"].sum()
    own = own[own > 0] / own[own > 0].groupby("user_id").transform("sum")
    parts = []
    for context in ("daypart", "week", "device", "place"):
        summed = tiles.groupby(["user_id", context, "key"])[["score", "evidence"]].sum().reset_index()
        summed = summed[summed["score"] > 0]
        there = summed.groupby(["user_id", context])
        summed["n"], summed["share"] = (
            there["evidence"].transform("sum"),
            summed["score"] / there["score"].transform("sum"),
        )
        summed["few"] = there["key"].transform("size") <= 5
        parts.append(summed.rename(columns={context: "situation"}).assign(context=context))
    expected = pd.concat(parts).join(own.rename("own"), on=["user_id", "key"])
    expected["lift"] = (
        (expected["n"] * expected["share"] + 10 * expected["own"]) / (expected["n"] + 10) / expected["own"]
    )
    keys = ["user_id", "context", "situation", "key"]
    expected = expected[expected["few"]].set_index(keys).sort_index()
    found = preferred(retail.item_days, retail.days, only(item_keys(retail.items)), retail.items, until).toPandas()
    assert found.groupby(keys[:3]).size().max() == 5
    actual = found.set_index(keys).sort_index().reindex(expected.index)
    assert len(expected) > 2_000 and expected["lift"].std() > 0.01
    assert (actual["evidence"] == expected["evidence"]).all()
    np.testing.assert_allclose(actual["share"], expected["share"], rtol=1e-12)
    np.testing.assert_allclose(actual["lift"], expected["lift"], rtol=1e-9)


def test_searches_are_what_pandas_computes(retail: Retail) -> None:
    """The texts are the lines' descriptions."""
    until = date(2011, 12, 1)
    lines = retail.lines[retail.lines["event_date"] >= until - timedelta(days=20)]
    asked = lines[["user_id", "event_date", "event_time"]].assign(
        query=lines["description"].str.cat(np.where(lines.index % 50 == 0, " 0800 1234567", "")), event_type="search",
        is_bot=False,
    )  # fmt: skip
    frame = retail.days.sparkSession.createDataFrame(asked).withColumn("user_bucket", user_bucket())
    past = asked[(asked["event_date"] < until) & (asked["event_date"] >= until - timedelta(days=7))].copy()
    past["term"] = past["query"].str.strip().str.lower().str[:100].str.rstrip()
    kept = past[~past["query"].str.contains(r"@|(?:\d[\s./-]?){7,}")]
    kept = kept.groupby(["user_id", "term"])["event_time"].max().reset_index()
    kept = kept.sort_values(["event_time", "term"], ascending=False).groupby("user_id")["term"]
    expected = past.groupby("user_id").agg(searches=("query", "size"), last=("event_date", "max"))
    told = kept.apply(lambda terms: list(terms.head(20)))
    # Of some every text is left out.
    expected["terms"] = [told.get(user, []) for user in expected.index]
    actual = searches(frame, until).toPandas().set_index("user_id").sort_index()
    assert len(actual) > 100 and list(actual.index) == list(expected.index)
    assert (actual["searches"] == expected["searches"]).all()
    assert (actual["search_idle"] == [(until - day).days for day in expected["last"]]).all()
    assert [list(terms) for terms in actual["terms"]] == list(expected["terms"])
    assert (kept.size() > 20).any()


def test_what_happens_at_or_after_as_of_changes_no_feature(retail: Retail) -> None:
    past = F.col("event_date") < F.lit(AS_OF)
    full = rfm(retail.days, AS_OF).toPandas().sort_values("user_id").reset_index(drop=True)
    cut = rfm(retail.days.filter(past), AS_OF).toPandas().sort_values("user_id").reset_index(drop=True)
    pd.testing.assert_frame_equal(full, cut)


def test_a_month_of_nights_equals_the_state_made_from_nothing_as_of_each(retail: Retail) -> None:
    """Some tiles come two days late, some are taken back after three: a fifth and a seventh of them.

    In the middle a period of the recent scores begins.
    """
    keys, fold = only(item_keys(retail.items)).persist(), F.pmod(F.xxhash64("user_id", "event_date"), F.lit(35))
    late, taken = fold % 5 == 0, fold % 7 == 0
    first = date(2011, 11, 3)

    def known(frame: DataFrame, end: date) -> DataFrame:
        age = F.date_diff(F.lit(end), "event_date")
        return frame.filter((age > 0) & (~late | (age > 2)) & (~taken | (age <= 3)))

    def changes(frame: DataFrame, end: date) -> DataFrame:
        """From what was known the night before to what is known as of end."""
        age = F.date_diff(F.lit(end), "event_date")
        came = frame.filter(F.when(late, age == 3).otherwise(age == 1) & ~(late & taken))
        gone = frame.filter((age == 4) & taken & ~late)
        return came.withColumn("sign", F.lit(1)).unionByName(gone.withColumn("sign", F.lit(-1)))

    # What is late and taken back is known for one day; leave it out of both sides.
    days, tiles = (frame.filter(~(late & taken)).persist() for frame in (retail.days, retail.item_days))
    state = from_nothing(known(tiles, first), known(days, first), keys, first).localCheckpoint()
    again = 0
    for number in range(1, 31):
        end = first + timedelta(days=number)
        found = changed(state, changes(tiles, end), changes(days, end), keys, anchor_of(end)).localCheckpoint()
        users = found.filter("uncertain").select("user_id")
        parts = (known(frame, end).join(users, "user_id", "left_semi") for frame in (tiles, days))
        rows = found.filter("NOT uncertain AND days > 0").select(*COLUMNS)
        untouched = state.join(found, "user_id", "left_anti").select(*COLUMNS)
        state = untouched.unionByName(rows).unionByName(from_nothing(*parts, keys, end)).localCheckpoint()
        again += users.count()
        # The same rows as often: each of either side is taken off by one of the other.
        sides = (state, 1), (from_nothing(known(tiles, end), known(days, end), keys, end), -1)
        held, expected = (frame.withColumn("side", F.lit(side)) for frame, side in sides)
        odd = held.unionByName(expected).groupBy(*COLUMNS).agg(F.sum("side").alias("odd")).filter("odd <> 0")
        assert odd.isEmpty(), end
        assert state.count() > 800
    assert again > 0, "nobody's past was taken back: the test says less than it should"

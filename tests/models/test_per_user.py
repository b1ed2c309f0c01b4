"""From lists and histories to the metrics of every user, in one pass; and how lists spread over the catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from pyspark.sql import DataFrame, SparkSession

from models.beyond_accuracy import ItemFacts
from models.candidates import Catalogue, catalogue
from models.exposure import exposure
from models.groups import described
from models.metrics import KS, LONGEST, MEASURED
from models.per_user import best_places, item_facts, per_user
from models.ranking_features import Facts
from tests.models.data import AS_OF, item_frame

ITEMS = [f"i{n}" for n in range(6)]
PEOPLE = (
    "user_id string, relevant array<string>, relevant_new array<string>, "
    "profile array<struct<item: int, weight: float>>, groups array<string>"
)


@pytest.fixture(scope="module")
def shelf(spark: SparkSession) -> Catalogue:
    return catalogue(spark.createDataFrame([(name,) for name in ITEMS], "item_id string"))


def _facts() -> ItemFacts:
    return ItemFacts(np.full(len(ITEMS), 0.25), sp.csr_matrix((len(ITEMS), 1)), sp.csr_matrix(np.ones((len(ITEMS), 1))))


def _lists(spark: SparkSession, models: tuple[str, ...], rows: list[tuple[list[str] | str, ...]]) -> DataFrame:
    columns = ", ".join(f"{model}_items array<string>, {model}_new_items array<string>" for model in models)
    return spark.createDataFrame(rows, f"user_id string, {columns}")


def test_places_of_items_end_at_the_longest_list_and_count_a_repeat_or_a_stranger_as_none() -> None:
    lists = pa.array([["i1", "i0", "i1"], [], None, ["nowhere", "i2"], ITEMS * 5])
    found = best_places(lists, pa.array(ITEMS))
    assert found.shape == (5, LONGEST)
    assert found[0, :4].tolist() == [1, 0, -1, -1] and (found[1:3] == -1).all()
    assert found[3, :3].tolist() == [-1, 2, -1] and found[4, :7].tolist() == [0, 1, 2, 3, 4, 5, -1]


def test_every_user_is_measured_for_every_model_and_scope_with_something_to_find(
    spark: SparkSession, shelf: Catalogue
) -> None:
    people = spark.createDataFrame(
        [
            ("u", ["i0", "i1"], ["i1"], [(0, 2.0)], ["history/cold"]),
            ("v", ["i0"], [], [(0, 1.0)], []),
            ("nobody's", ["i3"], ["i3"], [(1, 1.0)], []),
        ],
        PEOPLE,
    )
    models = ("m", "popularity")
    lists = _lists(spark, models, [("u", ["i0", "i1"], ["i1"], ["i0"], []), ("v", ["i0"], [], [], [])])
    found = {
        (row.user_id, row.scope): (row.groups, np.array(row["values"]).reshape(2, -1))
        for row in per_user(people, lists, models, shelf, _facts()).collect()
    }
    assert set(found) == {("u", "all"), ("u", "new"), ("v", "all"), ("nobody's", "all"), ("nobody's", "new")}
    groups, (ours, popular) = found["u", "all"]
    named = dict(zip(MEASURED, ours, strict=True))
    assert groups == ["history/cold"] and named["ndcg@10"] == 1.0 and named["precision@5"] == 2 / 5
    assert named["serendipity@5"] == 1 / 5 and named["novelty@5"] == 2.0
    assert named["miscalibration@20"] == pytest.approx(0) and named["profile_popularity"] == 0.25
    assert 0 < popular[0] < 1
    assert found["u", "new"][1][0][0] == 1.0 and found["u", "new"][1][1][0] == 0.0
    alone = dict(zip(MEASURED, found["nobody's", "all"][1][0], strict=True))
    assert alone["ndcg@5"] == alone["mrr@20"] == alone["serendipity@10"] == 0.0
    assert np.isnan(alone["novelty@5"]) and np.isnan(alone["profile_popularity"])


def test_users_without_history_and_items_new_to_the_catalogue_are_judged_apart_from_the_rest(
    spark: SparkSession, shelf: Catalogue
) -> None:
    people = spark.createDataFrame(
        [
            ("u", ["i0", "i1"], ["i1"], [(0, 2.0)], ["acquaintance/1"], None, ["i1"]),
            ("stranger", None, None, None, ["acquaintance/0"], ["i2"], None),
        ],
        f"{PEOPLE}, relevant_strangers array<string>, relevant_arrivals array<string>",
    )
    models = ("popularity", "ladder")
    rows: list[Any] = [
        ("u", ["i0", "i2"], [], ["i0", "i1"], ["i1"]), ("stranger", ["i1", "i2"], None, ["i2"], None),
    ]  # fmt: skip
    found = {
        (row.user_id, row.scope): np.array(row["values"]).reshape(2, -1)[:, MEASURED.index("recall@10")].tolist()
        for row in per_user(people, _lists(spark, models, rows), models, shelf, _facts()).collect()
    }
    assert found == {
        ("u", "all"): [0.5, 1.0], ("u", "new"): [0.0, 1.0], ("u", "arrivals"): [0.0, 1.0],
        ("stranger", "strangers"): [1.0, 1.0],
    }  # fmt: skip


def test_facts_and_groups_are_those_of_the_history(spark: SparkSession, shelf: Catalogue) -> None:
    history = {"u1": "i0 i1 i2 i3 i4 i5", "u2": "i0 i1 i2", "u3": "i0 i1", "u4": "i0"}
    history |= {f"x{n}": "i0" if n < 5 else "i0 i1 i2 i3" for n in range(10)}
    pairs = spark.createDataFrame(
        [(user, item, 2.0, 1.0 if user == "u4" else 2.0) for user, items in history.items() for item in items.split()],
        "user_id string, item_id string, days double, times double",
    )
    rfm = spark.createDataFrame(
        [("u1", "Champions", "GB"), ("u2", "At Risk", "GB"), ("u3", None, None)]
        + [(f"x{n}", "Lost", f"C{n}") for n in range(10)],
        "user_id string, segment string, country string",
    )
    items = item_frame(
        spark,
        [{"item_id": name, "title": f"Word{name}", "category": ["A", "B", name]} for name in ITEMS[:4]]
        + [{"item_id": "i4", "title": "x", "category": None}],
    )
    facts = Facts(pairs, rfm, pairs, items, AS_OF)
    known = item_facts(pairs, items, shelf)
    np.testing.assert_allclose(known.popularity, np.array([14, 8, 7, 6, 1, 1]) / 14)
    assert known.category.toarray().tolist() == [[1.0]] * 4 + [[0.0]] * 2 and known.content.shape[0] == len(ITEMS)

    asked = spark.createDataFrame([(user, ["i0"], []) for user in history], PEOPLE.split(", profile")[0])
    found = {row.user_id: row for row in described(asked, facts, shelf).collect()}
    assert {user: set(found[user].groups) for user in ("u1", "u2", "u3", "u4", "x8", "x9")} == {
        "u1": {"activity/high", "history/warm", "segment/Champions", "country/GB", "acquaintance/6_or_more"},
        "u2": {"activity/medium", "history/cold", "segment/At Risk", "country/GB", "acquaintance/6_or_more"},
        "u3": {"activity/medium", "history/cold", "acquaintance/2_to_5"},
        "u4": {"activity/low", "history/cold", "acquaintance/1"},
        "x8": {"activity/medium", "history/cold", "segment/Lost", "country/C8", "acquaintance/6_or_more"},
        "x9": {"activity/medium", "history/cold", "segment/Lost", "country/other", "acquaintance/6_or_more"},
    }
    assert [(entry.item, entry.weight) for entry in found["u3"].profile] == [(0, 2.0), (1, 2.0)]


def test_coverage_is_that_of_rectools_and_gini_the_mean_difference_of_exposures(spark: SparkSession) -> None:
    reference = json.loads((Path(__file__).parent / "reference" / "rectools.json").read_text())
    names = [f"i{n:02d}" for n in range(len(reference["content"]))]
    rows = [(f"u{user}", [names[item] for item in best], ["i00"]) for user, best in enumerate(reference["lists"])]
    items = spark.createDataFrame([(name,) for name in names], "item_id string")
    found = exposure(_lists(spark, ("m", "mute"), [(*row, [], []) for row in rows]), ("m", "mute"), items)
    for k in KS:
        times = np.bincount(np.concatenate([best[:k] for best in reference["lists"]]), minlength=len(names))
        gini = np.abs(times[:, None] - times[None, :]).mean() / (2 * times.mean())
        assert found["m", "all", k].coverage == pytest.approx(reference["expected"][f"coverage@{k}"], abs=1e-9)
        assert found["m", "all", k].gini == pytest.approx(gini, abs=1e-9)
        assert found["m", "new", k].coverage == 1 / len(names)
        assert found["m", "new", k].gini == pytest.approx(1 - 1 / len(names))
    assert not [key for key in found if key[0] == "mute"]

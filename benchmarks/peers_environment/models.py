"""The peers themselves, for an environment of their own: `make bench-peers` runs this file, nothing imports it.

    python models.py FOLDER [SCOPE ...]

SCOPE: all or new, as both without. Reads from the folder <part>.parquet (user_id, item_id, days, age: days before the
part's instant) and <part>_users.parquet (user_id, relevant, relevant_new) of the parts `early`, whose users tune, and
`train`, whose users are asked in the end. Writes lists.parquet: user_id, model, scope, items (best first), and
seconds.json: of each model's last fit and lists. A peer that fails is told with its error and has neither lists nor
seconds (null): those of the others are an hour's work. Ends with 1 when all failed.

Each peer is tuned on the early part for all items and for new ones apart, by its own grid, and fitted on the whole
training part with either setting. RecTools' two-stage model is taken as it comes.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import implicit.als
import implicit.nearest_neighbours
import lightgbm
import numpy as np
import pandas as pd
import scipy.sparse as sp
from pyspark.sql import SparkSession
from recommenders.models.sar import SAR
from rectools import Columns
from rectools.dataset import Dataset
from rectools.model_selection import TimeRangeSplitter
from rectools.models import EASEModel, ImplicitItemKNNWrapperModel, PopularModel
from rectools.models.ranking import CandidateGenerator, CandidateRankingModel, PerUserNegativeSampler, Reranker
from replay import models as replay
from replay.data import Dataset as ReplayDataset
from replay.data import FeatureHint, FeatureInfo, FeatureSchema, FeatureType
from replay.utils.session_handler import State

LENGTH = 20
# RecTools' EASE inverts a dense matrix of its items; SAR and RePlay compare all pairs of what a person had. Of as many
# items as the project's own linear models have dense.
MOST_ITEMS = 5_000
NOW = pd.Timestamp("2020-01-01")
# Lists of some users, best first; whether what they had before is left out.
Lists = Callable[[list[str], bool], pd.DataFrame]


def implicit_als(rows: pd.DataFrame, setting: dict[str, Any]) -> Lists:
    model = implicit.als.AlternatingLeastSquares(random_state=1, num_threads=2, iterations=15, **setting)
    return _of_implicit(model, rows)


def implicit_bm25(rows: pd.DataFrame, setting: dict[str, Any]) -> Lists:
    return _of_implicit(implicit.nearest_neighbours.BM25Recommender(num_threads=2, **setting), rows)


def _of_implicit(model: Any, rows: pd.DataFrame) -> Lists:
    users, items = pd.Index(rows["user_id"].unique()), pd.Index(rows["item_id"].unique())
    places = users.get_indexer(pd.Index(rows["user_id"])), items.get_indexer(pd.Index(rows["item_id"]))
    matrix = sp.csr_matrix((rows["days"].astype(np.float32), places), shape=(len(users), len(items)))
    model.fit(matrix, show_progress=False)

    def lists(asked: list[str], new: bool) -> pd.DataFrame:
        known = users.get_indexer(pd.Index(asked))
        found, scores = model.recommend(known, matrix[known], N=LENGTH, filter_already_liked_items=new)
        told = (found >= 0) & (scores > -1e30)
        row, rank = np.nonzero(told)
        return pd.DataFrame({"user_id": np.asarray(asked)[row], "item_id": items[found[row, rank]], "rank": rank + 1})

    return lists


def _dataset(rows: pd.DataFrame) -> Dataset:
    times = NOW - pd.to_timedelta(rows["age"], unit="D")
    named = {Columns.User: rows["user_id"], Columns.Item: rows["item_id"], Columns.Weight: rows["days"]}
    return Dataset.construct(pd.DataFrame({**named, Columns.Datetime: times}))


def _of_rectools(model: Any, rows: pd.DataFrame) -> Lists:
    dataset = _dataset(rows)
    model.fit(dataset)

    def lists(asked: list[str], new: bool) -> pd.DataFrame:
        known = [user for user in asked if user in set(dataset.user_id_map.external_ids)]
        return model.recommend(known, dataset, k=LENGTH, filter_viewed=new)

    return lists


def rectools_ease(rows: pd.DataFrame, setting: dict[str, Any]) -> Lists:
    return _of_rectools(EASEModel(recommend_n_threads=2, **setting), _most_wanted(rows))


def rectools_two_stage(rows: pd.DataFrame, setting: dict[str, Any]) -> Lists:
    generators = [
        CandidateGenerator(PopularModel(), 30, keep_ranks=True, keep_scores=True),
        CandidateGenerator(
            ImplicitItemKNNWrapperModel(implicit.nearest_neighbours.CosineRecommender(num_threads=2)),
            50, keep_ranks=True, keep_scores=True,
        ),
    ]  # fmt: skip
    # Its Reranker tells a ranker of LightGBM nothing of the users: that refuses. A classifier is what comes.
    reranker = Reranker(lightgbm.LGBMClassifier(random_state=1, n_jobs=2, verbosity=-1))
    sampler = PerUserNegativeSampler(3, random_state=1)
    model = CandidateRankingModel(generators, TimeRangeSplitter("14D", n_splits=1), reranker, sampler)
    return _of_rectools(model, rows)


def sar(rows: pd.DataFrame, setting: dict[str, Any]) -> Lists:
    named = rows.rename(columns={"user_id": "userID", "item_id": "itemID", "days": "rating"})
    named = _most_wanted(named, "itemID").assign(timestamp=lambda frame: -frame["age"] * 86400.0)
    model = SAR(timedecay_formula=True, **setting)
    model.fit(named[["userID", "itemID", "rating", "timestamp"]])
    known_users = set(named["userID"])

    def lists(asked: list[str], new: bool) -> pd.DataFrame:
        known = pd.DataFrame({"userID": [user for user in asked if user in known_users]})
        found = model.recommend_k_items(known, top_k=LENGTH, remove_seen=new)
        found = found.sort_values(["userID", "prediction"], ascending=[True, False], kind="stable")
        rank = found.groupby("userID").cumcount() + 1
        return pd.DataFrame({"user_id": found["userID"], "item_id": found["itemID"], "rank": rank})

    return lists


@cache
def _spark() -> SparkSession:
    """RePlay's session; the one that it makes of itself takes 70 % of the machine's memory."""
    # Its workers run this environment's Python, not that of the process that started this one.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings: dict[str, Any] = {
        # Of 68 thousand items its ALS runs out of 4 GiB when it asks for the lists.
        "spark.driver.memory": "8g",
        "spark.driver.host": "localhost",
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    spark = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    State(spark)
    return spark


def _of_replay(model: Any, rows: pd.DataFrame) -> Lists:
    spark = _spark()
    users, items = pd.Index(rows["user_id"].unique()), pd.Index(rows["item_id"].unique())
    # Its queries have a column "item" of their own, so that ours may not be called so.
    places = users.get_indexer(pd.Index(rows["user_id"])), items.get_indexer(pd.Index(rows["item_id"]))
    hints = {"user_idx": FeatureHint.QUERY_ID, "item_idx": FeatureHint.ITEM_ID, "rating": FeatureHint.RATING}
    kinds = {"rating": FeatureType.NUMERICAL}
    schema = [FeatureInfo(name, kinds.get(name, FeatureType.CATEGORICAL), hint) for name, hint in hints.items()]
    frame = pd.DataFrame({"user_idx": places[0], "item_idx": places[1]}, dtype="int32")
    frame["rating"] = rows["days"].to_numpy(float)
    # It keeps what it makes until told otherwise.
    spark.catalog.clearCache()
    dataset = ReplayDataset(FeatureSchema(schema), spark.createDataFrame(frame).cache(), check_consistency=False)
    model.fit(dataset)

    def lists(asked: list[str], new: bool) -> pd.DataFrame:
        known = users.get_indexer(pd.Index(asked))
        wanted = spark.createDataFrame(pd.DataFrame({"user_idx": known[known >= 0]}, dtype="int32"))
        found = model.predict(dataset, k=LENGTH, queries=wanted, filter_seen_items=new).toPandas()
        found = found.sort_values(["user_idx", "rating"], ascending=[True, False], kind="stable")
        rank = found.groupby("user_idx").cumcount() + 1
        return pd.DataFrame({"user_id": users[found["user_idx"]], "item_id": items[found["item_idx"]], "rank": rank})

    return lists


def replay_knn(rows: pd.DataFrame, setting: dict[str, Any]) -> Lists:
    return _of_replay(replay.ItemKNN(**setting), _most_wanted(rows))


def replay_als(rows: pd.DataFrame, setting: dict[str, Any]) -> Lists:
    return _of_replay(replay.ALSWrap(implicit_prefs=True, seed=1, **setting), rows)


def _most_wanted(rows: pd.DataFrame, column: str = "item_id") -> pd.DataFrame:
    return rows[rows[column].isin(rows[column].value_counts().index[:MOST_ITEMS])]


PEERS: dict[str, tuple[Callable[[pd.DataFrame, dict[str, Any]], Lists], list[dict[str, Any]]]] = {
    "implicit_als": (
        implicit_als,
        [
            {"factors": factors, "alpha": alpha, "regularization": ridge}
            for factors in (64, 128)
            for alpha in (1.0, 5.0, 20.0)
            for ridge in (0.01, 0.1, 1.0)
        ],
    ),
    "implicit_bm25": (implicit_bm25, [{"K": k, "B": b} for k in (20, 100, 400) for b in (0.2, 0.5, 0.8)]),
    "rectools_ease": (rectools_ease, [{"regularization": ridge} for ridge in (50.0, 200.0, 500.0, 1000.0, 3000.0)]),
    "rectools_two_stage": (rectools_two_stage, [{}]),
    "recommenders_sar": (
        sar,
        [
            {"similarity_type": like, "time_decay_coefficient": days}
            for like in ("jaccard", "lift", "cosine")
            for days in (30, 90, 365)
        ],
    ),
    "replay_knn": (replay_knn, [{"num_neighbours": 20, "weighting": kind} for kind in ("tf_idf", "bm25")]),
    "replay_als": (replay_als, [{"rank": rank} for rank in (32, 64, 128)]),
}
TIMED = ("rectools_two_stage",)
SCOPES = {"all": "relevant", "new": "relevant_new"}


def ndcg(found: pd.DataFrame, asked: pd.DataFrame, column: str) -> float:
    """nDCG@10, for the choice of a setting alone; what is told is measured by the project's own code."""
    wanted = asked.set_index("user_id")[column]
    wanted = wanted[wanted.map(len) > 0]
    hits = found[found["rank"] <= 10].merge(wanted.explode().rename("item_id").reset_index(), on=["user_id", "item_id"])
    gain = (1 / np.log2(hits["rank"] + 1)).groupby(hits["user_id"]).sum().reindex(wanted.index).fillna(0)
    ideal = np.cumsum(1 / np.log2(np.arange(2, 12)))[np.minimum(wanted.map(len), 10) - 1]
    return float((gain / ideal).mean())


def _of_peer(
    name: str, fit: Callable[[pd.DataFrame, dict[str, Any]], Lists], grid: list[dict[str, Any]],
    parts: dict[str, pd.DataFrame], users: dict[str, pd.DataFrame], scopes: list[str],
) -> tuple[list[pd.DataFrame], float]:  # fmt: skip
    """Its lists by scope, each by the setting that is best on the early part, and the seconds of the last."""
    asked = {part: frame["user_id"].tolist() for part, frame in users.items()}
    best, seconds = dict.fromkeys(scopes, (-1.0, grid[0])), 0.0
    for setting in grid if len(grid) > 1 else ():
        lists = fit(parts["early"], setting)
        for scope in scopes:
            value = ndcg(lists(asked["early"], scope == "new"), users["early"], SCOPES[scope])
            best[scope] = max(best[scope], (value, setting), key=lambda pair: pair[0])
    found = []
    for scope, (value, setting) in best.items():
        started = time.monotonic()
        told = fit(parts["train"], setting)(asked["train"], scope == "new")
        seconds = time.monotonic() - started
        tuned = f"best of {len(grid)} settings on validation {value:.4f}" if len(grid) > 1 else "as it comes"
        sys.stderr.write(f"{name}, {scope} items: {tuned}, {setting}; {seconds:.1f} s\n")
        ordered = told.sort_values(["user_id", "rank"]).groupby("user_id")["item_id"].agg(list)
        found.append(pd.DataFrame({"user_id": ordered.index, "items": ordered, "model": name, "scope": scope}))
    return found, seconds


def main(folder: Path, scopes: list[str]) -> None:
    parts = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("early", "train")}
    users = {name: pd.read_parquet(folder / f"{name}_users.parquet") for name in parts}
    written: list[pd.DataFrame] = []
    seconds: dict[str, float | None] = {}
    for name, (fit, grid) in PEERS.items():
        if name in TIMED and not parts["train"]["age"].any():
            sys.stderr.write(f"{name}: left out, as it splits by time and this data has none\n")
            continue
        try:
            lists, seconds[name] = _of_peer(name, fit, grid, parts, users, scopes)
        except Exception:
            traceback.print_exc()
            sys.stderr.write(f"{name}: left out, as it failed (above)\n")
            seconds[name] = None
            continue
        written += lists
    if not written:
        sys.exit("no peer gave a list; each one's error is above")
    pd.concat(written).to_parquet(folder / "lists.parquet", index=False)
    (folder / "seconds.json").write_text(json.dumps(seconds))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(SCOPES))

"""The ranker: LambdaMART (Burges 2010) by XGBoost on Spark, kept and loaded as XGBoost's JSON.

Trained on what users went on to want in a window after the instant the features are as of.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lake.errors import ModelError
from models.calibration import Calibration, from_dict
from models.interactions import labels
from models.values import Value

FORMAT = "attune-ranker/1"
# Of a hundred. This halves the training; what it costs is in docs/decisions/ranker.md.
KEPT_NEGATIVES = 40
QUERIES_A_WORKER = 100
QUERIES_A_UNIT_OF_WEIGHT = 100


@dataclass(frozen=True)
class RankerParameters:
    """XGBoost's own names and meanings."""

    n_estimators: int = 100
    learning_rate: float = 0.1
    max_depth: int = 6
    min_child_weight: float = 20.0
    subsample: float = 0.8
    colsample_bytree: float = 0.6
    reg_lambda: float = 5.0
    max_bin: int = 128
    objective: str = "rank:ndcg"
    lambdarank_pair_method: str = "topk"
    lambdarank_num_pair_per_sample: int = 20
    random_state: int = 1

    def check(self) -> None:
        """Raises ModelError that names the first wrong parameter, what was got and what is allowed."""
        for name in ("n_estimators", "learning_rate", "max_depth", "max_bin", "lambdarank_num_pair_per_sample"):
            if not getattr(self, name) > 0:
                raise ModelError(f"ranker: got {name}={getattr(self, name)}; it must be above 0")
        for name in ("subsample", "colsample_bytree"):
            if not 0 < getattr(self, name) <= 1:
                raise ModelError(f"ranker: got {name}={getattr(self, name)}; it must be above 0, and 1 at most")
        for name in ("min_child_weight", "reg_lambda"):
            if not getattr(self, name) >= 0:
                raise ModelError(f"ranker: got {name}={getattr(self, name)}; it must be at least 0")


@dataclass(frozen=True)
class Ranker:
    """booster: XGBoost's JSON. features: column names in the order of training. calibration: of its scores. given:
    parameters that were not the defaults, by name; the sources whose scores it ranks by are fitted with the same.
    """

    booster: str
    features: tuple[str, ...]
    calibration: Calibration | None = None
    given: Mapping[str, Value] = field(default_factory=dict)

    def to_json(self) -> str:
        """The ranker as one JSON text."""
        known: dict[str, Any] = {"calibration": asdict(self.calibration)} if self.calibration else {}
        known |= {"given": dict(self.given)} if self.given else {}
        kept = {"format": FORMAT, "features": self.features, **known}
        return json.dumps(kept | {"booster": json.loads(self.booster)})


def from_json(text: str) -> Ranker:
    """The ranker of such a text. Raises ModelError for any other text."""
    try:
        found = json.loads(text)
        if found.get("format") != FORMAT:
            raise ModelError(f"the ranker's format is {found.get('format')!r}; this code reads {FORMAT!r}: train again")
        # Rankers of before there was calibration have none.
        known = found.get("calibration")
        calibration = None if known is None else from_dict(known)
        features, given = tuple(str(name) for name in found["features"]), dict(found.get("given", {}))
        return Ranker(json.dumps(found["booster"]), features, calibration, given)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"the ranker is not a JSON text of the format {FORMAT!r}: {error}; train again") from None


def training_rows(features: DataFrame, wanted: DataFrame, window: int, kept: int = KEPT_NEGATIVES) -> DataFrame:
    """Features with label (1 wanted, 0 not), query, scope and taught, for fit_ranker and calibration.

    wanted: DataFrame[user_id, item_id], positives of the window after the features' instant. window: its number.
    Each user asks twice: once over all candidates (scope 0), and once over the new ones only (scope 1), as a user's
    own items are so much likelier that within one query new items would hardly be compared with each other. A query of
    which nothing was wanted teaches nothing: the rankers leave it out (taught is false), and only scope 0 is kept of
    it, as a probability must know of those who wanted none of their candidates. Of what was not wanted `kept` in a
    hundred stay, chosen by the pair alone.
    """
    scopes = F.explode(F.when(F.col("seen") == 0, F.array(F.lit(0), F.lit(1))).otherwise(F.array(F.lit(0))))
    asked = (
        _thinned(features, wanted, window, kept)
        .withColumn("scope", scopes)
        .withColumn("taught", F.max("label").over(Window.partitionBy("user_id", "scope")) > 0)
    )
    # XGBoost keeps 32 bits of a query's number. Two users who fall on the same one are compared, to little harm.
    query = F.shiftrightunsigned(F.xxhash64("user_id", F.lit(window), "scope"), 33)
    return asked.where("taught OR scope = 0").withColumn("query", query)


def kept_pairs(candidates: DataFrame, wanted: DataFrame, window: int, kept: int = KEPT_NEGATIVES) -> DataFrame:
    """The candidates that training_rows keeps, so that the features of the others need not be computed.

    candidates: user_id, item_id, ...; the rest: as there.
    """
    return _thinned(candidates, wanted, window, kept).drop("label")


def _thinned(pairs: DataFrame, wanted: DataFrame, window: int, kept: int) -> DataFrame:
    """The pairs with their label, of what was not wanted `kept` in a hundred."""
    thinned = F.pmod(F.xxhash64("user_id", "item_id", F.lit(window)), F.lit(100)) < kept
    labelled = pairs.join(labels(wanted), ["user_id", "item_id"], "left")
    return labelled.withColumn("label", F.coalesce("label", F.lit(0.0))).where((F.col("label") > 0) | thinned)


def afforded(parameters: RankerParameters, queries: int) -> RankerParameters:
    """The parameters for so many queries: with few of them no leaf would ever hold the weight that many afford, and
    every score would be the same.
    """
    return replace(parameters, min_child_weight=min(parameters.min_child_weight, queries / QUERIES_A_UNIT_OF_WEIGHT))


def fit_ranker(rows: DataFrame, features: tuple[str, ...], parameters: RankerParameters, workers: int) -> Ranker:
    """Fit on the rows of training_rows that teach. workers: Spark tasks that train together; each needs a free core.

    Raises ModelError when no user teaches anything.
    """
    from xgboost.spark import SparkXGBRanker

    rows = rows.where("taught")
    queries = rows.select("query").distinct().count()
    if not queries:
        raise ModelError(
            "the ranker has nothing to learn from: no user went on to buy, like or rate well one of their candidates; "
            "at least a few users must be active both before and after the training cut"
        )
    # A worker without rows would fail; few rows need no second one.
    workers = workers if queries >= QUERIES_A_WORKER * workers else 1
    # A fixed order within fixed partitions, so that the same rows give the same trees. XGBoost sorts by query
    # alone, and Spark drops a sort that another follows: persisting keeps this one.
    placed = rows.repartition(workers, "query").sortWithinPartitions("query", "item_id")
    filled = placed.select(
        "query", "label", *(F.coalesce(name, F.lit(float("nan"))).alias(name) for name in features)
    ).persist()
    logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)
    ranker = SparkXGBRanker(
        features_col=list(features),
        label_col="label",
        qid_col="query",
        num_workers=workers,
        tree_method="hist",
        verbosity=0,
        **asdict(afforded(parameters, queries)),
    )
    try:
        booster = ranker.fit(filled).get_booster()
    finally:
        filled.unpersist()
    return Ranker(bytes(booster.save_raw("json")).decode(), features)


def score(features: DataFrame, ranker: Ranker, name: str = "score") -> DataFrame:
    """The frame with the column `name`, float: higher is better, comparable within a user only.

    Raises ModelError when the frame lacks a feature of the ranker.
    """
    missing = [column for column in ranker.features if column not in features.columns]
    if missing:
        raise ModelError(f"the ranker needs the features {missing}; the frame has {features.columns}")

    def predicted(*columns: pa.Array) -> pa.Array:
        matrix = np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns]).astype(np.float32)
        return pa.array(_booster(ranker.booster).inplace_predict(matrix) if len(matrix) else [], pa.float32())

    # A column's function hands the features over and the score back; the other columns stay where they are.
    scored = F.arrow_udf(predicted, "float")  # type: ignore[call-overload]
    return features.withColumn(name, scored(*ranker.features))


@cache
def _booster(text: str) -> Any:
    """A booster of XGBoost's JSON, on one thread: Spark's tasks are the threads."""
    from xgboost import Booster

    booster = Booster(model_file=bytearray(text.encode()))
    booster.set_param({"nthread": 1})
    return booster

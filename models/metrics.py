"""Ranking metrics per user, in Spark, never sampled; means with bootstrap intervals in models.bootstrap.

For a user with the relevant set R (n items) and a list L, with h_i = 1 when the i-th item of L is in R:

    DCG@k       = sum over i <= k of h_i / log2(i + 1)
    nDCG@k      = DCG@k / sum over i <= min(k, n) of 1 / log2(i + 1)      (Järvelin & Kekäläinen 2002)
    recall@k    = sum of h_i / min(k, n)     min, so that a perfect list scores 1 when n > k
    precision@k = sum of h_i / k             a short list is punished
    MAP@k       = sum over i <= k of h_i * precision@i / min(k, n)
    hit rate@k  = 1 when any h_i is 1

A user without a list scores zero. Relevance is binary.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

KS = (5, 10, 20)
LONGEST = max(KS)
NAMES = ("ndcg", "recall", "precision", "map", "hit_rate")
SCOPES = ("all", "new")
VALUES = tuple(f"{name}@{k}" for k in KS for name in NAMES)

_DISCOUNTS = [1 / math.log2(position + 2) for position in range(LONGEST)]
_IDEAL = [sum(_DISCOUNTS[: count + 1]) for count in range(LONGEST)]


def per_user(lists: DataFrame, truth: DataFrame) -> DataFrame:
    """Metrics of each user and model: user_id, model, scope, values (array of doubles in the order of VALUES).

    lists: user_id, model, items, new_items: best first, LONGEST long or shorter; new_items leaves out what the
    user had before. truth: as models.split.truth gives it. Scope "new" has only users with a new relevant item.
    Every user of truth appears for every model of lists, with zeros when the model has no list for them.
    """
    models = lists.select("model").distinct()
    wanted = truth.crossJoin(F.broadcast(models)).join(lists, ["user_id", "model"], "left")
    scopes = F.array(
        F.struct(F.lit("all").alias("scope"), F.col("items"), F.col("relevant")),
        F.struct(
            F.lit("new").alias("scope"), F.col("new_items").alias("items"), F.col("relevant_new").alias("relevant")
        ),
    )
    rows = wanted.select("user_id", "model", F.inline(scopes)).where(F.size("relevant") > 0)
    hits = F.transform(
        F.slice(F.array_distinct(F.coalesce("items", F.array().cast("array<string>"))), 1, LONGEST),
        lambda item: F.array_contains("relevant", item).cast("double"),
    )
    measured = rows.select("user_id", "model", "scope", F.size("relevant").alias("n"), hits.alias("hits"))
    return measured.select(
        "user_id", "model", "scope", F.array(*(value for k in KS for value in _at(k))).alias("values")
    )


def ndcg_of(best: np.ndarray, relevant: sp.csr_matrix) -> np.ndarray:
    """nDCG@k of each user, without Spark: float64 (users,).

    best: int (users, k), best first, -1 for none. relevant: csr (users, items), each row with one item at least.
    """
    discounts = 1 / np.log2(np.arange(2, best.shape[1] + 2))
    rows = np.repeat(np.arange(len(best)), best.shape[1])
    hits = np.asarray(relevant[rows, np.maximum(best.ravel(), 0)]).reshape(best.shape).astype(bool) & (best >= 0)
    ideal = np.cumsum(discounts)[np.minimum(np.diff(relevant.indptr), best.shape[1]) - 1]
    return np.asarray((hits * discounts).sum(axis=1) / ideal)


def coverage(lists: DataFrame, items: DataFrame) -> DataFrame:
    """Catalogue coverage: model, scope, k, value: distinct items in the first k places of any list over all items.

    items: DataFrame[item_id], the catalogue the lists were drawn from.
    """
    shown = lists.select(
        "model",
        F.inline(
            F.array(
                F.struct(F.lit("all").alias("scope"), F.col("items")),
                F.struct(F.lit("new").alias("scope"), F.col("new_items").alias("items")),
            )
        ),
    ).select("model", "scope", F.posexplode("items").alias("position", "item_id"))
    best = shown.groupBy("model", "scope", "item_id").agg(F.min("position").alias("position"))
    counts = best.groupBy("model", "scope").agg(
        *(F.count(F.when(F.col("position") < k, 1)).cast("double").alias(str(k)) for k in KS)
    )
    total = items.select("item_id").distinct().agg(F.greatest(F.count(F.lit(1)), F.lit(1)).alias("total"))
    values = F.array(*(F.struct(F.lit(k).alias("k"), (F.col(str(k)) / F.col("total")).alias("value")) for k in KS))
    return counts.crossJoin(F.broadcast(total)).select("model", "scope", F.inline(values))


def _at(k: int) -> list[Column]:
    """The metrics at k, in the order of NAMES, from the columns hits and n."""
    hits = F.slice("hits", 1, k)
    reachable = F.least(F.col("n"), F.lit(k))
    found = _total(hits)
    discounts = F.lit(_DISCOUNTS)
    gain = _total(F.transform(hits, lambda hit, position: hit * F.get(discounts, position)))
    precisions = F.transform(
        hits,
        lambda hit, position: hit * _total(F.slice("hits", F.lit(1), position + 1)) / (position + 1),
    )
    return [
        gain / F.get(F.lit(_IDEAL), reachable - 1),
        found / reachable,
        found / F.lit(float(k)),
        _total(precisions) / reachable,
        (found > 0).cast("double"),
    ]


def _total(values: Column) -> Column:
    return F.aggregate(values, F.lit(0.0), lambda total, value: total + value)

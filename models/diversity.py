"""Varied lists: maximal marginal relevance over categories (MMR: Carbonell & Goldstein 1998).

MMR fills a list place by place with the item that has most of

    (1 - d) * relevance - d * the greatest similarity to an item already in the list,   0 <= d <= 1

Relevance is the score, scaled to 0..1 among the list's candidates. The similarity of two items is the share of the
first CATEGORY_LEVELS levels of their categories that they have in common, counted from the broadest; an item without
category is like no other. In such a tree the best of a category always comes before the rest of it, whatever d. So an
item's penalty is known beforehand - none for the best of its broadest category, less than 1 for the best of a narrower
one, 1 for any other - and the whole of MMR is one sort.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from features.leanings import CATEGORY_LEVELS


def marginal(
    rows: DataFrame, items: DataFrame, diversity: float, score: str = "score", name: str = "marginal"
) -> DataFrame:
    """The rows with the column `name`, double: the list in order of MMR, best first, is in descending order of it, ties
    by score and then by the smaller id.

    rows: user_id, item_id and score, not null; all candidates of each user. items: silver.items. diversity: d; at 0 the
    column is the score.
    """
    if diversity == 0:
        return rows.withColumn(name, F.col(score).cast("double"))
    levels = [f"_level{level}" for level in range(CATEGORY_LEVELS)]
    path = F.coalesce("category", F.array().cast("array<string>"))
    known = items.select("item_id", *(F.get(path, F.lit(n)).alias(level) for n, level in enumerate(levels)))
    user = Window.partitionBy("user_id")
    low, high = F.min(score).over(user), F.max(score).over(user)
    relevance = F.coalesce(F.try_divide(F.col(score) - low, high - low), F.lit(1.0))
    # Items that share their first n levels and are not the best of those are like one that is shown, by n levels.
    shared = F.lit(0)
    for n in range(1, CATEGORY_LEVELS + 1):
        group = Window.partitionBy("user_id", *levels[:n]).orderBy(F.desc(score), "item_id")
        follows = F.col(levels[n - 1]).isNotNull() & (F.row_number().over(group) > 1)
        shared = F.when(follows, n).otherwise(shared)
    value = (1 - diversity) * relevance - diversity * shared / CATEGORY_LEVELS
    return rows.join(F.broadcast(known), "item_id", "left").withColumn(name, value.cast("double")).drop(*levels)

"""The vectors of ALS that a night leaves for the next."""

from __future__ import annotations

from pyspark.sql import functions as F

from jobs.job import Context
from lake import delta, log
from lake.console import say
from lake.tables import ITEM_FACTORS, USER_FACTORS
from models.als import Factors


def last_factors(context: Context, rank: int) -> Factors | None:
    """What the latest night before the window's end left; None without, and when the rank has changed since."""
    settings, end = context.settings, context.window.end
    found = [log.last_date(settings, table.name, "as_of", end) for table in (USER_FACTORS, ITEM_FACTORS)]
    if None in found or found[0] != found[1]:
        return None
    today = F.col("as_of") == F.lit(found[0])
    users, items = (
        delta.read(context.spark, settings, table.name).where(today) for table in (USER_FACTORS, ITEM_FACTORS)
    )
    lengths = {row.rank for row in items.select(F.size("vector").alias("rank")).distinct().collect()}
    if lengths != {rank}:
        say(f"ALS starts anew: the vectors as of {found[0]} have the rank {sorted(lengths)}, now it is {rank}")
        return None
    say(f"ALS starts from the vectors as of {found[0]}")
    return Factors(users.select("user_id", "vector"), items.select("item_id", "vector", "wanted"))


def keep_factors(context: Context, factors: Factors) -> None:
    """Leave tonight's vectors for the next night; the last night's stay too, what is older goes."""
    settings, end = context.settings, context.window.end
    for table, frame in ((USER_FACTORS, factors.users), (ITEM_FACTORS, factors.items)):
        earlier = log.last_date(settings, table.name, "as_of", end)
        predicate = f"as_of = date'{end}'" + (f" OR as_of < date'{earlier}'" if earlier else "")
        dated = frame.withColumn("as_of", F.lit(end))
        if table is USER_FACTORS:
            dated = dated.withColumn("user_bucket", delta.user_bucket())
        delta.replace_window(dated, settings, table, predicate, context.run_id)

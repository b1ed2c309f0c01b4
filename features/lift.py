"""How much more a user leans to something than people do.

lift = the user's share of a key over its share in the population, the user's first drawn to the population's by
PRIOR_EVENTS events: (n x share + PRIOR_EVENTS x p) / (n + PRIOR_EVENTS) / p, n being the events behind the shares. That
is the mean of a Dirichlet posterior around the population (Gelman et al., Bayesian Data Analysis, 3.4; Zhai &
Lafferty, "A study of smoothing methods for language models", TOIS 22(2), 2004), so that who has done one thing is
hardly told from people: 1 is as people are.

The population's shares are sums of whole units, which are the same from every user's leanings and from all tiles, and
to which a night adds what its day adds to leanings: see jobs/population.py.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from features.leanings import CATEGORY_LEVELS, LEVELS, SEPARATOR, totals
from features.packing import OF_ITEMS, PATH

PRIOR_EVENTS = 10.0


def of_users(users: DataFrame) -> DataFrame:
    """The population's shares from the packed leanings of all of its users, as of their anchor: see shares."""
    return shares(units_of(users))


def units_of(users: DataFrame) -> DataFrame:
    """[dimension, key, units (decimal(27,0))]: all units of users, [packed], as of their anchor; one row a key."""
    whole = "CAST(CAST(sum(high) AS DECIMAL(27,0)) * 4294967296 + sum(low) AS DECIMAL(27,0))"
    return totals(users).groupBy("dimension", "key").agg(F.expr(whole).alias("units"))


def of_rows(rows: DataFrame) -> DataFrame:
    """The same from what tiles add. rows: [a key, or null, of each of OF_ITEMS in the column of its name, units]."""
    together = rows.groupBy(*OF_ITEMS).agg(_sum("units"))
    keys = F.array(*(F.struct(F.lit(name).alias("dimension"), F.col(name).alias("key")) for name in OF_ITEMS))
    return shares(_by_level(together.select(F.inline(keys), "units").filter(F.col("key").isNotNull())))


def shares(sums: DataFrame) -> DataFrame:
    """[dimension, key, population]: the share of a key in all units of its dimension above 0; none of keys that people
    turn away from. sums: [dimension, key, units], in several rows a key or one.
    """
    by_key = sums.groupBy("dimension", "key").agg(_sum("units")).filter("units > 0")
    total = F.sum("units").over(Window.partitionBy("dimension")).cast("double")
    return by_key.select("dimension", "key", (F.col("units").cast("double") / total).alias("population"))


def lifted(rows: DataFrame, population: DataFrame) -> DataFrame:
    """The rows with lift in place of known; null for what the population has no share of.

    rows: as features.leanings.best gives them. population: as `shares` gives it.
    """
    known, drawn = F.col("known"), PRIOR_EVENTS * F.col("population")
    lift = (known * F.col("share") + drawn) / (known + PRIOR_EVENTS) / F.col("population")
    joined = rows.join(F.broadcast(population), ["dimension", "key"], "left").withColumn("lift", lift)
    return joined.select(*(name for name in rows.columns if name != "known"), "lift")


def _by_level(sums: DataFrame) -> DataFrame:
    """The sums, those of a path told by its levels."""
    told = F.when(F.col("dimension") == PATH, _levels()).otherwise(F.array(F.struct("dimension", "key")))
    return sums.select(F.inline(told), "units")


def _levels() -> Column:
    """features.leanings.levels of the key, as (dimension, key)."""
    names = F.split("key", SEPARATOR)

    def told(level: Column) -> Column:
        key = F.array_join(F.slice(names, 1, level), SEPARATOR)
        return F.struct(F.element_at(F.array(*map(F.lit, LEVELS)), level).alias("dimension"), key.alias("key"))

    all_levels = F.transform(F.sequence(F.lit(1), F.least(F.size(names), F.lit(len(LEVELS)))), told)
    alone = F.struct(F.lit(LEVELS[CATEGORY_LEVELS - 1]).alias("dimension"), F.col("key"))
    return F.when(F.size(names) < CATEGORY_LEVELS, F.array_append(all_levels, alone)).otherwise(all_levels)


def _sum(name: str) -> Column:
    """Aggregate: of a whole population, more than a long holds."""
    return F.sum(F.col(name).cast("decimal(27,0)")).cast("decimal(27,0)").alias(name)

"""Items: every trait is an expression of the item's number, so that events need no join to know a price.

Item number n belongs to category n % categories and has rank n // categories in it: the lower the rank, the more
often it is chosen.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake.generator.chance import key_of, shuffled, texts, uniform, zipf_rank, zipf_share
from lake.generator.params import Params

DEPARTMENTS = (
    "Books", "Garden", "Kitchen", "Toys", "Sports", "Music", "Clothing", "Tools", "Office", "Pets", "Food", "Health",
)  # fmt: skip
RANGES = ("Everyday", "Classic", "Outdoor", "Travel", "Children's")
TYPES = ("Sets", "Singles", "Refills", "Accessories")
CATEGORY_EXPONENT = 0.7  # of the categories' popularity
ITEM_EXPONENT = 1.0  # of an item's popularity within its category
BRAND_EXPONENT = 0.8
CHEAPEST, DEAREST = 3.0, 150.0  # middle prices of categories
PRICE_SPREAD = 4.0  # the dearest item of a category costs this times its middle price, the cheapest a fraction as much
ROWS_A_TASK = 500_000


def items(spark: SparkSession, params: Params) -> DataFrame:
    """One row an item: [item_id, title, department, range, type, brand, price] for the file, and the latent traits
    [category (number), price_position (0 cheapest to 1 dearest of its category), appeal (chance to be chosen when
    nobody's taste matters)].
    """
    number = F.col("id")
    category, rank = category_of(params, number), F.floor(number / F.lit(params.categories))
    department, kind, form = category_path(category)
    brands = max(3, params.items // 50)
    brand = zipf_rank(brands, BRAND_EXPONENT, uniform(params.seed, "brand", number))
    general = zipf_share(params.categories, CATEGORY_EXPONENT, popularity_rank(params, category))
    return spark.range(0, params.items, 1, -(-params.items // ROWS_A_TASK)).select(
        item_id(params, number).alias("item_id"),
        F.concat_ws(" ", kind, department, form, F.concat(F.lit("No. "), rank + 1)).alias("title"),
        department.alias("department"),
        kind.alias("range"),
        form.alias("type"),
        F.concat(F.lit("Brand "), brand + 1).alias("brand"),
        price(params, number).alias("price"),
        category.cast("int").alias("category"),
        price_position(params, number).alias("price_position"),
        (general * zipf_share(items_in(params, category), ITEM_EXPONENT, rank)).alias("appeal"),
    )


def item_id(params: Params, number: Column) -> Column:
    """i and a number that says nothing about the item."""
    return F.concat(F.lit("i"), shuffled(params.seed, "item id", number, params.items))


def category_of(params: Params, number: Column) -> Column:
    """The number of an item's category."""
    return F.pmod(number, F.lit(params.categories))


def items_in(params: Params, category: Column) -> Column:
    """How many items a category has."""
    return F.floor((F.lit(params.items - 1) - category) / F.lit(params.categories)) + 1


def category_path(category: Column) -> tuple[Column, Column, Column]:
    """Department, range and type; 240 categories have 240 paths."""
    departments, ranges = len(DEPARTMENTS), len(RANGES)
    department = texts(DEPARTMENTS)[F.pmod(category, F.lit(departments)).cast("int")]
    kind = texts(RANGES)[F.pmod(F.floor(category / departments), F.lit(ranges)).cast("int")]
    form = texts(TYPES)[F.floor(category / (departments * ranges)).cast("int")]
    return department, kind, form


def popularity_rank(params: Params, category: Column) -> Column:
    """0 for the category that is chosen most; `category_by_popularity` the other way round."""
    categories = params.categories
    order = _popularity_order(params)
    back = [0] * categories
    for rank, number in enumerate(order):
        back[number] = rank
    return texts([str(rank) for rank in back])[category.cast("int")].cast("int")


def category_by_popularity(params: Params, chance: Column) -> Column:
    """The number of a category, drawn by popularity."""
    rank = zipf_rank(params.categories, CATEGORY_EXPONENT, chance)
    return texts([str(number) for number in _popularity_order(params)])[rank.cast("int")].cast("int")


def _popularity_order(params: Params) -> list[int]:
    """Category numbers, the most popular first: at most CATEGORIES."""
    return sorted(range(params.categories), key=lambda number: key_of(params.seed, f"popularity {number}"))


def item_of(params: Params, category: Column, chance: Column) -> Column:
    """The number of an item of the category, drawn by popularity within it."""
    rank = zipf_rank(items_in(params, category), ITEM_EXPONENT, chance)
    return rank * F.lit(params.categories) + category


def price_position(params: Params, number: Column) -> Column:
    """0 for the cheapest of its category, to 1."""
    return uniform(params.seed, "price", number)


def price(params: Params, number: Column) -> Column:
    """Euro, two decimals: the category's middle price x PRICE_SPREAD ** (-1 to 1)."""
    spread = uniform(params.seed, "category price", category_of(params, number))
    middle = F.lit(CHEAPEST) * F.pow(F.lit(DEAREST / CHEAPEST), spread)
    return F.round(middle * F.pow(F.lit(PRICE_SPREAD), price_position(params, number) * 2 - 1), 2)

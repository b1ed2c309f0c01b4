"""RFM and affinities of a log by DuckDB and by polars: the same numbers as features/, from the same Parquet files.

Recent scores count all of the past, ours all but what has faded below 2^-12. The log has views, likes, carts and
purchases; a purchase's order is its session. Both write what they found to Parquet. Both are given as of, a date after
the log's last.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import psutil
import pyarrow as pa

from features.affinity import HALF_LIFE_DAYS, KEYS_KEPT, PRICE_BANDS, RECENT_HALF_LIFE_DAYS, WEIGHTS
from features.leanings import CATEGORY_LEVELS, LEVELS, WEEKDAYS
from features.lift import PRIOR_EVENTS
from features.tiles import COUNTED, DAYPARTS

WEIGHT_OF = {kind: WEIGHTS[name] for kind, name in COUNTED.items() if name in WEIGHTS}
SHARES = (0.2, 0.4, 0.6, 0.8)
SQL = Path(__file__).with_suffix(".sql")


def by_duckdb(events: Path, items: Path, as_of: date, out: Path) -> tuple[int, int]:
    """Rows of RFM and of affinities."""
    given = {"as_of": as_of, "half_life": HALF_LIFE_DAYS, "recent_half_life": float(RECENT_HALF_LIFE_DAYS),
             "category_levels": CATEGORY_LEVELS, "levels": list(LEVELS), "keys_kept": KEYS_KEPT,
             "prior_events": PRIOR_EVENTS, "price_bands": list(PRICE_BANDS), "dayparts": list(DAYPARTS)}  # fmt: skip
    weights = {"event_type": list(WEIGHT_OF), "weight": list(WEIGHT_OF.values())}
    # All memory that is free but a fifth; beyond it DuckDB goes to disk, beside what it writes.
    memory = f"{psutil.virtual_memory().available * 4 // 5 // 2**20}MiB"
    with duckdb.connect(config={"memory_limit": memory, "temp_directory": str(out / "spilled")}) as db:
        db.read_parquet(f"{events}/*.parquet").create_view("events")
        db.read_parquet(f"{items}/*.parquet").create_view("items")
        db.register("given", pa.Table.from_pylist([given]))
        db.register("weights", pa.table(weights))
        db.execute(SQL.read_text(encoding="utf-8"))
        for name in ("rfm", "affinities"):
            db.table(name).write_parquet(str(out / f"{name}.parquet"))
        rfm, affinities = (len(db.read_parquet(str(out / f"{name}.parquet"))) for name in ("rfm", "affinities"))
    return rfm, affinities


def by_polars(events: Path, items: Path, as_of: date, out: Path) -> tuple[int, int]:
    """Rows of RFM and of affinities."""
    log, catalogue = pl.scan_parquet(f"{events}/*.parquet"), pl.read_parquet(f"{items}/*.parquet")
    bought = (
        log.filter(pl.col("event_type") == "purchase")
        .group_by("user_id")
        .agg(
            (pl.lit(as_of) - pl.col("event_date").max()).dt.total_days().alias("recency"),
            pl.col("session_id").n_unique().alias("frequency"),
            pl.col("amount").sum().alias("monetary"),
        )
        .collect(engine="streaming")
    )
    scores = [
        1 + sum((value > bought.select(value.quantile(share, "equiprobable"))[0, 0]).cast(int) for share in SHARES)
        for value in (-pl.col("recency"), pl.col("frequency"), pl.col("monetary"))
    ]
    rfm = bought.with_columns(**dict(zip("rfm", scores, strict=True)))
    rfm.write_parquet(out / "rfm.parquet")
    price = pl.col("price")
    band = sum((price > catalogue["price"].quantile(share, "equiprobable")).cast(int) for share in SHARES)
    names, depth = pl.col("category").list, max(catalogue["category"].list.len().to_list(), default=0)
    levels = [
        catalogue.filter((names.len() >= level) | ((names.len() == 1) & (level == CATEGORY_LEVELS))).select(
            "item_id", pl.lit(LEVELS[level - 1]).alias("dimension"), names.head(level).list.join(" > ").alias("key")
        )
        for level in range(1, min(max(depth, CATEGORY_LEVELS), len(LEVELS)) + 1)
    ]  # fmt: skip
    banded = pl.Series(PRICE_BANDS).gather(catalogue.select(band=band)["band"])
    told = pl.concat([*levels, _keys(catalogue, "brand", catalogue["brand"]), _keys(catalogue, "price_band", banded)])
    keys = told.lazy()
    age = (pl.lit(as_of) - pl.col("event_date")).dt.total_days()
    weight = pl.col("event_type").replace_strict(WEIGHT_OF)
    faded = log.select(
        "user_id", "item_id", "device", "country", "event_time", "event_date", weight.alias("weight"),
        (0.5 ** (age / HALF_LIFE_DAYS)).alias("faded"), (0.5 ** (age / RECENT_HALF_LIFE_DAYS)).alias("recent"),
    )  # fmt: skip
    by_item = (
        faded.group_by("user_id", "item_id")
        .agg(
            (pl.col("weight") * pl.col("faded")).sum().alias("score"),
            (pl.col("weight") * pl.col("recent")).sum().alias("recent_score"),
            pl.len().alias("evidence"),
        )
        .join(keys, on="item_id")
        .group_by("user_id", "dimension", "key")
        .agg(pl.col("score", "recent_score", "evidence").sum())
    )
    part = pl.lit(pl.Series(DAYPARTS)).gather(pl.col("event_time").dt.hour() // 6)
    weekday = pl.lit(pl.Series(WEEKDAYS)).gather(pl.col("event_date").dt.weekday() - 1)
    contexts = {"daypart": part, "weekday": weekday, "device": pl.col("device"), "place": pl.col("country")}
    pieces = [
        faded.group_by("user_id", key.alias("key"))
        .agg(pl.col("faded").sum().alias("score"), pl.len().alias("evidence"))
        .with_columns(dimension=pl.lit(name))
        for name, key in contexts.items()
    ]
    population = (
        by_item.group_by("dimension", "key")
        .agg(pl.col("score").sum().alias("population"))
        .with_columns(pl.col("population") / pl.col("population").sum().over("dimension"))
    )
    of_dimension, n, p = ("user_id", "dimension"), pl.col("known"), pl.col("population")
    affinities = (
        pl.concat([by_item, *pieces], how="diagonal")
        .with_columns(
            share=pl.col("score") / pl.col("score").sum().over(of_dimension),
            recent_share=pl.col("recent_score") / pl.col("recent_score").sum().over(of_dimension),
            known=pl.col("evidence").sum().over(of_dimension),
        )
        .filter(pl.col("score").rank("ordinal", descending=True).over(of_dimension) <= KEYS_KEPT)
        .join(population, on=["dimension", "key"], how="left")
        .with_columns(lift=(n * pl.col("share") + PRIOR_EVENTS * p) / (n + PRIOR_EVENTS) / p)
        .drop("known", "population")
        .collect(engine="streaming")
    )
    affinities.write_parquet(out / "affinities.parquet")
    return len(rfm), len(affinities)


def _keys(catalogue: pl.DataFrame, dimension: str, keys: pl.Series) -> pl.DataFrame:
    return catalogue.select("item_id", pl.lit(dimension).alias("dimension"), keys.alias("key"))

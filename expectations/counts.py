"""How many rows break each promise of a table: one query for all promises of all tables that pass a gate together.

Great Expectations would ask three queries a table (nulls, other rules, rows), read it once for each, and for
uniqueness count over a window, for which Spark sorts the table by its keys. Here one aggregate over each table counts
all of its rules, by the same predicates that keep rows out of it, and keys are counted by a hash of them: repeated
hashes, of which there are none in a sound table, are looked into key by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.promises import AtLeast, Promise, Unique
from expectations.rules import Rule

ROWS = "rows"


def counts(tables: Sequence[tuple[DataFrame, Sequence[Promise]]]) -> list[dict[str, int]]:
    """For each table, by promise, the rows that break a rule or the keys that more than one row has; and its ROWS.

    A null is a key like any other; a row without any key is none. Nothing that grows with a table reaches the driver.
    """
    queries = [query for number, (frame, promises) in enumerate(tables) for query in _queries(number, frame, promises)]
    found: list[dict[str, int]] = [{} for _ in tables]
    for number, name, count in reduce(DataFrame.unionAll, queries).collect():
        found[number][name] = count
    for (frame, promises), counted in zip(tables, found, strict=True):
        counted |= {
            promise.name: repeated(frame, promise, by_hash=False).collect()[0][0]
            for promise in promises
            if isinstance(promise, Unique) and counted[promise.name]
        }
    return found


def _queries(number: int, frame: DataFrame, promises: Sequence[Promise]) -> Iterator[DataFrame]:
    """[number, name, count] of one table: all rules at once, and each uniqueness."""
    rules = [promise for promise in promises if isinstance(promise, Rule)]
    entries: list[Column] = [F.lit(ROWS), F.count(F.lit(1))]
    for rule in rules:
        entries += [F.lit(rule.name), F.count_if(~rule.holds())]
    yield frame.agg(F.create_map(*entries).alias("counts")).select(F.lit(number), F.explode("counts"))
    for promise in promises:
        if isinstance(promise, Unique):
            yield repeated(frame, promise, by_hash=True).select(F.lit(number), F.lit(promise.name), "repeated")


def repeated(frame: DataFrame, promise: Unique, *, by_hash: bool) -> DataFrame:
    """One row, `repeated`: keys, or hashes of keys, that more than one row has."""
    keyed = frame.dropna("all", subset=list(promise.columns))
    key = [F.xxhash64(*promise.columns).alias("hash")] if by_hash else [F.col(name) for name in promise.columns]
    rows = keyed.groupBy(*key).agg(F.count(F.lit(1)).alias("_rows"))
    return rows.filter("_rows > 1").agg(F.count(F.lit(1)).alias("repeated"))


def told_by(promise: Promise) -> str:
    """The count by which the promise is judged."""
    return ROWS if isinstance(promise, AtLeast) else promise.name

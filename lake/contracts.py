"""Columns and tables of contracts, and the columns that many tables have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Written = Literal["append", "replace_window", "merge", "overwrite", "version"]


@dataclass(frozen=True)
class Column:
    """One column: name, Spark SQL type, what it means, and whether the Delta log may hold its range."""

    name: str
    type: str
    comment: str
    stats: bool = False


def column(name: str, type: str, comment: str, *, stats: bool = False) -> Column:
    """Short for Column."""
    return Column(name, type, comment, stats)


@dataclass(frozen=True)
class Table:
    """A table's contract.

    grain: what one row is. keys: columns that identify a row. written: how its owner writes it.
    window: the date column that replace_window replaces by. person: holds data of people.
    tracked: Delta keeps the rows that each write adds and removes, for what is kept up by changes.
    clustered: column that compaction sorts by; None leaves rows in the order of time. keep_days: rows whose window
    date is older go with the upkeep of tables. deletion_vectors: a MERGE marks the rows that it replaces in their files
    and writes new ones alone, until the upkeep of tables; readers need minReaderVersion 3.
    """

    name: str
    grain: str
    owner: str
    written: Written
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    window: str | None = None
    person: bool = True
    tracked: bool = False
    clustered: str | None = None
    keep_days: int | None = None
    deletion_vectors: bool = False
    retention: str = "until erased"
    erasure: str = "MERGE from the erasure ledger, then vacuum"

    @property
    def stats(self) -> tuple[str, ...]:
        """Columns that may have minimum and maximum in the Delta log."""
        return tuple(item.name for item in self.columns if item.stats)

    @property
    def schema(self) -> str:
        """The Spark DDL of the table."""
        return ", ".join(f"`{item.name}` {item.type}" for item in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(item.name for item in self.columns)


USER = column("user_id", "string", "the person, as the source names them")
BUCKET = column("user_bucket", "int", "xxhash64(user_id) modulo 256: what look-ups by user prune on", stats=True)
ITEM = column("item_id", "string", "the item, as the source names it")

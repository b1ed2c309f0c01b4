"""Columns of table contracts."""

from __future__ import annotations

from dataclasses import dataclass


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

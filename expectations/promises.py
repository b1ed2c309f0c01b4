"""What only a whole table can promise. A row-wise promise is a rule: expectations/rules.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from expectations.rules import Rule


@dataclass(frozen=True)
class Unique:
    """A promise of the table, not of a row: no two rows share the columns."""

    name: str
    reason: str
    columns: tuple[str, ...]

    @property
    def needs(self) -> frozenset[str]:
        """The columns it looks at."""
        return frozenset(self.columns)

    def projected(self) -> dict[str, Column]:
        """The columns that the expectation needs, by name."""
        return {name: F.col(name) for name in self.columns}

    def expectation(self) -> Any:
        """The Great Expectations object."""
        from expectations.keys import ExpectKeysToBeUnique

        return ExpectKeysToBeUnique(
            columns=list(self.columns), description=f"{self.name}: no {self.reason}", meta={"rule": self.name}
        )


@dataclass(frozen=True)
class AtLeast:
    """A promise of the table: it has so many rows."""

    name: str
    reason: str
    rows: int

    @property
    def needs(self) -> frozenset[str]:
        """No column in particular."""
        return frozenset()

    def projected(self) -> dict[str, Column]:
        """No column in particular."""
        return {}

    def expectation(self) -> Any:
        """The Great Expectations object."""
        from great_expectations.expectations import ExpectTableRowCountToBeBetween

        return ExpectTableRowCountToBeBetween(
            min_value=self.rows, description=f"{self.name}: not {self.reason}", meta={"rule": self.name}
        )


Promise = Rule | Unique | AtLeast


def unique(*columns: str) -> Unique:
    """No two rows share the columns."""
    return Unique(f"{'_'.join(columns)}_unique", f"two rows with the same {', '.join(columns)}", columns)


def at_least(rows: int, what: str = "row") -> AtLeast:
    """The table has so many rows."""
    return AtLeast(f"at_least_{rows}", f"fewer than {rows} {what}", rows)

"""What only a whole table can promise. A row-wise promise is a rule: expectations/rules.py."""

from __future__ import annotations

from dataclasses import dataclass

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


Promise = Rule | Unique | AtLeast


def unique(*columns: str) -> Unique:
    """No two rows share the columns."""
    return Unique(f"{'_'.join(columns)}_unique", f"two rows with the same {', '.join(columns)}", columns)


def at_least(rows: int, what: str = "row") -> AtLeast:
    """The table has so many rows."""
    return AtLeast(f"at_least_{rows}", f"fewer than {rows} {what}", rows)

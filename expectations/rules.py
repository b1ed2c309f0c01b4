"""Rules about rows: declared once, enforced twice.

What only a whole table can promise is in expectations/promises.py.

A rule has a name, a reason (what a person reads in silver.rejected and in Data Docs), the columns it looks at
and, where it does not concern every row, the condition under which it applies. `holds` is the predicate: by it rows
are kept or rejected in one pass, and by it expectations/counts.py counts the rows of a table that break the rule,
of which the gate's expectation is that there are none. Two laws: a null passes every rule but `present`, and a rule
does not apply to a row whose condition is not certainly true.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from operator import and_
from typing import TypeVar

from pyspark.sql import Column
from pyspark.sql import functions as F

Number = float | int | datetime
_SEPARATOR = "\u001f"
R = TypeVar("R", bound="Rule")


@dataclass(frozen=True)
class Condition:
    """The rows a rule is about: those whose column is among the values (or, negated, present and not among them)."""

    column: str
    values: tuple[str, ...]
    negated: bool = False

    def predicate(self) -> Column:
        """True or false, never null."""
        among = F.col(self.column).isin(*self.values)
        return F.coalesce(~among if self.negated else among, F.lit(False))

    def __str__(self) -> str:
        return f"{self.column} is {'not ' if self.negated else ''}{' or '.join(self.values)}"


def among(column: str, *values: str) -> Condition:
    """Rows whose column holds one of the values."""
    return Condition(column, values)


@dataclass(frozen=True)
class Rule(ABC):
    """What every row promises. reason: what is wrong with a row that breaks it."""

    name: str
    reason: str
    columns: tuple[str, ...]
    condition: Condition | None = None

    @abstractmethod
    def check(self) -> Column:
        """Whether the row is as it should be; null where there is nothing to check."""

    @property
    def needs(self) -> frozenset[str]:
        """The columns without which the rule cannot be evaluated."""
        return frozenset(self.columns) | ({self.condition.column} if self.condition else frozenset())

    @property
    def column(self) -> str:
        """The column it is about; of two, the first."""
        return self.columns[0]

    def when(self: R, condition: Condition) -> R:
        """The rule, for the rows of the condition only."""
        return replace(self, condition=condition)

    def unless(self: R, condition: Condition) -> R:
        """The rule, for the rows whose column is present and not as in the condition."""
        return replace(self, condition=replace(condition, negated=not condition.negated))

    def holds(self) -> Column:
        """True or false, never null: nothing to check, or not concerned, counts as kept."""
        kept = F.coalesce(self.check(), F.lit(True))
        return kept if self.condition is None else kept | ~self.condition.predicate()


@dataclass(frozen=True)
class Present(Rule):
    """The column is not null."""

    def check(self) -> Column:
        return F.col(self.column).isNotNull()


@dataclass(frozen=True)
class InSet(Rule):
    """The column is one of the values."""

    values: tuple[str | bool | int, ...] = ()

    def check(self) -> Column:
        return F.col(self.column).isin(*self.values)


@dataclass(frozen=True)
class Between(Rule):
    """The column lies between two bounds."""

    low: Number = 0
    high: Number = 0
    strict_low: bool = False
    strict_high: bool = False

    def check(self) -> Column:
        # Spark orders NaN above infinity, so an upper bound shuts both out.
        value, low, high = F.col(self.column), F.lit(self.low), F.lit(self.high)
        return (value > low if self.strict_low else value >= low) & (
            value < high if self.strict_high else value <= high
        )


@dataclass(frozen=True)
class Matches(Rule):
    """The pattern is found in the column."""

    pattern: str = ""

    def check(self) -> Column:
        return F.col(self.column).rlike(self.pattern)


@dataclass(frozen=True)
class MaxLength(Rule):
    """The text is no longer than that."""

    length: int = 0

    def check(self) -> Column:
        return F.length(self.column) <= F.lit(self.length)


@dataclass(frozen=True)
class NotAfter(Rule):
    """The first column is not above the second."""

    def check(self) -> Column:
        return F.col(self.columns[0]) <= F.col(self.columns[1])


def present(column: str, reason: str | None = None) -> Rule:
    """The column is not null."""
    return Present(f"{column}_present", reason or f"{column} missing", (column,))


def in_set(column: str, values: Iterable[str | bool | int], reason: str | None = None) -> Rule:
    """The column is one of the values."""
    return InSet(f"{column}_in_set", reason or f"{column} unknown", (column,), values=tuple(values))


def is_true(column: str, reason: str | None = None) -> Rule:
    """The flag is true. Compute flags without nulls: a null passes."""
    return InSet(f"{column}_true", reason or f"{column} false", (column,), values=(True,))


def between(
    column: str, low: Number, high: Number, reason: str | None = None, *, strict_low: bool = False,
    strict_high: bool = False, name: str | None = None,
) -> Rule:  # fmt: skip
    """The column lies between two finite bounds, so NaN and infinity fail."""
    text = f"{column} not between {low} and {high}"
    return Between(
        name or f"{column}_between", reason or text, (column,), low=low, high=high, strict_low=strict_low,
        strict_high=strict_high,
    )  # fmt: skip


def matches(column: str, pattern: str, reason: str | None = None) -> Rule:
    """The Java regular expression is found in the column: anchor it with \\A and \\z to cover all of it."""
    return Matches(f"{column}_matches", reason or f"{column} malformed", (column,), pattern=pattern)


def max_length(column: str, length: int, reason: str | None = None) -> Rule:
    """The text has at most so many characters."""
    return MaxLength(
        f"{column}_max_length", reason or f"{column} longer than {length} characters", (column,), length=length
    )


def not_after(first: str, second: str, reason: str | None = None) -> Rule:
    """The first column is before, or equal to, the second."""
    return NotAfter(f"{first}_not_after_{second}", reason or f"{first} after {second}", (first, second))


def failed(rules: Sequence[Rule]) -> Column:
    """array<string>: the reasons of all rules the row breaks, in the rules' order; empty when it keeps them all."""
    return compact(*(F.when(~rule.holds(), F.lit(rule.reason)) for rule in rules))


def compact(*texts: Column) -> Column:
    """array<string> of the texts that are not null, none of them empty.

    Not array_compact: that evaluates everything inside it row by row without generated code, 20 times slower.
    """
    joined = F.concat_ws(_SEPARATOR, *texts)
    return F.when(joined == "", F.array().cast("array<string>")).otherwise(F.split(joined, _SEPARATOR))


def all_hold(rules: Sequence[Rule]) -> Column:
    """True or false, never null: whether the row keeps every rule."""
    return reduce(and_, (rule.holds() for rule in rules), F.lit(True))


def applicable(rules: Iterable[Rule], columns: Iterable[str]) -> tuple[Rule, ...]:
    """The rules whose columns are all there."""
    there = frozenset(columns)
    return tuple(rule for rule in rules if rule.needs <= there)

"""Rules as Great Expectations' own expectations, evaluated by it row by row: what the project's gate is held against.

Two laws make both agree: a null passes every rule but `present`, and a rule does not apply to a row whose condition is
not certainly true. GX evaluates each distinct row condition in a job of its own, but all expectations about the same
rows in one. So a condition goes into the column: the expectation looks at a column that is null, nothing to check,
where the rule does not apply ("quantity where event_type is purchase or return").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from great_expectations import expectations as gx
from great_expectations.core import ExpectationSuite
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.promises import AtLeast, Promise, Unique
from expectations.rules import Between, InSet, Matches, MaxLength, NotAfter, Present, Rule


def verdict(context: Any, frame: DataFrame, promises: Sequence[Promise], result_format: Any) -> Any:
    """The validation result of Great Expectations alone, as it comes; each result's meta names the rule."""
    targets = {name: column for promise in promises for name, column in _targets(promise).items()}
    view = frame.select(*(column.alias(name) for name, column in targets.items()))
    asset = context.data_sources.add_spark(name="alone").add_dataframe_asset(name="rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": view})
    suite = ExpectationSuite(name="alone", expectations=[expectation(promise) for promise in promises])
    return batch.validate(suite, result_format=result_format)


def expectation(promise: Promise) -> Any:
    """Great Expectations' own expectation of the promise, about the column target()."""
    meta: dict[str, Any] = {"meta": {"rule": promise.name}}
    if isinstance(promise, AtLeast):
        return gx.ExpectTableRowCountToBeBetween(min_value=promise.rows, **meta)
    if isinstance(promise, Unique):
        return gx.ExpectColumnValuesToBeUnique(column=promise.columns[0], **meta)
    about = {"column": target(promise)} | meta
    match promise:
        case Present():
            return gx.ExpectColumnValuesToNotBeNull(**about)
        case InSet():
            return gx.ExpectColumnValuesToBeInSet(value_set=list(promise.values), **about)
        case Between():
            return gx.ExpectColumnValuesToBeBetween(
                min_value=promise.low, max_value=promise.high, strict_min=promise.strict_low,
                strict_max=promise.strict_high, **about,
            )  # fmt: skip
        case Matches():
            return gx.ExpectColumnValuesToMatchRegex(regex=promise.pattern, **about)
        case MaxLength():
            return gx.ExpectColumnValueLengthsToBeBetween(max_value=promise.length, **about)
        case NotAfter():
            return gx.ExpectColumnValuesToBeInSet(value_set=[True], **about)
    raise TypeError(f"no expectation of Great Expectations is known for {type(promise).__name__} ({promise.name})")


def target(rule: Rule) -> str:
    """The name of the column that the expectation looks at: the rule's own, or one that is made for it."""
    about = rule.column
    if isinstance(rule, NotAfter):
        about = " not after ".join(rule.columns)
    elif isinstance(rule, Present) and rule.condition:
        about = f"{rule.column} given"
    return about if rule.condition is None else f"{about} where {rule.condition}"


def _targets(promise: Promise) -> dict[str, Column]:
    """The columns that the expectation looks at, by name."""
    if not isinstance(promise, Rule):
        return {name: F.col(name) for name in promise.needs}
    column = F.col(promise.column)
    if isinstance(promise, NotAfter):
        # GX takes two jobs of its own for each pair of columns.
        column = promise.check()
    if promise.condition is not None:
        applies = promise.condition.predicate()
        given = F.when(~applies | column.isNotNull(), F.lit(True))
        column = given if isinstance(promise, Present) else F.when(applies, column)
    return {target(promise): column}

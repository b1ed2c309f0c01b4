"""The suites by table: what each gate checks, and the columns it derives to be able to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame

from expectations import affinity, context, due_again, engagement, events, intent, recommendations, rfm, value
from expectations.promises import Promise
from lake.errors import ContractError


def _as_it_is(frame: DataFrame) -> DataFrame:
    return frame


@dataclass(frozen=True)
class Suite:
    """A table's promises. derive: adds the columns that the promises look at and the table lacks."""

    table: str
    promises: tuple[Promise, ...]
    derive: Callable[[DataFrame], DataFrame] = _as_it_is

    def view(self, frame: DataFrame) -> DataFrame:
        """The columns the promises look at, and no others, so that nothing else is read.

        Raises ContractError that lists the missing and the present columns.
        """
        needed = {name for promise in self.promises for name in promise.needs}
        try:
            derived = self.derive(frame)
        except AnalysisException as error:
            raise ContractError(f"{self.table} lacks what its rules need: {error.getMessage()}") from None
        missing = sorted(needed - set(derived.columns))
        if missing:
            raise ContractError(f"{self.table} lacks the columns {missing} that its rules need; it has {frame.columns}")
        return derived.select(*sorted(needed))


SUITES: dict[str, Suite] = {
    suite.table: suite
    for suite in (
        Suite("silver.events", events.SUITE),
        Suite("gold.rfm", rfm.SUITE),
        Suite("gold.rfm_windows", rfm.WINDOWS_SUITE),
        Suite("gold.engagement", engagement.SUITE, engagement.with_checks),
        Suite("gold.intent", intent.SUITE, intent.with_checks),
        Suite("gold.affinity", affinity.SUITE),
        Suite("gold.context", context.SUITE),
        Suite("gold.due_again", due_again.SUITE),
        Suite("gold.cycles", due_again.CYCLES_SUITE),
        Suite("gold.value", value.SUITE),
        Suite("gold.recommendations", recommendations.SUITE, recommendations.with_checks),
        Suite("gold.fallbacks", recommendations.FALLBACKS_SUITE, recommendations.with_checks),
    )
}


def suite_of(table: str) -> Suite:
    """The suite of a table. Raises ContractError when it has none."""
    if table not in SUITES:
        raise ContractError(f"there are no expectations for {table}; tables with a gate: {', '.join(SUITES)}")
    return SUITES[table]

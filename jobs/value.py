"""gold.value as of a date: BG/NBD and Gamma-Gamma, fitted once a week, applied to everybody each night."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pyspark.sql import DataFrame

from features.value import Parameters, fitted, observed, scored
from features.value_fit import BgNbd, GammaGamma
from jobs.job import Context
from lake import delta, log
from lake.console import say
from lake.errors import ModelError
from lake.tables import VALUE, VALUE_FITS
from lake.window import EARLIEST, Window

# A fit reads all users some times more. In a week a population hardly changes: its parameters are worth keeping.
REFIT_DAYS = 7


@dataclass(frozen=True)
class Scores:
    """gold.value as of `end`, and what it was made by; None where nothing need be written. fit: one that is new."""

    end: date
    frame: DataFrame | None
    made_by: str
    fit: Parameters | None = None


def value_at(context: Context, state: DataFrame, end: date, horizon_days: int | None = None) -> Scores:
    """The scores of the users in the state; writes nothing. Without rows, for a reason, where data is too few.

    horizon_days: how far they look ahead; by default the setting.
    """
    found = observed(state, end)
    parameters = None if context.forced else _kept(context, end)
    fit = None
    if parameters is None:
        try:
            parameters = fit = fitted(found, end)
        except ModelError as error:
            say(f"{VALUE.name}: {error}")
            # What an earlier run wrote as of the date must go.
            there = log.exists(context.settings, VALUE.name)
            return Scores(end, context.spark.createDataFrame([], VALUE.schema) if there else None, str(error))
    frame = scored(found, parameters, end, horizon_days or context.settings.value_horizon_days)
    return Scores(end, frame, f"fitted as of {parameters.as_of}", fit)


def write(context: Context, scores: Scores) -> None:
    """Write the scores, and their fit where it is new: after the gate, so that no night builds on one that failed."""
    today = Window.day(scores.end)
    if scores.fit is not None:
        log.replace(context.settings, VALUE_FITS, [_row(scores.fit, context.run_id)], today, context.run_id)
    if scores.frame is not None:
        predicate = delta.in_window("as_of", today)
        delta.replace_window(scores.frame, context.settings, VALUE, predicate, context.run_id, files=1)


def _kept(context: Context, end: date) -> Parameters | None:
    """The newest parameters as of a date up to end, if younger than REFIT_DAYS."""
    since = max(EARLIEST, end - timedelta(days=REFIT_DAYS - 1))
    rows = log.rows(context.settings, VALUE_FITS, Window(since, end + timedelta(days=1)))
    return _parameters(max(rows, key=lambda row: row["as_of"])) if rows else None


def _row(parameters: Parameters, run_id: str) -> dict[str, Any]:
    spending = parameters.spending
    return {
        "as_of": parameters.as_of,
        **vars(parameters.purchasing),
        **(vars(spending) if spending else dict.fromkeys(("p", "q", "gamma"))),
        "purchasing_log_likelihood": parameters.purchasing_log_likelihood,
        "spending_log_likelihood": parameters.spending_log_likelihood,
        "users": parameters.users,
        "groups": parameters.groups,
        "run_id": run_id,
    }


def _parameters(row: dict[str, Any]) -> Parameters:
    spending = None if row["p"] is None else GammaGamma(row["p"], row["q"], row["gamma"])
    return Parameters(
        as_of=row["as_of"],
        purchasing=BgNbd(row["r"], row["alpha"], row["a"], row["b"]),
        purchasing_log_likelihood=row["purchasing_log_likelihood"],
        spending=spending,
        spending_log_likelihood=row["spending_log_likelihood"],
        users=row["users"],
        groups=row["groups"],
    )

"""BG/NBD and Gamma-Gamma on the CDNOW sample, beside what was published, and judged on its holdout period.

2,357 customers who first bought in the first quarter of 1997; fitted on 39 weeks, to 30 September 1997, judged on the
39 weeks after. By the project's own grouping in Spark, fit and scoring. The plot of expected against actual purchases
by purchases in the calibration period goes to an MLflow run with the parameters, which `attune ui` shows:
`make bench-cdnow`.

    BG/NBD        r, alpha, a, b and log-likelihood: Fader, Hardie & Lee, Marketing Science 24(2), 2005
    Gamma-Gamma   p, q, gamma: Fader & Hardie, "The Gamma-Gamma Model of Monetary Value", 2013; on purchases after the
                  first, of those who made any. What is judged on the holdout is fitted on all purchases, as nights do.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from benchmarks.console import Figures
from features.tiles import MICROS
from features.value import Parameters, fitted, observed, scored, value_groups
from features.value_fit import GammaGamma, fit_gamma_gamma
from jobs.version import code_version
from lake import settings as settings_module
from lake.console import say
from lake.session import session
from lake.settings import Settings
from models import tracking
from models.plots import holdout_by_frequency
from models.tracking import Evaluation, Registry

SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "data" / "cdnow" / "CDNOW_sample.txt"
# The first day that is not in the calibration, and the last of the holdout.
AS_OF, LAST = date(1997, 10, 1), date(1998, 6, 30)
HOLDOUT_DAYS = (LAST - AS_OF).days + 1
PUBLISHED = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
PUBLISHED_VALUE = {"p": 6.25, "q": 3.74, "gamma": 15.44}
PUBLISHED_LOG_LIKELIHOOD = -9582.4
# The bins of the paper's figure.
MOST = 7


def purchases(file: Path = SAMPLE) -> pd.DataFrame:
    """[user_id, day, value]: a row a customer and day with a purchase."""
    names = ["master_id", "user_id", "day", "items", "value"]
    lines = pd.read_csv(file, sep=r"\s+", header=None, names=names, dtype={"user_id": str, "day": str})
    lines["day"] = pd.to_datetime(lines["day"]).dt.date
    return lines.groupby(["user_id", "day"], as_index=False).agg(value=("value", "sum"))


def state_of(spark: SparkSession, days: pd.DataFrame) -> DataFrame:
    """What gold.user_state says of these days, as far as the models look at it."""
    users = days.groupby("user_id", as_index=False).agg(
        purchase_days=("day", "size"), net=("value", "sum"), first_purchase=("day", "min"), last_purchase=("day", "max")
    )
    users["net_micros"] = (users.pop("net") * MICROS).round().astype("int64")
    columns = ["user_id", "purchase_days", "net_micros", "first_purchase", "last_purchase"]
    schema = "user_id string, purchase_days long, net_micros long, first_purchase date, last_purchase date"
    frame = spark.createDataFrame(users[columns], schema)
    return frame.selectExpr("*", "0 AS user_bucket")


def repeats(days: pd.DataFrame) -> pd.DataFrame:
    """The purchases after each customer's first."""
    ordered = days.sort_values("day")
    return ordered.loc[ordered.duplicated("user_id")]


def published_value(spark: SparkSession, days: pd.DataFrame) -> GammaGamma:
    """Gamma-Gamma as the note fits it."""
    groups = value_groups(observed(state_of(spark, repeats(days)), AS_OF))
    model = fit_gamma_gamma(groups["purchases"], np.exp(groups["log_mean"]), groups["users"]).model
    assert isinstance(model, GammaGamma)
    return model


def holdout(scores: pd.DataFrame, days: pd.DataFrame) -> pd.DataFrame:
    """By purchases after the first in the calibration, MOST and more together: customers, means of expected and actual
    purchases in the holdout. scores: gold.value.
    """
    after = days[(days["day"] >= AS_OF) & (days["day"] <= LAST)].groupby("user_id")["day"].size()
    found = scores.assign(
        again=(scores["purchases"] - 1).clip(upper=MOST),
        actual=scores["user_id"].map(after).fillna(0.0),
    )
    means = {"expected": ("expected_purchases", "mean"), "actual": ("actual", "mean")}
    return found.groupby("again", as_index=False).agg(customers=("user_id", "size"), **means)


def as_printed(found: dict[str, float], printed: dict[str, float]) -> int:
    """How many of the figures are the printed ones, rounded as they are printed."""
    return sum(round(found[name], len(str(value).split(".")[1])) == value for name, value in printed.items())


def report(parameters: Parameters, value: GammaGamma, rows: pd.DataFrame, spent: tuple[float, float]) -> Figures:
    """The BENCH lines. spent: expected and actual money of the holdout."""
    figures = Figures()
    purchasing = {name: float(getattr(parameters.purchasing, name)) for name in PUBLISHED}
    spending = {name: float(getattr(value, name)) for name in PUBLISHED_VALUE}
    for name, figure in (purchasing | spending).items():
        figures.add(f"cdnow_{name}", figure, "-")
    figures.add("cdnow_log_likelihood", parameters.purchasing_log_likelihood, "-", digits=5)
    loglik = {"log_likelihood": parameters.purchasing_log_likelihood}
    matched = as_printed(purchasing, PUBLISHED) + as_printed(loglik, {"log_likelihood": PUBLISHED_LOG_LIKELIHOOD})
    figures.add("cdnow_bg_nbd_figures_as_printed", matched, f">={len(PUBLISHED) + 1}")
    figures.add("cdnow_gamma_gamma_figures_as_printed", as_printed(spending, PUBLISHED_VALUE), f">={len(spending)}")
    totals = [float((rows["customers"] * rows[name]).sum()) for name in ("expected", "actual")]
    figures.add("cdnow_holdout_purchases_expected_over_actual", totals[0] / totals[1], "-")
    figures.add("cdnow_holdout_money_expected_over_actual", spent[0] / spent[1], "-")
    return figures


def keep(settings: Settings, parameters: Parameters, value: GammaGamma, rows: pd.DataFrame) -> None:
    """Log parameters, likelihood and the plot to MLflow."""
    where = Registry(settings.tracking_uri, ("cdnow",), settings.home / "mlartifacts")
    metrics: dict[str, Any] = {**vars(parameters.purchasing), **vars(value)}
    metrics["log_likelihood"] = parameters.purchasing_log_likelihood
    title = f"CDNOW sample, {HOLDOUT_DAYS // 7} weeks after {AS_OF}"
    found = Evaluation(
        as_of=AS_OF,
        metrics=metrics,
        parameters={"users": parameters.users, "groups": parameters.groups, "horizon_days": HOLDOUT_DAYS},
        tags={"git_commit": code_version()},
        plots={"holdout_by_frequency": holdout_by_frequency(list(rows["expected"]), list(rows["actual"]), title)},
        tables={"holdout_by_frequency": rows.to_dict("list")},
        children=(),
    )
    run = tracking.log_evaluation(where, f"value as of {AS_OF}", found)
    say(f"plots/holdout_by_frequency.png is in run {run} of {where.experiment} at {where.uri}")


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=None, help="whose MLflow keeps the plot; default .attune")
    settings = settings_module.load(home=parser.parse_args().home)
    if not SAMPLE.exists():
        say(f"the data is not at {SAMPLE}; see docs/performance.md")
        return 2
    spark = session(settings, "attune bench-cdnow")
    days = purchases()
    before = days[days["day"] < AS_OF]
    found = observed(state_of(spark, before), AS_OF)
    parameters = fitted(found, AS_OF)
    scores = scored(found, parameters, AS_OF, HOLDOUT_DAYS).toPandas()
    rows = holdout(scores, days)
    money = days.loc[(days["day"] >= AS_OF) & (days["day"] <= LAST), "value"].sum()
    value = published_value(spark, before)
    figures = report(parameters, value, rows, (scores["expected_revenue"].sum(), money))
    for row in rows.itertuples():
        more = " or more" if row.again == MOST else ""
        means = f"{row.expected:.3f} expected, {row.actual:.3f} actual"
        say(f"{row.again}{more} purchases after the first: {row.customers} customers, {means} in the holdout")
    keep(settings, parameters, value, rows)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

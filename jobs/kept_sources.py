"""The sources of a night's lists, kept in gold.sources: a night that is published again, after it was killed or failed,
fits none anew while nothing they were made of has changed.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from pyspark.sql import functions as F

from jobs.factors import keep_factors
from jobs.job import Context
from jobs.version import code_version
from lake import delta, log
from lake.console import say
from lake.errors import ModelError
from lake.tables import CONSENTS, EVENTS, ITEM_FACTORS, ITEMS, RFM, SOURCES, USER_FACTORS, USER_ITEM_DAY
from lake.window import Window
from models.als import Factors
from models.hybrid import Kept, Parameters, Sources
from models.kept_scorers import rows_of, scorers_of

MADE_OF = (EVENTS, ITEMS, CONSENTS, USER_ITEM_DAY, RFM, USER_FACTORS, ITEM_FACTORS)


def version_of(context: Context, parameters: Parameters) -> str:
    """What sources as of the window's end are made of: versions of tables, parameters, and the code."""
    settings = context.settings
    tables = {table.name: log.version(settings, table.name) for table in MADE_OF if log.exists(settings, table.name)}
    told = {"parameters": asdict(parameters), "missing_consent": settings.missing_consent, "code": code_version()}
    return json.dumps(tables | told, sort_keys=True)


def last_kept(context: Context, parameters: Parameters) -> Kept | None:
    """What was kept of the same night, made of the same; else None."""
    settings, spark, today = context.settings, context.spark, Window.day(context.window.end)
    version = version_of(context, parameters)
    # First without the arrays, which are many megabytes.
    if all(row["version"] != version for row in log.rows(settings, SOURCES, today, ("version",))):
        return None
    rows = log.rows(settings, SOURCES, today)
    try:
        scorers = scorers_of(rows)
    except ModelError as error:
        say(str(error))
        return None
    say(f"sources are those that run {rows[0]['run_id']} fitted: nothing they are made of has changed")
    dated = F.col("as_of") == F.lit(context.window.end)
    users, items = (delta.read(spark, settings, table.name).where(dated) for table in (USER_FACTORS, ITEM_FACTORS))
    return Kept(scorers, Factors(users.select("user_id", "vector"), items.select("item_id", "vector", "wanted")))


def keep(context: Context, sources: Sources, parameters: Parameters) -> None:
    """Leave tonight's sources, and the vectors of ALS for the next night to start from."""
    keep_factors(context, sources.factors)
    known = {
        "as_of": context.window.end, "version": version_of(context, parameters), "run_id": context.run_id,
    }  # fmt: skip
    rows = [known | row for row in rows_of(sources.scorers)]
    log.replace(context.settings, SOURCES, rows, Window.day(context.window.end), context.run_id)

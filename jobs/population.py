"""What all users of gold.user_state together lean to, by which lifts are told: kept in gold.population.

Adding it up from everybody's leanings costs what everybody costs. So a night adds to it what its changes add to the
state. It is of one version of gold.user_state: after any other commit (people forgotten, a past corrected, a state made
from nothing, upkeep) it is added up anew when it is next asked for, as it is when a run was killed before it wrote.
"""

from __future__ import annotations

import pyarrow as pa
from deltalake.exceptions import CommitFailedError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features.lift import shares, units_of
from jobs.job import Context
from lake import delta, log
from lake.settings import Settings
from lake.tables import POPULATION, USER_STATE

UNITS = ("dimension", "key", "units")


def population(context: Context, *, write: bool) -> DataFrame:
    """features.lift.shares of everybody in gold.user_state. write: the units too, where they had to be added up."""
    settings, spark = context.settings, context.spark
    version = log.version(settings, USER_STATE.name)
    units = _kept(settings, version)
    if units is None:
        units = units_of(delta.read(spark, settings, USER_STATE.name, version)).toArrow()
        if write:
            keep(context, units, version)
    return shares(spark.createDataFrame(units))


def following(context: Context, added: DataFrame) -> tuple[pa.Table, int] | None:
    """The units once a commit has changed gold.user_state, and the version that it makes if no other comes first; None
    where those that are kept are not of its version now.

    added: [added], as features.state.changed gives it, of every user whom the commit changes.
    """
    version = log.version(context.settings, USER_STATE.name)
    units = _kept(context.settings, version)
    if units is None:
        return None
    more = units_of(added.select(F.col("added").alias("packed"))).toArrow()
    both = pa.concat_tables([units, more.cast(units.schema)])
    return both.group_by(list(UNITS[:2])).aggregate([(UNITS[2], "sum")]).rename_columns(UNITS), version + 1


def keep(context: Context, units: pa.Table, version: int) -> None:
    """Write the units of a version of gold.user_state."""
    state = log.identity(context.settings, USER_STATE.name)
    of = {"state": pa.array([state] * len(units)), "state_version": pa.array([version] * len(units))}
    rows = pa.table({name: units[name] for name in UNITS} | of)
    try:
        log.overwrite(context.settings, POPULATION, rows, context.run_id)
    except CommitFailedError:
        # Another run wrote its own: whoever finds them of another version adds them up anew.
        return


def _kept(settings: Settings, version: int) -> pa.Table | None:
    """The units, where they are of a version of gold.user_state."""
    if not log.exists(settings, POPULATION.name):
        return None
    rows = log.read(settings, POPULATION.name)
    # All of one version, or there are none.
    of = rows.slice(0, 1).select(["state", "state_version"]).to_pylist()
    same = of == [{"state": log.identity(settings, USER_STATE.name), "state_version": version}]
    return rows.select(UNITS) if same else None

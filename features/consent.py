"""Who may be in the features: the latest word of each user on the purpose 'personalisation'.

consents: [user_id, purpose, at (timestamp), granted (boolean)]. Of two decisions at the same instant the
withdrawal counts, and so does a decision that does not say what it decides.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

PURPOSE = "personalisation"


def decisions(consents: DataFrame, as_of: datetime | None = None) -> DataFrame:
    """[user_id, withdrawn]: one row a user who decided before as_of; before ever, when as_of is None."""
    heard = consents.filter(F.col("purpose") == PURPOSE).filter(F.col("at").isNotNull())
    if as_of is not None:
        heard = heard.filter(F.col("at") < F.lit(as_of))
    withdrawn = ~F.coalesce("granted", F.lit(False))
    latest = F.max(F.struct("at", withdrawn.alias("withdrawn")))
    return heard.groupBy("user_id").agg(latest.alias("latest")).select("user_id", "latest.withdrawn")


def withdrawn_users(consents: DataFrame, as_of: datetime | None = None) -> DataFrame:
    """[user_id]: users whose latest decision before as_of (ever, when None) is a withdrawal."""
    return decisions(consents, as_of).filter("withdrawn").select("user_id")


def granting_users(consents: DataFrame, as_of: datetime | None = None) -> DataFrame:
    """[user_id]: users whose latest decision before as_of (ever, when None) is a grant."""
    return decisions(consents, as_of).filter(~F.col("withdrawn")).select("user_id")


def consented_events(
    events: DataFrame, consents: DataFrame, missing: Literal["granted", "withdrawn"], as_of: datetime
) -> DataFrame:
    """The events of users who consent as of the instant; `missing` is what no word at all means.

    A withdrawal that is known counts even if it came after as_of: nobody who has withdrawn comes back because
    an older window is computed again. A grant after as_of does not count yet.
    """
    kept = events.join(withdrawn_users(consents), "user_id", "left_anti")
    if missing == "withdrawn":
        return kept.join(granting_users(consents, as_of), "user_id", "left_semi")
    return kept.join(withdrawn_users(consents, as_of), "user_id", "left_anti")


def without_consent(users: DataFrame, consents: DataFrame, missing: Literal["granted", "withdrawn"]) -> DataFrame:
    """Those of the users who, by all decisions known, do not consent, each once.

    users: [user_id]; of further columns, each user once with each of their values.
    """
    known = users.distinct()
    if missing == "withdrawn":
        return known.join(granting_users(consents), "user_id", "left_anti")
    return known.join(withdrawn_users(consents), "user_id", "left_semi")

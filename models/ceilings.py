"""How good a list could at best be that is drawn from given candidates."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from models.metrics import SCOPES


def ceilings(candidates: DataFrame, truth: DataFrame, nominated: Mapping[str, Column]) -> dict[tuple[str, str], float]:
    """The recall that a perfect order of a source's candidates would reach, by (source, scope): of all that is
    relevant to the users, the share among them.

    candidates: of the users of truth: user_id, item_id, seen (0 or 1), label (1: relevant; else not, or null).
    nominated: by source, whether it nominates a candidate. truth: as models.split.truth gives it.
    """
    wanted = {"all": F.lit(True), "new": F.col("seen") == 0}
    found = candidates.where("label > 0").agg(
        *(
            F.count_if(F.coalesce(condition & wanted[scope], F.lit(False))).alias(f"{source}|{scope}")
            for source, condition in nominated.items()
            for scope in SCOPES
        )
    )
    totals = truth.agg(F.sum(F.size("relevant")).alias("all"), F.sum(F.size("relevant_new")).alias("new"))
    row = found.crossJoin(totals).first()
    if row is None:
        return {}
    return {(name, scope): row[f"{name}|{scope}"] / max(row[scope] or 0, 1) for name in nominated for scope in SCOPES}

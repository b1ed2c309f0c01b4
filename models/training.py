"""A training: fit on what was before the cuts, learn to rank what came after the first, judge by what came after
the second. Pure: frames in, frames and numbers out.

    before validation | [validation, test)        | [test, end)
    features, sources | labels the ranker learns  |
    features, sources fitted again, before test   | judged: every model on the same users and candidates
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features.affinity import affinity
from features.rfm import rfm
from features.tiles import user_day, user_item_day
from lake.errors import ModelError
from models import hybrid
from models.bootstrap import Replicates, replicate
from models.hybrid import Parameters, Sources
from models.interactions import before, between, positives
from models.lists import model_lists
from models.metrics import coverage, per_user
from models.ranker import Ranker, fit_ranker, score, training_rows
from models.ranking_features import feature_date
from models.split import truth

# Fewer users in a window than this say nothing about a model.
LEAST_USERS = 5


@dataclass(frozen=True)
class Judged:
    """The test. scored: user_id, item_id, features, <model>_score, label. coverage: by (model, scope, k)."""

    scored: DataFrame
    replicates: Replicates
    coverage: dict[tuple[str, str, int], float]
    items: int


class Timings(dict[str, float]):
    """Seconds by stage."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        started = monotonic()
        yield
        self[name] = self.get(name, 0.0) + monotonic() - started


def fit_before(events: DataFrame, items: DataFrame, instant: datetime, parameters: Parameters) -> Sources:
    """All sources and facts of events before the instant. events: silver.events of consenting users.

    Days count from the first midnight at or after the instant, so that the last, partial day is seen.
    """
    past = before(events, instant)
    tiles, days, day = user_item_day(past).persist(), user_day(past).persist(), feature_date(instant)
    fitted = hybrid.fit_sources(tiles, rfm(days, day), affinity(tiles, days, items, day), items, instant, parameters)
    return replace(fitted, held=(*fitted.held, tiles, days))


def learn(events: DataFrame, sources: Sources, until: datetime, parameters: Parameters, workers: int) -> Ranker:
    """The ranker, from what users wanted between the sources' instant and `until`."""
    wanted = between(positives(events), sources.facts.as_of, until)
    asked = truth(wanted, sources.facts.pairs, sources.catalogue.frame).persist()
    _enough(asked, "validation", sources.facts.as_of, until)
    features = hybrid.candidate_features(sources, asked, parameters)
    rows = training_rows(features, wanted, window=0).persist()
    try:
        return fit_ranker(rows, hybrid.features(sources), parameters.ranker, workers)
    finally:
        rows.unpersist()
        asked.unpersist()


def judge(
    events: DataFrame, sources: Sources, until: datetime, rankers: dict[str, Ranker], parameters: Parameters
) -> Judged:
    """Every source and ranker on what users wanted between the sources' instant and `until`.

    All are judged on the same users; rankers order the same candidates. rankers: by the name of the model.
    """
    wanted = between(positives(events), sources.facts.as_of, until)
    asked = truth(wanted, sources.facts.pairs, sources.catalogue.frame).persist()
    _enough(asked, "test", sources.facts.as_of, until)
    scored = hybrid.candidate_features(sources, asked, parameters)
    for name, ranker in rankers.items():
        scored = score(scored, ranker, f"{name}_score")
    labels = wanted.select("user_id", "item_id").distinct().withColumn("label", F.lit(1.0))
    scored = scored.join(labels, ["user_id", "item_id"], "left").persist()
    models = (*hybrid.SOURCES, *rankers)
    lists = model_lists(scored, models).persist()
    replicates = replicate(per_user(lists, asked), models)
    covered = {(row.model, row.scope, row.k): row.value for row in coverage(lists, sources.catalogue.frame).collect()}
    lists.unpersist()
    asked.unpersist()
    return Judged(scored, replicates, covered, len(sources.catalogue.ids))


def _enough(asked: DataFrame, window: str, start: datetime, end: datetime) -> None:
    found = asked.count()
    if found < LEAST_USERS:
        raise ModelError(
            f"the {window} window [{start:%Y-%m-%d %H:%M}, {end:%Y-%m-%d %H:%M}) holds {found} users who were active "
            f"before it too and wanted an item known before it; at least {LEAST_USERS} are needed. Ingest a longer "
            "history, or check the consents"
        )

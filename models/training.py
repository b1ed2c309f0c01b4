"""A training: fit on what was before the cuts, learn to rank what came after the first, judge by what came after
the second. Pure: frames in, frames and numbers out.

    before validation | [validation, test)        | [test, end)
    features, sources | labels the ranker learns  |
    features, sources fitted again, before test   | judged: every model on the same users and candidates
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
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
from models.interactions import before, between
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


@dataclass(frozen=True)
class Log:
    """What a training reads, of consenting users. events: silver.events without bots. tiles, days: gold.user_item_day
    and gold.user_day. items: silver.items. wanted: the positives of the events.
    """

    events: DataFrame
    tiles: DataFrame
    days: DataFrame
    items: DataFrame
    wanted: DataFrame


def fit_before(
    log: Log, instant: datetime, parameters: Parameters, folder: str, progress: Callable[[str], None]
) -> Sources:
    """All sources and facts of what happened before the instant.

    Whole days come from the tiles; the instant's own day is made from its events before the instant. Days count
    from the first midnight at or after the instant, so that this last, partial day is seen. folder, progress: see
    fit_als.
    """
    tiles, days = tiles_before(log, instant)
    tiles, day = tiles.persist(), feature_date(instant)
    leanings = affinity(tiles, days, log.items, day)
    fitted = hybrid.fit_sources(
        tiles, rfm(days, day), leanings, log.items, instant, parameters, folder, progress=progress
    )
    return replace(fitted, held=(*fitted.held, tiles))


def tiles_before(log: Log, instant: datetime) -> tuple[DataFrame, DataFrame]:
    """User-item-day and user-day tiles of everything before the instant."""
    today = instant.date()
    # An order that began the day before must not count again: that day is read too, and then left out.
    late = before(log.events.where(F.col("event_date") >= F.lit(today - timedelta(days=1))), instant)
    whole, partial = F.col("event_date") < F.lit(today), F.col("event_date") == F.lit(today)
    tiles = log.tiles.where(whole).unionByName(user_item_day(late.where(partial)))
    days = log.days.where(whole).unionByName(user_day(late).where(partial))
    return tiles, days


def learn(log: Log, sources: Sources, until: datetime, parameters: Parameters, workers: int) -> Ranker:
    """The ranker, from what users wanted between the sources' instant and `until`."""
    wanted = between(log.wanted, sources.facts.as_of, until)
    asked = truth(wanted, sources.facts.pairs, sources.catalogue.frame).persist()
    _enough(asked, "validation", sources.facts.as_of, until)
    features = hybrid.candidate_features(sources, asked, parameters)
    rows = training_rows(features, wanted, window=0).persist()
    try:
        return fit_ranker(rows, hybrid.features(sources), parameters.ranker, workers)
    finally:
        rows.unpersist()
        asked.unpersist()


def judge(log: Log, sources: Sources, until: datetime, rankers: dict[str, Ranker], parameters: Parameters) -> Judged:
    """Every source and ranker on what users wanted between the sources' instant and `until`.

    All are judged on the same users; rankers order the same candidates. rankers: by the name of the model.
    """
    wanted = between(log.wanted, sources.facts.as_of, until)
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

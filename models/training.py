"""A training: fit on what was before the cuts, learn to rank what came after the first, judge by what came after
the second. Pure: frames in, frames and numbers out.

    features, sources | labels
    features, sources fitted again   | labels
    features, sources fitted again            | labels
    features, sources fitted again                     | labels
    features, sources fitted again                              | [test, end): every model judged on the same candidates
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from time import monotonic

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.errors import ModelError
from models import cold_start, hybrid
from models.bootstrap import Replicates, replicate
from models.calibration import Calibration, fit_calibration, probability
from models.ceilings import ceilings
from models.cold_start import DEPTH, LADDER, NEW, Wants
from models.diversity import marginal
from models.exposure import Exposure, exposure
from models.fitting import Log, fit_before, settled, tiles_before
from models.groups import described
from models.hybrid import Parameters, Sources
from models.interactions import between, labels
from models.lists import model_lists
from models.metrics import ARRIVALS, RELEVANT
from models.per_user import item_facts, per_user
from models.promotion import HYBRID
from models.ranker import KEPT_NEGATIVES, Ranker, fit_ranker, kept_pairs, score, training_rows
from models.reliability import Reliability, reliability
from models.snapshot import fallback_lists
from models.split import Split, truth

# The hybrid's list made varied, and what that costs is its difference from the hybrid.
DIVERSE = "hybrid_diverse"
# Fewer users in a window than this say nothing about a model.
LEAST_USERS = 5


@dataclass(frozen=True)
class Judged:
    """The test. scored: user_id, item_id, features, <model>_score, label; there until the sources are released.
    exposure: by (model, scope, k). ceilings: of recall, by (source or "union", scope). wants: what was wanted in the
    window, by kind of item. reliability: of the hybrid's probabilities, by scope.
    """

    scored: DataFrame
    replicates: Replicates
    exposure: dict[tuple[str, str, int], Exposure]
    ceilings: dict[tuple[str, str], float]
    items: int
    wants: dict[str, Wants]
    reliability: dict[str, Reliability] = field(default_factory=dict)


class Timings(dict[str, float]):
    """Seconds by stage."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        started = monotonic()
        yield
        self[name] = self.get(name, 0.0) + monotonic() - started


def check_activity(log: Log, split: Split) -> None:
    """Raises ModelError when too few users were active both before and within the validation window."""
    when = F.col("event_time")
    users = log.wanted.groupBy("user_id").agg(
        F.min(when).alias("first"), F.max(F.when(when < F.lit(split.test), when)).alias("last")
    )
    both = (F.col("first") < F.lit(split.validation)) & (F.col("last") >= F.lit(split.validation))
    _enough(users.where(both).count(), "validation", split.validation, split.test)


def lessons(log: Log, sources: Sources, until: datetime, parameters: Parameters, folder: str) -> DataFrame:
    """What the ranker learns of the window from the sources' instant to `until`: rows of training_rows, settled in a
    folder of their own, so that the sources may be released.
    """
    start = sources.facts.as_of
    wanted = between(log.wanted, start, until)
    asked = truth(wanted, sources.facts.pairs, sources.catalogue.frame)
    window = int(start.timestamp())
    features = hybrid.candidate_features(
        sources, asked, parameters, lambda found: kept_pairs(found, wanted, window=window)
    )
    return settled(training_rows(features, wanted, window=window), folder, str(window))


def lessons_of(
    log: Log, windows: Sequence[tuple[datetime, datetime]], parameters: Parameters, folder: str,
    progress: Callable[[str], None],
) -> list[DataFrame]:  # fmt: skip
    """The lessons of each window, the sources fitted anew before it and released after. folder: see fit_als."""
    found = []
    for number, (start, until) in enumerate(windows):
        progress(f"lessons of what was wanted from {start:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}")
        early = fit_before(log, start, parameters, f"{folder}/labels-{number}", progress)
        found.append(lessons(log, early, until, parameters, folder))
        hybrid.release(early)
    return found


def learn(windows: list[DataFrame], features: tuple[str, ...], parameters: Parameters, workers: int) -> Ranker:
    """The ranker, from the lessons of all windows. Raises ModelError when they teach nothing."""
    return fit_ranker(reduce(DataFrame.unionByName, windows), features, parameters.ranker, workers)


def held_out() -> Column:
    """On a frame with user_id: of every other user, by a hash, that scores are calibrated on them."""
    return F.pmod(F.xxhash64("user_id", F.lit("calibration")), F.lit(2)) == 0


def calibrate(
    windows: list[DataFrame], split: Split, features: tuple[str, ...], parameters: Parameters, workers: int
) -> Calibration | None:
    """What a score is worth: what came of the candidates of half of the users in the last label window, by the scores
    of trees that learnt from the other half alone. None when one of the halves says nothing.

    windows: the lessons of each. Like CalibratedClassifierCV(ensemble=False) of scikit-learn: the calibration is then
    that of a ranker that learnt from everybody.
    """
    rows = reduce(DataFrame.unionByName, windows).where(~held_out())
    try:
        others = fit_ranker(rows, features, parameters.ranker, workers)
    except ModelError:
        return None
    asked = windows[-1].where(held_out() & (F.col("scope") == 0)).select("label", *dict.fromkeys((*features, "seen")))
    scored = score(asked, others).select("seen", "score", "label").persist()
    start, end = split.label_windows[-1]
    try:
        return fit_calibration(scored, (end - start) / timedelta(days=1), KEPT_NEGATIVES)
    finally:
        scored.unpersist()


def judge(log: Log, sources: Sources, until: datetime, rankers: dict[str, Ranker], parameters: Parameters) -> Judged:
    """Every source and ranker on what users wanted between the sources' instant and `until`.

    All are judged on the same users; rankers order the same candidates. rankers: by the name of the model. With a
    diversity above 0 the hybrid's list is judged once more as it would be published, as DIVERSE. LADDER is what
    serving would fall back on; users without history and items new to the catalogue are scopes of their own.
    """
    facts, items = sources.facts, sources.catalogue.frame
    wanted = between(log.wanted, facts.as_of, until)
    asked = truth(wanted, facts.pairs, items).persist()
    _enough(asked.count(), "test", facts.as_of, until)
    scored = hybrid.candidate_features(sources, asked, parameters)
    for name, ranker in rankers.items():
        scored = score(scored, ranker, f"{name}_score")
    scored = settled(scored.join(labels(wanted), ["user_id", "item_id"], "left"), sources.folder, "scored")
    models = (*hybrid.SOURCES, *rankers)
    if parameters.diversity > 0 and HYBRID in rankers:
        scored = marginal(scored, log.items, parameters.diversity, f"{HYBRID}_score", f"{DIVERSE}_score")
        models += (DIVERSE,)
    tiles, days = tiles_before(log, facts.as_of)
    kinds = cold_start.item_kinds(log.wanted, tiles, facts.as_of).persist()
    ladder = cold_start.ladder_lists(wanted, days, facts, fallback_lists(facts, DEPTH)).persist()
    lists = model_lists(hybrid.spoken_for(scored), models, placed=hybrid.SCORERS).join(ladder, "user_id", "left")
    lists = settled(lists, sources.folder, "lists")
    models += (LADDER,)
    recent = kinds.where(F.col("kind") == NEW).join(items, "item_id", "left_semi")
    arrivals = truth(wanted, facts.pairs, recent).select("user_id", F.col("relevant").alias(RELEVANT[ARRIVALS]))
    people = described(asked, facts, sources.catalogue).join(arrivals, "user_id", "left")
    strangers = truth(wanted, facts.pairs, items, strangers=True).persist()
    theirs = cold_start.strangers_lists(ladder.join(strangers, "user_id", "left_semi"), sources.popular)
    measured = per_user(
        people.unionByName(cold_start.strangers_described(strangers), allowMissingColumns=True),
        lists.unionByName(theirs, allowMissingColumns=True),
        models, sources.catalogue, item_facts(facts.pairs, facts.items, sources.catalogue),
    )  # fmt: skip
    replicates = replicate(measured, models, baseline=LADDER)
    shown, wants = exposure(lists, models, items), cold_start.wants_by_kind(wanted, kinds)
    highest = ceilings(scored, asked, hybrid.nominated(parameters))
    for frame in (strangers, ladder, kinds, asked):
        frame.unpersist()
    return Judged(scored, replicates, shown, highest, len(sources.catalogue.ids), wants)


def foretold(
    log: Log, sources: Sources, judged: Judged, calibration: Calibration | None, until: datetime, model: str = HYBRID
) -> dict[str, Reliability]:
    """How a ranker's probabilities came true in the test, by scope: over all (or new) candidates of the users who
    wanted a known item within the days they speak of, or until the test's end where that is earlier. Empty without a
    calibration. model: the name that it was judged by.
    """
    if calibration is None:
        return {}
    start = sources.facts.as_of
    end = min(start + timedelta(days=calibration.days), until)
    wanted = between(log.wanted, start, end)
    asked = truth(wanted, sources.facts.pairs, sources.catalogue.frame).select("user_id")
    scored = judged.scored.join(asked, "user_id", "left_semi").select(
        "user_id", "item_id", "seen", probability(f"{model}_score", calibration).alias("probability")
    )
    labelled = scored.join(labels(wanted), ["user_id", "item_id"], "left").persist()
    try:
        scopes = {"all": labelled, "new": labelled.where("seen = 0")}
        found = {scope: reliability(rows, (end - start) / timedelta(days=1)) for scope, rows in scopes.items()}
        return {scope: told for scope, told in found.items() if told is not None}
    finally:
        labelled.unpersist()


def _enough(found: int, window: str, start: datetime, end: datetime) -> None:
    if found < LEAST_USERS:
        raise ModelError(
            f"the {window} window [{start:%Y-%m-%d %H:%M}, {end:%Y-%m-%d %H:%M}) holds {found} users who were active "
            f"before it too and wanted an item known before it; at least {LEAST_USERS} are needed. Ingest a longer "
            "history, or check the consents"
        )

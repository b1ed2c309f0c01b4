"""The way from history to ranked candidates: fit the sources, gather candidates, compute features.

The same functions serve training, evaluation and publishing; only the instant and the users asked for differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.als import AlsParameters, Factors, fit_als, item_matrix
from models.als_files import Folder
from models.candidates import Catalogue, candidates, catalogue, profiles
from models.content import content
from models.interactions import Confidence, confidences
from models.popularity import counts_of, popularity
from models.ranker import RankerParameters
from models.ranking_features import Facts, feature_names, pairs, ranking_features
from models.repurchase import repurchase
from models.scorers import ContentScorer, FactorScorer, PopularityScorer, Scorer

# What nominates candidates, and what the hybrid has to beat.
SOURCES = ("repurchase", "als", "popularity")
# Epochs of ALS when it starts from last night's vectors.
WARM_EPOCHS = 4


@dataclass(frozen=True)
class Parameters:
    """Of the hybrid. own: items a user bought before that become candidates. take: best new items of each scorer
    that become candidates. half_life: days after which a purchase counts half in a user's profile. confidence: what
    ALS takes from the events.
    """

    als: AlsParameters = field(default_factory=AlsParameters)
    confidence: Confidence = field(default_factory=Confidence)
    ranker: RankerParameters = field(default_factory=RankerParameters)
    own: int = 100
    take: int = 50
    half_life: float = 180.0


@dataclass(frozen=True)
class Sources:
    """Everything fitted on the history before facts.as_of. folder, held: the training's, and persisted frames, for
    release().
    """

    facts: Facts
    catalogue: Catalogue
    scorers: list[Scorer]
    factors: Factors
    popular: DataFrame
    folder: str
    held: tuple[DataFrame, ...] = ()


def fit_sources(
    tiles: DataFrame, rfm: DataFrame, affinity: DataFrame, items: DataFrame, as_of: datetime, parameters: Parameters,
    folder: str, *, start: Factors | None = None, progress: Callable[[str], None] = lambda message: None,
) -> Sources:  # fmt: skip
    """Fit all sources on user-item-day tiles of events before as_of. rfm, affinity: as of it. items: silver.items.

    folder, start, progress: see fit_als; from a start, fewer epochs do. Frames are persisted and the folder is used
    until release(). Raises ModelError when the tiles hold no positive.
    """
    history = pairs(tiles, as_of).persist()
    popular = popularity(history).persist()
    numbered = catalogue(popular)
    said = confidences(tiles, as_of, parameters.confidence).join(numbered.frame, "item_id", "left_semi")
    als = parameters.als if start is None else replace(parameters.als, epochs=min(WARM_EPOCHS, parameters.als.epochs))
    factors = fit_als(said, als, folder, start=start, progress=progress)
    scorers: list[Scorer] = [
        FactorScorer("als", parameters.take, item_matrix(factors, numbered.ids)),
        PopularityScorer("popularity", parameters.take, counts_of(popular, numbered.ids)),
        ContentScorer("content", content(items, numbered)),
    ]
    held = (history, popular, factors.users)
    return Sources(Facts(history, rfm, affinity, items, as_of), numbered, scorers, factors, popular, folder, held)


def candidate_features(sources: Sources, users: DataFrame, parameters: Parameters) -> DataFrame:
    """Candidates of the users with all features: user_id, item_id, features. Users without history have none.

    users: DataFrame[user_id].
    """
    asked = users.select("user_id").distinct()
    own = repurchase(sources.facts.pairs.join(asked, "user_id", "left_semi"), sources.popular)
    weight = F.pow(F.lit(0.5), F.col("x_idle") / parameters.half_life)
    nominated = F.col("repurchase_rank") <= parameters.own
    profile = profiles(own.withColumn("weight", weight).withColumn("own", nominated), sources.catalogue)
    block = profile.join(sources.factors.users, "user_id", "left")
    found = candidates(block, sources.catalogue, sources.scorers)
    return ranking_features(found, own, sources.facts, tuple(scorer.name for scorer in sources.scorers))


def features(sources: Sources) -> tuple[str, ...]:
    """The ranker's features, in order."""
    return feature_names(tuple(scorer.name for scorer in sources.scorers))


def release(sources: Sources) -> None:
    """Let the persisted frames and the training's folder go."""
    for frame in sources.held:
        frame.unpersist()
    Folder(sources.folder).remove()

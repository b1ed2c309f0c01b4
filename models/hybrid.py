"""The way from history to ranked candidates: fit the sources, gather candidates, compute features.

The same functions serve training, evaluation and publishing; only the instant and the users asked for differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.als import AlsParameters, Factors, fit_als, item_matrix
from models.candidates import Catalogue, candidates, catalogue, profiles
from models.content import content
from models.popularity import counts_of, popularity
from models.ranker import RankerParameters
from models.ranking_features import Facts, feature_names, pairs, ranking_features
from models.repurchase import repurchase
from models.scorers import ContentScorer, FactorScorer, PopularityScorer, Scorer

# What nominates candidates, and what the hybrid has to beat.
SOURCES = ("repurchase", "als", "popularity")


@dataclass(frozen=True)
class Parameters:
    """Of the hybrid. own: items a user bought before that become candidates. take: best new items of each scorer
    that become candidates. half_life: days after which a purchase counts half in a user's profile.
    """

    als: AlsParameters = field(default_factory=AlsParameters)
    ranker: RankerParameters = field(default_factory=RankerParameters)
    own: int = 100
    take: int = 50
    half_life: float = 180.0


@dataclass(frozen=True)
class Sources:
    """Everything fitted on the history before facts.as_of. held: persisted frames, for release()."""

    facts: Facts
    catalogue: Catalogue
    scorers: list[Scorer]
    factors: Factors
    popular: DataFrame
    held: tuple[DataFrame, ...] = ()


def fit_sources(
    tiles: DataFrame, rfm: DataFrame, affinity: DataFrame, items: DataFrame, as_of: datetime, parameters: Parameters
) -> Sources:
    """Fit all sources on user-item-day tiles of events before as_of. rfm, affinity: as of it. items: silver.items.

    Frames are persisted; release() lets them go. Raises ModelError when the tiles hold no positive.
    """
    history = pairs(tiles, as_of).persist()
    popular = popularity(history).persist()
    numbered = catalogue(popular)
    factors = fit_als(history, numbered.frame, parameters.als)
    scorers: list[Scorer] = [
        FactorScorer("als", parameters.take, item_matrix(factors, numbered.ids)),
        PopularityScorer("popularity", parameters.take, counts_of(popular, numbered.ids)),
        ContentScorer("content", content(items, numbered)),
    ]
    held = (history, popular, factors.users)
    return Sources(Facts(history, rfm, affinity, items, as_of), numbered, scorers, factors, popular, held)


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
    """Let the persisted frames go."""
    for frame in sources.held:
        frame.unpersist()

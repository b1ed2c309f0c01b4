"""The way from history to ranked candidates: fit the sources, gather candidates, compute features.

The same functions serve training, evaluation and publishing; only the instant and the users asked for differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.intent import open_items
from lake.errors import ModelError
from models.alike import AlikeParameters, AlikeScorer, fit_alike
from models.als import AlsParameters, Factors, fit_als, item_matrix
from models.als_files import Folder
from models.because import because
from models.candidates import Catalogue, candidates, catalogue, profiles
from models.content import by_popularity, categories, content
from models.covisitation import CovisitationParameters, fit_covisitation
from models.interactions import Confidence, confidences
from models.linear import ItemWeights, LinearParameters, fit_item_weights
from models.metrics import LONGEST
from models.popularity import counts_of, popularity, season
from models.ranker import RankerParameters
from models.ranking_features import Facts, feature_date, feature_names, pairs, ranking_features
from models.repurchase import repurchase, usual_gaps
from models.scorers import DueScorer, FactorScorer, LinearScorer, PopularityScorer, Scorer, TokenScorer
from models.split import LABEL_WINDOWS
from models.trending import arrivals, fit_trending

# What nominates candidates, and what the hybrid has to beat.
SOURCES = (
    "repurchase", "due_again", "als", "neighbours", "next", "alike", "together", "content", "category", "popularity",
    "trending", "arrivals",
)  # fmt: skip
# What gives every candidate a score, in the order of the ranker's features.
SCORERS = SOURCES[1:]
# Those that nominate `take` new items; the others nominate `few`, due_again none.
WIDE = ("als", "neighbours", "next", "popularity")
FEATURES = feature_names(SCORERS)
# Of a history: how often an item was wanted, each trip counting nine tenths of the next; and whose trends are whose.
OFTEN, COHORT = "x_trips90", "segment"
# Epochs of ALS when it starts from last night's vectors.
WARM_EPOCHS = 4


@dataclass(frozen=True)
class Parameters:
    """Of the hybrid. own: items a user bought before that become candidates. take, few: best new items of each scorer
    that become candidates, of WIDE and of the others. half_life: days after which a purchase counts half in a user's
    profile. label_windows: whose wants the ranker learns, each of which costs a fit of all sources; see models.split.
    confidence: what ALS takes from the events. diversity: of the final list, 0 to 1; see models.diversity.
    """

    als: AlsParameters = field(default_factory=AlsParameters)
    confidence: Confidence = field(default_factory=Confidence)
    linear: LinearParameters = field(default_factory=LinearParameters)
    alike: AlikeParameters = field(default_factory=AlikeParameters)
    together: CovisitationParameters = field(default_factory=CovisitationParameters)
    ranker: RankerParameters = field(default_factory=RankerParameters)
    own: int = 100
    take: int = 50
    few: int = LONGEST
    half_life: float = 180.0
    label_windows: int = LABEL_WINDOWS
    diversity: float = 0.0

    def check(self) -> None:
        """Raises ModelError that names the first wrong parameter, what was got and what is allowed."""
        self.als.check()
        self.confidence.check()
        self.linear.check()
        self.alike.check()
        self.together.check()
        self.ranker.check()
        for name, least in (("own", 1), ("take", LONGEST), ("few", LONGEST), ("label_windows", 1)):
            if getattr(self, name) < least:
                raise ModelError(f"got {name}={getattr(self, name)}; it must be at least {least}")
        if not self.half_life > 0:
            raise ModelError(f"got half_life={self.half_life}; it must be above 0")


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


@dataclass(frozen=True)
class Kept:
    """Of sources that were fitted before: those of SCORERS, and the vectors of ALS."""

    scorers: list[Scorer]
    factors: Factors


def fit_sources(
    events: DataFrame, tiles: DataFrame, rfm: DataFrame, affinity: DataFrame, items: DataFrame, as_of: datetime,
    parameters: Parameters, folder: str, *, engaged: DataFrame | None = None,
    worth: DataFrame | None = None, start: Factors | None = None, kept: Kept | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Sources:  # fmt: skip
    """Fit all sources on events and their user-item-day tiles before as_of. events: silver.events of people. rfm,
    affinity, engaged, worth (as of Facts): as of as_of. items: silver.items.

    folder, start, progress: see fit_als; from a start, fewer epochs do. kept: what the same gave before, which is then
    not fitted again. Frames are persisted and the folder is used until release(). Raises ModelError when the tiles hold
    no positive.
    """
    history = pairs(tiles, as_of).persist()
    popular = popularity(history).persist()
    numbered = catalogue(popular)
    found = kept or _fitted(
        events, tiles, history, popular, numbered, rfm, items, as_of, parameters, folder, start, progress
    )
    held, day = (history, popular, found.factors.users), feature_date(as_of)
    facts = Facts(history, rfm, affinity, items, as_of, open_items(tiles, day), engaged, season(tiles, day), worth)
    return Sources(facts, numbered, found.scorers, found.factors, popular, folder, held)


def _fitted(
    events: DataFrame, tiles: DataFrame, history: DataFrame, popular: DataFrame, numbered: Catalogue, rfm: DataFrame,
    items: DataFrame, as_of: datetime, parameters: Parameters, folder: str, start: Factors | None,
    progress: Callable[[str], None],
) -> Kept:  # fmt: skip
    said = confidences(tiles, as_of, parameters.confidence).join(numbered.frame, "item_id", "left_semi")
    als = parameters.als if start is None else replace(parameters.als, epochs=min(WARM_EPOCHS, parameters.als.epochs))
    factors = fit_als(said, als, folder, start=start, progress=progress)
    take, few = parameters.take, parameters.few
    weights = fit_item_weights(tiles, popular, numbered, as_of, parameters.linear, folder)
    tokens, members, counts = content(items, numbered), categories(items, numbered), counts_of(popular, numbered.ids)
    cohorts = rfm.select("user_id", F.col(COHORT).alias("cohort"))
    scorers: list[Scorer] = [
        DueScorer("due_again"),
        FactorScorer("als", take, item_matrix(factors, numbered.ids)),
        *linear_scorers(weights, parameters),
        alike_scorer(history, numbered, parameters),
        pair_scorer(events, numbered, as_of, parameters),
        TokenScorer("content", few, tokens, tokens),
        TokenScorer("category", few, members, by_popularity(members, counts)),
        PopularityScorer("popularity", take, counts),
        fit_trending(history, cohorts, numbered, few),
        PopularityScorer("arrivals", few, counts_of(arrivals(history), numbered.ids)),
    ]
    return Kept(scorers, factors)


def linear_scorers(weights: ItemWeights, parameters: Parameters) -> list[LinearScorer]:
    """Both linear item models, for profiles that fade as weight_of() says."""
    linear = parameters.linear
    models = {
        "neighbours": (weights.neighbours, linear.neighbours_half_life),
        "next": (weights.next, linear.next_half_life),
    }
    return [
        LinearScorer(
            name, parameters.take, weights.items, of_items, weights.rest, of_rest, parameters.half_life / half_life
        )
        for name, ((of_items, of_rest), half_life) in models.items()
    ]


def alike_scorer(history: DataFrame, numbered: Catalogue, parameters: Parameters) -> AlikeScorer:
    """People alike, of a history as models.ranking_features.pairs gives it."""
    habits = history.select("user_id", "item_id", F.col(OFTEN).alias("often"))
    return AlikeScorer("alike", parameters.few, fit_alike(habits, numbered, parameters.alike), parameters.alike)


def pair_scorer(events: DataFrame, numbered: Catalogue, as_of: datetime, parameters: Parameters) -> LinearScorer:
    """Co-visitation, of events before as_of."""
    together = fit_covisitation(events, numbered, as_of, parameters.together)
    everything = np.arange(len(numbered.ids))
    dense = np.zeros((len(everything), 0), np.float32)
    power = parameters.half_life / parameters.together.profile_half_life
    return LinearScorer("together", parameters.few, everything, dense, everything, together, power)


def candidate_features(
    sources: Sources, users: DataFrame, parameters: Parameters,
    kept: Callable[[DataFrame], DataFrame] = lambda found: found,
) -> DataFrame:  # fmt: skip
    """Candidates of the users with all features: user_id, item_id, features. Users without history have none.

    users: DataFrame[user_id]. kept: leaves candidates out whose features are not wanted.
    """
    asked = users.select("user_id").distinct()
    history = sources.facts.pairs
    own = repurchase(history.join(asked, "user_id", "left_semi"), sources.popular, usual_gaps(history))
    cohorts = sources.facts.rfm.select("user_id", F.col(COHORT).alias("cohort"))
    block = profiles(entries(own, parameters), sources.catalogue).join(sources.factors.users, "user_id", "left")
    block = block.join(cohorts, "user_id", "left")
    found = kept(candidates(block, sources.catalogue, sources.scorers))
    return ranking_features(found, own, sources.facts, SCORERS)


def explained(sources: Sources, lists: DataFrame, nameable: DataFrame, parameters: Parameters) -> DataFrame:
    """The lists with the column because: of rows whose source is a linear model, the id of the user's own item that
    speaks most for the item. lists: user_id, item_id, source, ... nameable: those of facts.pairs that may be named.
    """
    nobody = nameable.withColumns({"repurchase_rank": F.lit(parameters.own + 1), "due_again_score": F.lit(0.0)})
    linear = [scorer for scorer in sources.scorers if isinstance(scorer, LinearScorer)]
    return because(lists, profiles(entries(nobody, parameters), sources.catalogue), sources.catalogue, linear)


def entries(own: DataFrame, parameters: Parameters) -> DataFrame:
    """What models.candidates.profiles asks of users' pairs, as models.repurchase gives them."""
    return own.withColumns(
        {
            "weight": F.pow(F.lit(0.5), F.col("x_idle") / parameters.half_life),
            "often": F.col(OFTEN),
            "due": F.col("due_again_score"),
            "own": F.col("repurchase_rank") <= parameters.own,
        }
    )


def nominated(parameters: Parameters) -> dict[str, Column]:
    """By source, whether it nominates a candidate with features; and of their union, by the name "union"."""
    own, seen = F.col("repurchase_rank") <= parameters.own, F.col("seen") > 0
    found = {
        name: F.col(f"{name}_rank") <= F.when(seen, LONGEST).otherwise(_new_of(name, parameters))
        for name in SOURCES
        if name != "repurchase"
    }
    return {"repurchase": own, **found, "union": F.lit(True)}


def _new_of(source: str, parameters: Parameters) -> int:
    """How many new items a source nominates."""
    if source == "due_again":
        return 0
    return parameters.take if source in WIDE else parameters.few


def spoken_for(candidates: DataFrame) -> DataFrame:
    """The candidates with a source's score only where it speaks for the item; else null, for models.lists.model_lists.

    A source's own list is no longer for a score of zero, which says nothing. Products of vectors may be below zero.
    """
    silent = {
        f"{name}_score": F.when(F.col(f"{name}_score") > 0, F.col(f"{name}_score"))
        for name in SOURCES
        if name not in ("repurchase", "als")
    }
    return candidates.withColumns(silent)


def release(sources: Sources) -> None:
    """Let the persisted frames and the training's folder go."""
    for frame in sources.held:
        frame.unpersist()
    Folder(sources.folder).remove()

"""A search of a model's parameters on the validation window: what it searches, and what a trial is worth.

    history, features | labels | labels | validation window: a trial is judged here | test window: never looked at

Every trial fits the model as a training would, on what was before the window, and judges its own list of each user on
all items. The ranker's lessons do not depend on its parameters, so they are taken once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import create_trial
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.errors import ModelError
from models import hybrid
from models.als import fit_als, item_matrix
from models.beyond_accuracy import ItemFacts
from models.candidates import Catalogue, candidates, catalogue, profiles
from models.fitting import Log, fit_before, settled, tiles_before
from models.hybrid import Parameters
from models.interactions import before, between, confidences
from models.linear import fit_item_weights
from models.lists import model_lists
from models.metrics import ACCURACY, MEASURED, SCOPES
from models.per_user import item_facts, per_user
from models.popularity import popularity
from models.promotion import HYBRID
from models.ranker import score
from models.ranking_features import pairs
from models.repurchase import repurchase, usual_gaps
from models.scorers import FactorScorer, Scorer
from models.split import Split, truth
from models.training import learn, lessons_of
from models.trials import Trial
from models.values import Value

Space = Mapping[str, BaseDistribution]
Metrics = dict[str, float]
# Judges a setting of the parameters; the second is the trial's own folder name.
Objective = Callable[[Parameters, str], Metrics]

# What is told of a trial.
TOLD = tuple(f"{name}@10" for name in ACCURACY)

_DAYS = FloatDistribution(15, 720, log=True)
_RIDGE = FloatDistribution(10, 3000, log=True)
SPACES: dict[str, Space] = {
    "als": {
        "als.rank": IntDistribution(16, 160, step=16),
        "als.epochs": IntDistribution(4, 16),
        "als.unobserved": FloatDistribution(0.03, 3, log=True),
        "als.regularisation": FloatDistribution(1e-4, 0.1, log=True),
        "als.exponent": FloatDistribution(0, 1),
        "confidence.half_life": _DAYS,
        "confidence.damping": CategoricalDistribution(["none", "log", "one"]),
    },
    "neighbours": {"linear.regularisation": _RIDGE, "linear.half_life": _DAYS, "linear.neighbours_half_life": _DAYS},
    "next": {
        "linear.regularisation": _RIDGE,
        "linear.next_half_life": _DAYS,
        "linear.windows.days": FloatDistribution(7, 90, log=True),
        "linear.windows.count": IntDistribution(1, 4),
        "linear.windows.decay": FloatDistribution(0.2, 1),
    },
    "alike": {
        "alike.neighbours": IntDistribution(10, 500, log=True),
        "alike.own": FloatDistribution(0, 1),
    },
    "together": {
        "together.days": IntDistribution(30, 720, log=True),
        "together.half_life": _DAYS,
        "together.neighbours": IntDistribution(10, 200, log=True),
        "together.profile_half_life": _DAYS,
    },
    HYBRID: {
        "ranker.n_estimators": IntDistribution(40, 400, log=True),
        "ranker.learning_rate": FloatDistribution(0.02, 0.3, log=True),
        "ranker.max_depth": IntDistribution(3, 9),
        "ranker.min_child_weight": FloatDistribution(1, 100, log=True),
        "ranker.subsample": FloatDistribution(0.5, 1),
        "ranker.colsample_bytree": FloatDistribution(0.3, 1),
        "ranker.reg_lambda": FloatDistribution(0.1, 100, log=True),
        "ranker.lambdarank_num_pair_per_sample": IntDistribution(5, 50),
    },
}


def objective(
    log: Log, split: Split, model: str, folder: str, workers: int, parameters: Parameters, say: Callable[[str], None]
) -> Objective:
    """Judges settings of a model of SPACES on the validation window: metrics by "<scope>/<metric>", "all/ndcg@10".

    folder: see fit_als; what all trials share stays there until it is removed. workers: see fit_ranker. parameters: of
    the sources whose candidates the ranker orders. Raises ModelError when nobody was active both before and within the
    window.
    """
    if model != HYBRID:
        return _source(log, split, model, folder)
    taught = rankers_class(log, split, folder, parameters, say)

    def judged(parameters: Parameters, name: str) -> Metrics:
        ranker = learn(taught.windows, hybrid.FEATURES, parameters, workers)
        return _means(taught.judged(score(taught.features, ranker, f"{HYBRID}_score"), (HYBRID,)))

    return judged


def _source(log: Log, split: Split, model: str, folder: str) -> Objective:
    start = split.validation
    tiles = settled(tiles_before(log, start)[0], folder, "tiles")
    history = settled(pairs(tiles, start), folder, "pairs")
    popular = settled(popularity(history), folder, "popular")
    numbered = catalogue(popular)
    asked = _asked(log, split, history, numbered, folder)
    items = item_facts(history, log.items, numbered)
    own = repurchase(history.join(asked, "user_id", "left_semi"), popular, usual_gaps(history))

    def judged(parameters: Parameters, name: str) -> Metrics:
        inner, vectors = f"{folder}/{name}", None
        if model == "als":
            said = confidences(tiles, start, parameters.confidence).join(numbered.frame, "item_id", "left_semi")
            factors = fit_als(said, parameters.als, inner)
            scorer: Scorer = FactorScorer(model, parameters.take, item_matrix(factors, numbered.ids))
            vectors = factors.users
        elif model == "alike":
            scorer = hybrid.alike_scorer(history, numbered, parameters)
        elif model == "together":
            scorer = hybrid.pair_scorer(before(log.events, start), numbered, start, parameters)
        else:
            weights = fit_item_weights(tiles, popular, numbered, start, parameters.linear, inner)
            scorer = next(each for each in hybrid.linear_scorers(weights, parameters) if each.name == model)
        found = candidates_of(scorer, own, numbered, parameters, vectors)
        return _means(judged_lists(model_lists(found, (model,)), asked, items, numbered, (model,)))

    return judged


def candidates_of(
    scorer: Scorer, own: DataFrame, numbered: Catalogue, parameters: Parameters, vectors: DataFrame | None = None
) -> DataFrame:
    """The candidates of a single scorer and of repurchase, as models.lists.model_lists takes them.

    own: the users' pairs, as models.repurchase gives them. vectors: of users, for a scorer that asks for them.
    """
    block = profiles(hybrid.entries(own, parameters), numbered).withColumn("cohort", F.lit(None).cast("string"))
    nobody = block.withColumn("vector", F.lit(None).cast("array<float>"))
    known = nobody if vectors is None else block.join(vectors, "user_id", "left")
    return candidates(known, numbered, [scorer]).withColumn("seen", F.col("seen").cast("float"))


@dataclass(frozen=True)
class Class:
    """What rankers learn from, and what they are asked then. windows: lessons of the label windows before validation.
    features: candidates of whom is asked, with their features. asked: as models.split.truth gives it.
    """

    windows: list[DataFrame]
    features: DataFrame
    asked: DataFrame
    items: ItemFacts
    catalogue: Catalogue

    def judged(self, scored: DataFrame, models: tuple[str, ...]) -> DataFrame:
        """As models.per_user gives it. scored: user_id, item_id, seen, <model>_score."""
        columns = ("user_id", "item_id", "seen", *(f"{model}_score" for model in models))
        return judged_lists(
            model_lists(scored.select(*columns), models), self.asked, self.items, self.catalogue, models
        )


def rankers_class(log: Log, split: Split, folder: str, parameters: Parameters, say: Callable[[str], None]) -> Class:
    """The sources fitted anew before each label window that ends before the validation window, and before that itself.

    Raises ModelError when there is none, and when nobody was active both before and within the validation window.
    """
    early = [(start, until) for start, until in split.label_windows if until <= split.validation]
    windows = lessons_of(log, early, parameters, folder, say)
    if not windows:
        raise ModelError(
            f"the ranker cannot be tuned: got label_windows = {parameters.label_windows}, none of which ends before "
            "the validation window; allowed for a search: 3 or more"
        )
    say(f"sources and features as of {split.validation:%Y-%m-%d %H:%M}")
    late = fit_before(log, split.validation, parameters, f"{folder}/validation", say)
    asked = _asked(log, split, late.facts.pairs, late.catalogue, folder)
    features = settled(hybrid.candidate_features(late, asked, parameters), folder, "features")
    return Class(windows, features, asked, item_facts(late.facts.pairs, log.items, late.catalogue), late.catalogue)


def _asked(log: Log, split: Split, history: DataFrame, numbered: Catalogue, folder: str) -> DataFrame:
    wanted = between(log.wanted, split.validation, split.test)
    asked = settled(truth(wanted, history, numbered.frame), folder, "asked")
    if asked.isEmpty():
        raise ModelError(
            f"nobody who was active before the validation window [{split.validation:%Y-%m-%d}, {split.test:%Y-%m-%d}) "
            "wanted an item known before it; a longer history is needed"
        )
    return asked


def judged_lists(
    lists: DataFrame, asked: DataFrame, items: ItemFacts, numbered: Catalogue, models: tuple[str, ...]
) -> DataFrame:
    """As models.per_user gives it, of no groups. asked: as models.split.truth gives it."""
    empty = "array<struct<item: int, weight: float>>"
    people = asked.withColumns({"profile": F.array().cast(empty), "groups": F.array().cast("array<string>")})
    return per_user(people, lists, models, numbered, items)


def _means(judged: DataFrame) -> Metrics:
    """Over the users, of a single model."""
    means = [F.avg(F.get("values", F.lit(MEASURED.index(name)))).alias(name) for name in TOLD]
    rows = judged.groupBy("scope").agg(*means).collect()
    return {f"{row.scope}/{name}": float(row[name]) for row in rows if row.scope in SCOPES for name in TOLD}


def suggestion(
    space: Space, defaults: Mapping[str, Value], past: list[Trial], metric: str, seed: int
) -> dict[str, Value]:
    """What to try next: the defaults first, then what the trials so far suggest (TPE; Bergstra et al. 2011).

    The same trials and seed suggest the same, so that a search that was interrupted goes on as if it had not been.
    """
    usual = {name: defaults[name] for name in space}
    if not past and _within(usual, space):
        return usual
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=TPESampler(seed=seed + len(past)))
    for trial in past:
        study.add_trial(create_trial(params=trial.values, distributions=dict(space), value=trial.metrics[metric]))
    return dict(study.ask(dict(space)).params)


def _within(values: dict[str, Value], space: Space) -> bool:
    try:
        create_trial(params=values, distributions=dict(space), value=0.0)
    except ValueError:
        return False
    return True

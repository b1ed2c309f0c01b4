"""A search of a model's parameters on the validation window, as nested runs of MLflow: `attune tune`.

Nothing moves: no alias, no table, no setting. What was found is printed as lines for attune.toml. A search that was
stopped, however it was, goes on where it was; the test window is never looked at.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from jobs.job import Context
from jobs.parameters import parameters_of
from jobs.scratch import scratch
from jobs.train_models import INPUTS, inputs, registry, workers
from jobs.version import code_version
from lake import delta, log
from lake.console import emit_table, say, step
from lake.errors import ContractError, ModelError, SettingError
from lake.settings import Settings
from lake.tables import USER_DAY
from lake.window import Window
from models.als_files import Folder
from models.metrics import SCOPES
from models.split import time_split
from models.training import check_activity
from models.trials import Trial, end_search, log_trial, search, trials
from models.tuning import SPACES, TOLD, objective, suggestion
from models.values import value_names, with_values

METRIC = "ndcg@10"
# Trials that are shown to people.
SHOWN = 10


@dataclass(frozen=True)
class Search:
    """trials: number, values, metrics of each, all of this search ever. best: the number of the best by `metric`.
    window: the validation window, two instants. run_id: MLflow's. lines: for attune.toml.
    """

    model: str
    metric: str
    window: tuple[str, str]
    trials: list[dict[str, Any]]
    best: int
    lines: list[str]
    run_id: str

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def tune(
    settings: Settings, model: str, count: int, end: date | None = None, scope: str = "all", seed: int = 1
) -> Search:
    """Search until `count` trials of the model have been made, those of an earlier call for the same tables among them.

    end: what happened before it counts; by default the day after the last one in gold.user_day. scope: of the metric
    that is maximised: "all" items or "new" ones. Raises SettingError for an unknown model or scope.
    """
    for option, got, allowed in (("MODEL", model, tuple(SPACES)), ("--scope", scope, SCOPES)):
        if got not in allowed:
            raise SettingError(f"got {option} {got[:40]!r}; allowed: {', '.join(allowed)}")
    context = Context("tune", Window.day((end or _end(settings)) - timedelta(days=1)), settings)
    parameters, metric, space = parameters_of(settings), f"{scope}/{METRIC}", SPACES[model]
    facts = inputs(context)
    with step("splitting by time"):
        split = time_split(facts.wanted, context.window.as_of, windows=parameters.label_windows)
        check_activity(facts, split)
    where = registry(settings)
    described = {
        "model": model, "metric": metric, "as_of": str(context.window.end), "seed": seed,
        "validation": f"{split.validation.isoformat()} to {split.test.isoformat()}",
        "space": {name: str(among) for name, among in space.items()},
        "given": {name: value for name, value in settings.parameters.items() if name not in space},
        **{f"delta_{name}": delta.version(context.spark, settings, name) for name in INPUTS},
    }  # fmt: skip
    run_id = search(where, f"search of {model} as of {context.window.end}", described)
    made = trials(where, run_id)
    if made:
        say(f"going on after the {len(made)} trials of MLflow run {run_id}")
    folder = scratch(context, "tune", model)
    try:
        if len(made) < count:
            with step(f"what all trials of {model} share"):
                judged = objective(facts, split, model, folder, workers(context), parameters, say)
        for number in range(len(made), count):
            values = suggestion(space, value_names(parameters), made, metric, seed)
            started, name = time.monotonic(), f"trial-{number}"
            metrics = judged(with_values(parameters, values), name)
            Folder(f"{folder}/{name}").remove()
            if metric not in metrics:
                raise ModelError(f"nobody wanted a {scope} item within the validation window: there is no {metric}")
            made.append(Trial(number, values, {**metrics, "seconds": time.monotonic() - started}))
            log_trial(where, run_id, made[-1])
            say(f"{_line(made[-1], metric)}; best so far {_best(made, metric).metrics[metric]:.4f}")
    finally:
        # The folder holds vectors of people.
        Folder(folder).remove()
        facts.wanted.unpersist()
    best = _best(made, metric)
    end_search(where, run_id, best, {"git_commit": code_version()})
    window = (split.validation.isoformat(), split.test.isoformat())
    return Search(model, metric, window, [asdict(trial) for trial in made], best.number, _lines(best), run_id)


def show(found: Search) -> None:
    """Print a search for people."""
    rows = sorted(found.trials, key=lambda trial: -trial["metrics"][found.metric])[:SHOWN]
    scores = [f"{scope}/{name}" for scope in SCOPES for name in TOLD[:2]]
    emit_table(
        f"{found.model}: the best of {len(found.trials)} trials on [{found.window[0]}, {found.window[1]})",
        ["trial", *scores, "seconds", "values"],
        [
            [row["number"], *(row["metrics"].get(name) for name in (*scores, "seconds")), _told(row["values"])]
            for row in rows
        ],
    )
    best, first = (found.trials[number]["metrics"][found.metric] for number in (found.best, 0))
    say(f"best: trial {found.best}, {found.metric} {best:.4f}, {best - first:+.4f} from trial 0")
    if found.best:
        say("to train with it, put these lines into attune.toml in the home folder; the next training judges it:")
        for line in found.lines:
            say(f"  {line}")
    say(f"kept in MLflow as run {found.run_id}; the same command with more --trials goes on from here")


def _end(settings: Settings) -> date:
    last = log.last_date(settings, USER_DAY.name, "event_date", date.max)
    if last is None:
        raise ContractError(f"{USER_DAY.name} holds no day yet; first: attune run build_features --start ... --end ...")
    return last + timedelta(days=1)


def _best(made: list[Trial], metric: str) -> Trial:
    """Of equals the earlier."""
    return max(made, key=lambda trial: (trial.metrics[metric], -trial.number))


def _line(trial: Trial, metric: str) -> str:
    seconds = trial.metrics["seconds"]
    return f"trial {trial.number}: {metric} {trial.metrics[metric]:.4f}, {seconds:.0f} s, with {_told(trial.values)}"


def _told(values: dict[str, Any]) -> str:
    shown = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in values.items()}
    return ", ".join(f"{name} {value}" for name, value in shown.items())


def _lines(best: Trial) -> list[str]:
    return ["[parameters]", *(f"{name} = {json.dumps(value)}" for name, value in best.values.items())]

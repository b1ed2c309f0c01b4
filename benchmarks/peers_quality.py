"""The project's models beside others' on the same data, split and metric code: `make bench-peers`.

One training as it runs each night gives the project's figures; the peers (benchmarks/peers_environment) get the same
positives before the same instants in an environment of their own, MLlib's ALS takes the place of ours in Spark. All
lists are judged by models/metrics.py on the test window. Peers are tuned on the validation window, for all items and
for new ones apart; ours runs with what is set for every data set.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.als_quality import SHARED
from benchmarks.console import Figures, timed
from benchmarks.peers_films import of_peers
from benchmarks.quality import FILMS, METRIC, RETAIL, films, interval, loaded
from jobs.job import Context, execute
from jobs.scratch import scratch
from jobs.train_models import inputs
from lake.console import emit_table, say, step
from lake.settings import Settings
from models.als import fit_als, item_matrix
from models.als_parameters import AlsParameters
from models.bootstrap import Replicates, replicate
from models.candidates import catalogue
from models.fitting import Log, settled, tiles_before
from models.hybrid import Parameters
from models.interactions import between, confidences
from models.lists import LISTS, model_lists
from models.metrics import SCOPES
from models.per_user import item_facts
from models.popularity import popularity
from models.promotion import HYBRID
from models.ranking_features import pairs
from models.repurchase import repurchase, usual_gaps
from models.scorers import FactorScorer
from models.split import time_split, truth
from models.tuning import candidates_of, judged_lists

HERE = Path(__file__).parent / "peers_environment"
PYTHON = Path(".venv-peers/bin/python")
MLLIB = "mllib_als"


def before(log: Log, instant: datetime, folder: str, name: str) -> DataFrame:
    """models.ranking_features.pairs of what was before the instant."""
    return settled(pairs(settled(tiles_before(log, instant)[0], folder, f"{name}-tiles"), instant), folder, name)


def hand_over(history: DataFrame, asked: DataFrame, folder: Path, name: str) -> None:
    """What the peers are given: no more of a person than which items, on how many days, how long ago."""
    history.select("user_id", "item_id", "days", F.col("x_idle").alias("age")).toPandas().to_parquet(
        folder / f"{name}.parquet", index=False
    )
    asked.toPandas().to_parquet(folder / f"{name}_users.parquet", index=False)


def wide(lists: pd.DataFrame) -> pd.DataFrame:
    """One row a user, a column a model and scope, as models.lists.model_lists gives them."""
    named = lists["model"] + "_" + lists["scope"].map(LISTS)
    return lists.assign(column=named).pivot(index="user_id", columns="column", values="items").reset_index()


def by_mllib(log: Log, instant: datetime, history: DataFrame, asked: DataFrame, folder: str) -> DataFrame:
    """Lists of MLlib's ALS on the confidences that ours learns from."""
    parameters, popular = Parameters(), popularity(history)
    numbered = catalogue(popular)
    said = confidences(tiles_before(log, instant)[0], instant, parameters.confidence)
    factors = fit_als(said, AlsParameters(solver="mllib"), f"{folder}/{MLLIB}", progress=say)
    own = repurchase(history.join(asked.select("user_id"), "user_id", "left_semi"), popular, usual_gaps(history))
    scorer = FactorScorer(MLLIB, parameters.take, item_matrix(factors, numbered.ids))
    found = candidates_of(scorer, own, numbered, parameters, factors.users)
    return settled(model_lists(found, (MLLIB,)), folder, MLLIB)


def judged(lists: DataFrame, models: tuple[str, ...], asked: DataFrame, history: DataFrame, log: Log) -> Replicates:
    """All peers' metrics on the users asked."""
    numbered = catalogue(popularity(history))
    return replicate(judged_lists(lists, asked, item_facts(history, log.items, numbered), numbered, models), models)


def beside(context: Context, work: Path) -> tuple[Replicates, dict[str, float | None]]:
    """All peers judged, and their seconds. work: a folder for what they are given and give."""
    log, folder, spark = inputs(context), scratch(context, "peers", "all"), context.spark
    split = time_split(log.wanted, context.window.as_of)
    work.mkdir(parents=True, exist_ok=True)
    parts = {}
    for part, (start, until) in {"early": (split.validation, split.test), "train": (split.test, split.end)}.items():
        history = before(log, start, folder, part)
        known = history.select("item_id").distinct()
        asked = settled(truth(between(log.wanted, start, until), history, known), folder, f"{part}-asked")
        hand_over(history, asked, work, part)
        parts[part] = history, asked
    history, asked = parts["train"]
    made: list[DataFrame] = []
    seconds: dict[str, float | None] = {
        MLLIB: timed("MLlib's ALS", lambda: made.append(by_mllib(log, split.test, history, asked, folder)))
    }
    with step("the peers of other packages"):
        subprocess.run([str(PYTHON), str(HERE / "models.py"), str(work)], check=True)
    seconds |= json.loads((work / "seconds.json").read_text())
    theirs = pd.read_parquet(work / "lists.parquet")
    models = (MLLIB, *dict.fromkeys(theirs["model"]))
    lists = made[0].join(spark.createDataFrame(wide(theirs).map(_listed)), "user_id", "outer")
    return judged(lists, models, asked, history, log), seconds


def _listed(cell: Any) -> Any:
    """Arrays as lists; of a user without a list, none."""
    if isinstance(cell, np.ndarray):
        return [str(item) for item in cell]
    return cell if isinstance(cell, str) else None


def rows_of(ours: list[dict[str, Any]], found: Replicates, seconds: dict[str, float | None]) -> list[list[Any]]:
    """Of the table: model, value and interval by scope, seconds."""
    mine = {(row["model"], row["scope"]): row for row in ours}
    rows: list[list[Any]] = []
    for model in dict.fromkeys(row["model"] for row in ours):
        told = [mine[model, scope] for scope in SCOPES]
        cells = [_cells(row[METRIC], row[f"{METRIC}_low"], row[f"{METRIC}_high"]) for row in told]
        rows.append([f"attune {model}", *chain.from_iterable(cells), None])
    for model in found.models:
        estimates = [found.estimate(model, scope, METRIC) for scope in SCOPES]
        cells = [_cells(value.value, value.low, value.high) for value in estimates]
        rows.append([model, *chain.from_iterable(cells), seconds[model]])
    return rows


def main() -> int:
    """Print the tables and the BENCH lines; 1 when a peer is better than the hybrid, or failed, 2 without data or
    environment.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=[*RETAIL, *FILMS], action="append", help="may be given again; default: all")
    parser.add_argument("--trials", type=int, default=60, help="of each model of the project's on MovieLens")
    given = parser.parse_args()
    if not PYTHON.exists():
        say(f"there is no {PYTHON}; make bench-peers makes it")
        return 2
    figures = Figures()
    for name in given.data or [*FILMS, *RETAIL]:
        if name != "complete-journey" and not SHARED.exists():
            say(f"the data is not at {SHARED}; see docs/performance.md")
            return 2
        if name in FILMS:
            _films(name, given.trials, figures)
            continue
        with tempfile.TemporaryDirectory(prefix="attune-peers-") as home:
            settings = Settings(home=Path(home), missing_consent="granted")
            days = loaded(name, RETAIL[name][0], settings)
            ours = json.loads(execute("train_models", days, settings).details["metrics"])
            found, seconds = beside(Context("peers", days, settings), Path(home) / "peers")
        columns = ["model", *(text for scope in SCOPES for text in (f"nDCG@10, {scope} items", "95 %")), "seconds"]
        emit_table(f"{name}: the project's models and its peers", columns, rows_of(ours, found, seconds))
        short, mine = name.replace("-", ""), {(row["model"], row["scope"]): row[METRIC] for row in ours}
        for scope in SCOPES:
            theirs = {model: found.estimate(model, scope, METRIC).value for model in found.models}
            for model, value in theirs.items():
                figures.add(f"peers_{short}_{model}_{scope}_ndcg10", value, "-")
            best = max(theirs, key=theirs.__getitem__)
            figures.add(f"peers_{short}_{scope}_hybrid_over_{best}", mine[HYBRID, scope] / theirs[best], ">=1")
        figures.add(f"peers_{short}_failed", list(seconds.values()).count(None), "<=0")
    return figures.end()


def _films(name: str, trials: int, figures: Figures) -> None:
    ours, _ = films(name, trials)
    with tempfile.TemporaryDirectory(prefix="attune-peers-") as work:
        found, seconds = of_peers(name, PYTHON, HERE / "models.py", Path(work))
    rows: list[list[Any]] = [[f"attune {model}", value, "", None] for model, value in ours.items()]
    for model, values in found.items():
        rows.append([model, *_cells(float(values.mean()), *interval(values)), seconds[model]])
        figures.add(f"peers_{name.replace('-', '')}_{model}_ndcg10", float(values.mean()), "-")
    emit_table(f"{name}: the project's models and its peers", ["model", "nDCG@10", "95 %", "seconds"], rows)
    best = max(found, key=lambda model: float(found[model].mean()))
    reached = max(ours.values()) / float(found[best].mean())
    figures.add(f"peers_{name.replace('-', '')}_best_over_{best}", reached, ">=1")
    figures.add(f"peers_{name.replace('-', '')}_failed", list(seconds.values()).count(None), "<=0")


def _cells(value: float, low: float, high: float) -> tuple[float, str]:
    return value, f"{low:.3f} to {high:.3f}"


if __name__ == "__main__":
    sys.exit(main())

"""Training and publishing on a small shop, with the real Delta, Spark, MLflow and Great Expectations."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from jobs import build_features, publish_snapshots, train_models
from jobs.job import Context, Report
from lake import delta
from lake.errors import ContractError, ModelError
from lake.settings import Settings
from lake.tables import CONSENTS, EVENTS, ITEMS, USERS
from lake.window import Window
from models import hybrid, tracking
from models.als import AlsParameters
from models.tracking import Registry
from serving.reader import SnapshotReader
from tests.models.data import AS_OF, purchases, shop, shop_items, table_frame

HISTORY = Window(date(2020, 1, 1), AS_OF.date())


def _context(job: str, settings: Settings, window: Window = HISTORY, **options: str) -> Context:
    return Context(job, window, settings, options)


@pytest.fixture(scope="module")
def home(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with the shop's silver tables and features; u10 has withdrawn, u11 wants no personal list."""
    settings = Settings(home=tmp_path_factory.mktemp("shop"), missing_consent="granted", shuffle_partitions=2)
    delta.append(shop(spark), settings, EVENTS, "test")
    delta.append(shop_items(spark), settings, ITEMS, "test")
    withdrawn = {"user_id": "u10", "purpose": "personalisation", "at": AS_OF - timedelta(days=1), "granted": False}
    delta.append(table_frame(spark, CONSENTS, [withdrawn]), settings, CONSENTS, "test")
    delta.append(
        table_frame(spark, USERS, [{"user_id": "u11", "personalisation_level": "segment"}]), settings, USERS, "t"
    )
    build_features.run(_context("build_features", settings))
    return settings


@pytest.fixture(scope="module")
def trained(home: Settings) -> Report:
    return train_models.run(_context("train_models", home))


@pytest.fixture(scope="module")
def published(home: Settings, trained: Report) -> Report:
    return publish_snapshots.run(_context("publish_snapshots", home))


def _registry(settings: Settings) -> Registry:
    return train_models.registry(_context("train_models", settings))


def test_first_training_makes_a_champion_with_metrics_plots_versions_and_commit(
    home: Settings, trained: Report
) -> None:
    from mlflow import MlflowClient

    where = _registry(home)
    champion = tracking.champion(where)
    assert champion is not None and str(champion) == trained.model_version and champion.as_of == HISTORY.end
    client = MlflowClient(where.uri, where.uri)
    experiment = client.get_experiment_by_name("attune/local")
    assert experiment is not None and experiment.artifact_location.startswith(home.home.as_uri())
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    named = {run.info.run_name for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert named == {"repurchase", "als", "popularity", "hybrid"}
    (als,) = [run for run in runs if run.info.run_name == "als"]
    losses = [point.value for point in client.get_metric_history(als.info.run_id, "loss")]
    assert len(losses) == AlsParameters().epochs and losses == sorted(losses, reverse=True)
    assert parent.data.params["delta_silver.events"] == "1" and parent.data.tags["git_commit"]
    assert {"all/ndcg_at_10", "new/ndcg_at_10_low", "all/coverage_at_20", "seconds/rank"} <= set(parent.data.metrics)
    plots = {item.path for item in client.list_artifacts(parent.info.run_id, "plots")}
    assert plots == {f"plots/{name}.png" for name in ("ndcg_at_10_by_model", "rfm_segments", "score_distributions")}


def test_metric_table_has_every_model_in_both_scopes(trained: Report) -> None:
    rows = json.loads(trained.details["metrics"])
    assert {(row["model"], row["scope"]) for row in rows} == {
        (model, scope) for model in (*hybrid.SOURCES, "hybrid") for scope in ("all", "new")
    }
    for row in rows:
        for k in (5, 10, 20):
            assert 0 <= row[f"ndcg@{k}_low"] <= row[f"ndcg@{k}"] <= row[f"ndcg@{k}_high"] <= 1 + 1e-9
    assert {row["ndcg@10"] for row in rows if row["model"] == "repurchase" and row["scope"] == "new"} == {0.0}


def test_logged_model_is_code_and_json_and_scores_like_our_own_loader(home: Settings, trained: Report) -> None:
    import mlflow
    from xgboost import Booster

    where = _registry(home)
    champion = tracking.champion(where)
    assert champion is not None
    ranker = tracking.load_ranker(where, champion)
    served = mlflow.pyfunc.load_model(f"models:/{champion}")
    frame = pd.DataFrame(np.random.default_rng(0).random((5, len(ranker.features))), columns=list(ranker.features))
    expected = Booster(model_file=bytearray(ranker.booster.encode())).inplace_predict(frame.to_numpy(np.float32))
    np.testing.assert_allclose(served.predict(frame), expected)
    files = {path.name for path in (home.home / "mlartifacts").rglob("*") if path.is_file()}
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".cloudpickle"))]


def test_no_user_id_reaches_mlflow(home: Settings, trained: Report) -> None:
    for path in [home.home / "mlflow.db", *(home.home / "mlartifacts").rglob("*")]:
        if path.is_file() and path.suffix != ".png":
            assert b"u07" not in path.read_bytes(), path.name


def test_young_champion_skips_training_without_starting_spark(home: Settings, trained: Report) -> None:
    context = _context("train_models", home, Window.day(HISTORY.end + timedelta(days=5)))
    report = train_models.run(context)
    assert report.skipped is not None and "6 days old; trains every 7" in report.skipped
    assert "spark" not in context.__dict__


def test_equal_challenger_leaves_the_champion_and_the_next_night_does_not_train_again(
    home: Settings, published: Report
) -> None:
    where = _registry(home)
    before = tracking.champion(where)
    assert before is not None
    later = Window.day(HISTORY.end + timedelta(days=6))
    report = train_models.run(_context("train_models", home, later))
    after = tracking.champion(where)
    assert after is not None and report.skipped is None
    assert report.details["promoted"] is False and "does not beat" in report.details["decision"]
    assert replace(after, checked=before.checked) == before and after.checked == later.end
    assert {row["model"] for row in json.loads(report.details["metrics"])} >= {"champion", "hybrid"}
    assert train_models.run(_context("train_models", home, later)).skipped


def test_published_lists_keep_the_policy_and_reach_the_reader(home: Settings, published: Report) -> None:
    reader = SnapshotReader(str(home.lake))
    answer = reader.recommend("u04", 20)
    assert answer.snapshot_id == published.details["snapshot"] and answer.rung == "personal"
    shown = [item.item_id for item in answer.items]
    assert shown[0] == "i04" and str(answer.items[0].reason).startswith("You bought this on 20 days, last on ")
    for user in ("u02", "u05", "nobody"):
        assert not {"i01", "i02"} & {item.item_id for item in reader.recommend(user, 20).items}
    assert reader.recommend("u10", 5).rung == "global"
    assert reader.recommend("u11", 5, segment=None).rung in ("segment", "country", "global")
    assert reader.recommend("u11", 5, country="GB").rung != "personal"


def test_publishing_again_gives_the_same_snapshot(home: Settings, published: Report) -> None:
    again = publish_snapshots.run(_context("publish_snapshots", home))
    assert again.details["snapshot"] == published.details["snapshot"]


def test_publishing_an_earlier_day_leaves_readers_what_they_have(home: Settings, published: Report) -> None:
    earlier = Window(HISTORY.start, HISTORY.end - timedelta(days=1))
    report = publish_snapshots.run(_context("publish_snapshots", home, earlier))
    assert report.skipped is not None and f"later than {earlier.end}" in report.skipped
    assert SnapshotReader(str(home.lake)).snapshot.snapshot_id == published.details["snapshot"]


def test_publishing_without_a_champion_says_to_train(settings: Settings) -> None:
    with pytest.raises(ModelError, match="attune run train_models"):
        publish_snapshots.run(_context("publish_snapshots", settings))


def test_publishing_without_features_of_the_day_says_to_build_them(home: Settings, trained: Report) -> None:
    window = Window.day(HISTORY.end + timedelta(days=30))
    with pytest.raises(ContractError, match="attune run build_features"):
        publish_snapshots.run(_context("publish_snapshots", home, window))


def test_training_without_events_says_to_clean_them(settings: Settings) -> None:
    with pytest.raises(ContractError, match="attune run clean_events"):
        train_models.run(_context("train_models", settings))


def test_training_on_too_little_says_how_much_is_needed(spark: SparkSession, settings: Settings) -> None:
    delta.append(purchases(spark, [(f"u{n}", "a", n + 1) for n in range(8)]), settings, EVENTS, "test")
    build_features.run(_context("build_features", settings))
    with pytest.raises(ModelError, match="at least 5 are needed"):
        train_models.run(_context("train_models", settings))


def test_source_names_that_a_registry_refuses_are_replaced(tmp_path: Path) -> None:
    where = Registry("sqlite://", ("shop/été", "b"), tmp_path)
    assert where.model == "attune-shop--t--b" and where.experiment == "attune/shop/été+b"

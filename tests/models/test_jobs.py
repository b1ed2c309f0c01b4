"""Training and publishing on a small shop, with the real Delta, Spark, MLflow and Great Expectations."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from jobs import build_features, compare, publish_snapshots, train_models, tune
from jobs.job import Context, Report
from jobs.kept_sources import last_kept
from jobs.parameters import parameters_of
from lake import delta
from lake.errors import AttuneError, ContractError, ModelError
from lake.settings import Settings
from lake.tables import CONSENTS, EVENTS, ITEMS, RFM, USER_DAY, USER_ITEM_DAY, USERS
from lake.window import Window
from models import hybrid, tracking
from models.als import AlsParameters
from models.cold_start import DEPTH, ladder_lists
from models.hybrid import Parameters
from models.promotion import HYBRID
from models.ranking_features import Facts, pairs
from models.snapshot import fallback_lists
from models.tracking import Registry
from models.trials import trials
from models.values import value_names
from serving.reader import SnapshotReader
from tests.models.data import AS_OF, shop, shop_items, table_frame

# Eight users without history, who want the newest item or the sensitive one within the window that is judged; eight who
# had wanted one thing long before; and that newest item, first wanted a week before the window by eight of the shop's.
COLD = [(f"late{n}", "i90" if n % 2 else "i01", 3 + n / 10) for n in range(8)]
COLD += [(f"once{n}", f"i{n:02d}", days) for n in range(8) for days in (100, 4 + n / 10)]
COLD += [(f"u{n}", "i90", days) for n in range(20, 28) for days in (24, 5)]
HISTORY = Window(date(2020, 1, 1), AS_OF.date())
LATER = Window.day(HISTORY.end + timedelta(days=6))


def _context(job: str, settings: Settings, window: Window = HISTORY, **options: str) -> Context:
    return Context(job, window, settings, options)


@pytest.fixture(scope="module")
def home(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with the shop's silver tables and features; u10 has withdrawn, u11 wants no personal list."""
    settings = Settings(
        home=tmp_path_factory.mktemp("shop"), missing_consent="granted", shuffle_partitions=2,
        parameters={"label_windows": 3},
    )  # fmt: skip
    delta.append(shop(spark, others=COLD), settings, EVENTS, "test")
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
    return train_models.registry(settings)


def test_first_training_makes_a_champion_with_metrics_plots_versions_and_commit(
    home: Settings, trained: Report
) -> None:
    import mlflow
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
    assert named == {*hybrid.SOURCES, "hybrid", "ladder"}
    (als,) = [run for run in runs if run.info.run_name == "als"]
    losses = [point.value for point in client.get_metric_history(als.info.run_id, "loss")]
    assert len(losses) == AlsParameters().epochs and losses == sorted(losses, reverse=True)
    assert parent.data.params["delta_silver.events"] == "1" and parent.data.tags["git_commit"]
    assert {
        "all/ndcg_at_10", "new/ndcg_at_10_low", "all/coverage_at_20", "all/recall_ceiling", "seconds/rank",
    } <= set(parent.data.metrics)  # fmt: skip
    assert {"all/popularity_bias_at_10_high", "new/novelty_at_20", "all/gini_at_5"} <= set(parent.data.metrics)
    for group in ("activity/low", "history/warm", "country/gb"):
        assert parent.data.metrics[f"all/{group}/users"] >= 5
        assert 0 <= parent.data.metrics[f"all/{group}/ndcg_at_10_low"] <= 1
    table = mlflow.artifacts.load_dict(f"runs:/{parent.info.run_id}/metrics_by_group.json")
    assert {row["model"] for row in table} == named and {row["scope"] for row in table} == {"all", "new"}
    plots = {item.path for item in client.list_artifacts(parent.info.run_id, "plots")}
    assert plots == {
        f"plots/{name}.png"
        for name in (
            "affinity_lifts", "ndcg_at_10_by_model", "rfm_segments", "score_distributions", "reliability",
            "wanted_by_intent", "engagement", "active_when_and_where", "preferred_when_and_where",
        )
    }  # fmt: skip


def test_training_keeps_how_its_probabilities_came_true(home: Settings, trained: Report) -> None:
    import mlflow
    from mlflow import MlflowClient

    where = _registry(home)
    champion = tracking.champion(where)
    assert champion is not None
    calibration = tracking.load_ranker(where, champion).calibration
    assert calibration is not None and 1 < calibration.days < 20
    client = MlflowClient(where.uri, where.uri)
    run = client.get_run(client.get_model_version(champion.name, champion.version).run_id)
    told = {key: value for key, value in run.data.metrics.items() if key.startswith("calibration/")}
    figures = json.loads(trained.details["calibration"])
    names = {"all": "calibration", "new": "calibration/new"}
    assert told == pytest.approx(
        {f"{names[scope]}/{name}": value for scope in names for name, value in figures[scope].items()}
    )
    assert told["calibration/days"] == pytest.approx(calibration.days)
    # A shop of habits: trees of other people know what people want, better than its rate of wants does.
    assert told["calibration/foretold_over_observed"] == pytest.approx(1.0, abs=0.25)
    assert 0 <= told["calibration/ece"] < 0.05 and told["calibration/brier_skill"] > 0.3
    kept = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/reliability.json")
    for scope, table in kept.items():
        assert table["ece"] == told[f"{names[scope]}/ece"]
        assert table["pairs"] == sum(bin["pairs"] for bin in table["bins"])
        for bin in table["bins"]:
            assert 0 <= bin["low"] <= bin["observed"] <= bin["high"] <= 1
    assert kept["new"]["pairs"] < kept["all"]["pairs"]


def test_metric_table_has_every_model_in_both_scopes(trained: Report) -> None:
    rows = json.loads(trained.details["metrics"])
    assert {(row["model"], row["scope"]) for row in rows} == {
        (model, scope) for model in (*hybrid.SOURCES, "hybrid", "ladder") for scope in ("all", "new")
    }
    for row in rows:
        for k in (5, 10, 20):
            assert 0 <= row[f"ndcg@{k}_low"] <= row[f"ndcg@{k}"] <= row[f"ndcg@{k}_high"] <= 1 + 1e-9
    assert {row["ndcg@10"] for row in rows if row["model"] == "repurchase" and row["scope"] == "new"} == {0.0}
    (popular,) = [row for row in rows if row["model"] == "popularity" and row["scope"] == "all"]
    assert popular["serendipity@10"] == 0 and popular["gini@10"] > 0.5 and popular["novelty@10"] > 0
    # The titles of the shop tell no item from another: nothing can be said of diversity.
    assert popular["diversity@10"] is None and popular["miscalibration@10"] > 0


def test_cold_start_is_told_by_acquaintance_and_of_new_items_beside_the_ladder(home: Settings, trained: Report) -> None:
    import mlflow
    from mlflow import MlflowClient

    where = _registry(home)
    client = MlflowClient(where.uri, where.uri)
    champion = client.get_model_version(where.model, "1")
    kept = mlflow.artifacts.load_dict(f"runs:/{champion.run_id}/cold_start.json")
    assert kept == json.loads(trained.details["cold_start"])
    stages: dict[str, dict[str, Any]] = {}
    for row in kept["stages"]:
        stages.setdefault(row["stage"], {})[row["model"]] = row
    everyone = {*hybrid.SOURCES, "hybrid", "ladder"}
    assert {stage: set(found) for stage, found in stages.items()} == {
        "users_0": {"popularity", "ladder"}, "users_1": everyone, "users_6_or_more": everyone, "items_new": everyone,
    }  # fmt: skip
    assert [stages[stage]["ladder"]["users"] for stage in ("users_0", "users_1", "items_new")] == [8, 8, 8]
    for found in stages.values():
        for row in found.values():
            for metric in ("ndcg@10", "recall@10", "hit_rate@10"):
                assert 0 <= row[f"{metric}_low"] <= row[metric] <= row[f"{metric}_high"] <= 1
                less = row[metric] - found["ladder"][metric]
                assert row[f"{metric}_less_ladder"] == pytest.approx(less, abs=2e-6)
    # Both of the items are popular; i01 must not be shown.
    assert {name: row["hit_rate@10"] for name, row in stages["users_0"].items()} == {"popularity": 1.0, "ladder": 0.5}
    # Whoever has a favourite is known well.
    well = stages["users_6_or_more"]["hybrid"]
    assert well["ndcg@10_less_ladder_low"] > 0
    wants = {row["kind"]: row for row in kept["wants"]}
    assert (wants["new"]["items"], wants["new"]["wants"], wants["unwanted"]["wants"]) == (1, 12, 0)
    assert sum(row["share"] for row in wants.values()) == pytest.approx(1)
    metrics = client.get_run(champion.run_id).data.metrics
    assert metrics["cold_start/users_0/ladder/hit_rate_at_10"] == 0.5
    assert metrics["cold_start/users_6_or_more/hybrid/ndcg_at_10_less_ladder"] == well["ndcg@10_less_ladder"]
    assert metrics["cold_start/wants/new/share"] == pytest.approx(wants["new"]["share"])
    # The strangers are no part of what everything else is measured on.
    assert {row["users"] for row in json.loads(trained.details["metrics"]) if row["scope"] == "all"} == {57}


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


@pytest.fixture(scope="module")
def trained_again(home: Settings, published: Report) -> Report:
    changed = home.model_copy(update={"diversity": 0.8, "parameters": {"ranker.n_estimators": 90, "label_windows": 1}})
    return train_models.run(_context("train_models", changed, LATER))


def test_varied_lists_are_judged_as_published_and_their_price_is_told(trained_again: Report) -> None:
    rows = {(row["model"], row["scope"]): row for row in json.loads(trained_again.details["metrics"])}
    told = json.loads(trained_again.details["diversity_price"])
    for scope in ("all", "new"):
        cost = rows["hybrid_diverse", scope]["ndcg@10"] - rows["hybrid", scope]["ndcg@10"]
        assert told[f"price_of_diversity/{scope}/ndcg_at_10"] == pytest.approx(cost, abs=2e-6)
    # Two categories by turns are not what people of one taste want next.
    assert rows["hybrid_diverse", "new"]["ndcg@10"] < rows["hybrid", "new"]["ndcg@10"]


def test_a_model_knows_by_which_parameters_it_was_made(
    home: Settings, trained_again: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    where = _registry(home)
    first, second = (tracking.load_ranker(where, tracking.find(where, number)) for number in ("1", "2"))
    boosters = [json.loads(ranker.booster)["learner"]["gradient_booster"] for ranker in (first, second)]
    trees = [len(booster["model"]["trees"]) for booster in boosters]
    assert first.given == {"label_windows": 3} and trees == [100, 90]
    assert second.given == {"ranker.n_estimators": 90, "label_windows": 1}
    # Other trees order the same candidates; other sources would give others.
    champion = tracking.champion(where)
    assert train_models._old_ranker(where, champion, {"ranker.max_depth": 3, "label_windows": 2}) == first
    assert train_models._old_ranker(where, champion, {"als.rank": 8}) is None
    assert "ranks by sources of other parameters: not compared (defaults)" in capsys.readouterr().err
    with pytest.raises(ModelError, match=r"no candidates in common .v1: the defaults; v2: {'als.rank': 8}"):
        compare._given({"v1": first, "v2": replace(second, given={"als.rank": 8})})


def test_a_wrong_parameter_is_told_before_anything_is_fitted(home: Settings) -> None:
    context = _context("train_models", home.model_copy(update={"parameters": {"als.rnk": 8}}), LATER, force="true")
    with pytest.raises(ModelError, match=r"there is no parameter 'als.rnk'; allowed: alike.least_items"):
        train_models.run(context)
    assert "spark" not in context.__dict__


@pytest.mark.parametrize(
    ("model", "counts"), [("als", (1, 3)), ("next", (2,)), ("alike", (1,)), ("together", (1,)), (HYBRID, (2,))]
)
def test_a_search_judges_settings_on_the_validation_window_and_goes_on(
    home: Settings, trained: Report, capsys: pytest.CaptureFixture[str], model: str, counts: tuple[int, ...]
) -> None:
    split = json.loads(trained.details["split"])
    for count in counts:
        found = tune.tune(home, model, count, HISTORY.end, scope="new")
    assert [datetime.fromisoformat(text) for text in found.window] == [
        datetime.fromisoformat(split[name]) for name in ("validation", "test")
    ]
    assert [trial["number"] for trial in found.trials] == list(range(counts[-1]))
    defaults = value_names(Parameters())
    assert all(defaults[name] == value for name, value in found.trials[0]["values"].items())
    # What is worth most in the shop is known to every model: nobody's favourites are anybody's secret.
    assert all(0.1 < trial["metrics"]["new/ndcg@10"] <= 1 for trial in found.trials[:1])
    assert found.best == max(found.trials, key=lambda trial: trial["metrics"]["new/ndcg@10"])["number"]
    assert [trial.number for trial in trials(_registry(home), found.run_id)] == list(range(counts[-1]))
    assert not list((home.checkpoints / "als").glob("tune-*")), "vectors of people stay"
    tune.show(found)
    captured = capsys.readouterr()
    assert f"{model}: the best of {counts[-1]} trials" in captured.out and "best: trial" in captured.err
    assert ("going on after the 1 trials" in captured.err) == (len(counts) > 1)
    name, value = next(iter(found.trials[found.best]["values"].items()))
    assert found.lines[:2] == ["[parameters]", f"{name} = {json.dumps(value)}"]


def test_a_search_of_the_ranker_needs_a_label_window_before_the_one_that_judges(home: Settings) -> None:
    short = home.model_copy(update={"parameters": {"label_windows": 2}})
    with pytest.raises(ModelError, match=r"got label_windows = 2.*allowed for a search: 3 or more"):
        tune.tune(short, HYBRID, 1, HISTORY.end, scope="new")


def test_equal_challenger_leaves_the_champion_and_the_next_night_does_not_train_again(
    home: Settings, trained_again: Report
) -> None:
    champion = tracking.champion(_registry(home))
    assert champion is not None and trained_again.skipped is None
    assert trained_again.details["promoted"] is False and "does not beat" in trained_again.details["decision"]
    assert (champion.version, champion.as_of, champion.checked) == ("1", HISTORY.end, LATER.end)
    assert {row["model"] for row in json.loads(trained_again.details["metrics"])} >= {"champion", "hybrid"}
    assert train_models.run(_context("train_models", home, LATER)).skipped


def test_compare_shows_versions_and_sources_on_the_same_users_and_moves_nothing(
    home: Settings, trained_again: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    where = _registry(home)
    before = tracking.champion(where)
    found = compare.compare(home, [])
    assert found.versions == {"v1": "attune-local/1", "v2": "attune-local/2"} and found.baseline == "v1"
    # The window is that of the newest version's training: so are its figures, whoever is judged beside it.
    names = {"v1": "champion", "v2": "hybrid"}
    then = {(row["model"], row["scope"]): row for row in json.loads(trained_again.details["metrics"])}
    now = {(row["model"], row["scope"]): row for row in found.metrics}
    assert {(names.get(model, model), scope) for model, scope in now} == {
        key for key in then if key[0] != "hybrid_diverse"
    }
    for (model, scope), row in now.items():
        assert row["ndcg@10"] == pytest.approx(then[names.get(model, model), scope]["ndcg@10"], abs=1e-6)
    assert {row["model"] for row in found.differences} == {"v2", "ladder", *hybrid.SOURCES}
    for row in found.differences:
        own, champions = now[row["model"], row["scope"]], now["v1", row["scope"]]
        assert row["ndcg@10"] == pytest.approx(own["ndcg@10"] - champions["ndcg@10"], abs=2e-6)
        assert row["ndcg@10_low"] <= row["ndcg@10"] + 1e-9 and row["ndcg@10"] - 1e-9 <= row["ndcg@10_high"]
    kept = mlflow.artifacts.load_dict(f"runs:/{found.run_id}/differences.json")
    assert kept == found.differences and tracking.champion(where) == before
    compare.show(found)
    told = {row["stage"]: row["users"] for row in found.cold_start["stages"]}
    assert told == {row["stage"]: row["users"] for row in json.loads(trained_again.details["cold_start"])["stages"]}
    # v2 is the newest training's: its probabilities came true as that training said.
    foretold = json.loads(trained_again.details["calibration"])
    assert set(found.reliability["v2"]) == set(foretold) != set()
    for scope, figures in foretold.items():
        assert found.reliability["v2"][scope] == pytest.approx(figures, abs=1e-6)
    captured = capsys.readouterr()
    shown = captured.out
    assert "probabilities of v2, all candidates: ece" in captured.err
    assert "difference from v1, beyond accuracy, new items" in shown
    assert "cold start (95 % interval)" in shown and "what was wanted, by kind of item" in shown


@pytest.mark.parametrize(
    ("asked", "end", "said"),
    [
        (["9"], None, "there is no version '9' of attune-local in sqlite.*allowed: champion, challenger, or a number"),
        (["the best"], None, "there is no version 'the best'"),
        (["attune-other-shop/1"], None, "attune-other-shop/1 is a model of other sources.*attune-local"),
        (["attune-local/1"], date(2020, 5, 1), "asked about what it has seen. Allowed: 2020-06-01 or"),
    ],
)
def test_compare_says_what_cannot_be_compared_and_what_can(
    home: Settings, trained: Report, asked: list[str], end: date | None, said: str
) -> None:
    with pytest.raises(AttuneError, match=said):
        compare.compare(home, asked, end)


def test_a_version_whose_features_are_gone_is_refused_before_anything_is_fitted(
    home: Settings, trained: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, *left = hybrid.FEATURES
    monkeypatch.setattr(hybrid, "FEATURES", tuple(left))
    with pytest.raises(ModelError, match=rf"attune-local/1 ranks by features this code no longer has \({gone}\)"):
        compare.compare(home, ["attune-local/1"])


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


def test_the_ladder_that_is_judged_is_the_one_that_readers_go_down(
    spark: SparkSession, home: Settings, published: Report
) -> None:
    tiles = delta.read(spark, home, USER_ITEM_DAY.name).where("user_id <> 'u10'")
    rfm = delta.read(spark, home, RFM.name).where("user_id <> 'u10'")
    facts = Facts(pairs(tiles, AS_OF), rfm, rfm, delta.read(spark, home, ITEMS.name), AS_OF)
    users = spark.createDataFrame([("late0",), ("u04",), ("u20",), ("nobody",)], "user_id string")
    days = delta.read(spark, home, USER_DAY.name)
    found = ladder_lists(users, days, facts, fallback_lists(facts, DEPTH)).join(rfm, "user_id", "left").collect()
    reader = SnapshotReader(str(home.lake))
    for row in found:
        answer = reader.recommend("no list", 20, segment=row.segment, country=row.country)
        assert [item.item_id for item in answer.items] == row.ladder_items
    assert len({tuple(row.ladder_items) for row in found}) > 1


def test_publishing_again_gives_the_same_snapshot_of_the_sources_that_were_kept(
    home: Settings, published: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    again = publish_snapshots.run(_context("publish_snapshots", home))
    assert again.details["snapshot"] == published.details["snapshot"]
    assert "nothing they are made of has changed" in capsys.readouterr().err


def test_sources_made_of_anything_else_are_fitted_anew(home: Settings, published: Report) -> None:
    context, given = _context("publish_snapshots", home), parameters_of(home)
    assert last_kept(context, given) is not None
    assert last_kept(context, replace(given, few=given.few + 1)) is None
    withdrawn = home.model_copy(update={"missing_consent": "withdrawn"})
    assert last_kept(_context("publish_snapshots", withdrawn), given) is None
    assert last_kept(_context("publish_snapshots", home, LATER), given) is None


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


def test_training_on_too_little_says_how_much_is_needed(home: Settings) -> None:
    # Five days of purchases, one of each user.
    early = Window.day((AS_OF - timedelta(days=136)).date())
    with pytest.raises(ModelError, match="at least 5 are needed"):
        train_models.run(_context("train_models", home, early, force="true"))


def test_source_names_that_a_registry_refuses_are_replaced(tmp_path: Path) -> None:
    where = Registry("sqlite://", ("shop/été", "b"), tmp_path)
    assert where.model == "attune-shop--t--b" and where.experiment == "attune/shop/été+b"

"""What is kept in MLflow beside trainings."""

from __future__ import annotations

from datetime import date

from lake.settings import Settings
from models import tracking
from models.plots import holdout_by_frequency
from models.tracking import Evaluation, Registry


def test_an_evaluation_is_a_run_with_metrics_parameters_plot_and_table(settings: Settings) -> None:
    from mlflow import MlflowClient

    where = Registry(settings.tracking_uri, ("cdnow",), settings.home / "mlartifacts")
    figure = holdout_by_frequency([0.2, 1.0, 3.0], [0.1, 1.1, 2.9], "three bins")
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert shown == ["0", "1", "2+"]
    found = Evaluation(
        as_of=date(1997, 10, 1), parameters={"users": 2357}, metrics={"r": 0.243}, tags={"git_commit": "abc"},
        children=(), plots={"plot": figure}, tables={"rows": [1]},
    )  # fmt: skip
    client = MlflowClient(where.uri, where.uri)
    run = client.get_run(tracking.log_evaluation(where, "value", found))
    assert (run.info.status, run.data.metrics, run.data.params["users"]) == ("FINISHED", {"r": 0.243}, "2357")
    assert run.data.tags["git_commit"] == "abc" and run.info.run_name == "value"
    assert {item.path for item in client.list_artifacts(run.info.run_id)} == {"plots", "rows.json"}

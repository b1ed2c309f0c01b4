"""The main job in one process, on a real slice of Online Retail II: the first nine weeks of its lines."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.demo import run_demo
from jobs.summary import Summary, show
from lake.runs import newest_done
from lake.settings import Settings
from lake.window import Window
from models import hybrid

SLICE = Window(date(2009, 12, 1), date(2010, 2, 1))


@pytest.fixture(scope="module")
def slice_file(online_retail_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The header and the lines of the slice's days, which come first in the file."""
    path = tmp_path_factory.mktemp("retail") / "slice.csv"
    with gzip.open(online_retail_file, "rt", encoding="utf-8") as lines, path.open("w", encoding="utf-8") as kept:
        for line in lines:
            if ",2010-02-01 " in line:
                break
            kept.write(line)
    return path


@pytest.fixture(scope="module")
def done(spark: SparkSession, slice_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Summary]:
    settings = Settings(home=tmp_path_factory.mktemp("demo"), missing_consent="granted", shuffle_partitions=2)
    return settings, run_demo(settings, "online-retail-ii", slice_file, nights=0, days=SLICE)


def test_every_line_of_the_slice_is_accounted_for(done: tuple[Settings, Summary], slice_file: Path) -> None:
    settings, summary = done
    with slice_file.open(encoding="utf-8", newline="") as lines:
        landed = sum(1 for _ in lines) - 1
    books = summary.books
    assert books["read"] == landed == books["clean"] + books["rejected"] + books["duplicate"]
    # The share of lines without a customer in the whole file is 22.8 %.
    assert 0.15 < books["rejected: user_id missing"] / landed < 0.45
    events = DeltaTable(settings.lake / "silver" / "events").to_pyarrow_table(columns=["event_type"])
    assert events.num_rows == books["clean"]
    assert set(events["event_type"].to_pylist()) == {"purchase", "return"}


def test_the_ranker_of_a_demo_learns_from_one_label_window(done: tuple[Settings, Summary]) -> None:
    settings, _ = done
    trained = newest_done(settings, "train_models", SLICE)
    assert trained is not None and len(json.loads(trained["details"]["split"])["labels"]) == 1


def test_the_slice_ends_in_segments_metrics_of_all_models_and_lists_with_names_and_reasons(
    done: tuple[Settings, Summary], capsys: pytest.CaptureFixture[str]
) -> None:
    _, summary = done
    assert sum(summary.segments.values()) > 500
    assert {row["model"] for row in summary.metrics} == {*hybrid.SOURCES, "hybrid", "ladder"}
    by_model = {row["model"]: row["ndcg@10"] for row in summary.metrics if row["scope"] == "all"}
    assert by_model["hybrid"] > by_model["popularity"] > 0
    cold = {(row["stage"], row["model"]): row for row in summary.cold_start["stages"]}
    assert cold["users_0", "ladder"]["users"] > 50 and cold["users_0", "ladder"]["hit_rate@10"] > 0
    assert len(summary.lists) == 3
    for answer in summary.lists:
        assert answer.items and all(item.title and item.reason for item in answer.items)
    show(summary)
    printed = capsys.readouterr().out
    for heading in (
        "rows, by what became of them",
        "users by RFM segment",
        "models on the test window",
        "cold start (95 % interval)",
        "where to look",
    ):
        assert heading in printed

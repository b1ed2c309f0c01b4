"""Folders of jobs at work: gone with the job, and some days after a job that was killed."""

from __future__ import annotations

import os
import shutil
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.job import Context
from jobs.scratch import STALE_DAYS, scratch, settled
from lake.settings import Settings
from lake.window import Window


def night(settings: Settings, number: int) -> Context:
    return Context("train_models", Window.day(date(2026, 3, 1) + timedelta(days=number)), settings)


def _age(folder: Path) -> None:
    past = time.time() - (STALE_DAYS + 1) * 86400
    os.utime(folder, (past, past))


def test_what_a_killed_job_left_goes_when_nobody_comes_back(settings: Settings) -> None:
    old, young = (Path(scratch(night(settings, number), "train_models", "test")) for number in (0, 1))
    for folder in (old, young):
        folder.mkdir(parents=True)
    _age(old)
    assert scratch(night(settings, 1), "train_models", "test") == str(young)
    assert young.exists() and not old.exists()


def test_a_settled_frame_is_computed_once_and_leaves_nothing(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    """It does not ask its source again; and leaves nothing also when its reader fails."""
    home, source = settings.checkpoints / "settled", tmp_path / "source"
    spark.range(3).write.parquet(str(source))
    read = spark.read.parquet(str(source))
    with settled(read, night(settings, 0), "copying") as copied:
        shutil.rmtree(source)
        assert copied.count() == 3
        assert len(list(home.iterdir())) == 1
    assert not list(home.iterdir())
    with pytest.raises(ValueError, match="no"), settled(spark.range(1).toDF("number"), night(settings, 0), "counting"):
        raise ValueError("no")
    assert not list(home.iterdir())


def test_what_a_killed_run_had_settled_goes_after_some_days(spark: SparkSession, settings: Settings) -> None:
    old, young = (settings.checkpoints / "settled" / name for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
    _age(old)
    with settled(spark.range(1).toDF("number"), night(settings, 0), "counting"):
        assert young.exists() and not old.exists()

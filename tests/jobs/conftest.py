"""What the tests of jobs share."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from jobs.job import Report
from lake.settings import Settings
from tests.jobs.story import lived


@pytest.fixture(scope="session")
def story(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Settings, Report]]:
    """Homes after each of three nights, to be read or copied, and what the nights reported."""
    return lived(spark, tmp_path_factory.mktemp("story"))

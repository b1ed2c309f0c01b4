"""Two snapshots, published once; each test works on its own copy of the lake."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake.settings import Settings
from tests.serving.lists import DAY, publish_marked


@dataclass(frozen=True)
class Published:
    """An installation with two published snapshots, "first" of DAY and "second" of the day after."""

    settings: Settings
    first: str
    second: str


@pytest.fixture(scope="session")
def published_once(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Published once; never changed."""
    home = tmp_path_factory.mktemp("published")
    settings = Settings(home=home, missing_consent="granted", shuffle_partitions=2)
    first = publish_marked(spark, settings, "first", DAY)
    return Published(settings, first, publish_marked(spark, settings, "second", DAY + timedelta(days=1)))


@pytest.fixture
def published(published_once: Published, tmp_path: Path) -> Published:
    """A copy of its own: Delta's paths are relative, so a lake can be copied."""
    home = tmp_path / "home"
    shutil.copytree(published_once.settings.lake, home / "lake")
    return Published(
        published_once.settings.model_copy(update={"home": home}), published_once.first, published_once.second
    )

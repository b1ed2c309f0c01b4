"""One Spark session for the unit tests of a process, a home of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from xdist.scheduler import LoadScopeScheduling

from lake.session import session
from lake.settings import Settings

# Spark's expressions are evaluated as they are. Each query runs once or twice on a few rows: compiling them would be a
# quarter of the time. tests/e2e/test_cluster.py compiles as production does.
INTERPRETED = "-Dspark.sql.codegen.wholeStage=false -Dspark.sql.codegen.factoryMode=NO_CODEGEN"
RELUCTANT_C2 = (
    "-XX:Tier4InvocationThreshold=20000 -XX:Tier4MinInvocationThreshold=5000 -XX:Tier4CompileThreshold=40000 "
    "-XX:Tier4BackEdgeThreshold=150000"
)
E2E = "tests/e2e/"
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests with real processes, a third of the time, begin."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


class ByModule(LoadScopeScheduling):
    """Where tests are divided among processes, a module's stay together, and so do all of e2e, which share a shop.

    Marks of --dist loadgroup would say the same, but xdist 3.8 does not see them under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return E2E if module.startswith(E2E) else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """How `pytest -n` divides the tests."""
    return ByModule(config, log)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session of the unit suite: local, two cores, few partitions."""
    home = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        # Thousands of plans run through the same code a few times each: only what is hottest is worth C2's time.
        patch.setenv("JDK_JAVA_OPTIONS", RELUCTANT_C2)
        patch.setenv("SPARK_SUBMIT_OPTS", INTERPRETED)
        running = session(Settings(home=home, spark_memory="2g", shuffle_partitions=2), "attune tests")
    yield running
    running.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """An empty installation in which a missing consent means granted."""
    yield Settings(home=tmp_path / "home", missing_consent="granted", shuffle_partitions=2)
    _forget_tables()


@pytest.fixture(scope="module", autouse=True)
def _module_ends() -> Iterator[None]:
    yield
    _forget_tables()


def _forget_tables() -> None:
    """Delta remembers a table for an hour, in three megabytes: the hundreds of the suite would fill the heap."""
    running = SparkSession.getActiveSession()
    if running is not None:
        running._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]


@pytest.fixture(scope="session")
def online_retail_file() -> Path:
    """The real Online Retail II; skips where it is absent."""
    path = SHARED_DATA / "online-retail-ii" / "online_retail_II.csv.gz"
    if not path.exists():
        pytest.skip(f"Online Retail II is not at {path}")
    return path


@pytest.fixture(scope="session")
def movielens_1m_folder() -> Path:
    """The real MovieLens-1M; skips where it is absent."""
    path = SHARED_DATA / "movielens-1m"
    if not path.exists():
        pytest.skip(f"MovieLens-1M is not at {path}")
    return path

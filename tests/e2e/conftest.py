"""What the tests with real processes share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import INTERPRETED
from tests.e2e.shop import Shop, open_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A small installation with six weeks of history; a test that changes it says so by working on later days."""
    return open_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="package", autouse=True)
def _short_lived() -> Iterator[None]:
    """Compiling the code of processes that live for a minute as if for hours takes half of the machine, and so few rows
    do not ask for code of their queries' own either; the cluster's do, and make the same tables (test_cluster.py).
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_SUBMIT_OPTS", INTERPRETED)
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1", prepend=" ")
        yield

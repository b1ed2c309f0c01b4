"""What the tests with real processes share."""

from __future__ import annotations

import pytest

from tests.e2e.shop import Shop, open_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A small installation with six weeks of history; a test that changes it says so by working on later days."""
    return open_shop(tmp_path_factory.mktemp("shop"))

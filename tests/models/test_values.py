"""Parameters by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.parameters import parameters_of
from lake import settings as settings_module
from lake.errors import ModelError, SettingError
from lake.settings import Settings
from models.hybrid import Parameters
from models.values import of_sources, value_names, with_values


def test_a_value_replaces_the_one_of_its_name_and_nothing_else() -> None:
    given = {"als.rank": 32, "linear.windows.days": 20, "confidence.damping": "log", "take": 60.0}
    found = value_names(with_values(Parameters(), given))
    assert {name: value for name, value in found.items() if value != value_names(Parameters())[name]} == given
    assert isinstance(found["take"], int) and isinstance(found["linear.windows.days"], float)
    assert with_values(Parameters(), {}) == Parameters()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("als.rnk", 3, "there is no parameter 'als.rnk'; allowed: alike.least_items, "),
        ("diversity", 0.5, "there is no parameter 'diversity'"),
        ("als", 3, "there is no parameter 'als'"),
        ("als.rank", 1.5, "als.rank: got 1.5; it must be a whole number"),
        ("als.rank", "many", "als.rank: got 'many'; it must be a finite number"),
        ("als.rank", True, "als.rank: got 'True'; it must be a finite number"),
        ("half_life", float("nan"), "half_life: got 'nan'; it must be a finite number"),
        ("confidence.damping", 3, "confidence.damping: got 3; it must be a text"),
        ("confidence.damping", "cube", "damping='cube'; allowed: none, log, one"),
        ("confidence.half_life", -1, "half_life=-1.0; it must be above 0"),
        ("als.rank", 0, "rank=0; it must be at least 1"),
        ("linear.regularisation", 0, "regularisation=0.0; it must be above 0"),
        ("ranker.learning_rate", 0, "learning_rate=0.0; it must be above 0"),
        ("ranker.subsample", 1.5, "subsample=1.5; it must be above 0, and 1 at most"),
        ("ranker.reg_lambda", -1, "reg_lambda=-1.0; it must be at least 0"),
        ("take", 5, "take=5; it must be at least 20"),
        ("half_life", 0, "half_life=0.0; it must be above 0"),
    ],
)
def test_a_wrong_name_or_value_is_told_with_what_is_allowed(
    settings: Settings, name: str, value: Any, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        parameters_of(settings, {name: value})


def test_parameters_stand_in_the_homes_settings(tmp_path: Path) -> None:
    (tmp_path / "attune.toml").write_text('[parameters]\nals.rank = 96\n"ranker.max_depth" = 4\n')
    found = settings_module.load(home=tmp_path)
    assert found.parameters == {"als.rank": 96, "ranker.max_depth": 4}
    assert (parameters_of(found).als.rank, parameters_of(found).ranker.max_depth) == (96, 4)
    assert of_sources(found.parameters) == {"als.rank": 96}
    (tmp_path / "attune.toml").write_text("[parameters]\nals.rank = [96]\n")
    with pytest.raises(SettingError, match="parameters"):
        settings_module.load(home=tmp_path)

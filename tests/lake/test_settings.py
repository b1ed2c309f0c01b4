"""Settings on their way through the environment of other processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.errors import SettingError
from lake.session import spark_conf
from lake.settings import Settings, as_environment, load


def test_another_process_reads_the_same_settings_from_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        home=tmp_path, missing_consent="granted", rfm_windows_days=(7, 30), diversity=0.25,
        parameters={"als.rank": 8, "confidence.damping": "log"},
    )  # fmt: skip
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load() == settings


def test_options_of_the_jvm_come_after_attunes_own_and_cannot_carry_another_setting(tmp_path: Path) -> None:
    def options(settings: Settings) -> set[str]:
        return {value for name, value in spark_conf(settings).items() if name.endswith(".extraJavaOptions")}

    (own,) = options(Settings(home=tmp_path))
    assert options(Settings(home=tmp_path, spark_java_options="-Xss4m")) == {f"{own} -Xss4m"}
    with pytest.raises(SettingError, match="spark_java_options"):
        load(home=tmp_path, spark_java_options="-Xss4m\nspark.master local[64]")


def test_a_list_that_is_no_json_is_told_with_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_RFM_WINDOWS_DAYS", "(30, 90)")
    with pytest.raises(
        SettingError, match=r"rfm_windows_days.*as JSON, such as ATTUNE_RFM_WINDOWS_DAYS='\[30, 90, 365\]'"
    ):
        load()

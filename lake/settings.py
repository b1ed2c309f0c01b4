"""Settings: one frozen object, read once at the edge and handed on as an argument.

Sources, strongest first: explicit arguments, environment variables (`ATTUNE_HOME`, `ATTUNE_SPARK_MASTER`, ...),
`attune.toml` in the home folder, the defaults below.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from lake.errors import SettingError

MissingConsent = Literal["granted", "withdrawn"]
Drift = Literal["off", "warn", "stop"]
# The state keeps a year of what was bought: features.facts.CALENDAR_DAYS.
WindowDays = Annotated[int, Field(ge=1, le=365)]


class Settings(BaseSettings):
    """What one installation of Attune needs to know."""

    model_config = SettingsConfigDict(env_prefix="ATTUNE_", extra="forbid", frozen=True)

    home: Path = Field(default=Path(".attune"), description="folder of everything that is written")
    missing_consent: MissingConsent | None = Field(
        default=None,
        description="what no word from a user means for the purpose 'personalisation'; there is no default",
    )
    spark_master: str = Field(default="local[2]", description="local[n] or spark://host:port")
    spark_memory: str = Field(default="4g", description="memory of the driver, and of each executor")
    spark_java_options: str = Field(
        default="", pattern=r"^[^\x00-\x1f]*$", description="further options of the JVMs of driver and executors"
    )
    shuffle_partitions: int = Field(default=4, ge=1, description="upper bound; adaptive execution goes below")
    mlflow_uri: str | None = Field(default=None, description="tracking server; SQLite in the home when unset")
    session_gap_minutes: int = Field(default=30, ge=1, description="inactivity that ends a session")
    late_horizon_days: int = Field(default=3, ge=0, description="late events within it correct their own day")
    drift: Drift = Field(default="warn", description="a day unlike the weeks before it: off, warn or stop")
    drift_weeks: int = Field(default=4, ge=2, le=52, description="trailing weeks a day is compared with")
    vacuum_hours: int = Field(default=168, ge=168, description="how long files stay that no table refers to any more")
    train_every_days: int = Field(default=7, ge=1, description="a nightly run trains when the champion is older")
    promotion_coverage: float = Field(
        default=0.9, ge=0, le=1, description="least share of the champion's coverage that a new champion has"
    )
    promotion_popularity_bias: float = Field(
        default=1.1, gt=0, description="most multiple of the champion's popularity bias that a new champion has"
    )
    rfm_windows_days: tuple[WindowDays, ...] = Field(
        default=(30, 90, 365), min_length=1, description="the last days that RFM is told of beside all days"
    )
    value_horizon_days: int = Field(
        default=90, ge=1, le=3650, description="how far expected purchases and expected revenue look ahead"
    )
    valid_days: int = Field(default=2, ge=1, description="how long a published snapshot counts as fresh")
    diversity: float = Field(default=0.0, ge=0, le=1, description="0: lists by score alone; 1: by variety alone")
    list_length: int = Field(default=20, ge=1, le=200, description="items in a published list")
    parameters: dict[str, float | int | str] = Field(
        default_factory=dict, description="of the models, by name, such as als.rank; `attune tune` searches them"
    )

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("rfm_windows_days")
    @classmethod
    def _once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("allowed is each number of days once")
        return value

    @field_validator("parameters", mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        """als.rank = 96 under [parameters] is a table in a table."""
        return _flattened(value) if isinstance(value, dict) else value

    @property
    def lake(self) -> Path:
        """Root of the Delta tables, one folder a layer."""
        return self.home / "lake"

    @property
    def landing(self) -> Path:
        """Where raw files arrive: landing/<source>/{events,items,users,consents}/."""
        return self.home / "landing"

    @property
    def sources(self) -> Path:
        """The mappings of the registered sources, one TOML file each."""
        return self.home / "sources"

    @property
    def checkpoints(self) -> Path:
        """State of the ingest streams and of ALS."""
        return self.home / "checkpoints"

    @property
    def data_docs(self) -> Path:
        """Great Expectations' pages; open index.html."""
        return self.home / "data_docs"

    @property
    def tracking_uri(self) -> str:
        """The MLflow server or database."""
        return self.mlflow_uri or f"sqlite:///{self.home / 'mlflow.db'}"

    def consent_default(self) -> MissingConsent:
        """What a missing consent means. Raises SettingError when nobody has said so."""
        if self.missing_consent is None:
            raise SettingError(
                "missing_consent is not set: does no word from a user mean that personalisation is granted or "
                "withdrawn? There is no default. Set ATTUNE_MISSING_CONSENT=granted or =withdrawn, put "
                f'missing_consent = "granted" into {self.home / "attune.toml"}, or pass --missing-consent'
            )
        return self.missing_consent


def _flattened(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= _flattened(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def load(**overrides: Any) -> Settings:
    """Read the settings. None among the overrides means "not given".

    Raises SettingError that names each wrong setting, what was got and what is allowed.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    home = Path(given.get("home") or os.environ.get("ATTUNE_HOME") or ".attune").expanduser()
    file = home / "attune.toml"
    from_file: dict[str, Any] = {}
    if file.exists():
        try:
            from_file = tomllib.loads(file.read_text())
        except tomllib.TOMLDecodeError as error:
            raise SettingError(f"{file} is not valid TOML: {error}") from None
    from_env = {name for name in Settings.model_fields if f"ATTUNE_{name.upper()}" in os.environ}
    merged = {name: value for name, value in from_file.items() if name not in from_env} | given
    try:
        return Settings(**merged)
    except SettingsError as error:
        raise SettingError(
            f"environment: {error}: lists and tables are given as JSON, such as ATTUNE_RFM_WINDOWS_DAYS='[30, 90, 365]'"
        ) from None
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: got {item['input']!r}, {item['msg'].lower()}"
            for item in error.errors()
        )
        raise SettingError(f"settings: {problems}. Known settings: {', '.join(Settings.model_fields)}") from None


def as_environment(settings: Settings) -> dict[str, str]:
    """The environment variables from which load() reads the same settings."""
    told = settings.model_dump(mode="json", exclude_none=True)
    return {
        f"ATTUNE_{name.upper()}": json.dumps(value) if isinstance(value, list | dict) else str(value)
        for name, value in told.items()
    }

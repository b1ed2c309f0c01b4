"""What the Dags hand to one another, in the order of a night. A partition is a UTC event date, YYYY-MM-DD."""

from __future__ import annotations

from airflow.sdk import Asset

EVENTS = Asset("silver.events", group="attune")
FEATURES = Asset("gold.features", group="attune")
MODELS = Asset("models", group="attune")
SNAPSHOT = Asset("gold.snapshots", group="attune")

KEY_FORMAT = "%Y-%m-%d"

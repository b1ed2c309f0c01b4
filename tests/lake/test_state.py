"""What the log tells of the tiles that a state was made from."""

from __future__ import annotations

from datetime import UTC, date, datetime

from pyspark.sql import SparkSession

from lake import delta, log, state
from lake.settings import Settings
from lake.state import Marker
from lake.tables import USER_DAY
from lake.window import Window
from tests.features.silver import user_days

FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)


def test_a_new_day_corrects_nothing_and_a_past_one_does_however_it_was_changed(
    spark: SparkSession, settings: Settings
) -> None:
    def write(day: date, *users: str, orders: int = 1) -> None:
        rows = user_days(spark, *({"event_date": day, "user_id": user, "orders": orders} for user in users))
        delta.replace_window(rows, settings, USER_DAY, delta.in_window("event_date", Window.day(day)), "run")

    def held() -> Marker:
        """A state that holds the first day, as the tiles are now."""
        versions = {USER_DAY.name: log.version(settings, USER_DAY.name)}
        return Marker(0, "run", SECOND, 90.0, versions, datetime.now(UTC))

    def corrected(base: Marker, until: int | None = None) -> bool:
        last = log.version(settings, USER_DAY.name) if until is None else until
        return state.corrected(settings, USER_DAY, base, last)

    write(FIRST, "anna", "ben")
    base = held()
    assert not corrected(base), "nothing was written"
    write(SECOND, "anna", "cleo")
    write(SECOND, "anna", orders=2)
    assert not corrected(base), "the second day is not of the state"
    write(FIRST, "anna", "ben", orders=3)
    assert corrected(base)
    assert not corrected(base, until=base.versions[USER_DAY.name] + 2), "what comes later is of another night"

    base = held()
    delta.delete_users(spark, settings, USER_DAY, spark.createDataFrame([("ben",)], "user_id string"), "run")
    assert corrected(base), "a user was forgotten"
    base = held()
    write(FIRST)
    assert corrected(base), "the day is empty now"

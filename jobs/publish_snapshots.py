"""gold and the champion -> tonight's snapshot: refit the sources, rank, apply policy, gate, switch.

The ranker is the champion's; what it ranks is fitted on everything before the window's end.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.gate import gates
from features.affinity import leanings_at
from features.consent import without_consent
from features.engagement import engagement
from features.lift import of_users
from jobs import value
from jobs.factors import last_factors
from jobs.job import Context, Report
from jobs.kept_sources import keep, last_kept
from jobs.parameters import parameters_of
from jobs.population import population
from jobs.scratch import scratch
from jobs.train_models import registry
from jobs.user_state import stands_at, state_at
from lake import delta, log
from lake.console import say, step
from lake.errors import ContractError, ModelError
from lake.state import read_marker
from lake.tables import EVENTS, FALLBACKS, RECOMMENDATIONS, RFM, USER_ITEM_DAY, USER_STATE
from lake.window import Window
from models import hybrid, tracking
from models.interactions import before
from models.ranking_features import HORIZON_DAYS
from models.snapshot import fallback_lists, personal_lists
from serving.pointer import Superseded, read_log
from serving.publish import publish

AHEAD = ("mlflow", "great_expectations", "xgboost")


def run(context: Context) -> Report:
    """Publish as of the window's end; skip when readers have a later snapshot already. Raises ModelError without a
    champion, ContractError without features as of then, and whatever the gate or publish raise; readers see the
    earlier snapshot until the very end.
    """
    settings, end = context.settings, context.window.end
    pointer = read_log(str(settings.lake)).pointer
    if pointer is not None and pointer.as_of > end:
        return Report(
            skipped=f"nothing published: readers have {pointer.snapshot_id} as of {pointer.as_of}, later than {end}; "
            "only a rollback goes back: attune rollback --to ..."
        )
    missing, spark = settings.consent_default(), context.spark
    where = registry(context.settings)
    champion = tracking.champion(where)
    if champion is None:
        raise ModelError(
            f"there is no champion of {where.model} in {where.uri}; first: attune run train_models "
            f"--start {context.window.start} --end {end}"
        )
    ranker = tracking.load_ranker(where, champion)
    tiles = _table(context, USER_ITEM_DAY.name).where(F.col("event_date") < F.lit(end))
    today = delta.in_window("as_of", Window.day(end))
    # People who rate but do not buy have a state and no RFM.
    marker = read_marker(settings)
    built = marker is not None and marker.as_of == end
    if not built and not log.may_hold(settings, RFM.name, "as_of", Window.day(end)):
        raise ContractError(
            f"{RFM.name} and {USER_STATE.name} hold nothing as of {end}; first: attune run build_features "
            f"--start {context.window.start} --end {end}"
        )
    state = state_at(context, end) if built else state_at(context, end).persist()
    people = population(context, write=False) if stands_at(context, end) else of_users(state)
    rfm, affinity = _table(context, RFM.name).where(today), leanings_at(state, end, people)
    engaged, worth = engagement(state, end), value.value_at(context, state, end, HORIZON_DAYS).frame
    items, profiles = _table(context, "silver.items"), _table(context, "silver.users")
    refusing = without_consent(tiles.select("user_id"), _table(context, "silver.consents"), missing).persist()
    consented = tiles.join(refusing, "user_id", "left_anti").persist()
    parameters = parameters_of(settings, ranker.given)
    past = before(_table(context, EVENTS.name), context.window.as_of)
    events = past.where("NOT coalesce(is_bot, false)").join(refusing, "user_id", "left_anti")
    with step(f"fitting sources before {end}"):
        kept = last_kept(context, parameters)
        sources = hybrid.fit_sources(
            events, consented, rfm.join(refusing, "user_id", "left_anti"), affinity, items, context.window.as_of,
            parameters, scratch(context, "publish_snapshots", "all"),
            engaged=engaged.join(refusing, "user_id", "left_anti"),
            worth=None if worth is None else worth.join(refusing, "user_id", "left_anti"),
            start=None if kept else last_factors(context, parameters.als.rank), kept=kept, progress=say,
        )  # fmt: skip
        if kept is None:
            keep(context, sources, parameters)
    length = settings.list_length
    lists = personal_lists(sources, ranker, consented, profiles, refusing, length, parameters)
    cohorts = fallback_lists(sources.facts, length)

    def check(recommendations: DataFrame, fallbacks: DataFrame) -> None:
        gates([(recommendations, RECOMMENDATIONS.name), (fallbacks, FALLBACKS.name)], settings, context.run_id)

    try:
        with step(f"ranking, gating and publishing with {champion}"):
            snapshot = publish(
                spark, settings, lists, cohorts, as_of=end, model_version=str(champion),
                run_id=context.run_id, gate=check,
            )  # fmt: skip
    except Superseded as error:
        return Report(skipped=f"nothing published: {error}")
    finally:
        hybrid.release(sources)
        for frame in (consented, refusing, state):
            frame.unpersist()
    return Report(
        model_version=str(champion), details={"snapshot": snapshot, "model": str(champion), "as_of": str(end)}
    )


def _table(context: Context, name: str) -> DataFrame:
    return delta.read(context.spark, context.settings, name)

"""The gate: Great Expectations decides whether a table may pass; what fails goes no further.

Spark counts the rows that break each rule (expectations/counts.py), for all tables at once; Great Expectations judges
the counts by the table's suite.

Every verdict is added to Data Docs, without a single value of the table: counts only, so that no user id can
reach a page. Great Expectations' telemetry and progress bars are off.
"""

from __future__ import annotations

import fcntl
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame

from expectations.counts import ROWS, counts, told_by
from expectations.promises import AtLeast, Promise
from expectations.rules import Rule
from expectations.suites import Suite, suite_of
from lake.console import say
from lake.errors import ContractError
from lake.settings import Settings

# Before Great Expectations is imported anywhere: no telemetry.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

KEPT_RESULTS = 20
SITE = "attune"


def gate(frame: DataFrame, table: str, settings: Settings, run_id: str, *, keep: int = KEPT_RESULTS) -> None:
    """The gate of one table: see gates()."""
    gates([(frame, table)], settings, run_id, keep=keep)


def gates(
    frames: Sequence[tuple[DataFrame, str]], settings: Settings, run_id: str, *, keep: int = KEPT_RESULTS
) -> None:
    """Check that each frame keeps what its table promises, and record the verdicts in Data Docs, all at once.

    frames: the rows about to be written, or just written, and the name of their table; those columns that no rule
    looks at are not read. keep: how many verdicts of a table Data Docs remembers.

    Raises ContractError that names each table, each broken rule with its count, and Data Docs.
    """
    suites = [suite_of(table) for _, table in frames]
    views = [suite.view(frame) for (frame, _), suite in zip(frames, suites, strict=True)]
    counted = counts([(view, suite.promises) for view, suite in zip(views, suites, strict=True)])
    with _quiet():
        context = new_context(settings.data_docs)
        verdicts = [
            (suite, evaluate(context, found, suite, name=f"{suite.table} {number}"))
            for number, (suite, found) in enumerate(zip(suites, counted, strict=True))
        ]
        written = _document(context, verdicts, settings.data_docs, run_id, keep)
    broken = [
        _told(suite, result, found[ROWS])
        for (suite, result), found in zip(verdicts, counted, strict=True)
        if not result.success
    ]
    if broken:
        where = settings.data_docs / "index.html" if written else "not written"
        raise ContractError(f"{'. '.join(broken)}. Nothing downstream was touched. Data Docs: {where}")


def _told(suite: Suite, result: Any, rows: int) -> str:
    """A table's broken promises in words: the name of each, what is wrong, how often."""
    row_wise = {promise.name for promise in suite.promises if isinstance(promise, Rule)}

    def told(item: Any) -> str:
        config, count = item.expectation_config, int(item.result["observed_value"])
        return f"{config.description}, got {count:,}" + (f" of {rows:,}" if config.meta["rule"] in row_wise else "")

    broken = [told(item) for item in result.results if not item.success]
    return f"{suite.table} breaks its contract: {'; '.join(broken)}"


def evaluate(context: Any, found: dict[str, int], suite: Suite, name: str) -> Any:
    """Great Expectations' verdict on what counts() found of the suite's promises: one row, a column a promise.

    name: of the source in the context; one that it does not have yet.
    """
    import pandas as pd
    from great_expectations.core import ExpectationSuite

    asset = context.data_sources.add_pandas(name=name).add_dataframe_asset(name=suite.table)
    batch_definition = asset.add_batch_definition_whole_dataframe("counts")
    batch = batch_definition.get_batch(batch_parameters={"dataframe": pd.DataFrame([found])})
    expectations = ExpectationSuite(name=suite.table, expectations=_expectations(suite))
    return batch.validate(expectations, result_format="BASIC")


def _expectations(suite: Suite) -> list[Any]:
    """That no row breaks a rule, that no key is there twice, that there are rows enough."""
    from great_expectations.expectations import ExpectColumnMaxToBeBetween, ExpectColumnMinToBeBetween

    def of(promise: Promise) -> Any:
        common: dict[str, Any] = {"column": told_by(promise), "meta": {"rule": promise.name}}
        if isinstance(promise, AtLeast):
            said = f"{promise.name}: not {promise.reason}"
            return ExpectColumnMinToBeBetween(min_value=promise.rows, description=said, **common)
        kind = "row with " if isinstance(promise, Rule) else ""
        return ExpectColumnMaxToBeBetween(
            max_value=0, description=f"{promise.name}: no {kind}{promise.reason}", **common
        )

    return [of(promise) for promise in suite.promises]


def _document(context: Any, verdicts: Sequence[tuple[Suite, Any]], folder: Path, run_id: str, keep: int) -> bool:
    """Add the verdicts to the site. True when it was written: a verdict stands even if the disk is full."""
    try:
        with _alone(folder):
            keys = [key for suite, result in verdicts for key in _stored(context, result, suite, run_id, keep)]
            # The site's index reads every verdict that is kept: it is made once.
            context.build_data_docs(resource_identifiers=keys)
        return True
    except OSError as error:
        say(f"Data Docs could not be written: {error.strerror or type(error).__name__}")
        return False


def _stored(context: Any, result: Any, suite: Suite, run_id: str, keep: int) -> list[Any]:
    """Keep a verdict and its suite, and drop the table's oldest verdicts. What the site has to show anew."""
    from great_expectations.core import ExpectationSuite
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    context.suites.add_or_update(ExpectationSuite(name=suite.table, expectations=_expectations(suite)))
    identifier = ExpectationSuiteIdentifier(name=suite.table)
    key = ValidationResultIdentifier(
        expectation_suite_identifier=identifier,
        run_id=RunIdentifier(run_name=run_id, run_time=datetime.now(UTC)),
        batch_identifier=suite.table,
    )
    result.suite_name = suite.table
    result.meta["run_id"] = key.run_id
    store = context.validation_results_store
    store.set(key, result)
    mine = [known for known in store.list_keys() if known.expectation_suite_identifier == identifier]
    for old in sorted(mine, key=lambda known: known.run_id.run_time)[:-keep]:
        store.remove_key(old)
    return [identifier, key]


def new_context(folder: Path) -> Any:
    """A GX context that lives for one call of gates; its results and site stay in the folder."""
    import great_expectations
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        analytics_enabled=False,
    )
    for store, name in (("expectations_store", "suites"), ("validation_results_store", "results")):
        config.stores[store]["store_backend"] = _files(folder / ".store" / name) | {"filepath_suffix": ".json"}
    config.data_docs_sites = {
        SITE: {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": _files(folder),
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        }
    }
    return great_expectations.get_context(mode="ephemeral", project_config=config)


def _files(folder: Path) -> dict[str, Any]:
    return {
        "class_name": "TupleFilesystemStoreBackend",
        "base_directory": str(folder),
        "suppress_store_backend_id": True,
    }


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer of the site at a time, across processes; the lock goes with the process that holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Only errors of Great Expectations in the log, and no warnings."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

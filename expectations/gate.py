"""The gate: a table's suite is run by Great Expectations; what fails goes no further.

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

from expectations.suites import Suite, suite_of
from lake.console import say
from lake.errors import ContractError
from lake.settings import Settings

# Before Great Expectations is imported anywhere: no telemetry.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

KEPT_RESULTS = 20
SITE = "attune"

# Never a value of the table. Counts cost a query a rule, so they are asked for only when something is broken.
VERDICT_ONLY = {"result_format": "BOOLEAN_ONLY"}
COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0, "exclude_unexpected_values": True}


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
    with _quiet():
        context = new_context(settings.data_docs)
        verdicts: list[tuple[Suite, Any]] = []
        for (frame, _), suite in zip(frames, suites, strict=True):
            result = evaluate(context, frame, suite, name=f"{suite.table} {len(verdicts)}")
            _raise_if_not_evaluated(result, suite.table)
            verdicts.append((suite, result))
        written = _document(context, verdicts, settings.data_docs, run_id, keep)
    broken = [_told(suite, result) for suite, result in verdicts if not result.success]
    if broken:
        where = settings.data_docs / "index.html" if written else "not written"
        raise ContractError(f"{'. '.join(broken)}. Nothing downstream was touched. Data Docs: {where}")


def _told(suite: Suite, result: Any) -> str:
    return (
        f"{suite.table} breaks its contract: {'; '.join(_broken(item) for item in result.results if not item.success)}"
    )


def evaluate(context: Any, frame: DataFrame, suite: Suite, name: str = "spark") -> Any:
    """The validation result of the suite; GX bundles all expectations about the same rows into one aggregate.

    name: of the source in the context; one that it does not have yet.
    """
    from great_expectations.core import ExpectationSuite

    # GX would cache the frame unless told that it need not.
    source = context.data_sources.add_spark(name=name, persist=False)
    batch_definition = source.add_dataframe_asset(name=suite.table).add_batch_definition_whole_dataframe("all")
    batch = batch_definition.get_batch(batch_parameters={"dataframe": suite.view(frame)})
    expectations = ExpectationSuite(name=suite.table, expectations=_expectations(suite))
    result = batch.validate(expectations, result_format=VERDICT_ONLY)
    return result if result.success else batch.validate(expectations, result_format=COUNTS_ONLY)


def _expectations(suite: Suite) -> list[Any]:
    return [promise.expectation() for promise in suite.promises]


def _raise_if_not_evaluated(result: Any, table: str) -> None:
    """GX turns a fault of Spark into a failed expectation; a fault is not a broken contract and may be retried."""
    for item in result.results:
        fault = _fault(item.exception_info)
        if fault:
            raise RuntimeError(f"{table}: {_name(item)} could not be evaluated: {fault}")


def _fault(info: Any) -> str | None:
    """The message of an exception, from either of the two shapes GX reports it in."""
    if not info:
        return None
    parts = [info] if "raised_exception" in info else list(info.values())
    messages = [str(part.get("exception_message")) for part in parts if part.get("raised_exception")]
    return messages[0].splitlines()[0][:300] if messages else None


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


def _name(item: Any) -> str:
    return str(item.expectation_config.meta["rule"])


def _broken(item: Any) -> str:
    """A broken rule in words: its name, what is wrong, how often."""
    result = item.result or {}
    count = result.get("unexpected_count", result.get("observed_value"))
    of = result.get("element_count")
    described = str(item.expectation_config.description or _name(item))
    return f"{described}, got {count:,}" + (f" of {of:,}" if of else "") if count is not None else described


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

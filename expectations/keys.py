"""That no two rows share their key, as an expectation of Great Expectations that counts instead of sorting.

GX's own expectations of uniqueness count over a window, for which Spark sorts the whole table by its keys, names
compared letter by letter. One hash aggregate finds the same.
"""

from __future__ import annotations

from typing import Any

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from pyspark.sql import functions as F

REPEATED = "table.keys_repeated"


class KeysRepeated(TableMetricProvider):
    """How many keys more than one row has. Null is a key like any other; rows without any key do not count."""

    metric_name = REPEATED
    value_keys = ("columns",)

    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(
        cls, execution_engine: Any, metric_domain_kwargs: dict[str, Any], metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any], runtime_configuration: dict[str, Any],
    ) -> int:  # fmt: skip
        frame, *_ = execution_engine.get_compute_domain(metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE)
        keys = metric_value_kwargs["columns"]
        counted = frame.dropna("all", subset=keys).groupBy(*keys).agg(F.count(F.lit(1)).alias("_rows"))
        return int(counted.filter("_rows > 1").count())


class ExpectKeysToBeUnique(BatchExpectation):
    """No two rows share the columns. observed_value: keys that more than one row has; none of them is named."""

    columns: list[str]

    metric_dependencies = (REPEATED,)
    success_keys = ("columns",)
    args_keys = ("columns",)

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: dict[str, Any] | None = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        repeated = metrics[REPEATED]
        return {"success": repeated == 0, "result": {"observed_value": repeated}}

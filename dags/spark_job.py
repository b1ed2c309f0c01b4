"""The one kind of task in Attune's Dags: a spark-submit of jobs/submit.py for the run's window."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from dags.windows import key_of, resolve
from lake.errors import WindowError

CONNECTION = "attune_spark"
SUBMIT = Path(__file__).resolve().parent.parent / "jobs" / "submit.py"

# What submit.py ends with when a retry cannot mend it: bad input, a broken contract, a missing setting.
FINAL = 2


class SparkJob(SparkSubmitOperator):
    """Runs one Attune job on Spark for the window of its Dag run, and hands the window on with its assets.

    Fails at once when the job says that a retry cannot help; everything else is infrastructure and is retried.
    One job of a kind runs at a time: each writes its own tables, and a second writer would only wait and conflict.
    """

    def __init__(self, *, job: str, **kwargs: Any) -> None:
        kwargs.setdefault("task_id", job)
        kwargs.setdefault("name", f"attune {job}")
        kwargs.setdefault("conn_id", CONNECTION)
        kwargs.setdefault("retries", 2)
        kwargs.setdefault("retry_delay", timedelta(minutes=1))
        kwargs.setdefault("retry_exponential_backoff", 3)
        kwargs.setdefault("max_retry_delay", timedelta(minutes=15))
        kwargs.setdefault("max_active_tis_per_dag", 1)
        super().__init__(application=str(SUBMIT), **kwargs)
        self.job = job

    def execute(self, context: Context) -> None:
        """Submit the job and wait for it.

        Raises AirflowFailException for what a retry cannot mend, AirflowException for the rest.
        """
        events = context["triggering_asset_events"]
        received = [event.extra for sequence in events.values() for event in sequence]
        try:
            window = resolve(context["params"], context["dag_run"].partition_key, received)
        except WindowError as error:
            raise AirflowFailException(str(error)) from None
        self.application_args = [self.job, "--start", window.start.isoformat(), "--end", window.end.isoformat()]
        try:
            super().execute(context)
        except Exception as error:
            if self._exit_code() == FINAL:
                raise AirflowFailException(
                    f"{self.job} {window} refused its input or settings; a retry cannot mend that. "
                    "The line FAILED above says what was wrong and what to do"
                ) from error
            raise
        for outlet in self.outlets:
            # The next Dag gets this window, not only the day that stands for it.
            emitted = context["outlet_events"][outlet]
            emitted.extra = {"start": window.start.isoformat(), "end": window.end.isoformat()}
            emitted.add_partitions(key_of(window))

    def _exit_code(self) -> int | None:
        """How spark-submit ended; None when it never ran."""
        submitted = self._hook._submit_sp if self._hook else None
        return submitted.returncode if submitted else None

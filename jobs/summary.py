"""What a home holds after its runs, for people and programs: books, segments, metrics, lists, where to look."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any

from deltalake import DeltaTable

from lake.console import emit_table, out
from lake.runs import latest_runs
from lake.settings import Settings
from serving.answer import Answer
from serving.reader import SnapshotReader

SHOWN_METRICS = ("ndcg@10", "recall@10", "precision@10", "map@10", "hit_rate@10", "coverage@10")
# Beyond accuracy: docs/evaluation.md says what they mean.
SHOWN_BEYOND = ("novelty@10", "diversity@10", "serendipity@10", "popularity_bias@10", "miscalibration@10", "gini@10")
SHOWN_COLD = ("ndcg@10", "recall@10", "hit_rate@10", "ndcg@10_less_ladder")
SHOWN_USERS = 3


@dataclass(frozen=True)
class Summary:
    """books: counts over all cleaning runs; segments: users by RFM segment; metrics: the latest training, a row a
    model and scope; cold_start: the same training's, as models.report gives it."""

    seconds: float
    books: dict[str, int]
    segments: dict[str, int]
    metrics: list[dict[str, Any]]
    cold_start: dict[str, list[dict[str, Any]]]
    lists: list[Answer]
    look: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "seconds": round(self.seconds, 1),
            "books": self.books,
            "segments": self.segments,
            "metrics": self.metrics,
            "cold_start": self.cold_start,
            "lists": [answer.to_dict() for answer in self.lists],
            "look": self.look,
        }


def summarise(settings: Settings, seconds: float) -> Summary:
    """Read the summary of a home without Spark."""
    runs = [run for run in latest_runs(settings, 10_000) if run["state"] == "done"]
    look = {
        "Airflow and MLflow": f"attune ui --home {settings.home}",
        "Data Docs": str(settings.data_docs / "index.html"),
        "the job runs": f"attune runs --home {settings.home}",
        "a user's list": f"attune recommend USER --home {settings.home}",
    }
    return Summary(
        seconds=seconds,
        books=_books(runs),
        segments=_latest(runs, "build_features", "segments", {}),
        metrics=_latest(runs, "train_models", "metrics", []),
        cold_start=_latest(runs, "train_models", "cold_start", {}),
        lists=_lists(settings),
        look=look,
    )


def show(summary: Summary) -> None:
    """Print a summary for people."""
    emit_table("rows, by what became of them", ["what", "rows"], [[name, rows] for name, rows in summary.books.items()])
    emit_table(
        "users by RFM segment", ["segment", "users"], [[name, users] for name, users in summary.segments.items()]
    )
    show_metrics(summary.metrics)
    show_cold_start(summary.cold_start)
    for answer in summary.lists:
        show_answer(answer)
    emit_table("where to look next", ["what", "where"], [list(item) for item in summary.look.items()])
    out.print(f"the whole main job took {summary.seconds:.0f} s", markup=False)


def show_metrics(
    metrics: list[dict[str, Any]], what: str = "models on the test window", *, signed: bool = False
) -> None:
    """Print rows as models.report.table_rows gives them, accuracy and beyond, for each scope. signed: differences."""
    for scope in dict.fromkeys(row["scope"] for row in metrics):
        rows = [row for row in metrics if row["scope"] == scope]
        for kind, names in (("", SHOWN_METRICS), (", beyond accuracy", SHOWN_BEYOND)):
            shown = [name for name in names if name in rows[0]]
            emit_table(
                f"{what}{kind}, {scope} items (95 % interval)",
                ["model", *shown],
                [[row["model"], *(_interval(row, name, signed) for name in shown)] for row in rows],
            )


def show_cold_start(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print what models.report.cold_start gives."""
    rows = [
        [row["stage"], row["users"], row["model"],
         *(_interval(row, name, name.endswith("_less_ladder")) for name in SHOWN_COLD)]
        for row in found.get("stages", [])
    ]  # fmt: skip
    if rows:
        emit_table("cold start (95 % interval)", ["stage", "users", "model", *SHOWN_COLD], rows)
    wants = [
        [row["kind"], row["wants"], f"{row['share']:.1%}", row["users"], row["items"]] for row in found.get("wants", [])
    ]
    if wants:
        emit_table("what was wanted, by kind of item", ["kind", "wants", "share", "users", "items"], wants)


def show_answer(answer: Answer) -> None:
    """A user's list, for people."""
    rows = [[item.rank, item.title or item.item_id, item.score, item.source, item.reason] for item in answer.items]
    where = "" if answer.rung == "personal" else f", {answer.rung} list of {answer.cohort}"
    emit_table(
        f"user {answer.user_id}: snapshot {answer.snapshot_id} as of {answer.as_of}{where}",
        ["rank", "item", "score", "source", "reason"],
        rows,
    )


def show_runs(rows: list[dict[str, Any]]) -> None:
    """Rows of ops.runs, for people."""
    columns = {"started": "started_at", "job": "job", "start": "start", "end": "end", "state": "state",
               "seconds": "seconds", "read": "rows_read", "clean": "rows_clean", "rejected": "rows_rejected",
               "duplicate": "rows_duplicate", "error": "error"}  # fmt: skip
    emit_table("job runs", list(columns), [[_short(row[name]) for name in columns.values()] for row in rows])


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= 60 else value[:57] + "..."
    if isinstance(value, float):
        return round(value, 1)
    return str(value)[:16] if isinstance(value, date) else value


def _books(runs: list[dict[str, Any]]) -> dict[str, int]:
    """Sums over the newest cleaning run of each window."""
    newest: dict[tuple[Any, Any], dict[str, Any]] = {}
    for run in runs:
        if run["job"] == "clean_events":
            newest.setdefault((run["start"], run["end"]), run)
    total: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for run in newest.values():
        for name in ("read", "clean", "rejected", "duplicate"):
            total[name] += run[f"rows_{name}"] or 0
        for name, count in run["details"].items():
            if name.startswith(("rejected: ", "filled ", "corrected ", "bot ")):
                reasons[name] += int(count)
    return dict(total) | dict(sorted(reasons.items()))


def _latest(runs: list[dict[str, Any]], job: str, detail: str, default: Any) -> Any:
    for run in runs:
        if run["job"] == job and detail in run["details"]:
            return json.loads(run["details"][detail])
    return default


def _lists(settings: Settings) -> list[Answer]:
    """The lists of a few users, of different segments where there are."""
    reader = SnapshotReader(str(settings.lake))
    snapshot = reader.snapshot
    table = DeltaTable(str(settings.lake / "gold" / "recommendations"), version=snapshot.recommendations_version)
    chosen: dict[str, str] = {}
    for batch in table.to_pyarrow_dataset().to_batches(columns=["user_id", "segment"]):
        for user, segment in zip(batch["user_id"].to_pylist(), batch["segment"].to_pylist(), strict=True):
            chosen.setdefault(segment or "", user)
        if len(chosen) >= SHOWN_USERS:
            break
    return [reader.recommend(user, 5) for user in list(chosen.values())[:SHOWN_USERS]]


def _interval(row: dict[str, Any], name: str, signed: bool) -> str:
    """The value, and its interval where it has one."""
    numbers = [row.get(key) for key in (name, f"{name}_low", f"{name}_high")]
    value, low, high = (number if number is None else format(number, "+.3f" if signed else ".3f") for number in numbers)
    if value is None:
        return ""
    return value if low is None else f"{value} ({low} to {high})" if signed else f"{value} ({low}-{high})"

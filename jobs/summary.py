"""What a home holds after its runs, for people and programs: books, segments, metrics, lists, where to look."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from deltalake import DeltaTable

from lake.console import emit_table, out
from lake.runs import latest_runs
from lake.settings import Settings
from serving.answer import Answer
from serving.reader import SnapshotReader

SHOWN_METRICS = ("ndcg@10", "recall@10", "precision@10", "map@10", "hit_rate@10", "coverage@10")
SHOWN_USERS = 3


@dataclass(frozen=True)
class Summary:
    """books: counts over all cleaning runs; segments: users by RFM segment; metrics: the latest training, a row a
    model and scope."""

    seconds: float
    books: dict[str, int]
    segments: dict[str, int]
    metrics: list[dict[str, Any]]
    lists: list[Answer]
    look: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "seconds": round(self.seconds, 1),
            "books": self.books,
            "segments": self.segments,
            "metrics": self.metrics,
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
        lists=_lists(settings),
        look=look,
    )


def show(summary: Summary) -> None:
    """Print a summary for people."""
    from jobs.cli import show_answer

    emit_table("rows, by what became of them", ["what", "rows"], [[name, rows] for name, rows in summary.books.items()])
    emit_table(
        "users by RFM segment", ["segment", "users"], [[name, users] for name, users in summary.segments.items()]
    )
    for scope in dict.fromkeys(row["scope"] for row in summary.metrics):
        rows = [row for row in summary.metrics if row["scope"] == scope]
        emit_table(
            f"models on the test window, {scope} items (95 % interval)",
            ["model", *SHOWN_METRICS],
            [[row["model"], *(_interval(row, name) for name in SHOWN_METRICS)] for row in rows],
        )
    for answer in summary.lists:
        show_answer(answer)
    emit_table("where to look next", ["what", "where"], [list(item) for item in summary.look.items()])
    out.print(f"the whole main job took {summary.seconds:.0f} s", markup=False)


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


def _interval(row: dict[str, Any], name: str) -> str:
    """The value, and its interval where it has one."""
    if row.get(name) is None:
        return ""
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return f"{row[name]:.3f}" if low is None else f"{row[name]:.3f} ({low:.3f}-{high:.3f})"

"""Exact top-100 of all users beside MLlib, implicit and the bare matrix product, in one run.

The vectors are those of a short ALS on synthetic interactions; what a user has had is left out by ours and by
implicit, MLlib cannot. Ours reads users, vectors and what they have had from Delta and hands Spark the lists; Spark
runs already. The product alone is NumPy's, block by block into one array that is used again. `make bench-topk`.

The large size is run in a process of its own, whose memory is that of the whole tree of processes: driver, JVM
and Python workers, shared pages counted once (PSS).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from deltalake import write_deltalake

from benchmarks.console import Figures, timed
from benchmarks.interactions import draw
from lake.console import say
from lake.session import session
from lake.settings import Settings
from models.als_parameters import AlsParameters
from models.als_train import Rows, State, first_items, train
from models.collective import Alone
from models.top_k import top_k
from models.vectors import vectors_column

K = 100
RANK = 64
BLOCK = 1000


def factors(matrix: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of a short training."""
    parameters = AlsParameters(rank=RANK, epochs=3, least_users=1)
    rows = Rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
    state = State(np.zeros((matrix.shape[0], RANK), np.float32), first_items(matrix.shape[1], parameters))
    return train(rows, state, parameters, Alone()).final


def write_users(folder: Path, vectors: np.ndarray, had: sp.csr_matrix | None, files: int = 8) -> str:
    """user_id, vector and seen as a Delta table."""
    size = -(-len(vectors) // files)
    for start in range(0, len(vectors), size):
        part = vectors[start : start + size]
        columns = {
            "user_id": pa.array(np.arange(start, start + len(part))),
            "vector": vectors_column(part),
        }
        if had is not None:
            rows = had[start : start + size]
            columns["seen"] = pa.ListArray.from_arrays(
                pa.array(rows.indptr.astype(np.int32)), pa.array(rows.indices.astype(np.int32))
            )
        write_deltalake(str(folder), pa.table(columns), mode="append")
    return str(folder)


def product(vectors: np.ndarray, items: np.ndarray) -> None:
    """All scores, and nothing else."""
    from threadpoolctl import threadpool_limits

    room = np.zeros((BLOCK, len(items)), np.float32)
    with threadpool_limits(2, "blas"):
        for start in range(0, len(vectors), BLOCK):
            block = vectors[start : start + BLOCK]
            np.dot(block, items.T, out=room[: len(block)])


def mllib_model(spark: Any, folder: Path, user: np.ndarray, item: np.ndarray) -> Any:
    """A model of the same size; its numbers do not matter to the time."""
    from pyspark.ml.recommendation import ALS

    pairs = pa.table({"user": user.astype(np.int32), "item": item.astype(np.int32)})
    write_deltalake(str(folder), pairs)
    rows = spark.read.format("delta").load(str(folder)).selectExpr("user", "item", "1.0f AS rating")
    return ALS(rank=RANK, maxIter=1, implicitPrefs=True, userCol="user", itemCol="item", seed=1).fit(rows)


def small(given: argparse.Namespace, figures: Figures, folder: Path) -> None:
    """Beside the three."""
    from implicit.als import AlternatingLeastSquares

    user, item, confidence = draw(given.interactions, given.users, given.items)
    matrix = sp.csr_matrix((confidence, (user, item)), shape=(given.users, given.items))
    vectors, items = factors(matrix)
    table = write_users(folder / "users", vectors, matrix)
    spark = session(Settings(home=folder / "home", spark_memory="8g"), "attune bench-topk")

    def ours() -> None:
        users = spark.read.format("delta").load(table)
        top_k(users, items, K).write.format("noop").mode("overwrite").save()

    model = AlternatingLeastSquares(factors=RANK, num_threads=2)
    model.user_factors, model.item_factors = vectors, items

    def implicit() -> None:
        for start in range(0, len(vectors), 10_000):
            ids = np.arange(start, min(start + 10_000, len(vectors)))
            model.recommend(ids, matrix[ids], N=K, filter_already_liked_items=True)

    ours()
    times: dict[str, list[float]] = {"ours": [], "implicit": [], "product": []}
    for _ in range(given.repeats):
        times["ours"].append(timed("ours, from Delta", ours))
        times["implicit"].append(timed("implicit, in memory", implicit))
        times["product"].append(timed("the product alone", lambda: product(vectors, items)))
    least = {name: min(seconds) for name, seconds in times.items()}
    figures.add("topk_against_product", least["ours"] / least["product"], "<=2")
    figures.add("topk_against_implicit", least["ours"] / least["implicit"], "<=1.2")
    if given.mllib:
        fitted = mllib_model(spark, folder / "pairs", user, item)
        subset = spark.read.format("delta").load(table).selectExpr("CAST(user_id AS int) AS user")

        def mllib() -> None:
            fitted.recommendForUserSubset(subset, K).write.format("noop").mode("overwrite").save()

        figures.add("topk_against_mllib", timed("MLlib recommendForUserSubset", mllib) / least["ours"], ">=15")
    heavy(spark, folder / "heavy", given.repeats, figures)
    spark.stop()


def heavy(spark: Any, folder: Path, repeats: int, figures: Figures) -> None:
    """One user who has had 100,000 items, beside 20,000 who have had a few: what they cost the others."""
    users, items, few, many = 20_000, 120_000, 50, 100_000
    random = np.random.default_rng(0)
    vectors, others = (random.standard_normal((size, RANK), dtype=np.float32) for size in (users, items))
    had = sp.csr_matrix((np.ones(users * few, np.float32), random.integers(0, items, users * few, np.int32),
                         np.arange(0, users * few + 1, few)), shape=(users, items))  # fmt: skip
    row = sp.csr_matrix((np.ones(many, np.float32), np.arange(many), [0, many]), shape=(1, items))
    tables = [write_users(folder / name, vectors, found) for name, found in
              (("few", had), ("one of many", sp.vstack([row, had[1:]], format="csr")))]  # fmt: skip

    def run(table: str) -> None:
        top_k(spark.read.format("delta").load(table), others, K).write.format("noop").mode("overwrite").save()

    seconds: list[list[float]] = [[], []]
    for _ in range(repeats):
        for table, taken in zip(tables, seconds, strict=True):
            taken.append(timed(Path(table).name, lambda table=table: run(table)))  # type: ignore[misc]
    figures.add("topk_one_user_of_100000_over_none", min(seconds[1]) / min(seconds[0]), "<=1.1")


def large(given: argparse.Namespace, folder: Path) -> None:
    """In its own process: prints seconds, the product's seconds scaled from a tenth of the users, and the lists."""
    random = np.random.default_rng(0)
    items = random.standard_normal((given.large_items, RANK), dtype=np.float32)
    items *= ((np.arange(given.large_items) + 30.0) ** -0.2).astype(np.float32)[:, None]
    step = 100_000
    for start in range(0, given.large_users, step):
        block = random.standard_normal((min(step, given.large_users - start), RANK), dtype=np.float32)
        ids = pa.array(np.arange(start, start + len(block)))
        write_deltalake(
            str(folder / "users"), pa.table({"user_id": ids, "vector": vectors_column(block)}), mode="append"
        )
    spark = session(Settings(home=folder / "home", spark_memory="2g"), "attune bench-topk large")
    users = spark.read.format("delta").load(str(folder / "users"))
    started = time.perf_counter()
    top_k(users, items, K).write.format("delta").save(str(folder / "lists"))
    seconds = time.perf_counter() - started
    lists = spark.read.format("delta").load(str(folder / "lists")).where(f"size(items) = {K}").count()
    spark.stop()
    tenth = random.standard_normal((given.large_users // 10, RANK), dtype=np.float32)
    alone = timed("the product alone, a tenth of the users", lambda: product(tenth, items)) * 10
    sys.stdout.write(json.dumps({"seconds": seconds, "product": alone, "lists": lists}) + "\n")


def watched(arguments: list[str]) -> tuple[dict[str, float], float]:
    """Run this module in a process of its own: what it printed, and the most memory of its tree, in GiB."""
    process = Popen([sys.executable, "-m", "benchmarks.top_k", *arguments], stdout=PIPE, text=True)
    most = 0
    while process.poll() is None:
        most = max(most, memory(process.pid))
        time.sleep(1)
    output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"the large run ended with {process.returncode}")
    return json.loads(output.strip().splitlines()[-1]), most / 2**30


def memory(root: int) -> int:
    """Proportional set size of a process and all below it, in bytes."""
    parents = {pid: parent for pid, (parent, _) in processes().items()}
    tree, size = {root}, 0
    while len(tree) > size:
        size = len(tree)
        tree |= {pid for pid, parent in parents.items() if parent in tree}
    return sum(proportional(pid) for pid in tree)


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command of every process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                found[int(entry.name)] = parent, (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:  # it has ended
                continue
    return found


def proportional(pid: int) -> int:
    """Proportional set size of a process, in bytes; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=138_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--mllib", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--large-users", type=int, default=1_000_000, help="0 leaves the large size out")
    parser.add_argument("--large-items", type=int, default=100_000)
    parser.add_argument("--large-in", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if given.large_in:
        large(given, given.large_in)
        return 0
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="attune-topk-") as folder:
        if given.users:
            small(given, figures, Path(folder))
        if given.large_users:
            sizes = ["--large-users", str(given.large_users), "--large-items", str(given.large_items)]
            found, most = watched(["--large-in", f"{folder}/large", *sizes])
            say(f"{given.large_users:,} users x {given.large_items:,} items, rank {RANK}, top {K}: "
                f"{found['seconds']:.0f} s, {found['lists']:,.0f} whole lists, {most:.2f} GiB")  # fmt: skip
            figures.add("topk_large_memory_gib", most, "<=8")
            figures.add("topk_large_against_product", found["seconds"] / found["product"], "-")
            figures.add("topk_large_seconds", found["seconds"], "-")
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

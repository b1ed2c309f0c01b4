"""ALS beside MLlib and `implicit`, on the same interactions, cores and objective, in one run.

    delta to delta   from the table of interactions to factors in Delta; Spark runs already, each side warmed up
                     by a small fit. implicit reads and writes by delta-rs
    loop             the training alone: the barrier stage's epochs, and implicit's fit()
    loss             of the objective implicit minimises (Hu et al. 2008, ridge .1), by one function for both

MLlib minimises that objective with another ridge, so no loss of it is compared. `make bench-als`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from deltalake import DeltaTable, write_deltalake

from benchmarks.console import Figures, timed
from benchmarks.interactions import draw, write
from lake.console import say
from lake.session import session
from lake.settings import Settings
from models.als import AlsParameters, fit_als
from models.als_train import Rows, objective
from models.collective import Alone
from models.vectors import vectors_column, vectors_of

RIDGE = 0.1


class Bench:
    """One size: the table and where things are put."""

    def __init__(self, spark: Any, folder: Path, given: argparse.Namespace) -> None:
        self.spark, self.folder, self.given = spark, folder, given
        user, item, confidence = draw(given.interactions, given.users, given.items)
        self.table = write(folder / "interactions", user, item, confidence)
        small = draw(20_000, 2_000, 500, seed=1)
        self.small = write(folder / "small", *small)
        matrix = sp.csr_matrix((confidence, (user, item)), shape=(given.users, given.items))
        self.rows = Rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)

    def parameters(self, rank: int) -> AlsParameters:
        return AlsParameters(
            rank=rank, epochs=self.given.epochs, unobserved=1.0, regularisation=RIDGE, exponent=0.0, objective="hu",
            least_users=1, checkpoint_every=1000,
        )  # fmt: skip

    def ours(self, rank: int, table: str) -> float:
        """Seconds in the loop."""
        rows = self.spark.read.format("delta").load(table)
        return fit_als(rows, self.parameters(rank), str(self.folder / "ours")).epochs[-1].seconds

    def loss(self, side: str, rank: int) -> float:
        """Of the factors that "ours" or "implicit" left in Delta."""
        users, items = (
            self._read(f"{side}/result/{name}s", f"{name}_id", size, rank)
            for name, size in (("user", self.given.users), ("item", self.given.items))
        )
        return objective(self.rows, users, items, self.parameters(rank), Alone())

    def theirs(self, rank: int, table: str) -> float:
        """implicit: seconds of fit()."""
        from implicit.als import AlternatingLeastSquares

        read = DeltaTable(table).to_pyarrow_table()
        user, item = (read[name].to_numpy() for name in ("user_id", "item_id"))
        users, user = np.unique(user, return_inverse=True)
        items, item = np.unique(item, return_inverse=True)
        matrix = sp.csr_matrix((read["confidence"].to_numpy(), (user, item)), shape=(len(users), len(items)))
        model = AlternatingLeastSquares(
            factors=rank, regularization=RIDGE, alpha=1.0, iterations=self.given.epochs, use_cg=True, num_threads=2,
            random_state=1,
        )  # fmt: skip
        started = time.perf_counter()
        model.fit(matrix, show_progress=False)
        seconds = time.perf_counter() - started
        for name, ids, vectors in (("user", users, model.user_factors), ("item", items, model.item_factors)):
            found = pa.table({f"{name}_id": ids, "vector": vectors_column(vectors)})
            write_deltalake(str(self.folder / f"implicit/result/{name}s"), found, mode="overwrite")
        return seconds

    def mllib(self, rank: int, table: str, epochs: int) -> None:
        from pyspark.ml.recommendation import ALS
        from pyspark.sql import functions as F

        rows = self.spark.read.format("delta").load(table)
        rows = rows.select(F.col("user_id").cast("int"), F.col("item_id").cast("int"), "confidence")
        model = ALS(
            rank=rank, maxIter=epochs, regParam=RIDGE, alpha=1.0, implicitPrefs=True, userCol="user_id",
            itemCol="item_id", ratingCol="confidence", seed=1,
        ).fit(rows)  # fmt: skip
        for name, frame in (("users", model.userFactors), ("items", model.itemFactors)):
            frame.write.format("delta").mode("overwrite").save(str(self.folder / f"mllib/{name}"))

    def _read(self, name: str, key: str, size: int, rank: int) -> np.ndarray:
        found = DeltaTable(str(self.folder / name)).to_pyarrow_table()
        vectors = np.zeros((size, rank), np.float32)
        vectors[found[key].to_numpy()] = vectors_of(found["vector"], rank)
        return vectors


def parts(bench: Bench, rank: int, whole: float, loop: float) -> None:
    """Say where the time of ours goes, each part by a run that ends there. whole, loop: seconds, measured before."""
    rows = bench.spark.read.format("delta").load(bench.table)
    spread = rows.select("user_id", "item_id", "confidence").repartition(2, "user_id")

    def received(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([pa.array([sum(batch.num_rows for batch in batches)])], ["rows"])

    def least(what: str, do: Callable[[], object]) -> float:
        return min(timed(what, do) for _ in range(bench.given.repeats))

    reading = least("reading and shuffle", lambda: spread.write.format("noop").mode("overwrite").save())
    arriving = least("the same, into the workers", lambda: spread.mapInArrow(received, "rows long").collect())
    say(
        f"rank {rank}: reading and shuffle {reading:.1f} s, into the Python workers {arriving - reading:.1f} s, "
        f"loop {loop:.1f} s, the rest {whole - loop - arriving:.1f} s (numbering ids, CSR, the ring, writing)"
    )


def run(bench: Bench, rank: int, figures: Figures) -> None:
    """One rank: ours and implicit in turn, the least of the repeats each; MLlib once."""
    given = bench.given
    ours, theirs, our_loops, their_loops = [], [], [], []
    bench.ours(rank, bench.small)
    bench.theirs(rank, bench.small)
    for _ in range(given.repeats):
        ours.append(timed(f"rank {rank}: ours, delta to delta",
                          lambda: our_loops.append(bench.ours(rank, bench.table))))  # fmt: skip
        theirs.append(timed(f"rank {rank}: implicit, delta to delta",
                            lambda: their_loops.append(bench.theirs(rank, bench.table))))  # fmt: skip
    loop, their_loop = min(our_loops), min(their_loops)
    loss, their_loss = bench.loss("ours", rank), bench.loss("implicit", rank)
    say(f"rank {rank}: loop {loop:.1f} s, implicit's {their_loop:.1f} s; loss {loss:.6g}, implicit's {their_loss:.6g}")
    parts(bench, rank, min(ours), loop)
    figures.add(f"als_rank{rank}_loop_against_implicit", loop / their_loop, "<=.6")
    figures.add(f"als_rank{rank}_loss_against_implicit", loss / their_loss, "<=1.0")
    figures.add(f"als_rank{rank}_delta_to_delta_against_implicit", min(ours) / min(theirs), "<=1.0")
    if given.mllib_epochs:
        bench.mllib(rank, bench.small, 1)
        seconds = timed(f"rank {rank}: MLlib, {given.mllib_epochs} epochs",
                        lambda: bench.mllib(rank, bench.table, given.mllib_epochs))  # fmt: skip
        if given.mllib_epochs < given.epochs:
            say(f"MLlib ran {given.mllib_epochs} of {given.epochs} epochs; the figure counts those as if they were all")
        figures.add(f"als_rank{rank}_against_mllib", seconds / min(ours), ">=15")


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=138_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--ranks", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--mllib-epochs", type=int, default=15, help="0 leaves MLlib out")
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="attune-als-") as folder:
        settings = Settings(home=Path(folder) / "home", spark_memory="8g")
        say(f"making {given.interactions:,} interactions")
        bench = Bench(session(settings, "attune bench-als"), Path(folder), given)
        for rank in given.ranks:
            run(bench, rank, figures)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

"""One training of ALS on a cluster, in a process of its own: `python -m tests.e2e.als_once FOLDER MASTER [WORD ...]`.

Words: "kill", an executor is killed after some epochs; "die", the driver ends then, as if killed; "short", there is
one epoch. Prints JSON: what was said, epochs resumed, epochs told of, a digest of the items, the files of the users.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from subprocess import run

from pyspark.sql import functions as F

import models.als
from lake.session import session
from lake.settings import Settings
from models.als import AlsParameters, _slots, fit_als, item_matrix

# Who kills at the sixth epoch must hear of it long before the last: epochs that take longer than those of so few rows
# need, and many looks an epoch.
POLL = 0.02
TASKS = 2
PARAMETERS = AlsParameters(rank=64, epochs=30, steps=8, least_users=1, checkpoint_every=5)


def main(folder: Path, master: str, kill: bool, die: bool, short: bool) -> None:
    """Train and print."""
    parameters = replace(PARAMETERS, epochs=1, rank=4) if short else PARAMETERS
    spark = session(Settings(home=folder / "home", spark_master=master, spark_memory="512m"), "als")
    wants = (
        spark.range(300_000)
        .select(
            F.pmod(F.xxhash64("id", F.lit(1)), F.lit(5000)).alias("user_id"),
            F.pmod(F.xxhash64("id", F.lit(2)), F.lit(800)).alias("item_id"),
            F.lit(1.0).alias("confidence"),
        )
        .distinct()
    )
    models.als.POLL = POLL
    heard: list[str] = []

    def progress(message: str) -> None:
        heard.append(message)
        if kill and len(heard) == 6:
            os.kill(_executors(spark.conf.get("spark.driver.port") or "")[0], signal.SIGKILL)
        if die and len(heard) == 6:
            os._exit(9)

    wants.count()
    # On a busy machine the second executor comes later than the first: only what has come is used, and killed. Without
    # barrier mode none comes before it is needed.
    deadline = time.monotonic() + 300
    while not short and _slots(spark) < TASKS and time.monotonic() < deadline:
        time.sleep(0.1)
    factors = fit_als(wants, parameters, str(folder / "als"), progress=progress, tasks=TASKS)
    items = item_matrix(factors, list(range(800)))  # type: ignore[arg-type]
    users = {file.name for file in (folder / "als/result/users").glob("*.parquet")}
    answer = {
        "said": heard[0],
        "resumed": factors.resumed,
        "told": [epoch.epoch for epoch in factors.epochs],
        "items": hashlib.sha256(items.tobytes()).hexdigest(),
        "parts": sorted(users),
    }
    sys.stdout.write(json.dumps(answer) + "\n")


def _executors(port: str) -> list[int]:
    """The executors of the driver that listens at the port: other clusters of the machine are left alone."""
    table = run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    workers = [line.split(None, 1) for line in table if "CoarseGrainedExecutorBackend" in line]
    return [int(pid) for pid, args in workers if re.search(rf"CoarseGrainedScheduler@\S+:{port}\b", args)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], "kill" in sys.argv[3:], "die" in sys.argv[3:], "short" in sys.argv[3:])

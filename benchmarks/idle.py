"""Wall-clock seconds of a job that has nothing to do, as a person types it: a process of its own. `make bench-idle`.

    ingest_events    no new file
    clean_events     no row of the window
    build_features   made of the same tables already
    maintain_tables  few files, nothing past its retention

The floor beside each is the time in which Python starts and imports the command.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from benchmarks.console import Figures, timed
from lake.console import say
from lake.sources import KINDS

START, DAYS = date(2025, 1, 1), 3
JOBS = ("ingest_events", "clean_events", "build_features", "maintain_tables")


def attune(home: Path, *arguments: str) -> None:
    """Run the command; its words only when it fails."""
    command = [str(Path(sys.executable).parent / "attune"), *arguments]
    env = os.environ | {"ATTUNE_HOME": str(home), "ATTUNE_MISSING_CONSENT": "granted"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")


def run(home: Path, job: str, start: date, end: date) -> None:
    """One job over a window."""
    attune(home, "run", job, "--start", start.isoformat(), "--end", end.isoformat())


def least(home: Path, job: str, start: date, end: date, repeats: int) -> float:
    """Seconds of the quickest of some runs."""
    return min(timed(job, lambda: run(home, job, start, end)) for _ in range(repeats))


def main() -> int:
    """Print the BENCH lines; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="attune-idle-") as folder:
        home, end = Path(folder) / "home", START + timedelta(days=DAYS)
        prepare(home, Path(folder) / "log", end)
        windows = dict.fromkeys(JOBS, (START, end)) | {"clean_events": (end, end + timedelta(days=1))}
        floor = min(timed("attune --help", lambda: attune(home, "--help")) for _ in range(given.repeats))
        for job, window in windows.items():
            figures.add(f"idle_{job}_seconds", least(home, job, *window, given.repeats), "<=8")
        figures.add("idle_floor_seconds", floor, "-")
    return figures.end()


def prepare(home: Path, log: Path, end: date) -> None:
    """A small generated log, taken in, cleaned and made into features."""
    say("making a home of three days")
    shop = ("--users", "200", "--items", "100", "--events", "3000", "--days", str(DAYS), "--bots", "0")
    attune(home, "generate", *shop, "--start", START.isoformat(), "--out", str(log))
    for kind in KINDS:
        attune(
            home, "load", "files", "--mapping", str(log / "generated.toml"), "--path", str(log / kind), "--kind", kind
        )
    for job in JOBS[:3]:
        run(home, job, START, end)


if __name__ == "__main__":
    sys.exit(main())

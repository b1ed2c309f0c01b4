"""What killed sessions leave in <home>/tmp."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.processes import PROJECT
from lake.local_folder import STALE_DAYS, own_folder

HOLDING = """
import sys
from pathlib import Path
from lake.local_folder import own_folder

folder = own_folder(Path(sys.argv[1]))
(folder / "blocks").write_text("of people")
print(folder, flush=True)
sys.stdin.read()
"""


def _holding(home: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with a folder in the home, and the folder."""
    command = [sys.executable, "-c", HOLDING, str(home)]
    process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_session_left_goes_when_the_next_one_begins_and_what_a_living_one_uses_stays(
    tmp_path: Path,
) -> None:
    living, used = _holding(tmp_path)
    killed, left = _holding(tmp_path)
    killed.kill()
    killed.wait()
    assert (left / "blocks").exists()

    own = own_folder(tmp_path)

    with living:
        assert own != used and list(own.iterdir()) == [own / "lock"]
        assert (used / "blocks").read_text() == "of people"
        assert {entry.name for entry in (tmp_path / "tmp").iterdir()} == {".lock", used.name, own.name}
        assert not (left / "blocks").exists()


def test_what_has_no_lock_goes_after_days(tmp_path: Path) -> None:
    old, new = tmp_path / "tmp" / "blockmgr-old", tmp_path / "tmp" / "blockmgr-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    socket = tmp_path / "tmp" / ".old.sock"
    socket.touch()
    long_ago = time.time() - (STALE_DAYS + 1) * 86400
    for entry in (old, socket):
        os.utime(entry, (long_ago, long_ago))

    own_folder(tmp_path)

    assert new.exists() and not old.exists() and not socket.exists()


def test_a_session_keeps_its_blocks_in_a_folder_of_its_own(spark: SparkSession) -> None:
    folder = Path(spark.sparkContext.getConf().get("spark.local.dir") or "")
    assert (folder / "lock").exists()
    assert list(folder.glob("blockmgr-*"))

"""Delta's jars: resolved once at set-up, so that no session start downloads or copies anything.

`python -m lake.jars` resolves them through Spark's own Ivy (which honours the user's repository settings)
and keeps the two that pyspark lacks in the environment, after checking their SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lake.errors import SetupError

JARS = {
    "io.delta:delta-spark_4.1_2.13:4.4.0": "75a9400986853c061f5109f012547de2545a5759e5e752e5ef633dabe16a4f10",
    "io.delta:delta-storage:4.4.0": "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
}


def jar_folder() -> Path:
    """Where the environment keeps the jars."""
    return Path(sys.prefix) / "attune-jars"


def _file_name(coordinate: str) -> str:
    group, artifact, version = coordinate.split(":")
    return f"{group}_{artifact}-{version}.jar"


def jar_paths() -> list[Path]:
    """The jars a session needs.

    Raises SetupError when one is missing, with the command that fetches it.
    """
    paths = [jar_folder() / _file_name(coordinate) for coordinate in JARS]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise SetupError(f"Delta jars missing from {jar_folder()}: {', '.join(missing)}; run: make setup")
    return paths


def fetch() -> None:
    """Resolve the jars, check their hashes and move them into the environment."""
    if all((jar_folder() / _file_name(coordinate)).exists() for coordinate in JARS):
        return
    import pyspark

    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    with tempfile.TemporaryDirectory() as folder:
        # The script does nothing: resolving the packages is what spark-submit does before running it.
        script = Path(folder) / "nothing.py"
        script.write_text("")
        command = [
            str(submit), "--master", "local[1]",
            "--packages", ",".join(JARS),
            # Everything else they ask for is in pyspark already.
            "--exclude-packages",
            "com.*:*,commons-*:*,io.airlift:*,io.unitycatalog:*,io.delta:delta-kernel-*,org.*:*,javax.*:*,net.*:*",
            "--conf", f"spark.jars.ivy={folder}/ivy",
            str(script),
        ]  # fmt: skip
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYSPARK_PYTHON": sys.executable},
        )
        found = {path.name: path for path in Path(folder, "ivy", "jars").glob("*.jar")}
        jar_folder().mkdir(parents=True, exist_ok=True)
        for coordinate, expected in JARS.items():
            name = _file_name(coordinate)
            if name not in found:
                tail = "\n".join(done.stderr.splitlines()[-15:])
                raise SetupError(f"{coordinate} could not be resolved from the Maven repositories:\n{tail}")
            actual = hashlib.sha256(found[name].read_bytes()).hexdigest()
            if actual != expected:
                raise SetupError(f"{name}: SHA-256 is {actual}, expected {expected}; not installed")
            partial = jar_folder() / f".{name}.partial"
            shutil.copyfile(found[name], partial)
            partial.replace(jar_folder() / name)


if __name__ == "__main__":
    try:
        fetch()
    except SetupError as error:
        sys.exit(f"set-up: {error}")

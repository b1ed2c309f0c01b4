"""What a training keeps in its folder, reachable from every worker: progress, checkpoints, and in the end its vectors.

    log/epoch-00001.json              one line of progress
    checkpoint/epoch-00005/...        arrays of each task, and `done.json` once all have written
    result/users/part-00000.parquet   user_id, vector
    result/items/part-00000.parquet   item_id, vector, wanted
    start/items.parquet               item vectors to start from, when there are some

The two folders of the result become Delta tables where the files lie: a commit, no copy.

The folder is a path or a URI that pyarrow.fs knows. NumPy arrays are read without pickle.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import convert_to_deltalake
from pyarrow.fs import FileSelector, FileSystem, FileType

from models.als_train import Epoch, State


class Folder:
    """A training's folder. Writes are whole or not at all: a file is moved to its name when it is complete."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._files, self._root = FileSystem.from_uri(uri)

    def write(self, name: str, content: bytes) -> None:
        """A file under its name, or its earlier content."""
        path = f"{self._root}/{name}"
        self._files.create_dir(path.rsplit("/", 1)[0], recursive=True)
        with self._files.open_output_stream(f"{path}.part") as stream:
            stream.write(content)
        self._files.move(f"{path}.part", path)

    def read(self, name: str) -> bytes | None:
        """The file's content; None when there is none."""
        path = f"{self._root}/{name}"
        if self._files.get_file_info(path).type != FileType.File:
            return None
        with self._files.open_input_stream(path) as stream:
            return bytes(stream.read())

    def write_array(self, name: str, array: np.ndarray) -> None:
        """An array as NumPy writes it."""
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        self.write(name, buffer.getvalue())

    def read_array(self, name: str) -> np.ndarray | None:
        """Such an array; None when there is none."""
        content = self.read(name)
        return None if content is None else np.asarray(np.load(io.BytesIO(content), allow_pickle=False))

    def names(self, under: str) -> list[str]:
        """What lies directly under a folder, sorted; without what is being written."""
        found = self._files.get_file_info(FileSelector(f"{self._root}/{under}", allow_not_found=True))
        return sorted(entry.base_name for entry in found if not entry.base_name.endswith(".part"))

    def remove(self, name: str = "") -> None:
        """A folder below this one, or this one, with all it holds."""
        path = f"{self._root}/{name}".rstrip("/")
        if self._files.get_file_info(path).type == FileType.Directory:
            self._files.delete_dir(path)

    def write_table(self, name: str, table: pa.Table) -> None:
        """A table as Parquet."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False)
        self.write(name, sink.getvalue())

    def read_table(self, name: str) -> pa.Table | None:
        """A Parquet file; None when there is none."""
        content = self.read(name)
        return None if content is None else pq.read_table(pa.BufferReader(content))


def as_delta(folder: Folder) -> None:
    """Make the result's folders Delta tables of the Parquet files that the tasks have written."""
    for side in ("users", "items"):
        convert_to_deltalake(f"{folder.uri}/result/{side}")


def tell(folder: Folder, epoch: Epoch) -> None:
    """Let the driver know."""
    folder.write(f"log/epoch-{epoch.epoch:05d}.json", json.dumps(asdict(epoch)).encode())


def told(folder: Folder, after: int) -> list[Epoch]:
    """The epochs after one, in order."""
    names = [name for name in folder.names("log") if int(name[6:11]) > after]
    return [Epoch(**json.loads(folder.read(f"log/{name}") or b"{}")) for name in names]


def save(folder: Folder, state: State, rank: int, size: int) -> str:
    """Write this task's part of a checkpoint; its name. It counts once mark() was called."""
    name = f"checkpoint/epoch-{len(state.log):05d}"
    arrays = {"users": state.users}
    if state.best is not None:
        arrays["best_users"] = state.best[0]
    if rank == 0:
        arrays["items"] = state.items
        if state.best is not None:
            arrays["best_items"] = state.best[1]
    for key, array in arrays.items():
        part = "" if key.endswith("items") else f"-{rank:05d}-of-{size:05d}"
        folder.write_array(f"{name}/{key}{part}.npy", array)
    return name


def mark(folder: Folder, name: str, state: State, fingerprint: list[int]) -> None:
    """All tasks have written the checkpoint: it counts, and earlier ones go."""
    content: dict[str, Any] = {"fingerprint": fingerprint, "log": [asdict(entry) for entry in state.log]}
    folder.write(f"{name}/done.json", json.dumps(content).encode())
    for other in folder.names("checkpoint"):
        if f"checkpoint/{other}" < name:
            folder.remove(f"checkpoint/{other}")


def resume(folder: Folder, fingerprint: list[int], rank: int, size: int) -> State | None:
    """The newest whole checkpoint of the same training on the same rows; None when there is none."""
    for entry in reversed(folder.names("checkpoint")):
        name = f"checkpoint/{entry}"
        content = folder.read(f"{name}/done.json")
        if content is None:
            continue
        done = json.loads(content)
        if done["fingerprint"] != fingerprint:
            continue
        part = f"-{rank:05d}-of-{size:05d}"
        kinds = (f"users{part}", "items", f"best_users{part}", "best_items")
        users, items, best_users, best_items = (folder.read_array(f"{name}/{kind}.npy") for kind in kinds)
        if users is None or items is None:
            continue
        best = None if best_users is None or best_items is None else (best_users, best_items)
        return State(users, items, [Epoch(**epoch) for epoch in done["log"]], best)
    return None

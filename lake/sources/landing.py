"""Putting files into landing/ so that nobody ever sees half of one, and registering sources."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lake.settings import Settings
from lake.sources.mapping import Kind, Mapping, check_name

CHUNK = 1 << 20


def landing_folder(settings: Settings, source: str, kind: Kind) -> Path:
    """landing/<source>/<kind>, made if need be. Raises SourceError unless the name can be a folder's."""
    folder = settings.landing / check_name(source) / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A temporary path beside the target, which becomes the target when the block ends well and is gone otherwise.

    Its name begins with a dot, so ingest does not see it; two at once do not meet.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def register(settings: Settings, mapping: Mapping, text: str) -> Path:
    """Keep the mapping as sources/<name>.toml, where ingest looks; `text` is what it was read from."""
    target = settings.sources / f"{check_name(mapping.name)}.toml"
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        with whole(target) as partial:
            partial.write_text(text, encoding="utf-8")
    return target


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def copied_name(path: Path) -> str:
    """A landing name that is the same for the same content and another for any other: <digest>-<safe file name>.

    Loading a file twice lands it once, and a corrected file of the same name lands anew.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", path.name)
    return f"{digest(path)[:12]}-{safe[-100:]}"


def land_copy(settings: Settings, source: str, kind: Kind, path: Path) -> tuple[Path, bool]:
    """Copy a file into the landing folder. Returns where, and whether it is new there."""
    target = landing_folder(settings, source, kind) / copied_name(path)
    if target.exists():
        return target, False
    with whole(target) as partial:
        shutil.copyfile(path, partial)
    return target, True

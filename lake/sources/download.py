"""Files from a source's official address: whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import requests

from lake.console import step
from lake.errors import SourceError
from lake.sources.landing import whole

CONNECT, READ = 15, 120  # seconds
LARGEST = 2 << 30


def fetch_zip(url: str, target: Path, md5: str | None = None) -> Path:
    """Download a zip to the target unless it is there. Every member's checksum is tested, and its MD5 if one is known.

    Raises SourceError that names the address, what went wrong and the way by hand.
    """
    if target.exists():
        return target
    by_hand = f"download {url} elsewhere and pass its path with --path"
    try:
        with whole(target) as partial, step(f"downloading {url}"):
            _download(url, partial, md5)
    except requests.RequestException as error:
        raise SourceError(f"{url} cannot be downloaded ({_reason(error)}); {by_hand}") from None
    except zipfile.BadZipFile as error:
        raise SourceError(f"{url} gave no sound zip file ({error}); try again, or {by_hand}") from None
    return target


def _download(url: str, partial: Path, md5: str | None) -> None:
    digest, size = hashlib.md5(usedforsecurity=False), 0
    with requests.get(url, stream=True, timeout=(CONNECT, READ)) as answer, partial.open("wb") as file:
        answer.raise_for_status()
        for chunk in answer.iter_content(1 << 20):
            size += len(chunk)
            if size > LARGEST:
                raise SourceError(f"{url} is larger than {LARGEST:,} bytes; that cannot be the data set")
            digest.update(chunk)
            file.write(chunk)
        announced = answer.headers.get("Content-Length", "")
    if announced.isdigit() and "Content-Encoding" not in answer.headers and int(announced) != size:
        raise SourceError(f"{url} broke off after {size:,} of {int(announced):,} bytes; try again")
    if md5 and digest.hexdigest() != md5:
        raise SourceError(f"{url} has MD5 {digest.hexdigest()}, expected {md5}; not used")
    with zipfile.ZipFile(partial) as archive:
        if broken := archive.testzip():
            raise zipfile.BadZipFile(f"{broken} is damaged")


def extract_member(archive: Path, suffix: str, target: Path) -> Path:
    """Unpack the one member whose name ends so to the target, unless it is there. Raises SourceError without it."""
    if target.exists():
        return target
    with zipfile.ZipFile(archive) as zipped:
        names = [name for name in zipped.namelist() if name.lower().endswith(suffix.lower())]
        if len(names) != 1:
            raise SourceError(f"{archive} holds {len(names)} files that end in {suffix}; expected one")
        with whole(target) as partial, zipped.open(names[0]) as member, partial.open("wb") as file:
            while chunk := member.read(1 << 20):
                file.write(chunk)
    return target


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__

"""The mapping of a source: a short TOML file that says what its columns mean. docs/sources.md explains it in full."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from lake.errors import SourceError
from lake.settings import Settings
from lake.sources.mapping_errors import problems
from lake.sources.sections import Consents, Events, Items, Section, Sensitive, Users

Kind = Literal["events", "items", "users", "consents"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"
BUNDLED = Path(__file__).parent
LARGEST_MAPPING = 1_000_000  # bytes; a mapping is written by hand


def check_name(name: str) -> str:
    """The name of a source, which names folders and tables. Raises SourceError unless it is safe to be one."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise SourceError(
            f"{name[:60]!r} is no name of a source; allowed are a-z, 0-9 and hyphens, at most 63 characters, "
            'the first no hyphen, for example "my-shop"'
        )
    return name


class Mapping(BaseModel):
    """A source: its name, what its events look like, and optionally its items, users and consents."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    events: Events
    items: Items | None = None
    users: Users | None = None
    consents: Consents | None = None
    sensitive: Sensitive = Sensitive()

    def section(self, kind: Kind) -> Section | None:
        """The section of a kind of files, None where the mapping does not speak of them."""
        found: Section | None = getattr(self, kind)
        return found

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of files the mapping speaks of."""
        return tuple(kind for kind in KINDS if self.section(kind) is not None)

    @classmethod
    def parse(cls, text: str, where: str) -> Mapping:
        """A mapping from TOML text; `where` names it in errors.

        Raises SourceError that names the file, each wrong key, what was got and what is allowed.
        """
        try:
            return cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise SourceError(f"mapping {where} is not valid TOML: {error}; see docs/sources.md") from None
        except ValidationError as error:
            raise SourceError(f"mapping {where}: {problems(error, cls)}; see docs/sources.md") from None

    @classmethod
    def load(cls, path: Path) -> Mapping:
        """The mapping in a file. Raises SourceError when it cannot be read or is wrong."""
        return cls.parse(read_text(path), str(path))

    @classmethod
    def bundled(cls, name: str) -> Mapping:
        """A mapping that comes with Attune. Raises SourceError that lists them for any other name."""
        known = bundled_names()
        if name not in known:
            raise SourceError(f"no mapping {name[:60]!r} comes with Attune; these do: {', '.join(known)}")
        return cls.load(BUNDLED / f"{name}.toml")

    @classmethod
    def for_home(cls, settings: Settings) -> dict[str, Mapping]:
        """The registered sources of a home, by name, in order. Raises SourceError when one of them is wrong."""
        found = {}
        for path in sorted(settings.sources.glob("[!.]*.toml")):
            mapping = cls.load(path)
            if mapping.name != path.stem:
                raise SourceError(
                    f"mapping {path}: name is {mapping.name!r}, but the file is called {path.name}; "
                    f"rename the file to {mapping.name}.toml"
                )
            found[mapping.name] = mapping
        return found


def bundled_names() -> list[str]:
    """Names of the mappings that come with Attune."""
    return sorted(path.stem for path in BUNDLED.glob("*.toml"))


def read_text(path: Path) -> str:
    """The text of a mapping file. Raises SourceError that says why it cannot be had."""
    try:
        if path.stat().st_size > LARGEST_MAPPING:
            raise SourceError(
                f"mapping {path} has {path.stat().st_size:,} bytes; a mapping has {LARGEST_MAPPING:,} at most"
            )
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SourceError(f"mapping {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SourceError(f"mapping {path} is no text in UTF-8; a mapping is a TOML file") from None

"""What commands of `attune` have in common: options, and how they become settings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lake import settings as settings_module
from lake.console import err, say
from lake.settings import Settings

Home = Annotated[Path | None, typer.Option("--home", help="Folder of everything that is written. Default .attune")]
Consent = Annotated[
    str | None,
    typer.Option("--missing-consent", help="What no word from a user means: granted or withdrawn. No default."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON for programs.")]
Start = Annotated[str, typer.Option("--start", help="First event date, YYYY-MM-DD, UTC.")]
End = Annotated[str, typer.Option("--end", help="Last event date, exclusive.")]


def settings_of(home: Path | None, missing_consent: str | None = None, *, ask: bool = False) -> Settings:
    """The settings; where consent matters and nobody has said, ask the person at the terminal."""
    settings = settings_module.load(home=home, missing_consent=missing_consent)
    if ask and settings.missing_consent is None and sys.stdin.isatty() and err.is_terminal:
        say("A user without a recorded consent for personalisation: is it granted or withdrawn? There is no default.")
        answer = typer.prompt("granted or withdrawn", err=True)
        settings = settings_module.load(home=home, missing_consent=answer.strip())
    if ask:
        settings.consent_default()
    return settings

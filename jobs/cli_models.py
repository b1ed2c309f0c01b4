"""Commands for ML engineers: models side by side, and the search of their parameters."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.cli_options import Consent, Home, Json, settings_of
from lake.console import emit_json
from lake.window import parse_date


def compare(
    versions: Annotated[
        list[str] | None, typer.Argument(help="Versions or aliases. Default: the champion and the newest.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", help="Judge on what came last before this date. Default: the newest's.")
    ] = None,
    home: Home = None,
    missing_consent: Consent = None,
    json: Json = False,
) -> None:
    """Show model versions and all single sources side by side, on the same users of one test window."""
    from jobs.compare import compare as compare_versions
    from jobs.compare import show

    last = parse_date(end) if end else None
    found = compare_versions(settings_of(home, missing_consent, ask=True), versions or [], last)
    if json:
        emit_json(found.as_dict())
    else:
        show(found)


def tune(
    model: Annotated[str, typer.Argument(help="als, neighbours, next, alike, together or hybrid (the ranker).")],
    trials: Annotated[int, typer.Option(min=1, max=10_000, help="How many in all; those made before count.")] = 20,
    scope: Annotated[str, typer.Option(help="Maximise nDCG@10 of all items, or of new ones.")] = "all",
    seed: Annotated[int, typer.Option(help="Of the search.")] = 1,
    end: Annotated[
        str | None, typer.Option("--end", help="What happened before this date counts. Default: all.")
    ] = None,
    home: Home = None,
    missing_consent: Consent = None,
    json: Json = False,
) -> None:
    """Search a model's parameters on the validation window. May be stopped at any time, and goes on where it was."""
    from jobs.tune import show
    from jobs.tune import tune as search

    settings, last = settings_of(home, missing_consent, ask=True), parse_date(end) if end else None
    found = search(settings, model, trials, last, scope, seed)
    if json:
        emit_json(found.as_dict())
    else:
        show(found)

"""The command `attune`. Answers go to standard output, progress to standard error; `--json` where programs read."""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from jobs import cli_models
from jobs.cli_options import Consent, End, Home, Json, Start, settings_of
from lake.console import emit_json, err, say, step
from lake.errors import AttuneError, SettingError
from lake.window import Window, parse_date

app = typer.Typer(
    name="attune",
    help="From event logs to tonight's recommendations for each person.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(cli_models.compare)
app.command()(cli_models.tune)


@app.command()
def demo(
    home: Home = None,
    missing_consent: Consent = None,
    source: Annotated[
        str, typer.Option(help="complete-journey, online-retail-ii or movielens-1m")
    ] = "complete-journey",
    path: Annotated[Path | None, typer.Option(help="The source's file, where it does not come with Attune.")] = None,
    nights: Annotated[int, typer.Option(min=0, max=14, help="Last days to run as Airflow nights.")] = 2,
    json: Json = False,
) -> None:
    """Run the main job on real data: load, backfill, Airflow nights, train, publish; then show what came of it."""
    from jobs.demo import run_demo
    from jobs.summary import show

    summary = run_demo(settings_of(home, missing_consent, ask=True), source, path, nights)
    if json:
        emit_json(summary.as_dict())
    else:
        show(summary)


@app.command("load")
def load_command(
    source: Annotated[str, typer.Argument(help="complete-journey, online-retail-ii, movielens-1m or files")],
    path: Annotated[list[Path] | None, typer.Option(help="File or folder of the source; may be given again.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="For files: the TOML that describes them.")] = None,
    kind: Annotated[str, typer.Option(help="For files: events, items, users or consents.")] = "events",
    start: Annotated[str | None, typer.Option(help="Only event dates from here on.")] = None,
    end: Annotated[str | None, typer.Option(help="Only event dates before this.")] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Put a source's files where ingest finds them, and register how to read them."""
    from lake.sources import KINDS, load

    kinds = [known for known in KINDS if known == kind]
    if not kinds:
        raise SettingError(f"got --kind {kind[:40]!r}; allowed: {', '.join(KINDS)}")
    days = (parse_date(start) if start else None, parse_date(end) if end else None)
    with step(f"loading {source}"):
        report = load(source, settings_of(home), path, mapping, *days, kind=kinds[0])
    if json:
        emit_json(asdict(report))
        return
    say(str(report))


@app.command()
def generate(
    users: Annotated[int, typer.Option(help="How many users, bots among them.")],
    items: Annotated[int, typer.Option(help="How many items.")],
    events: Annotated[int, typer.Option(help="Genuine events; repeats and returns come on top.")],
    start: Start,
    days: Annotated[int, typer.Option(help="How many event dates.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the files and the truth.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same log.")] = 1,
    defects: Annotated[float, typer.Option(help="Chance of an event to be spoilt, repeated or returned.")] = 0.02,
    bots: Annotated[float, typer.Option(help="Share of users that are bots.")] = 0.001,
    others: Annotated[
        float, typer.Option(help="Share of event types beside view, add_to_cart, like and purchase.")
    ] = 0.05,
    taste: Annotated[float, typer.Option(help="Share of events in a category the person prefers.")] = 0.7,
    withdrawn: Annotated[float, typer.Option(help="Share of users who withdrew their consent.")] = 0.08,
    never_asked: Annotated[float, typer.Option(help="Share of users whose consent is not recorded.")] = 0.10,
    ingested: Annotated[
        str | None, typer.Option(help="Day the log will be taken in; allows times with day and month exchanged.")
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Make a synthetic log: known preferences, known defects, files that load as any source's do."""
    from jobs import generate as job
    from lake.generator import Params

    params = Params(
        users=users, items=items, events=events, start=parse_date(start), days=days, seed=seed, defects=defects,
        bots=bots, others=others, taste=taste, withdrawn=withdrawn, never_asked=never_asked,
        ingested=parse_date(ingested) if ingested else None,
    )  # fmt: skip
    found = job.generate(params, out, settings_of(home))
    if json:
        emit_json(found.as_dict())
    else:
        job.show(found)


@app.command()
def run(
    job: Annotated[str, typer.Argument(help="ingest_events, clean_events, build_features, train_models, ...")],
    start: Start,
    end: End,
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for the job; may be given again.")] = None,
    home: Home = None,
    missing_consent: Consent = None,
    json: Json = False,
) -> None:
    """Run one job for a window of event dates."""
    from jobs.job import execute

    wrong = [item for item in option or [] if "=" not in item]
    if wrong:
        raise SettingError(f"got --option {wrong[0]!r}; allowed is KEY=VALUE, for example --option force=true")
    options = dict(item.split("=", 1) for item in option or [])
    settings = settings_of(home, missing_consent)
    report = execute(job, Window(parse_date(start), parse_date(end)), settings, options)
    if json:
        emit_json(report.as_dict())


@app.command()
def nightly(
    day: Annotated[str, typer.Option("--date", help="The event date of the night, YYYY-MM-DD, UTC.")],
    home: Home = None,
    missing_consent: Consent = None,
    json: Json = False,
) -> None:
    """Run all five jobs for one day in this process, as Airflow runs them one by one."""
    from jobs.job import NIGHT, execute

    settings = settings_of(home, missing_consent, ask=True)
    window = Window.day(parse_date(day))
    reports = {job: execute(job, window, settings).as_dict() for job in NIGHT}
    if json:
        emit_json(reports)


@app.command()
def recommend(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    k: Annotated[int, typer.Option("-k", help="How many items.")] = 10,
    segment: Annotated[str | None, typer.Option(help="Segment of a user the snapshot does not know.")] = None,
    country: Annotated[str | None, typer.Option(help="Country of a user the snapshot does not know.")] = None,
    stage: Annotated[str | None, typer.Option(help="Stage of a user the snapshot does not know.")] = None,
    season: Annotated[bool, typer.Option(help="For strangers: what was wanted at this time a year ago.")] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Show tonight's recommendations for a user, with reasons. Reads the snapshot: no Spark, no Java."""
    from jobs.summary import show_answer
    from serving.reader import SnapshotReader

    reader = SnapshotReader(str(settings_of(home).lake))
    answer = reader.recommend(user, k, segment=segment, country=country, stage=stage, season=season)
    if json:
        emit_json(answer.to_dict())
        return
    show_answer(answer)


@app.command()
def profile(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="What was known before this date. Default: the features' date.")
    ] = None,
    home: Home = None,
    missing_consent: Consent = None,
    json: Json = False,
) -> None:
    """Show all that is held about a person, in words and numbers. No Spark, no Java."""
    from jobs.profile_words import show
    from jobs.user_profile import profile as look_up

    day = parse_date(as_of) if as_of else None
    found = look_up(settings_of(home, missing_consent), user, day)
    if json:
        emit_json(found.as_dict())
    else:
        show(found)


@app.command()
def runs(
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    job: Annotated[str | None, typer.Option(help="Only this job.")] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Show the latest job runs and their books: read = clean + rejected + duplicates."""
    from jobs.summary import show_runs
    from lake.runs import latest_runs

    rows = latest_runs(settings_of(home), last, job)
    if json:
        emit_json(rows)
        return
    show_runs(rows)


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why; kept with the pointer.")],
    to: Annotated[str | None, typer.Option(help="Snapshot to return to; default the one before.")] = None,
    home: Home = None,
) -> None:
    """Let readers return to an earlier snapshot. The next publish is held until `attune release`."""
    from serving.switch import rollback as roll_back

    row = roll_back(settings_of(home), to, reason=reason)
    say(f"published again: {row.snapshot_id} as of {row.as_of}; the next publish is held until: attune release")


@app.command()
def release(
    reason: Annotated[str, typer.Option(help="Why it is safe to publish again.")],
    home: Home = None,
) -> None:
    """Allow publishing again after a rollback."""
    from serving.switch import release as let_go

    say(f"released; published is {let_go(settings_of(home), reason=reason).snapshot_id}")


@app.command()
def ui(
    home: Home = None,
    missing_consent: Consent = None,
) -> None:
    """Start Airflow and MLflow side by side, and say where they are. Ends with Ctrl-C."""
    from jobs.ui import serve_ui

    serve_ui(settings_of(home, missing_consent))


def main() -> None:
    """Entry point: errors for people end in one message; others show their trace above one."""
    try:
        app()
    except AttuneError as error:
        err.print(f"attune: {error}", markup=False, style="red")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("attune: interrupted; every job is safe to run again", markup=False)
        os._exit(130)
    except Exception as error:
        from jobs.job import message_of

        traceback.print_exc()
        err.print(f"attune: unexpected: {message_of(error)}; running the same command again is safe", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()

"""The command `attune` as a person meets it: one clear message for bad input, an exit code, JSON for programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from jobs import cli
from tests.bronze import MAPPING

CSV = "id,user,item,kind,time,order,quantity,price,amount,currency,country,device,title\n"
GENERATE = ("generate", "--items", "20", "--events", "100", "--start", "2024-01-01", "--days", "3", "--out", "no/such")
LINE = "1,u1,i1,purchase,2024-06-01 10:00:00,o1,1,2.5,,GBP,France,web,Tea\n"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ATTUNE_MISSING_CONSENT", "ATTUNE_SPARK_MASTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path / "home"))


def _attune(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """Run the command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["attune", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("load", "nowhere"),
            "there is no source 'nowhere'; sources: complete-journey,",
        ),
        (("load", "online-retail-ii", "--path", "/not/there.csv"), "/not/there.csv does not exist"),
        (("load", "files", "--path", "x.csv"), "needs --mapping"),
        (("load", "files", "--kind", "people"), "got --kind 'people'; allowed: events, items, users, consents"),
        (("run", "ingest_events", "--start", "2024-01-02", "--end", "2024-01-02"), "start must be before end"),
        (
            ("run", "ingest_events", "--start", "today", "--end", "2024-01-02"),
            "got the date 'today'; allowed is YYYY-MM-DD",
        ),
        (
            ("run", "make_coffee", "--start", "2024-01-01", "--end", "2024-01-02"),
            "there is no job 'make_coffee'",
        ),
        (("run", "train_models", "--start", "2024-01-01", "--end", "2024-01-02", "--option", "force"), "KEY=VALUE"),
        (("nightly", "--date", "2024-01-01"), "There is no default. Set ATTUNE_MISSING_CONSENT=granted"),
        (("demo",), "There is no default. Set ATTUNE_MISSING_CONSENT=granted"),
        (("demo", "--missing-consent", "perhaps"), "missing_consent: got 'perhaps'"),
        (("demo", "--missing-consent", "granted", "--source", "moon"), "there is no demo of 'moon'; demos:"),
        (("recommend", "u1"), "no snapshot"),
        (("profile", "u1"), "nothing is held about 'u1'"),
        (("profile", "u1", "--as-of", "then"), "got the date 'then'; allowed is YYYY-MM-DD"),
        (("compare", "1"), "There is no default. Set ATTUNE_MISSING_CONSENT=granted"),
        (("compare", "--missing-consent", "granted", "--end", "soon"), "got the date 'soon'; allowed is YYYY-MM-DD"),
        (("tune", "als"), "There is no default. Set ATTUNE_MISSING_CONSENT=granted"),
        (
            ("tune", "love", "--missing-consent", "granted"),
            "got MODEL 'love'; allowed: als, neighbours, next, alike, together, hybrid",
        ),
        (("tune", "als", "--missing-consent", "granted", "--scope", "some"), "got --scope 'some'; allowed: all, new"),
        (("tune", "als", "--missing-consent", "granted"), "gold.user_day holds no day yet; first: attune run build"),
        ((*GENERATE, "--users", "0"), "got --users 0; allowed: 1 to 2,000,000,000"),
        ((*GENERATE, "--users", "10", "--defects", "2"), "got --defects 2.0; allowed: 0 to 0.5"),
        ((*GENERATE, "--users", "10", "--bots", "0.5"), "give a lower --bots (0 for none), or more --events"),
        (
            (*GENERATE, "--users", "10", "--bots", "0", "--ingested", "2024-01-01"),
            "got --ingested 2024-01-01; the log's",
        ),
        (("rollback", "--reason", "test"), "nothing to roll back"),
        (("runs", "--json"), "no job has run"),
    ],
)
def test_bad_input_ends_in_one_message_that_says_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert _attune(monkeypatch, *arguments) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err and told.out == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "is not valid TOML"),
        ('name = "shop"\n[events]\nformat = "csv"\n', "columns"),
        (
            MAPPING.replace('format = ["yyyy-MM-dd HH:mm:ss"]', 'format = ["yyyy-MM-dd HH:mm:ss"]\nzone = "Mars/Base"'),
            "Mars",
        ),
        (MAPPING.replace('user_id = "user"', 'user_idd = "user"'), "user_idd"),
    ],
)
def test_a_malformed_mapping_is_refused_before_anything_lands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, said: str
) -> None:
    mapping, file = tmp_path / "shop.toml", tmp_path / "events.csv"
    mapping.write_text(text)
    file.write_text(CSV + LINE)
    assert _attune(monkeypatch, "load", "files", "--mapping", mapping, "--path", file) == 2
    told = capsys.readouterr().err
    assert said in told and "shop.toml" in told and "Traceback" not in told
    assert not (tmp_path / "home" / "landing").exists()


def test_load_says_what_landed_and_what_to_do_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mapping, file = tmp_path / "shop.toml", tmp_path / "events.csv"
    mapping.write_text(MAPPING)
    file.write_text(CSV + LINE)
    load = ("load", "files", "--mapping", mapping, "--path", file)
    assert _attune(monkeypatch, *load) == 0
    told = capsys.readouterr().err
    assert "shop: 1 file landed" in told and "Next: attune run ingest_events" in told
    assert _attune(monkeypatch, *load) == 0
    assert "shop: 0 files landed; 1 file there already" in capsys.readouterr().err
    assert _attune(monkeypatch, *load, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["source"] == "shop" and len(report["present"]) == 1


def test_an_unexpected_fault_ends_in_a_message_too_and_a_full_disk_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lake.runs.latest_runs", broken)
    assert _attune(monkeypatch, "runs") == 1
    assert "the disk is full" in capsys.readouterr().err.splitlines()[-1]

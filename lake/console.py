"""How commands talk: progress bars on a terminal, plain log lines elsewhere, JSON where a program reads."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """One line for a person: what is being done or was found. Goes to standard error, so that JSON stays clean."""
    stamp = "" if err.is_terminal else time.strftime("%H:%M:%S ")
    err.print(f"{stamp}{message}", markup=False)


def emit_json(value: Any) -> None:
    """The machine-readable answer, alone on standard output."""
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False) + "\n")


def emit_table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """A table for people on standard output; numbers to the right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(cell) for cell in row))
    # Off a terminal rich assumes 80 columns and folds everything; a log has room.
    console = out if out.is_terminal else Console(highlight=False, width=140)
    console.print(table)


def _text(cell: Any) -> str:
    if isinstance(cell, bool) or cell is None:
        return "" if cell is None else str(cell)
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return str(cell)


@contextmanager
def step(message: str) -> Iterator[None]:
    """A step of long work: a spinner with elapsed time on a terminal; a line at start and end elsewhere."""
    started = time.monotonic()
    if err.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True) as progress:
            progress.add_task(message)
            yield
    else:
        say(f"{message} ...")
        yield
    say(f"{message}: {time.monotonic() - started:.1f} s")

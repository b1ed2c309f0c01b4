"""What benchmarks print: one line a figure, and what was reached."""

from __future__ import annotations

import time
from collections.abc import Callable

from lake.console import out, say


class Figures:
    """The figures of a run and whether each keeps its bound."""

    def __init__(self) -> None:
        self.missed: list[str] = []
        self._lines: list[str] = []

    def add(self, what: str, figure: float, bound: str, digits: int = 4) -> None:
        """bound: "<=1.5", ">=15", or "-" for none. digits: significant ones that are printed."""
        number = float(bound[2:]) if bound != "-" else 0.0
        kept = {"<=": figure <= number, ">=": figure >= number}.get(bound[:2], True)
        if not kept:
            self.missed.append(what)
        self._lines.append(f"BENCH {what} {figure:.{digits}g} {bound}")
        out.print(self._lines[-1], markup=False)

    def end(self) -> int:
        """All lines again, together; 1 when a bound is missed."""
        for line in self._lines:
            out.print(line, markup=False)
        if self.missed:
            say(f"bounds missed: {', '.join(self.missed)}")
        return 1 if self.missed else 0


def timed(what: str, run: Callable[[], object]) -> float:
    """Seconds of one call, said as well."""
    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    say(f"{what}: {seconds:.2f} s")
    return seconds

"""Independent works of Spark at once: while one is planned, or commits, the others use the cores."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

AT_ONCE = 3


def together(*works: Callable[[], Any]) -> list[Any]:
    """Do all of them, in any order; what they give, in theirs. The first fault, in their order, is raised when all have
    ended.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = [pool.submit(work) for work in works]
    return [work.result() for work in ended]

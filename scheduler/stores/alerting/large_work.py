"""Runs work over many rows in a thread, so that runs are not late in a storm of alerts. Used by the other modules of
this folder and by scheduler.alerting.engine_runner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

LARGE = 100
"""Rows, alerts or members. Work on more takes several milliseconds."""

P = ParamSpec("P")
T = TypeVar("T")


async def run_sized(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of pure work: at once if it is small, else from a thread."""
    if size <= LARGE:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)

"""Pauses the garbage collector of a process that only replays. Called by scheduler.alerting.backtest.backtester."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pause_collector() -> Iterator[None]:
    """perf: `backtest`, a tenth of the time; a million values are made, and few of them form cycles."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

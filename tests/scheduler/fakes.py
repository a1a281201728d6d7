"""Fakes of the program's own ports, shared by the tests of the scheduler package."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from jobs.events import AttemptRetried, RunFinished, RunStarted

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class VirtualClock:
    """Time that passes only when somebody sleeps, or when a test moves it. `on_sleep` sees each sleep."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self.on_sleep: Callable[[float], None] = lambda _: None

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.on_sleep(seconds)
        self._now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def move(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.started: list[RunStarted] = []
        self.retried: list[AttemptRetried] = []
        self.finished: list[RunFinished] = []

    def run_started(self, event: RunStarted) -> None:
        self.started.append(event)

    def attempt_retried(self, event: AttemptRetried) -> None:
        self.retried.append(event)

    def run_finished(self, event: RunFinished) -> None:
        self.finished.append(event)

"""The stop-watch of one attempt. The runner makes it, the check marks its phases, and whoever ends the attempt can
still read how far it came: that is how a time-out knows what it was waiting for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from jobs.formats.durations import round_to_microsecond
from jobs.runs import ErrorClass, Phases

if TYPE_CHECKING:
    from jobs.checks.peer import Peer

Phase = Literal["secrets", "token", "dns", "connect", "tls", "first_byte", "body"]
"""In the first two it is not the target that is waited for; they are told apart and not kept."""


def _no_verdict(_: str) -> None:
    """No answer has begun."""


class PhaseClock:
    """Marks phases as they begin; a second visit of a phase (a redirect) adds to the first."""

    __slots__ = ("_began", "_since", "_spent", "asked", "besides", "current", "facts", "found", "received", "step")

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._since = self._began
        self._spent: dict[str, float] = {}
        self.current: Phase | None = None
        """The phase that is going on; None before the first."""
        self.asked: Peer | None = None
        """Whom the phase is about, which the job's endpoint need not be: behind a redirect, at a proxy, in a step."""
        self.besides: Callable[[], str] = str
        """What there is to say about that besides: a sentence, or nothing."""
        self.step = ""
        """Which of several requests it is, as the beginning of a sentence: `Step 2 of 3 (order): `."""
        self.facts: Callable[[], Mapping[str, Any]] = dict
        """The facts that the check has so far, for an observation that is made at the deadline."""
        self.found: tuple[ErrorClass, str] | None = None
        """What is known to be wrong already, while the check tries to say more about it."""
        self.received: Callable[[str], tuple[ErrorClass, str] | None] = _no_verdict
        """The verdict on an incomplete answer when the deadline passes, by the limit as a text; None: it timed out."""

    def enter(self, phase: Phase) -> None:
        """The phase before ends, this one begins."""
        now = time.perf_counter()
        self._close(now)
        self.current = phase
        self._since = now

    @property
    def elapsed_ms(self) -> float:
        """Since the beginning."""
        return (time.perf_counter() - self._began) * 1000

    def snapshot(self) -> Phases:
        """The phases as they are now; the one that is going on goes on."""
        current = self.current
        phases = self.stop()
        self.current, self._since = current, time.perf_counter()
        return phases

    def stop(self) -> Phases:
        """End the phase that is going on and give all of them."""
        now = time.perf_counter()
        self._close(now)
        self.current = None
        spent = self._spent
        return Phases(
            dns_ms=spent.get("dns"),
            connect_ms=spent.get("connect"),
            tls_ms=spent.get("tls"),
            first_byte_ms=spent.get("first_byte"),
            total_ms=round_to_microsecond((now - self._began) * 1000),
        )

    def _close(self, now: float) -> None:
        if self.current is not None:
            spent = (now - self._since) * 1000
            self._spent[self.current] = round_to_microsecond(self._spent.get(self.current, 0.0) + spent)

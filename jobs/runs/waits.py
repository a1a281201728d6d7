"""What a run waited for between its due instant and its start: the answer to "Why was it late?". Pure.

Measured by scheduler.worker.waits, stored with the run, shown by pages, commands, the API, logs and alerts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from jobs.fast_frozen import fast_frozen
from jobs.formats import describe_milliseconds

MAX_WAITS = 5
"""Waits that a run stores: the longest ones."""
MIN_WAIT_MS = 10.0
"""Shorter waits are not stored. Each run waits a few milliseconds: up to 4 ms for runs that start together with it
(scheduler.worker.batches), and 1 ms because timers count milliseconds."""
NOTABLE_LATENESS_MS = 1000.0
"""A run that started later than this is notably late: lists and log messages say why."""
_UNEXPLAINED_SHARE = 0.1
"""Of the lateness. A rest that is larger is shown."""


class WaitReason(StrEnum):
    """The values are stored: add, never rename."""

    PLACE = "place"
    """A place of the process, or a slot of a concurrency group or of all jobs."""
    GATE = "gate"
    """A condition of its job: overlap, a dependency, or the order of caught-up runs."""
    CLAIM = "claim"
    """The store wrote the claim, or renewed its lease."""
    START_UP = "start_up"
    """The program started after the instant, or took the run over from a process that died."""
    CATCH_UP = "catch_up"
    """The instant was missed, and the policy `catch_up` ran it later."""
    QUEUE = "queue"
    """The message with its ticket was sent late, or waited on the queue of the Functions host."""
    STARVED_CPU = "starved_cpu"
    """The scheduler woke late: the process had no CPU time, or was busy with other runs."""


@fast_frozen(frozen=True, slots=True)
class StartWait:
    """`detail`: what it waited for, such as `dependency database`; empty if the reason is enough."""

    reason: WaitReason
    milliseconds: float
    detail: str = ""

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{describe_milliseconds(self.milliseconds)} {_PHRASES[self.reason]}{detail}"


_PHRASES = {
    WaitReason.PLACE: "for a place",
    WaitReason.GATE: "at a gate",
    WaitReason.CLAIM: "for the claim",
    WaitReason.START_UP: "for the start of the program",
    WaitReason.CATCH_UP: "until it was caught up",
    WaitReason.QUEUE: "on the queue",
    WaitReason.STARVED_CPU: "for CPU time",
}


def select_longest(waits: Sequence[StartWait]) -> tuple[StartWait, ...]:
    """Return the waits to store, the longest first. Of too many, those with one reason are one wait.

    A run that waited for a hundred others in turn waited once, and long.
    """
    if len(waits) > MAX_WAITS:
        waits = _merge_by_reason(waits)
    notable = (wait for wait in waits if wait.milliseconds >= MIN_WAIT_MS)
    return tuple(sorted(notable, key=lambda wait: -wait.milliseconds)[:MAX_WAITS])


def _merge_by_reason(waits: Sequence[StartWait]) -> Sequence[StartWait]:
    """Return one wait for each reason, with the detail of the longest."""
    longest: dict[WaitReason, StartWait] = {}
    total: defaultdict[WaitReason, float] = defaultdict(float)
    for wait in sorted(waits, key=lambda wait: -wait.milliseconds):
        longest.setdefault(wait.reason, wait)
        total[wait.reason] += wait.milliseconds
    return [replace(wait, milliseconds=round(total[reason], 3)) for reason, wait in longest.items()]


def describe_waits(waits: Sequence[StartWait], lateness_ms: float, most: int = MAX_WAITS) -> str:
    """Return for example `3.9 s for a place (limit of concurrency group payments), 200 ms for the claim`.

    `most`: number of waits that are named. A large rest of the lateness that they do not explain is named, too. Empty
    without waits.
    """
    if not waits:
        return ""
    rest = lateness_ms - sum(wait.milliseconds for wait in waits)
    is_large = rest >= max(MIN_WAIT_MS, lateness_ms * _UNEXPLAINED_SHARE)
    reasons = "other reasons" if len(waits) == MAX_WAITS else "reasons that are not known"
    unexplained = [f"{describe_milliseconds(rest)} for {reasons}"] if is_large else []
    return ", ".join([*map(str, waits[:most]), *unexplained])


def explain_lateness(waits: Sequence[StartWait], lateness_ms: float) -> str:
    """Return `Started 4.2 s late: waited 3.9 s for a place, 300 ms for the claim.`; empty without waits."""
    text = describe_waits(waits, lateness_ms)
    return f"Started {describe_milliseconds(lateness_ms)} late: waited {text}." if text else ""

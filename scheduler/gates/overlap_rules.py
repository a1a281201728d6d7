"""The rules for a run that is due while other runs of its job are in-flight. Pure.

Called by scheduler.gates.overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.definition import OverlapMode


@dataclass(frozen=True, slots=True)
class OtherRuns:
    """Ids of the other runs of the job, each group oldest first."""

    running: tuple[str, ...] = ()
    """Started, or claimed by another process for an earlier instant, so possibly started."""
    waiting_before: tuple[str, ...] = ()
    """Waiting runs that were due before."""
    waiting: tuple[str, ...] = ()
    """All waiting runs except replays."""
    newer: tuple[str, ...] = ()
    """Due later, and started or waiting."""


@dataclass(frozen=True, slots=True)
class OverlapDecision:
    """`to_cancel`: runs to cancel for this run, which waits until they are finished."""

    kind: Literal["go", "skip", "wait"]
    reason: str = ""
    to_cancel: tuple[str, ...] = ()
    cancelled_by: str = ""
    """See Skip."""


GO_DECISION = OverlapDecision("go")


def decide_overlap(
    mode: OverlapMode, others: OtherRuns, *, is_replay: bool, is_accepted: bool = False
) -> OverlapDecision:
    """Decide about a run. `is_accepted`: it waits already and stays in the queue. A replay is never skipped."""
    if mode == "cancel_previous" and not is_replay:
        return _newest_wins(others)
    before = (*others.running, *others.waiting_before)
    if mode == "skip" and not is_replay:
        before = others.running
    if not before:
        return GO_DECISION
    if is_replay or mode == "allow":
        return OverlapDecision("wait", f"run {before[0]} of its job is running")
    if mode == "skip":
        return OverlapDecision("skip", f"the previous run ({before[0]}) was still running (overlap: skip)")
    if mode == "buffer_one" and not is_accepted:
        occupied = tuple(dict.fromkeys((*others.running, *others.waiting)))
        if len(occupied) > 1:
            both = f"the previous run ({occupied[0]}) was still running, and another run ({occupied[1]}) waits for it"
            return OverlapDecision("skip", f"{both} (overlap: buffer_one)")
    return OverlapDecision("wait", f"the previous run ({before[0]}) is running (overlap: {mode})")


def _newest_wins(others: OtherRuns) -> OverlapDecision:
    if others.newer:
        newest = others.newer[-1]
        return OverlapDecision("skip", f"a newer run ({newest}) replaced it", cancelled_by=cancelled_by_run(newest))
    before = (*others.running, *others.waiting_before)
    if not before:
        return GO_DECISION
    return OverlapDecision(
        "wait", f"the previous run ({before[0]}) is being cancelled (overlap: cancel_previous)", before
    )


def cancelled_by_run(run_id: str) -> str:
    """Return how a reason names this run as the source of a cancellation."""
    return f"by run {run_id} (overlap: cancel_previous)"

"""What becomes of a run that falls due while others of its job go on: the rules, pure. Used by the overlap gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.definition import OverlapMode


@dataclass(frozen=True, slots=True)
class OtherRuns:
    """Ids of the other runs of the job that count, each group oldest first."""

    running: tuple[str, ...] = ()
    """Begun, or claimed elsewhere for an instant before, so that they may have."""
    waiting_before: tuple[str, ...] = ()
    """Those that wait and were due before."""
    waiting: tuple[str, ...] = ()
    """All that wait and are no replays."""
    newer: tuple[str, ...] = ()
    """Due later, and begun or waiting."""


@dataclass(frozen=True, slots=True)
class OverlapDecision:
    """`cancel`: runs to be ended for this one, which waits until they are over."""

    kind: Literal["go", "skip", "wait"]
    reason: str = ""
    to_cancel: tuple[str, ...] = ()
    cancelled_by: str = ""
    """See Skip."""


GO_DECISION = OverlapDecision("go")


def decide_overlap(
    mode: OverlapMode, others: OtherRuns, *, is_replay: bool, is_accepted: bool = False
) -> OverlapDecision:
    """`accepted`: it was let wait already, and keeps its place. A replay is never left out: it would be lost."""
    if mode == "cancel_previous" and not is_replay:
        return _newest_wins(others)
    before = (*others.running, *others.waiting_before)
    if mode == "skip" and not is_replay:
        before = others.running
    if not before:
        return GO_DECISION
    if is_replay or mode == "allow":
        return OverlapDecision("wait", f"run {before[0]} of its job goes on")
    if mode == "skip":
        return OverlapDecision("skip", f"the run before it ({before[0]}) was still going (overlap: skip)")
    if mode == "buffer_one" and not is_accepted:
        occupied = tuple(dict.fromkeys((*others.running, *others.waiting)))
        if len(occupied) > 1:
            both = f"the run before it ({occupied[0]}) was still going, and another one ({occupied[1]}) waits for it"
            return OverlapDecision("skip", f"{both} (overlap: buffer_one)")
    return OverlapDecision("wait", f"the run before it ({before[0]}) goes on (overlap: {mode})")


def _newest_wins(others: OtherRuns) -> OverlapDecision:
    if others.newer:
        newest = others.newer[-1]
        return OverlapDecision("skip", f"a newer run ({newest}) took its place", cancelled_by=cancelled_by_run(newest))
    before = (*others.running, *others.waiting_before)
    if not before:
        return GO_DECISION
    return OverlapDecision("wait", f"the run before it ({before[0]}) is being ended (overlap: cancel_previous)", before)


def cancelled_by_run(run_id: str) -> str:
    """How this run asks for the end of another one, as a reason says it."""
    return f"by run {run_id} (overlap: cancel_previous)"

"""What becomes of a run that falls due while others of its job go on: the rules, pure. Used by the overlap gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.definition import Overlap


@dataclass(frozen=True, slots=True)
class Others:
    """Ids of the other runs of the job that count, each group oldest first."""

    going: tuple[str, ...] = ()
    """Begun, or claimed elsewhere for an instant before, so that they may have."""
    ahead: tuple[str, ...] = ()
    """Those that wait and were due before."""
    waiting: tuple[str, ...] = ()
    """All that wait and are no replays."""
    newer: tuple[str, ...] = ()
    """Due later, and begun or waiting."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`cancel`: runs to be ended for this one, which waits until they are over."""

    kind: Literal["go", "skip", "wait"]
    reason: str = ""
    cancel: tuple[str, ...] = ()
    asked: str = ""
    """See Skip."""


GO = Decision("go")


def decide(mode: Overlap, others: Others, *, is_replay: bool, accepted: bool = False) -> Decision:
    """`accepted`: it was let wait already, and keeps its place. A replay is never left out: it would be lost."""
    if mode == "cancel_previous" and not is_replay:
        return _newest_wins(others)
    before = (*others.going, *others.ahead)
    if mode == "skip" and not is_replay:
        before = others.going
    if not before:
        return GO
    if is_replay or mode == "allow":
        return Decision("wait", f"run {before[0]} of its job goes on")
    if mode == "skip":
        return Decision("skip", f"the run before it ({before[0]}) was still going (overlap: skip)")
    if mode == "buffer_one" and not accepted:
        occupied = tuple(dict.fromkeys((*others.going, *others.waiting)))
        if len(occupied) > 1:
            both = f"the run before it ({occupied[0]}) was still going, and another one ({occupied[1]}) waits for it"
            return Decision("skip", f"{both} (overlap: buffer_one)")
    return Decision("wait", f"the run before it ({before[0]}) goes on (overlap: {mode})")


def _newest_wins(others: Others) -> Decision:
    if others.newer:
        newest = others.newer[-1]
        return Decision("skip", f"a newer run ({newest}) took its place", asked=asked_by(newest))
    before = (*others.going, *others.ahead)
    if not before:
        return GO
    return Decision("wait", f"the run before it ({before[0]}) is being ended (overlap: cancel_previous)", before)


def asked_by(run_id: str) -> str:
    """How this run asks for the end of another one, as a reason says it."""
    return f"by run {run_id} (overlap: cancel_previous)"

"""The reason of a run in a row of version 0.1.0, which stored the sentence alone.

These are the sentences of that version, and never change. A row that has its reason is not parsed.
"""

from __future__ import annotations

import re

from jobs.runs.outcomes import ReasonCode

_SENTENCES = (
    ("the job is disabled", ReasonCode.JOB_DISABLED),
    ("the job is paused", ReasonCode.JOB_PAUSED),
    ("the job was changed after this run was planned", ReasonCode.JOB_CHANGED),
    ("there is no job of that name any more", ReasonCode.JOB_REMOVED),
    ("it fell due while no scheduler was running", ReasonCode.MISSED),
    ("the run before it (", ReasonCode.OVERLAP),
    ("a newer run (", ReasonCode.OVERLAP),
    ("no slot of ", ReasonCode.NO_SLOT),
    ("no place was free within ", ReasonCode.NO_CAPACITY),
    ("the store was away when it fell due", ReasonCode.STORE_UNAVAILABLE),
    ("Not asked: the circuit is ", ReasonCode.CIRCUIT_OPEN),
    ("Cancelled before it was over", ReasonCode.CANCELLED),
    ("The program stopped before the run was over.", ReasonCode.SHUTDOWN),
    ("The process that ran it ended before it could say how the run went.", ReasonCode.INTERRUPTED),
)
_DEPENDENCY = re.compile(r"(the run \S+|\S+), on which it depends, ")
_CROWDED = re.compile(r"\d+ runs of its job wait for a place already")


def reason_of_sentence(message: str) -> ReasonCode | None:
    """Return None unless it is a sentence about a run that was skipped, rejected or cancelled."""
    for beginning, code in _SENTENCES:
        if message.startswith(beginning):
            return code
    if _DEPENDENCY.match(message):
        return ReasonCode.DEPENDENCY
    return ReasonCode.NO_CAPACITY if _CROWDED.match(message) else None

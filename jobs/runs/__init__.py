"""The values of a run: ticket -> observation -> attempt -> run. Small and frozen.

Built by the runner (jobs.running) and the checks (jobs.checks); stored, displayed and published by the packages above.
All instants are aware UTC datetimes, all `*_ms` values are floats of milliseconds.
"""

from jobs.runs.outcomes import ErrorClass, Outcome, Trigger
from jobs.runs.run import Attempt, Failure, Observation, Phases, Run, Severity, Ticket, split_run_id
from jobs.runs.waits import StartWait, WaitReason

__all__ = [
    "Attempt",
    "ErrorClass",
    "Failure",
    "Observation",
    "Outcome",
    "Phases",
    "Run",
    "Severity",
    "StartWait",
    "Ticket",
    "Trigger",
    "WaitReason",
    "split_run_id",
]

"""The values of a run: ticket -> observation -> attempt -> run. Small and frozen.

Built by the runner (jobs.running) and the checks (jobs.checks); stored, displayed and published by the packages above.
All instants are aware UTC datetimes, all `*_ms` values are floats of milliseconds.
"""

from jobs.runs.error_classes import ErrorClass
from jobs.runs.observation import Failure, Observation, Phases, Severity
from jobs.runs.outcomes import Outcome, Trigger
from jobs.runs.run import Attempt, Run
from jobs.runs.tickets import Ticket, split_run_id

__all__ = [
    "Attempt",
    "ErrorClass",
    "Failure",
    "Observation",
    "Outcome",
    "Phases",
    "Run",
    "Severity",
    "Ticket",
    "Trigger",
    "split_run_id",
]

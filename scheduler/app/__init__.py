"""Builds the program: the only place that chooses adapters, opens them and closes them.

`open_program` serves the embedded host, the CLI and the Functions host alike; a profile has what differs.
`open_reading` opens the part that commands need which only read.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scheduler.app.building import open_program
    from scheduler.app.early_telemetry import (
        StartTelemetry,
        log_in_functions_host,
        report_failed_start,
        start_telemetry,
    )
    from scheduler.app.foundation import TELEMETRY_PATIENCE
    from scheduler.app.program import Program
    from scheduler.app.reading import Reading, open_reading

__all__ = [
    "TELEMETRY_PATIENCE",
    "Program",
    "Reading",
    "StartTelemetry",
    "log_in_functions_host",
    "open_program",
    "open_reading",
    "report_failed_start",
    "start_telemetry",
]

_PLACES = {
    "TELEMETRY_PATIENCE": "foundation",
    "open_program": "building",
    "Program": "program",
    "StartTelemetry": "early_telemetry",
    "log_in_functions_host": "early_telemetry",
    "report_failed_start": "early_telemetry",
    "start_telemetry": "early_telemetry",
    "Reading": "reading",
    "open_reading": "reading",
}
"""The file of each name."""


def __getattr__(name: str) -> Any:
    """Load what is asked for: a command that reads needs no worker."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    return found

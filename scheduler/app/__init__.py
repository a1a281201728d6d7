"""Builds the program: the only package that chooses adapters, opens them and closes them.

`open_program` serves the embedded host, the CLI and the Functions host alike; a profile has what differs.
`open_read_only` opens the part that commands need which only read.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scheduler.app.early_telemetry import (
        EarlyTelemetry,
        configure_functions_logging,
        report_failed_start,
        start_telemetry,
    )
    from scheduler.app.program import TELEMETRY_CLOSE_TIMEOUT, Program, open_program
    from scheduler.app.read_only import ReadOnlyProgram, open_read_only

__all__ = [
    "TELEMETRY_CLOSE_TIMEOUT",
    "EarlyTelemetry",
    "Program",
    "ReadOnlyProgram",
    "configure_functions_logging",
    "open_program",
    "open_read_only",
    "report_failed_start",
    "start_telemetry",
]

_MODULES = {
    "TELEMETRY_CLOSE_TIMEOUT": "program",
    "open_program": "program",
    "Program": "program",
    "EarlyTelemetry": "early_telemetry",
    "configure_functions_logging": "early_telemetry",
    "report_failed_start": "early_telemetry",
    "start_telemetry": "early_telemetry",
    "ReadOnlyProgram": "read_only",
    "open_read_only": "read_only",
}
"""The file of each name."""


def __getattr__(name: str) -> Any:
    """Import the module of a name on first use: a command that only reads does not need the worker."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found

"""Builds the program: the only place that chooses adapters, opens them and closes them.

`open_program` serves the embedded host, the CLI and the Functions host alike; the role says what differs.
"""

from scheduler.app.building import TELEMETRY_PATIENCE, open_program
from scheduler.app.program import Program, Role
from scheduler.app.start_telemetry import StartTelemetry, log_in_functions_host, report_failed_start, start_telemetry

__all__ = [
    "TELEMETRY_PATIENCE",
    "Program",
    "Role",
    "StartTelemetry",
    "log_in_functions_host",
    "open_program",
    "report_failed_start",
    "start_telemetry",
]

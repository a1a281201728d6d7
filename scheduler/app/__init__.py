"""Builds the program: the only place that chooses adapters, opens them and closes them.

`open_program` serves the embedded host, the CLI and the Functions host alike; the role says what differs.
"""

from scheduler.app.building import TELEMETRY_PATIENCE, open_program
from scheduler.app.program import Program, Role

__all__ = ["TELEMETRY_PATIENCE", "Program", "Role", "open_program"]

"""Every name in logs and telemetry: log events, fields, metrics, tags. Each is defined once, below here.

Used by logs, telemetry, the exporters and whatever is generated from them (dashboards, alerts).
docs/telemetry.md explains the same names to operators; a test compares both.
"""

from observability.names.logs import *  # noqa: F403 - each name is defined once and read from here
from observability.names.metrics import *  # noqa: F403 - as above

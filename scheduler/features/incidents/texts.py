"""What the models of several rooms say of incidents: the kinds of transitions, and examples."""

from __future__ import annotations

from typing import Literal

INCIDENT_ID = "1795856400000-5f2c1d9b"
"""Of examples."""
EVIDENCE = "3 of 3 runs failed: Expected status 200, got 503."
"""Of examples."""

TransitionName = Literal[
    "opened",
    "reopened",
    "joined",
    "left",
    "raised",
    "flapping",
    "acknowledged",
    "snoozed",
    "unacknowledged",
    "note_added",
    "reminded",
    "escalated",
    "resolved",
]

"""The answer of /api/health/live, which is always the same. Used by every app that gives it.

Imports next to nothing: in a cold process this is the first thing that the platform asks for.
"""

from __future__ import annotations

from typing import Final

LIVE_PATH: Final = "/api/health/live"
LIVE_BODY: Final = b'{"status":"ok"}'
"""scheduler.api.models.runs.LiveModel as JSON."""

"""The constant response of /api/health/live. Used by every app that serves it.

Imports almost nothing, because a cold process answers this request first.
"""

from __future__ import annotations

from typing import Final

LIVE_BODY: Final = b'{"status":"ok"}'
"""scheduler.api.models.health.LiveModel as JSON."""

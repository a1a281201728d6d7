"""Where a form of the dashboard leads afterwards. Called by the sign-in page and the preferences. Pure."""

from __future__ import annotations

from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.scopes import SIGN_IN_PATH


def find_safe_target(path: str) -> str:
    """Return a path of this API, else the overview: a link must not lead to another site by this one's forms."""
    is_own = path.startswith("/api/") and "\\" not in path and path.isprintable() and path != SIGN_IN_PATH
    return path if is_own else DASHBOARD_PATH

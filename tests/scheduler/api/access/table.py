"""The declared identity table: what each caller gets on a route of each scope, and the routes that differ.

A cell is the expected result: a status, or ALLOWED for any response of the route itself. Used by test_identity_table.
"""

from __future__ import annotations

from typing import Final

from scheduler.api.scopes import Scope

ALLOWED: Final = 0
"""The request reaches its route, which answers neither 401 nor 403."""

_FREE = {Scope.PUBLIC: ALLOWED, Scope.PING: ALLOWED, Scope.SIGN_IN: ALLOWED}


def _row(read: int, operate: int, manage: int, metrics: int | None = None) -> dict[Scope, int]:
    """`metrics`: as `read` unless it is given."""
    reads = {Scope.METRICS: read if metrics is None else metrics, Scope.READ: read}
    return _FREE | reads | {Scope.OPERATE: operate, Scope.MANAGE: manage}


_REJECTED = _row(401, 401, 401)

TABLE: Final[dict[str, dict[Scope, int]]] = {
    "none": _REJECTED,
    "metrics": _row(403, 403, 403, metrics=ALLOWED),
    "viewer": _row(ALLOWED, 403, 403),
    "operator": _row(ALLOWED, ALLOWED, 403),
    "admin": _row(ALLOWED, ALLOWED, ALLOWED),
    "admin of another tag": _row(ALLOWED, ALLOWED, ALLOWED),
    "expired key": _REJECTED,
    "revoked key": _REJECTED,
    "key from a wrong address": _REJECTED,
    "forged Easy Auth header": _REJECTED,
    "token with a wrong audience": _REJECTED,
    "token with a wrong issuer": _REJECTED,
    "token of another tenant": _REJECTED,
    "expired token": _REJECTED,
    "token with alg none": _REJECTED,
    "token signed with the public key": _REJECTED,
    "ID token": _REJECTED,
    "token after a rotation of the keys": _row(ALLOWED, ALLOWED, ALLOWED),
    "token while the provider is unavailable": _row(503, 503, 503),
}
"""By caller, then by scope."""

LIMITED: Final = "admin of another tag"
_OBJECT_OF_OTHERS = 404
_ALL_JOBS = 403

LIMITED_ROUTES: Final[dict[str, int]] = {
    # Routes of one job, run, letter or circuit: it does not exist for a caller of another tag.
    "GET /api/circuits/{key}": _OBJECT_OF_OTHERS,
    "POST /api/circuits/{key}/close": _OBJECT_OF_OTHERS,
    "POST /api/circuits/{key}/open": _OBJECT_OF_OTHERS,
    "POST /api/circuits/{key}/reset": _OBJECT_OF_OTHERS,
    "GET /api/dead-letters/{letter_id}": _OBJECT_OF_OTHERS,
    "DELETE /api/dead-letters/{letter_id}": _OBJECT_OF_OTHERS,
    "POST /api/dead-letters/{letter_id}/replay": _OBJECT_OF_OTHERS,
    "POST /api/dead-letters/replay": _OBJECT_OF_OTHERS,
    "GET /api/jobs/{name}": _OBJECT_OF_OTHERS,
    "POST /api/jobs/{name}/backfill": _OBJECT_OF_OTHERS,
    "POST /api/jobs/{name}/pause": _OBJECT_OF_OTHERS,
    "POST /api/jobs/{name}/resume": _OBJECT_OF_OTHERS,
    "POST /api/jobs/{name}/run": _OBJECT_OF_OTHERS,
    "GET /api/jobs/{name}/changes": _OBJECT_OF_OTHERS,
    "GET /api/jobs/{name}/health-entries": _OBJECT_OF_OTHERS,
    "GET /api/jobs/{name}/heartbeat": _OBJECT_OF_OTHERS,
    "GET /api/jobs/{name}/stats": _OBJECT_OF_OTHERS,
    "GET /api/jobs/{name}/trend": _OBJECT_OF_OTHERS,
    "GET /api/jobs/{name}/downtime": _OBJECT_OF_OTHERS,
    "GET /api/jobs/{name}/uptime": _OBJECT_OF_OTHERS,
    "GET /api/objectives/{name}": _OBJECT_OF_OTHERS,
    "GET /api/objectives/{name}/statement": _OBJECT_OF_OTHERS,
    "GET /api/runs/{run_id}": _OBJECT_OF_OTHERS,
    "POST /api/runs/{run_id}/cancel": _OBJECT_OF_OTHERS,
    "GET /api/keys/{key_id}": _OBJECT_OF_OTHERS,
    "DELETE /api/keys/{key_id}": _OBJECT_OF_OTHERS,
    "POST /api/keys/{key_id}/rotate": _OBJECT_OF_OTHERS,
    "GET /api/dashboard/incidents/{incident_id}": _OBJECT_OF_OTHERS,
    "GET /api/dashboard/jobs/{name}": _OBJECT_OF_OTHERS,
    "GET /api/dashboard/jobs/{name}/alerts": _OBJECT_OF_OTHERS,
    "GET /api/dashboard/jobs/{name}/plan": _OBJECT_OF_OTHERS,
    "GET /api/dashboard/jobs/{name}/definition": _OBJECT_OF_OTHERS,
    "GET /api/dashboard/runs/{run_id}": _OBJECT_OF_OTHERS,
    "GET /api/dashboard/dead-letters/{letter_id}": _OBJECT_OF_OTHERS,
    "GET /api/dashboard/circuits/{key}": _OBJECT_OF_OTHERS,
    "GET /api/dashboard/jobs/{name}/edit": _OBJECT_OF_OTHERS,
    "GET /api/incidents/{incident_id}": _OBJECT_OF_OTHERS,
    "GET /api/incidents/{incident_id}/bundle": _OBJECT_OF_OTHERS,
    "GET /api/incidents/{incident_id}/members": _OBJECT_OF_OTHERS,
    "GET /api/incidents/{incident_id}/transitions": _OBJECT_OF_OTHERS,
    "GET /api/incidents/{incident_id}/decisions": _OBJECT_OF_OTHERS,
    "POST /api/incidents/{incident_id}/acknowledge": _OBJECT_OF_OTHERS,
    "POST /api/incidents/{incident_id}/snooze": _OBJECT_OF_OTHERS,
    "POST /api/incidents/{incident_id}/unacknowledge": _OBJECT_OF_OTHERS,
    "POST /api/incidents/{incident_id}/notes": _OBJECT_OF_OTHERS,
    "POST /api/incidents/{incident_id}/resolve": _OBJECT_OF_OTHERS,
    "GET /api/silences/{silence_id}": _OBJECT_OF_OTHERS,
    "POST /api/silences/{silence_id}/end": _OBJECT_OF_OTHERS,
    "DELETE /api/silences/{silence_id}": _OBJECT_OF_OTHERS,
    "GET /api/windows/{window_id}": _OBJECT_OF_OTHERS,
    "POST /api/windows/{window_id}/end": _OBJECT_OF_OTHERS,
    "DELETE /api/windows/{window_id}": _OBJECT_OF_OTHERS,
    # Lists: without the jobs of others.
    "GET /api/incidents": ALLOWED,
    "GET /api/alerts": ALLOWED,
    "GET /api/silences": ALLOWED,
    "GET /api/windows": ALLOWED,
    # Limited to the jobs of the caller, whatever they select.
    "POST /api/silences": ALLOWED,
    "POST /api/windows": ALLOWED,
    "POST /api/markers": ALLOWED,
    "GET /api/circuits": ALLOWED,
    "GET /api/dead-letters": ALLOWED,
    "GET /api/jobs": ALLOWED,
    "GET /api/runs": ALLOWED,
    "GET /api/changes": ALLOWED,
    "GET /api/markers": ALLOWED,
    "GET /api/stats": ALLOWED,
    "GET /api/stats/slowest": ALLOWED,
    "GET /api/stats/comparison": ALLOWED,
    "GET /api/objectives": ALLOWED,
    "GET /api/metrics": ALLOWED,
    "GET /api/exports/runs": ALLOWED,
    "GET /api/exports/changes": ALLOWED,
    "GET /api/exports/stats": ALLOWED,
    "GET /api/keys": ALLOWED,
    "GET /api/sessions": _ALL_JOBS,
    "DELETE /api/sessions/{session_id}": _ALL_JOBS,
    "GET /api/dashboard": ALLOWED,
    "GET /api/dashboard/incidents": ALLOWED,
    "GET /api/dashboard/wall": ALLOWED,
    "GET /api/dashboard/schedule": ALLOWED,
    "GET /api/dashboard/maintenance": ALLOWED,
    "GET /api/dashboard/preferences": ALLOWED,
    "GET /api/dashboard/new-job": ALLOWED,
    "GET /api/dashboard/selection": ALLOWED,
    "POST /api/dashboard/drafts": ALLOWED,
    "GET /api/dashboard/runs": ALLOWED,
    "GET /api/dashboard/slowest": ALLOWED,
    "GET /api/dashboard/compare": ALLOWED,
    "GET /api/dashboard/objectives": ALLOWED,
    "GET /api/dashboard/dead-letters": ALLOWED,
    "GET /api/dashboard/circuits": ALLOWED,
    "GET /api/exports/jobs": ALLOWED,
    "POST /api/jobs/pause": ALLOWED,
    "POST /api/jobs/resume": ALLOWED,
    "POST /api/jobs/run": ALLOWED,
    "POST /api/jobs/reset-circuit": ALLOWED,
    "POST /api/definitions/validate": ALLOWED,
    "POST /api/definitions/next": ALLOWED,
    # The job would not exist for the caller.
    "POST /api/definitions/test-run": 422,
    # A new key needs the limits of its creator.
    "POST /api/keys": 422,
    # Nothing of any job.
    "GET /": ALLOWED,
    "GET /api/openapi.json": ALLOWED,
    "GET /api/docs": ALLOWED,
    "GET /api/schema/job.json": ALLOWED,
    "GET /api/schema/jobs.json": ALLOWED,
    "GET /api/session": ALLOWED,
    "GET /api/audit": ALLOWED,
    "GET /api/audit/export": ALLOWED,
    # Stored jobs: those of other tags do not exist, and a definition needs a tag of the caller.
    "POST /api/jobs": 422,
    "PUT /api/jobs/{name}": 422,
    "PATCH /api/jobs/{name}": _OBJECT_OF_OTHERS,
    "DELETE /api/jobs/{name}": _OBJECT_OF_OTHERS,
    "POST /api/jobs/{name}/duplicate": _OBJECT_OF_OTHERS,
    "GET /api/jobs/{name}/versions": _OBJECT_OF_OTHERS,
    "GET /api/jobs/{name}/versions/{number}": _OBJECT_OF_OTHERS,
    "GET /api/jobs/{name}/versions/{number}/diff": _OBJECT_OF_OTHERS,
    "POST /api/jobs/{name}/versions/{number}/restore": _OBJECT_OF_OTHERS,
    "POST /api/jobs/delete": ALLOWED,
    "GET /api/sets": ALLOWED,
    "GET /api/presets": ALLOWED,
    "GET /api/presets/{name}": ALLOWED,
    "POST /api/sets/{owner}/plan": 422,
    # Not the plan that the example names.
    "POST /api/sets/{owner}/apply": 409,
    # All jobs at once.
    "GET /api/dashboard/notifications": _ALL_JOBS,
    "GET /api/dashboard/secrets": _ALL_JOBS,
    "GET /api/dashboard/audit": _ALL_JOBS,
    "GET /api/dashboard/health": _ALL_JOBS,
    "GET /api/dashboard/settings": _ALL_JOBS,
    "GET /api/dashboard/audit/{number}": _ALL_JOBS,
    "GET /api/jobs/{name}/alert-explanation": _ALL_JOBS,
    "POST /api/dashboard/drafts/backtest": _ALL_JOBS,
    "GET /api/secrets": _ALL_JOBS,
    "POST /api/secrets/{name}/refresh": _ALL_JOBS,
    "GET /api/status": _ALL_JOBS,
    "GET /api/audit/head": _ALL_JOBS,
    "GET /api/watchdog": _ALL_JOBS,
    "GET /api/channels": _ALL_JOBS,
    "POST /api/channels/{channel}/test": _ALL_JOBS,
    "GET /api/channels/{channel}/undelivered": _ALL_JOBS,
    "POST /api/channels/{channel}/undelivered/retry": _ALL_JOBS,
    "DELETE /api/channels/{channel}/undelivered/{letter_id}": _ALL_JOBS,
}
"""What a caller that is limited to a tag gets on each route that needs a caller. A route that is missing here fails."""

FREE_ROUTES: Final[dict[tuple[str, str], int]] = {
    ("POST /api/session", "none"): 401,
    ("POST /api/session", "forged Easy Auth header"): 401,
    ("POST /api/session", "token while the provider is unavailable"): 503,
}
"""Routes that need no caller, and differ all the same; the other callers without a valid credential get 401 as well."""

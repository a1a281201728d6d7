"""The page /api/dashboard/secrets: the secrets that jobs use, as this process knows them, and never a value.

A button reads one again through the API.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Final, Literal

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.rendering.filters import PAGE_SIZE, FilterText, keep_filters
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import SECRETS_PATH
from scheduler.api.routing import ApiRouter, Continuation, ServicesDep, parse_choice
from scheduler.features.secrets.models import SecretModel

SecretState = Literal["unavailable", "expired", "expiring", "available", "not_read"]
_STATES: Final[dict[SecretState, str]] = {
    "unavailable": "down",
    "expired": "down",
    "expiring": "warning",
    "available": "up",
    "not_read": "neutral",
}
"""From worst to best, with the shape of each."""
_RANKS: Final = {state: rank for rank, state in enumerate(_STATES)}
_SHOWN_JOBS: Final = 5
"""Jobs of a secret that the list names."""

router = ApiRouter(in_schema=False)


@router.read(SECRETS_PATH)
async def show_secrets(
    request: Request,
    services: ServicesDep,
    name: FilterText = "",
    state: FilterText = "",
    job: FilterText = "",
    continuation: Continuation = None,
) -> Response:
    """Show a page of secrets, those with a problem first."""
    listed = await services.secret_monitor.list_secrets()
    parse_choice("state", state, ("", *_STATES))
    query = keep_filters(name=name.strip(), state=state, job=job.strip())
    matching = sorted((secret for secret in listed.secrets if _matches(secret, **query)), key=_sort_key)
    start = bisect_right(matching, continuation, key=_sort_key) if continuation else 0
    shown = matching[start : start + PAGE_SIZE]
    return await respond(
        request,
        services,
        "operations/secrets.html",
        page="secrets",
        path_of_page=SECRETS_PATH,
        secrets=shown,
        state_of=find_secret_state,
        states=_STATES,
        state=state,
        counts=Counter(map(find_secret_state, listed.secrets)),
        name=name.strip(),
        job=job.strip(),
        query=query,
        total=len(matching),
        shown_jobs=_SHOWN_JOBS,
        continuation=_sort_key(shown[-1]) if start + PAGE_SIZE < len(matching) else None,
        is_first=not continuation,
    )


def find_secret_state(secret: SecretModel) -> SecretState:
    """Return the state of a secret."""
    if secret.error:
        return "unavailable"
    if secret.is_expiring:
        return "expired" if secret.expired else "expiring"
    return "not_read" if secret.read_at is None else "available"


def _matches(secret: SecretModel, name: str = "", state: str = "", job: str = "") -> bool:
    is_named = name.lower() in secret.name.lower()
    return is_named and state in ("", find_secret_state(secret)) and (not job or job in secret.jobs)


def _sort_key(secret: SecretModel) -> str:
    """Sort by state, then by name. It is the continuation of a page as well."""
    return f"{_RANKS[find_secret_state(secret)]}{secret.name}"

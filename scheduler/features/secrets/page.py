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
from scheduler.features.secrets.service import SecretView

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
    views = await services.secret_monitor.list_secrets()
    parse_choice("state", state, ("", *_STATES))
    query = keep_filters(name=name.strip(), state=state, job=job.strip())
    found = sorted((each for each in views if _matches(each, **query)), key=_sort_key)
    start = bisect_right(found, continuation, key=_sort_key) if continuation else 0
    shown = found[start : start + PAGE_SIZE]
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
        counts=Counter(map(find_secret_state, views)),
        name=name.strip(),
        job=job.strip(),
        query=query,
        total=len(found),
        shown_jobs=_SHOWN_JOBS,
        continuation=_sort_key(shown[-1]) if start + PAGE_SIZE < len(found) else None,
        is_first=not continuation,
    )


def find_secret_state(view: SecretView) -> SecretState:
    """Return the state of a secret."""
    if view.problem:
        return "unavailable"
    if view.expiry is not None:
        return "expired" if view.expiry.past else "expiring"
    return "not_read" if view.read_at is None else "available"


def _matches(view: SecretView, name: str = "", state: str = "", job: str = "") -> bool:
    return (
        name.lower() in view.name.lower() and state in ("", find_secret_state(view)) and (not job or job in view.jobs)
    )


def _sort_key(view: SecretView) -> str:
    """Sort by state, then by name. It is the continuation of a page as well."""
    return f"{_RANKS[find_secret_state(view)]}{view.name}"

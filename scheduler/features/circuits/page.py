"""The pages of circuits: the list at /api/dashboard/circuits, and one circuit with forms that override and reset it."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.readers import readers_of
from scheduler.api.dashboard.rendering.filters import PAGE_SIZE
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import CIRCUITS_PATH
from scheduler.api.routing import ApiRouter, Continuation, ServicesDep
from scheduler.features.circuits.routes import CircuitKey

_KINDS: Final = {
    "closed": "up",
    "open": "down",
    "half_open": "warning",
    "held_open": "down",
    "held_closed": "circuit",
}
"""The shape of each state."""
_SHOWN_JOBS: Final = 5
"""Jobs of a circuit that the list names."""
_LENGTHS: Final = (
    (900, "15 minutes"),
    (3600, "1 hour"),
    (4 * 3600, "4 hours"),
    (86400, "1 day"),
    (7 * 86400, "7 days"),
)
"""How long an override can be chosen to last."""

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(CIRCUITS_PATH)
async def show_circuits(request: Request, services: ServicesDep, continuation: Continuation = None) -> Response:
    """Show the circuits that are not closed, the latest change first, then a page of all circuits by key."""
    (unusual, count), page = await asyncio.gather(
        readers_of(request, services).open_circuits.find(),
        services.circuits.list_circuits(limit=PAGE_SIZE, after=continuation or ""),
    )
    return await respond(
        request,
        services,
        "operations/circuits.html",
        page="circuits",
        path_of_page=CIRCUITS_PATH,
        kinds=_KINDS,
        unusual=() if continuation else unusual,
        count=count,
        circuits=page,
        shown_jobs=_SHOWN_JOBS,
        is_first=not continuation,
    )


@router.read(f"{CIRCUITS_PATH}/{{key}}")
async def show_circuit(request: Request, services: ServicesDep, key: CircuitKey) -> Response:
    """Show a circuit."""
    return await respond(
        request,
        services,
        "operations/circuit.html",
        page="circuits",
        path_of_page=CIRCUITS_PATH,
        kinds=_KINDS,
        circuit=await services.operations.circuits.get_circuit(key),
        is_shared=services.circuits.is_shared_with_others(key),
        lengths=_LENGTHS,
    )

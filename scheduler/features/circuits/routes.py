"""The routes that list, override and reset circuits."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Path

from scheduler.api.routing import ApiRouter, CallerDep, Continuation, Limit, ServicesDep
from scheduler.features.circuits.models import CircuitList, CircuitModel
from scheduler.model_base import Instant, Reason, RequestModel, example

router = ApiRouter("circuits", by_tag=True)

CircuitKey = Annotated[
    str,
    Path(max_length=120, description="The job's name, or `group:NAME` for a shared circuit", examples=["checkout-api"]),
]


class HoldRequest(RequestModel):
    """`until` null: until a reset. An instant without an offset is UTC."""

    model_config = example({"until": "2030-01-01T06:00:00Z", "reason": "maintenance of the payment provider"})

    until: Instant | None = None
    reason: Reason = ""


class ResetRequest(RequestModel):
    """`reason`: for the audit log."""

    model_config = example({"reason": "the payment provider is back"})

    reason: Reason = ""


@router.read("/api/circuits")
async def list_circuits(services: ServicesDep, limit: Limit = 50, continuation: Continuation = None) -> CircuitList:
    """List the circuits of all jobs by key."""
    return await services.circuits.list_circuits(limit=limit, after=continuation or "")


@router.read("/api/circuits/{key}")
async def get_circuit(services: ServicesDep, key: CircuitKey) -> CircuitModel:
    """Return a circuit: its state, since when and why, and when the next probe is due."""
    return await services.operations.circuits.get_circuit(key)


@router.operate("/api/circuits/{key}/open", problems=(HTTPStatus.CONFLICT,))
async def open_circuit(
    services: ServicesDep, caller: CallerDep, key: CircuitKey, body: HoldRequest | None = None
) -> CircuitModel:
    """Reject all runs of its jobs until an instant or a reset. A rejected run counts as down."""
    change = body or HoldRequest()
    return await services.operations.circuits.open(key, until=change.until, reason=change.reason, caller=caller)


@router.operate("/api/circuits/{key}/close", problems=(HTTPStatus.CONFLICT,))
async def close_circuit(
    services: ServicesDep, caller: CallerDep, key: CircuitKey, body: HoldRequest | None = None
) -> CircuitModel:
    """Admit all runs of its jobs until an instant or a reset. Meanwhile they are not counted."""
    change = body or HoldRequest()
    return await services.operations.circuits.close(key, until=change.until, reason=change.reason, caller=caller)


@router.operate("/api/circuits/{key}/reset", problems=(HTTPStatus.CONFLICT,))
async def reset_circuit(
    services: ServicesDep, caller: CallerDep, key: CircuitKey, body: ResetRequest | None = None
) -> CircuitModel:
    """Close the circuit, remove its override and clear its counts."""
    change = body or ResetRequest()
    return await services.operations.circuits.reset(key, reason=change.reason, caller=caller)

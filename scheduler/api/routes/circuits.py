"""The routes that list, override and reset circuits."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from scheduler.api.dependencies import Continuation, Limit, ServicesDep, reject_unknown_query
from scheduler.api.models.circuits import CircuitList, CircuitModel
from scheduler.api.models.requests import Instant, Reason, RequestModel
from scheduler.api.problems import PROBLEM_RESPONSES
from scheduler.audit import ChangeSource

router = APIRouter(
    prefix="/api/circuits",
    tags=["circuits"],
    responses=PROBLEM_RESPONSES,
    dependencies=[Depends(reject_unknown_query)],
)

CircuitKey = Annotated[str, Path(max_length=120, description="The job's name, or `group:NAME` for a shared circuit")]


class HoldRequest(RequestModel):
    """`until` null: until a reset. An instant without an offset is UTC."""

    until: Instant | None = None
    reason: Reason = ""


class ResetRequest(RequestModel):
    """`reason`: for the audit log."""

    reason: Reason = ""


@router.get("")
async def list_circuits(uses: ServicesDep, limit: Limit = 50, continuation: Continuation = None) -> CircuitList:
    """List the circuits of all jobs by key."""
    page = await uses.circuits.list_circuits(limit=limit, after=continuation or "")
    return CircuitList(
        circuits=[CircuitModel.from_view(view) for view in page.circuits], continuation=page.continuation
    )


@router.get("/{key}")
async def get_circuit(uses: ServicesDep, key: CircuitKey) -> CircuitModel:
    """Return a circuit: its state, since when and why, and when the next probe is due."""
    return CircuitModel.from_view(await uses.operations.circuits.get_circuit(key))


@router.post("/{key}/open")
async def open_circuit(uses: ServicesDep, key: CircuitKey, body: HoldRequest | None = None) -> CircuitModel:
    """Reject all runs of its jobs until an instant or a reset. A rejected run counts as down."""
    asked = body or HoldRequest()
    return CircuitModel.from_view(
        await uses.operations.circuits.open(key, until=asked.until, reason=asked.reason, source=ChangeSource.API)
    )


@router.post("/{key}/close")
async def close_circuit(uses: ServicesDep, key: CircuitKey, body: HoldRequest | None = None) -> CircuitModel:
    """Admit all runs of its jobs until an instant or a reset. Meanwhile they are not counted."""
    asked = body or HoldRequest()
    return CircuitModel.from_view(
        await uses.operations.circuits.close(key, until=asked.until, reason=asked.reason, source=ChangeSource.API)
    )


@router.post("/{key}/reset")
async def reset_circuit(uses: ServicesDep, key: CircuitKey, body: ResetRequest | None = None) -> CircuitModel:
    """Close the circuit, remove its override and clear its counts."""
    asked = body or ResetRequest()
    return CircuitModel.from_view(
        await uses.operations.circuits.reset(key, reason=asked.reason, source=ChangeSource.API)
    )

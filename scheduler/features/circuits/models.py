"""Response models of circuits."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from jobs.running.circuit_state import ManualOverride
from scheduler.features.circuits.queries import CircuitView
from scheduler.model_base import ResponseModel, example_values


class CircuitOverrideModel(ResponseModel):
    """An operator's override of a circuit. `until` null: until a reset. `source`: where it was requested."""

    open: bool
    since: datetime
    until: datetime | None
    reason: str
    source: str

    @classmethod
    def from_override(cls, override: ManualOverride) -> CircuitOverrideModel:
        return cls(
            open=override.is_open,
            since=override.since,
            until=override.until,
            reason=override.reason,
            source=override.source,
        )


class CircuitModel(ResponseModel):
    """A circuit. `since`, `reason`: of one that is open, half-open or overridden. `summary`: its state as a sentence.

    `retry_at`: when runs that are rejected now are admitted again; null if they are admitted, or if that is unknown.
    `calls`, `failures`, `slow`: the stored runs in its window; successes are stored with the next write.
    """

    model_config = example_values(
        reason="",
        retry_at=None,
        override=None,
        consecutive_failures=0,
        calls=100,
        failures=2,
        slow=0,
        summary="closed",
        url="/api/circuits/checkout-api",
    )

    key: str
    jobs: list[str]
    state: Literal["closed", "open", "half_open", "held_open", "held_closed"]
    since: datetime | None
    reason: str
    retry_at: datetime | None
    override: CircuitOverrideModel | None
    consecutive_failures: int
    calls: int
    failures: int
    slow: int
    policy: dict[str, Any]
    summary: str
    url: str

    @classmethod
    def from_view(cls, view: CircuitView) -> CircuitModel:
        counted = view.tally
        return cls.model_validate(
            {
                "key": view.key,
                "jobs": list(view.jobs),
                "state": view.state,
                "since": view.since,
                "reason": view.reason,
                "retry_at": view.retry_at,
                "override": None if view.override is None else CircuitOverrideModel.from_override(view.override),
                "consecutive_failures": view.stored_state.consecutive_failures,
                "calls": counted.calls,
                "failures": counted.failures,
                "slow": counted.slow,
                "policy": view.policy.model_dump(mode="json", exclude_none=True),
                "summary": str(view),
                "url": f"/api/circuits/{quote(view.key, safe=':')}",
            }
        )


class CircuitList(ResponseModel):
    """Circuits by key. `continuation` fetches the next page; null on the last one."""

    circuits: list[CircuitModel]
    continuation: str | None

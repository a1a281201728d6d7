"""Response models of circuits."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from jobs.running.circuit_breaker.state_machine import ManualOverride
from scheduler.api.models.base import ResponseModel
from scheduler.queries.circuits import CircuitView


class CircuitOverrideModel(ResponseModel):
    """How an operator holds a circuit. `until` null: until it is reset. `way`: how it was asked for."""

    open: bool
    since: datetime
    until: datetime | None
    reason: str
    way: str

    @classmethod
    def from_override(cls, forced: ManualOverride) -> CircuitOverrideModel:
        return cls(open=forced.is_open, since=forced.since, until=forced.until, reason=forced.reason, way=forced.source)


class CircuitModel(ResponseModel):
    """A circuit. `since` and `why`: of one that is open, half-open or held. `retry_at`: when runs that are
    rejected now are let through again; null if they are let through, or nobody knows. `text` says it in words.

    `calls`, `failures` and `slow`: the runs in its window as the store knows them; successes come with the next write.
    """

    key: str
    jobs: list[str]
    state: Literal["closed", "open", "half_open", "held_open", "held_closed"]
    since: datetime | None
    why: str
    tried_again_at: datetime | None
    forced: CircuitOverrideModel | None
    consecutive_failures: int
    calls: int
    failures: int
    slow: int
    policy: dict[str, Any]
    text: str
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
                "why": view.reason,
                "tried_again_at": view.retry_at,
                "forced": None if view.override is None else CircuitOverrideModel.from_override(view.override),
                "consecutive_failures": view.stored_state.consecutive_failures,
                "calls": counted.calls,
                "failures": counted.failures,
                "slow": counted.slow,
                "policy": view.policy.model_dump(mode="json", exclude_none=True),
                "text": str(view),
                "url": f"/api/circuits/{quote(view.key, safe=':')}",
            }
        )


class CircuitList(ResponseModel):
    """By key. `continuation` fetches the next page; null on the last one."""

    circuits: list[CircuitModel]
    continuation: str | None

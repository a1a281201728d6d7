"""Circuits as the API, the commands and the pages show them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from scheduler.model_base import ListModel, ResponseModel, example_values


class CircuitOverrideModel(ResponseModel):
    """An operator's override of a circuit. `until` null: until a reset. `source`: where it was requested."""

    open: bool
    since: datetime
    until: datetime | None
    reason: str
    source: str


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


class CircuitList(ListModel[CircuitModel]):
    """Circuits by key. `continuation` fetches the next page; null on the last one."""

    circuits: list[CircuitModel]
    continuation: str | None

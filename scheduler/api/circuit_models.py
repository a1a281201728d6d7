"""Circuits in the API's answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from jobs.running.circuit import Forced
from scheduler.api.answer import Answer
from scheduler.circuit_board import CircuitView


class ForcedModel(Answer):
    """How an operator holds a circuit. `until` null: until it is reset. `way`: how it was asked for."""

    open: bool
    since: datetime
    until: datetime | None
    reason: str
    way: str

    @classmethod
    def of(cls, forced: Forced) -> ForcedModel:
        return cls(open=forced.open, since=forced.since, until=forced.until, reason=forced.reason, way=forced.way)


class CircuitModel(Answer):
    """A circuit. `since` and `why`: of one that is open, half-open or held. `tried_again_at`: when runs that are
    rejected now are let through again; null if they are let through, or nobody knows. `text` says it in words.

    `calls`, `failures` and `slow`: the runs in its window as the store knows them; successes come with the next write.
    """

    key: str
    jobs: list[str]
    state: Literal["closed", "open", "half_open", "held_open", "held_closed"]
    since: datetime | None
    why: str
    tried_again_at: datetime | None
    forced: ForcedModel | None
    consecutive_failures: int
    calls: int
    failures: int
    slow: int
    policy: dict[str, Any]
    text: str
    url: str

    @classmethod
    def of(cls, view: CircuitView) -> CircuitModel:
        counted = view.counted
        return cls.model_validate(
            {
                "key": view.key,
                "jobs": list(view.jobs),
                "state": view.state,
                "since": view.since,
                "why": view.why,
                "tried_again_at": view.tried_again_at,
                "forced": None if view.forced is None else ForcedModel.of(view.forced),
                "consecutive_failures": view.kept.consecutive,
                "calls": counted.calls,
                "failures": counted.failures,
                "slow": counted.slow,
                "policy": view.policy.model_dump(mode="json", exclude_none=True),
                "text": str(view),
                "url": f"/api/circuits/{quote(view.key, safe=':')}",
            }
        )


class CircuitList(Answer):
    """By key. `continuation` fetches the next page; null on the last one."""

    circuits: list[CircuitModel]
    continuation: str | None

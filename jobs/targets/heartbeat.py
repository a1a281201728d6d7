"""What a heartbeat check waits for: pings of a program that runs elsewhere. The check is jobs/checks/kinds/heartbeat.py."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, PlainSerializer, PlainValidator, model_validator

from jobs.formats.durations import format_duration
from jobs.model_base import Duration, FrozenModel, SecretRef
from jobs.policies import Timeouts
from jobs.schedules import Schedule, parse_schedule

LONGEST_WAIT = 366 * 86400.0
"""Seconds: a year, and the day that some have more."""


def _check_wait(seconds: float) -> float:
    if not 1.0 <= seconds <= LONGEST_WAIT:
        raise ValueError(f"{format_duration(seconds)} is out of range: 1s to {format_duration(LONGEST_WAIT)}")
    return seconds


SHORTEST_TOKEN = 16
"""Characters: a shorter token could be found by trying."""

WaitField = Annotated[Duration, AfterValidator(_check_wait)]


def _read_schedule(value: Any) -> Schedule | None:
    return None if value is None else parse_schedule(value)


class HeartbeatTarget(FrozenModel):
    """Pings that must come, each `period` after the one before or by a `schedule`, or `grace` later at the latest.

    `token`: names the secret that the sender of pings puts into the address. `max_duration`: how long the program may
    take from its start ping to its end; as long as `grace` if it is not said. `first_within`: how long the very first
    ping may take, from when the job came into force or its own schedule was changed; as long as it takes if not said.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=5.0, run=15.0)
    SCHEDULE: ClassVar[dict[str, str]] = {"every": "1m"}
    """How often it is judged, unless the job says so."""

    kind: Literal["heartbeat"]
    token: SecretRef
    period: WaitField | None = None
    schedule: Annotated[
        Schedule | None,
        PlainValidator(_read_schedule, json_schema_input_type=str | dict[str, Any] | list[Any] | None),
        PlainSerializer(lambda schedule: schedule and schedule.spec, return_type=Any),
    ] = None
    grace: WaitField = 3600.0
    max_duration: WaitField | None = None
    first_within: WaitField | None = None

    @model_validator(mode="after")
    def _check_one_due_rule(self) -> Self:
        if self.period is None and self.schedule is None:
            raise ValueError("say when pings are due: period (such as 24h) or schedule, one of them")
        if self.period is not None and self.schedule is not None:
            raise ValueError(
                "has both period and schedule: keep period if a ping is due so long after the one before it, or "
                "schedule if pings are due at fixed times"
            )
        return self

    @property
    def endpoint(self) -> str:
        """The target for logs and history: by the name of its secret, which is no secret."""
        return f"heartbeat:{self.token.secret}"

    @property
    def idempotent(self) -> bool:
        """Looking again does no harm."""
        return True

"""The target of a heartbeat check: pings that another program must send. Used by jobs.checks.kinds.heartbeat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from jobs.expectations.entry import Feature
from jobs.formats import format_duration
from jobs.model_base import Duration, FrozenModel, SecretRef
from jobs.policies import Timeouts
from jobs.schedules import Schedule, parse_schedule
from jobs.schedules.parsing import SCHEDULE_SCHEMA
from jobs.targets.endpoints import Destination

MAX_WAIT = 366 * 86400.0
"""Seconds of a leap year."""


def _check_wait(seconds: float) -> float:
    if not 1.0 <= seconds <= MAX_WAIT:
        raise ValueError(f"{format_duration(seconds)} is out of range: 1s to {format_duration(MAX_WAIT)}")
    return seconds


SHORTEST_TOKEN = 16
"""Characters of a token; a shorter one could be guessed."""

WaitField = Annotated[Duration, AfterValidator(_check_wait)]


def _read_schedule(value: Any) -> Schedule | None:
    return None if value is None else parse_schedule(value)


class HeartbeatTarget(FrozenModel):
    """Pings that are due a `period` after the previous one or by a `schedule`, at most `grace` late.

    `token`: names the secret in the address of the pings. `max_duration`: the longest time from a start ping to its end
    ping; default: `grace`. `first_within`: the longest time until the very first ping, counted from when the job came
    into force or its own schedule was changed; default: unlimited.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=5.0, run=15.0)
    FEATURES: ClassVar = frozenset({Feature.FACTS})
    SCHEDULE: ClassVar[dict[str, str]] = {"every": "1m"}
    """How often it is judged by default."""

    kind: Literal["heartbeat"]
    token: SecretRef
    period: WaitField | None = None
    schedule: Annotated[
        Schedule | None,
        PlainValidator(_read_schedule),
        PlainSerializer(lambda schedule: schedule and schedule.spec, return_type=Any),
        WithJsonSchema({"anyOf": [SCHEDULE_SCHEMA, {"type": "null"}]}),
    ] = None
    grace: WaitField = 3600.0
    max_duration: WaitField | None = None
    first_within: WaitField | None = None

    @model_validator(mode="after")
    def _check_one_due_rule(self) -> Self:
        if self.period is None and self.schedule is None:
            raise ValueError("has neither period nor schedule: add period (such as 24h) or schedule")
        if self.period is not None and self.schedule is not None:
            raise ValueError(
                "has both period and schedule: use period if a ping is due so long after the previous one, or "
                "schedule if pings are due at fixed times"
            )
        return self

    @property
    def endpoint(self) -> str:
        """The name of the target in logs and history: the name of its secret, which is not secret itself."""
        return f"heartbeat:{self.token.secret}"

    @property
    def label(self) -> str:
        """What the check waits for, as messages and pages name it: `ping every 1d, at most 1h late`."""
        due = f"every {format_duration(self.period)}" if self.period is not None else ""
        due = f"by {self.schedule.text}" if self.schedule is not None else due
        return f"ping {due}, at most {format_duration(self.grace)} late"

    @property
    def idempotent(self) -> bool:
        """Always true."""
        return True

    def destinations(self) -> Iterator[Destination]:
        """Yield nothing: a heartbeat connects to no target."""
        yield from ()

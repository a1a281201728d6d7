"""A job: schedule + check + policies, as one frozen model. Built by config.job_files.reader, used everywhere."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    field_validator,
    model_validator,
)

from jobs.dependencies import Dependencies, Dependency, format_dependencies
from jobs.expectations import Expectation, Expectations, check_applicable
from jobs.formats.display_text import DisplayText, DisplayTexts
from jobs.formats.durations import format_duration
from jobs.groups import ConcurrencyGroupField
from jobs.model_base import FrozenModel, intern_state
from jobs.policies import CatchUp, CircuitPolicy, RetryPolicy, Timeouts
from jobs.schedules import DefaultSchedule, Schedule, bind_to_job, parse_schedule
from jobs.targets import TARGETS_BY_KIND, Target, target_kind
from jobs.telemetry import TelemetryPolicy

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""A job's name stands in run ids, URLs, table keys and tags, so it is kept plain."""


def _read_schedule(value: Any, info: ValidationInfo) -> Schedule | None:
    return None if value is None else bind_to_job(parse_schedule(value), info.data.get("name", ""))


_WINDOW = {"days": {"type": "string"}, "from": {"type": "string"}, "to": {"type": "string"}}
_EXCLUSION = {
    "dates": {"type": "array", "items": {"type": "string", "format": "date"}},
    "weekly": {"type": "object", "properties": _WINDOW, "additionalProperties": False},
    "holidays": {"type": "string", "description": "a country's code", "examples": ["DE"]},
    "subdivision": {"type": "string", "description": "a part of that country", "examples": ["BE"]},
}
_MONTHLY = {
    "type": "object",
    "properties": {
        "day": {
            "anyOf": [
                {"type": ["string", "integer"]},
                {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1},
            ],
            "examples": ["last", "last-weekday", "last-friday", "second-friday", "nearest-weekday-15", 31],
        },
        "at": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "examples": ["02:00"],
        },
        "months": {
            "anyOf": [
                {"type": ["string", "integer"]},
                {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1},
            ],
            "examples": ["MAR,JUN"],
        },
        "missing_day": {"enum": ["skip", "last"], "description": "what a month without the day has instead"},
    },
    "required": ["day"],
    "additionalProperties": False,
}
_SCHEDULE_KEYS = {
    "cron": {"type": "string"},
    "every": {"type": "string", "examples": ["10s", "5m"]},
    "monthly": _MONTHLY,
    "offset": {"type": "string", "description": "moves every instant of an interval", "examples": ["30s"]},
    "timezone": {"type": "string", "description": "IANA name; UTC if absent", "examples": ["Europe/Berlin"]},
    "dst": {
        "type": "object",
        "properties": {
            "gap": {"enum": ["shift", "end", "skip"], "description": "a time that the clock leaves out"},
            "repeat": {"enum": ["first", "both"], "description": "a time that the clock shows twice"},
        },
        "additionalProperties": False,
    },
    "jitter": {"type": "string", "description": "later by up to this, always the same for a job", "examples": ["20s"]},
    "start": {"type": "string", "description": "ISO 8601"},
    "end": {"type": "string", "description": "ISO 8601; a date alone means the end of that day"},
    "except": {
        "type": "array",
        "items": {"type": "object", "properties": _EXCLUSION, "additionalProperties": False},
    },
}
_ONE_SCHEDULE = [
    {"type": "string", "description": "NCRONTAB, five or six fields, or a macro", "examples": ["*/10 * * * * *"]},
    {"type": "object", "properties": _SCHEDULE_KEYS, "additionalProperties": False},
]

ScheduleField = Annotated[
    Schedule | None,
    # Plain: the parser alone decides, and no check of the protocol's members is made for each of 10,000 jobs.
    PlainValidator(_read_schedule),
    PlainSerializer(lambda schedule: schedule and schedule.spec, return_type=Any),
    WithJsonSchema({"anyOf": [*_ONE_SCHEDULE, {"type": "array", "items": {"anyOf": _ONE_SCHEDULE}}, {"type": "null"}]}),
]
"""Comes after `name`, which decides about jitter."""


def _of_kind(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Timeouts:
    """The deadlines that the job says, and those of the check's kind in place of what it does not say."""
    target = info.data.get("check")
    usual = _TIMEOUTS if target is None else target.TIMEOUTS
    if isinstance(value, dict):
        # `run` is needed to judge `attempt`. An attempt that is not said may be the longer one: the run cuts it short.
        # As a text, as it would stand in a file, where seconds without a unit are refused.
        value = {"run": format_duration(usual.run), **value}
    timeouts: Timeouts = read(value)
    left_out = type(timeouts).model_fields.keys() - timeouts.model_fields_set
    if not timeouts.model_fields_set:
        return usual
    return timeouts.model_copy(update={field: getattr(usual, field) for field in left_out}) if left_out else timeouts


# Most of 10,000 jobs keep these: one shared value each instead of a copy a job.
_TIMEOUTS = Timeouts()
_RETRY = RetryPolicy()
_CATCH_UP = CatchUp()


OverlapMode = Literal["skip", "allow", "buffer_one", "buffer_all", "cancel_previous"]
"""What becomes of a run that falls due while the one before it goes on.

It is left out, or started beside the other; or it waits (if another one waits already, it is left out; or all wait and
run in their order); or the other one is cancelled for it.
"""


class JobDefinition(FrozenModel):
    """A named definition. Without a schedule it runs when the jobs did that it depends on, or on demand only.

    (A kind of check may have a schedule for jobs that say neither: see jobs.targets.)
    """

    name: str = Field(
        pattern=NAME_PATTERN, description="letters, digits, dot, - and _, at most 100, the first a letter or a digit"
    )
    description: DisplayText = Field(default="", max_length=500)
    enabled: bool = True
    schedule: ScheduleField = None
    check: Target
    depends_on: Dependencies = ()
    """Without a schedule, it runs when all of these did; with one, it is run only if they are as is asked."""
    expect: Expectations = ()
    timeout: Annotated[Timeouts, WrapValidator(_of_kind)] = Field(default=_TIMEOUTS, validate_default=True)
    """What is not said is as usual for the kind of check."""
    retry: RetryPolicy = Field(default_factory=lambda: _RETRY)
    circuit: CircuitPolicy | None = None
    catch_up: CatchUp = Field(default_factory=lambda: _CATCH_UP)
    overlap: OverlapMode = "skip"
    concurrency_group: ConcurrencyGroupField = None
    effect: Literal["repeatable", "once"] = "repeatable"
    """What a second execution of one run would do: no harm (after a crash the run is executed again), or harm.

    A run of effect `once` is claimed alone, right before it starts; if its process dies, it has failed.
    """
    dead_letter: bool = False
    """Whether a run that is down after its last attempt becomes a dead letter, to be looked into and replayed.

    Not for a check of health, which is simply asked again.
    """
    tags: DisplayTexts = Field(default_factory=dict)
    telemetry: TelemetryPolicy | None = None
    """How much is reported of its runs; what it does not say is as in the settings."""

    @model_validator(mode="before")
    @classmethod
    def _schedule_of_its_kind(cls, value: Any) -> Any:
        """Some kinds have a schedule of their own for a job that says nothing about when it runs."""
        if not isinstance(value, dict) or "schedule" in value or "depends_on" in value:
            return value
        kind = target_kind(value.get("check"))
        schedule = getattr(TARGETS_BY_KIND.get(kind), "SCHEDULE", None) if isinstance(kind, str) else None
        return value if schedule is None else {**value, "schedule": schedule}

    @field_validator("depends_on")
    @classmethod
    def _only_scheduled_ones_wait(cls, value: tuple[Dependency, ...], info: ValidationInfo) -> tuple[Dependency, ...]:
        for dependency in value if info.data.get("schedule", ...) is None else ():
            if dependency.wait:
                raise ValueError(
                    f"wait ({dependency.job}) is for jobs with a schedule: without one, a job runs when those did that "
                    "it depends on, however long they take"
                )
        return value

    @field_validator("expect")
    @classmethod
    def _only_what_fits(cls, value: tuple[Expectation, ...], info: ValidationInfo) -> tuple[Expectation, ...]:
        check = info.data.get("check")
        if check is not None and value:
            check_applicable(value, check.kind, check.FEATURES, getattr(check, "url", ""))
        return value

    @model_validator(mode="after")
    def _without_copies(self) -> Self:
        intern_state(self)
        intern_state(self.check)
        return self

    @property
    def runs_when(self) -> str:
        """When it runs by itself: `every 10s`, `every 10s if database`, `after database`; empty: on demand only."""
        others = format_dependencies(self.depends_on)
        if self.schedule is None:
            return f"after {others}" if others else ""
        return f"{self.schedule.text} if {others}" if others else self.schedule.text

    @property
    def has_default_schedule(self) -> bool:
        """Whether its schedule comes from the setting `default_schedule`."""
        return isinstance(self.schedule, DefaultSchedule)

    @property
    def longest_wait(self) -> float:
        """Seconds for which a run may wait for others after its instant, before it runs or is left out."""
        wait = max((dependency.wait for dependency in self.depends_on), default=0.0)
        return wait + (self.concurrency_group.wait if self.concurrency_group is not None else 0.0)

    @property
    def circuit_key(self) -> str | None:
        """How its circuit is called: by the job's name, or as `group:NAME` if it is shared; None if it has none.

        A job's name has no colon.
        """
        if self.circuit is None:
            return None
        return self.name if self.circuit.group is None else f"group:{self.circuit.group}"

    def generation(self) -> str:
        """A short hash of what the job does, not of how it is reported: a ticket made for another one is not run."""
        definition = self.model_dump_json(by_alias=True, exclude={"telemetry"})
        return hashlib.sha256(definition.encode()).hexdigest()[:12]

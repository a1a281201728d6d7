"""A job: schedule, check, policies and objective as one frozen model; and objectives of the section `objectives`.

Built by config.job_files.reader, read by every other package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
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

from jobs.alerting.conditions.base import TargetField
from jobs.alerting.rule import NAME_PATTERN as RULE_NAME_PATTERN
from jobs.alerting.rule import SEVERITY_PATTERN, AlertRules, AlertTime, ChannelNames, Escalation, check_runbook
from jobs.alerting.selectors import AlertSelector
from jobs.definition.dependencies import Dependencies, Dependency, describe_start
from jobs.expectations import Expectation, Expectations, check_applicable
from jobs.expectations.health.document import EntryRules
from jobs.formats import format_duration
from jobs.model_base import DisplayText, DisplayTexts, FrozenModel, intern_state
from jobs.objectives import ObjectiveWindow
from jobs.policies import CatchUp, CircuitPolicy, RetryPolicy, Timeouts
from jobs.policies.execution import TelemetryPolicy
from jobs.policies.groups import ConcurrencyGroupField
from jobs.schedules import DefaultSchedule, Schedule, bind_to_job, parse_schedule
from jobs.schedules.parsing import SCHEDULE_SCHEMA
from jobs.targets import TARGETS_BY_KIND, Target, target_kind


class BurnAlertOptions(FrozenModel):
    """What is done when one of the two alerts of an urgency fires. Keys are those of alert rules."""

    severity: str = Field(default="", pattern=rf"^$|{SEVERITY_PATTERN}", description="default: down, or degraded")
    notify: ChannelNames = Field(default=(), description="channels; without them the routes decide")
    remind_every: Annotated[AlertTime, Field(ge=60)] | None = Field(default=None, description="default: never")
    escalate: tuple[Escalation, ...] = Field(default=(), max_length=10, description="further channels")
    runbook: Annotated[DisplayText, Field(max_length=500), AfterValidator(check_runbook)] = Field(
        default="", description="link to what to do"
    )


def _read_options(value: Any) -> Any:
    """Read true as the defaults, and false as none."""
    if isinstance(value, bool):
        return {} if value else None
    return value


_Options = Annotated[
    BurnAlertOptions | None, BeforeValidator(_read_options, json_schema_input_type=bool | BurnAlertOptions | None)
]


class BurnAlerts(FrozenModel):
    """`page`: the budget is consumed within days; someone must act now. `ticket`: within the window; within days."""

    page: _Options = Field(default=BurnAlertOptions(), description="burn rates 14.4 and 6; false: no such alerts")
    ticket: _Options = Field(default=BurnAlertOptions(), description="burn rates 3 and 1; false: no such alerts")
    minimum_bad_runs: int = Field(
        default=2, ge=1, le=1_000_000, description="bad runs in the long window without which no alert fires"
    )


BurnAlertsField = Annotated[
    BurnAlerts | None, BeforeValidator(_read_options, json_schema_input_type=bool | BurnAlerts | None)
]
"""`alerts: true`, false, or a mapping."""


class JobObjective(FrozenModel):
    """`slo` of a job: the share of its runs, or of time, that must be good in a window."""

    target: TargetField
    window: ObjectiveWindow = Field(default="30d", description="7d, 28d, 30d or 90d until now, or month")
    counts: Literal["runs", "time"] = Field(
        default="runs", description="runs: good runs among valid runs; time: uptime by time, from its alerts"
    )
    degraded: Literal["good", "bad"] = Field(default="good", description="what a degraded run counts as")
    description: DisplayText = Field(default="", max_length=500, description="text for people")
    owner: DisplayText = Field(default="", max_length=200, description="who answers for it")

    alerts: BurnAlertsField = Field(default=None, description="burn alerts: true, false, or what each of them does")

    @model_validator(mode="after")
    def _check_alerts(self) -> Self:
        if self.counts == "time" and self.alerts is not None:
            raise ValueError(
                "alerts: burn alerts count runs, and counts: time itself follows from alerts: "
                "write counts: runs, or remove alerts"
            )
        return self

    @model_validator(mode="after")
    def _check_degraded(self) -> Self:
        if self.counts == "time" and self.degraded == "bad":
            raise ValueError(
                "degraded: bad applies to counts: runs; by time, a rule about degraded runs with "
                "counts_as_downtime: true makes them downtime"
            )
        return self

    @property
    def unit(self) -> str:
        return "runs" if self.counts == "runs" else "seconds"

    @property
    def is_degraded_bad(self) -> bool:
        return self.degraded == "bad"


class SelectedObjective(JobObjective):
    """An entry of `objectives`: one objective over all selected jobs together."""

    select: AlertSelector
    tags: DisplayTexts = Field(default_factory=dict, description="for the routes of its burn alerts, as tags of a job")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is listed twice: remove one")
    return names


_ParentName = Annotated[str, Field(pattern=RULE_NAME_PATTERN, description="the name of a job or of a group")]
AlertParents = Annotated[
    tuple[_ParentName, ...],
    BeforeValidator(_as_list, json_schema_input_type=_ParentName | tuple[_ParentName, ...]),
    Field(max_length=10),
    AfterValidator(_each_once),
]


def find_parent_circle(name: str, parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the shortest way from a subject over its parents back to it; empty without a circle."""
    ways: list[tuple[str, ...]] = [(name,)]
    visited: set[str] = set()
    for way in ways:
        for parent in parents.get(way[-1], ()):
            if parent == name:
                return way
            if parent not in visited:
                visited.add(parent)
                ways.append((*way, parent))
    return ()


def _read_schedule(value: Any, info: ValidationInfo) -> Schedule | None:
    return None if value is None else bind_to_job(parse_schedule(value), info.data.get("name", ""))


ScheduleField = Annotated[
    Schedule | None,
    # Plain: the parser alone decides. A check of the protocol's members for each of 10,000 jobs would cost time.
    PlainValidator(_read_schedule),
    PlainSerializer(lambda schedule: schedule and schedule.spec, return_type=Any),
    WithJsonSchema({"anyOf": [SCHEDULE_SCHEMA, {"type": "null"}]}),
]
"""Declared after `name`, from which the jitter follows."""


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""A job's name is part of run ids, URLs, table keys and tags, so it contains only characters valid in all of them."""


def _of_kind(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Timeouts:
    """Read the job's timeouts; a value that the job does not set comes from the check's kind."""
    target = info.data.get("check")
    usual = _TIMEOUTS if target is None else target.TIMEOUTS
    if isinstance(value, dict):
        # `run` is needed to validate `attempt`. A default attempt may exceed the job's run, which then ends it.
        # As text, as in a job file, which refuses numbers without a unit.
        value = {"run": format_duration(usual.run), **value}
    timeouts: Timeouts = read(value)
    left_out = type(timeouts).model_fields.keys() - timeouts.model_fields_set
    if not timeouts.model_fields_set:
        return usual
    return timeouts.model_copy(update={field: getattr(usual, field) for field in left_out}) if left_out else timeouts


# Most of 10,000 jobs have these defaults: each is one shared value instead of a copy per job.
_TIMEOUTS = Timeouts()
_RETRY = RetryPolicy()
_CATCH_UP = CatchUp()


class PresetUse(FrozenModel):
    """The preset of a job. `overrides`: the other keys of the job as written, for exports; None if not known."""

    name: str = Field(max_length=64)
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")
    overrides: dict[str, Any] | None = Field(default=None, exclude=True)

    def as_written(self) -> dict[str, Any]:
        """Return the job's definition as it stands in a file, without its name."""
        return {"preset": self.name, **({"with": self.with_} if self.with_ else {}), **(self.overrides or {})}


_PRESET_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"},
        {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        {"type": "null"},
    ],
    "description": "The preset that the job is made of; other keys of the job override it. `presets list` lists all",
}

OverlapMode = Literal["skip", "allow", "buffer_one", "buffer_all", "cancel_previous"]
"""What happens to a run that becomes due while the previous run of the job is in flight.

It is skipped, or started in parallel; or it waits (`buffer_one`: a second waiting run is skipped; `buffer_all`: all
wait and run in order); or the previous run is cancelled.
"""


class JobDefinition(FrozenModel):
    """One job of a job file.

    Without a schedule it runs after the jobs that it depends on, or on demand only. A check's kind may define a default
    schedule for jobs with neither (see jobs.targets).
    """

    name: str = Field(
        pattern=NAME_PATTERN, description="letters, digits, dot, - and _, at most 100, the first a letter or a digit"
    )
    description: DisplayText = Field(default="", max_length=500)
    enabled: bool = True
    schedule: ScheduleField = None
    check: Target
    depends_on: Dependencies = ()
    """Without a schedule, the job runs after all of these; with one, a run starts only if they meet the conditions."""
    expect: Expectations = ()
    timeout: Annotated[Timeouts, WrapValidator(_of_kind)] = Field(default=_TIMEOUTS, validate_default=True)
    """A value that is not set has the default of the check's kind."""
    retry: RetryPolicy = Field(default_factory=lambda: _RETRY)
    circuit: CircuitPolicy | None = None
    catch_up: CatchUp = Field(default_factory=lambda: _CATCH_UP)
    overlap: OverlapMode = "skip"
    concurrency_group: ConcurrencyGroupField = None
    effect: Literal["repeatable", "once"] = "repeatable"
    """Whether a run can safely be executed twice. `repeatable`: after a crash the run is executed again.

    `once`: the run is claimed alone, immediately before it starts; if its process dies, the run has failed.
    """
    dead_letter: bool = False
    """Whether a run that is down after its last attempt becomes a dead letter, for inspection and replay.

    Not useful for health checks: the next run checks the target again.
    """
    tags: DisplayTexts = Field(default_factory=dict)
    telemetry: TelemetryPolicy | None = None
    """How much of its runs is reported; a value that is not set comes from the settings."""
    alerts: AlertRules | None = None
    """None: the rules by selector apply (jobs.definition.job_alerts). Empty: none."""
    slo: JobObjective | None = None
    """Its objective. Objectives of several jobs are in the section `objectives` of job files."""
    alert_parent: AlertParents = ()
    """Jobs or groups whose failure explains that of this job. Empty: the jobs that it depends on."""
    preset: Annotated[PresetUse | None, WithJsonSchema(_PRESET_SCHEMA)] = Field(
        default=None, exclude_if=lambda preset: preset is None
    )
    """What the job is made of. A file has its name, and the key `with`: see config.job_files.preset_jobs."""

    @model_validator(mode="before")
    @classmethod
    def _schedule_of_its_kind(cls, value: Any) -> Any:
        """Add the default schedule of the check's kind to a job that has neither a schedule nor dependencies."""
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
                    f"wait ({dependency.job}) requires a schedule: without one, the job starts when the jobs that it "
                    "depends on have finished, however long they take"
                )
        return value

    @field_validator("expect")
    @classmethod
    def _only_what_fits(cls, value: tuple[Expectation, ...], info: ValidationInfo) -> tuple[Expectation, ...]:
        check = info.data.get("check")
        if check is not None and value:
            check_applicable(value, check.kind, check.FEATURES, getattr(check, "url", ""))
        return value

    @field_validator("alert_parent")
    @classmethod
    def _is_not_its_parent(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("name") in value:
            raise ValueError("names the job itself: name the job or group whose failure explains this one")
        return value

    @model_validator(mode="after")
    def _without_copies(self) -> Self:
        intern_state(self)
        intern_state(self.check)
        return self

    @property
    def runs_when(self) -> str:
        """What starts a run: see describe_start."""
        return describe_start("" if self.schedule is None else self.schedule.text, self.depends_on)

    @property
    def parents(self) -> tuple[str, ...]:
        """The jobs and groups whose failure explains that of this job, for alerts."""
        return self.alert_parent or tuple(dependency.job for dependency in self.depends_on)

    @property
    def has_default_schedule(self) -> bool:
        """Whether its schedule comes from the setting `default_schedule`."""
        return isinstance(self.schedule, DefaultSchedule)

    @property
    def longest_wait(self) -> float:
        """Maximum seconds that a run waits for other runs after its due instant, before it starts or is skipped."""
        wait = max((dependency.wait for dependency in self.depends_on), default=0.0)
        return wait + (self.concurrency_group.wait if self.concurrency_group is not None else 0.0)

    @property
    def entry_rules(self) -> EntryRules | None:
        """How the entries of its last health document, or of its rows, are judged; None: it reads none."""
        of_steps = (entry for step in getattr(self.check, "steps", ()) for entry in step.expect)
        found = [rules for entry in (*self.expect, *of_steps) if (rules := entry.entry_rules) is not None]
        return found[-1] if found else None

    @property
    def circuit_key(self) -> str | None:
        """Key of the job's circuit: the job's name, or `group:NAME` for a shared circuit; None without a circuit.

        A job's name does not contain a colon.
        """
        if self.circuit is None:
            return None
        return self.name if self.circuit.group is None else f"group:{self.circuit.group}"

    def to_json(self) -> dict[str, Any]:
        """Return the full form with all defaults as JSON: it is the same for each way to write the job."""
        return self.model_dump(mode="json", by_alias=True)

    def generation(self) -> str:
        """Hash the job's behaviour, without what its runs mean. Tickets of others are not executed."""
        definition = self.model_dump_json(
            by_alias=True, exclude={"telemetry", "alerts", "alert_parent", "slo", "preset"}
        )
        return hashlib.sha256(definition.encode()).hexdigest()[:12]

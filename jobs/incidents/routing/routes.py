"""Routes: members of `alerting.routes` in job files. Pure.

    routes:
      - {match: {severities: degraded}, notify: [mail], digest: "08:00 Europe/Berlin"}
      - {match: {tags: {team: payments}}, time: {only: [{weekly: {days: MON-FRI, from: "08:00", to: "18:00"}}]},
         notify: [payments-chat]}
      - {name: night, time: {mute: [{calendar: [{holidays: DE}], timezone: Europe/Berlin}]}, on_call: primary}

The first route that matches decides; with `continue: true` the later ones are tried in addition. `time.only`: the route
matches at these times only. `time.mute`: it matches, but its notifications are held back at these times.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from jobs.incidents.routing.digest import DigestField
from jobs.incidents.suppression.periods.definition import PeriodDefinition
from jobs.incidents.suppression.periods.spans import Periods, union_of
from jobs.incidents.suppression.subjects import SubjectSelector
from jobs.incidents.suppression.windows import SuppressionName
from jobs.model_base import FrozenModel

MAX_ROUTES = 500
MAX_CHANNELS_OF_ROUTE = 50
MAX_PERIODS_OF_ROUTE = 50


def _as_list(value: object) -> object:
    return [value] if isinstance(value, (str, dict)) else value


ChannelNames = Annotated[
    tuple[SuppressionName, ...],
    BeforeValidator(_as_list),
    Field(max_length=MAX_CHANNELS_OF_ROUTE),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
PeriodList = Annotated[
    tuple[PeriodDefinition, ...],
    BeforeValidator(_as_list, json_schema_input_type=PeriodDefinition | tuple[PeriodDefinition, ...]),
    Field(max_length=MAX_PERIODS_OF_ROUTE),
]


class RouteTimes(FrozenModel):
    """See the module."""

    only: PeriodList = ()
    mute: PeriodList = ()

    @cached_property
    def only_periods(self) -> Periods | None:
        return union_of([each.periods for each in self.only]) if self.only else None

    @cached_property
    def mute_periods(self) -> Periods | None:
        return union_of([each.periods for each in self.mute]) if self.mute else None


class Route(FrozenModel):
    """`notify`: channels. `on_call`: a rota; the channels of those on call are notified in addition."""

    name: SuppressionName | None = None
    match: SubjectSelector = Field(default_factory=SubjectSelector)
    time: RouteTimes = Field(default_factory=RouteTimes)
    notify: ChannelNames = ()
    on_call: SuppressionName | None = None
    digest: DigestField | None = None
    continue_: bool = Field(default=False, alias="continue")

    @model_validator(mode="after")
    def _notifies_somewhere(self) -> Self:
        if not self.notify and self.on_call is None and "notify" not in self.model_fields_set:
            raise ValueError("notify: is missing: name channels, or on_call, or write notify: [] to notify none")
        if self.digest is not None and self.on_call is not None:
            raise ValueError("digest: who is on call is notified at once: remove digest, or use another route")
        return self

    def label(self, position: int) -> str:
        """Return its name, or `route 2` for the second one without a name."""
        return self.name or f"route {position + 1}"

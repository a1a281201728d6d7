"""A rota in a job file: a member of `alerting.on_call`. Pure; the caller reads the calendar.

on_call:
  primary:
    url: {secret: rota-url}          # or file: rota.ics
    people: {Anna: anna-phone, Ben: [ben-phone, mail]}
    otherwise: team-chat
    timezone: Europe/Berlin
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from jobs.formats.display_text import DisplayText
from jobs.formats.relative_paths import check_path_below
from jobs.incidents.routing.rota import OnCallTable, Rota
from jobs.incidents.routing.routes import ChannelNames
from jobs.incidents.suppression.periods.definition import ZoneField
from jobs.model_base import FrozenModel
from jobs.schedules.time_zones import TimeZone, load_time_zone
from jobs.targets.urls import UrlOrSecret

MAX_PEOPLE = 200

PersonName = Annotated[DisplayText, Field(min_length=1, max_length=100)]


class RotaDefinition(FrozenModel):
    """`file`: below the folder of the job file. `otherwise`: channels while no person of `people` is on call."""

    file: Annotated[str, AfterValidator(check_path_below)] | None = Field(default=None, min_length=1, max_length=500)
    url: UrlOrSecret | None = None
    people: dict[PersonName, ChannelNames] = Field(min_length=1, max_length=MAX_PEOPLE)
    otherwise: ChannelNames
    timezone: ZoneField | None = None

    @model_validator(mode="after")
    def _can_be_read_and_used(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("one of file and url is required: file: rota.ics, or url: {secret: rota-url}")
        if not self.otherwise:
            raise ValueError("otherwise: is empty: name a channel for times at which no person is on call")
        empty = next((person for person, channels in self.people.items() if not channels), None)
        if empty is not None:
            raise ValueError(f"people.{empty}: is empty: name a channel")
        return self

    @property
    def zone(self) -> TimeZone:
        """The zone of times without one."""
        return self.timezone or load_time_zone("UTC")

    def make_rota(self, table: OnCallTable | None) -> Rota:
        """Return the rota with this table; with None no person is on call, so that `otherwise` is notified."""
        return Rota(table, self.people, self.otherwise)

"""Rotas as job files define them, and who is on call by the table of a rota's handovers. Pure.

The caller reads the calendar of a rota; jobs.incidents.rota_calendar makes a table of handovers of it for a limited
time, so that a lookup costs nothing and runs no foreign rule.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from jobs.fast_frozen import fast_frozen
from jobs.incidents.suppression.periods import ZoneField
from jobs.incidents.suppression.windows import SuppressionName
from jobs.model_base import DisplayText, FrozenModel
from jobs.schedules.time_zones import TimeZone, load_time_zone
from jobs.targets.endpoints import UrlOrSecret


def check_path_below(path: str) -> str:
    """Return a relative path that stays below its folder by its text. Raises ValueError."""
    parts = PurePosixPath(path)
    if "\\" in path or ":" in path or "\0" in path or parts.is_absolute() or ".." in parts.parts or not parts.name:
        raise ValueError(
            f"{path!r:.80} is not a path below the folder of the job file: write it like rotas/primary.ics"
        )
    return path


MAX_CHANNELS_OF_ROUTE = 50


def as_list(value: object) -> object:
    return [value] if isinstance(value, (str, dict)) else value


ChannelNames = Annotated[
    tuple[SuppressionName, ...],
    BeforeValidator(as_list),
    Field(max_length=MAX_CHANNELS_OF_ROUTE),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


HANDOVER_IN_SIGHT = timedelta(days=62)
"""A later end of a shift counts as unknown."""


@fast_frozen(frozen=True, slots=True)
class OnCall:
    """`people`: titles of the shifts. `channels`: theirs, or those of `otherwise`. `changes_at`: the next handover."""

    people: tuple[str, ...]
    channels: tuple[str, ...]
    changes_at: datetime | None


@fast_frozen(frozen=True, slots=True)
class OnCallTable:
    """Who is on call from the first of `instants`, inclusive, to `until`, exclusive.

    `instants`: ascending. `people`: for each instant, those on call from it to the next one.
    """

    instants: tuple[datetime, ...]
    people: tuple[tuple[str, ...], ...]
    until: datetime

    def find(self, now: datetime) -> tuple[tuple[str, ...], datetime | None]:
        """Return who is on call and until when, if that is in sight. Outside of the table no person is known."""
        index = bisect_right(self.instants, now)
        if index == 0 or now >= self.until:
            return (), None
        later = self.instants[index] if index < len(self.instants) else None
        return self.people[index - 1], later if later is not None and later <= now + HANDOVER_IN_SIGHT else None


class Rota:
    """`table`: None for a rota without a calendar. `people`: channels by person. `otherwise`: while none is on call."""

    def __init__(
        self, table: OnCallTable | None, people: Mapping[str, tuple[str, ...]], otherwise: tuple[str, ...]
    ) -> None:
        self.table = table
        self._people = people
        self._otherwise = otherwise

    def on_call_at(self, now: datetime) -> OnCall:
        """Return who is on call."""
        people, changes_at = ((), None) if self.table is None else self.table.find(now)
        channels = dict.fromkeys(channel for person in people for channel in self._people.get(person, ()))
        return OnCall(people, tuple(channels) or self._otherwise, changes_at)


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

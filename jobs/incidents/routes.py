"""Routes and digests as job files define them, and the channels of an incident by them. Pure.

    routes:
      - {match: {severities: degraded}, notify: [mail], digest: "08:00 Europe/Berlin"}
      - {match: {tags: {team: payments}}, time: {only: [{weekly: {days: MON-FRI, from: "08:00", to: "18:00"}}]},
         notify: [payments-chat]}
      - {name: night, time: {mute: [{calendar: [{holidays: DE}], timezone: Europe/Berlin}]}, on_call: primary}
    on_call:
      primary:
        url: {secret: rota-url}          # or file: rota.ics
        people: {Anna: anna-phone, Ben: [ben-phone, mail]}
        otherwise: team-chat
        timezone: Europe/Berlin

The first route that matches decides; with `continue: true` the later ones are tried in addition. `time.only`: the
route matches at these times only. `time.mute`: it matches, but its notifications are held back at these times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from jobs.fast_frozen import fast_frozen
from jobs.formats import format_instant
from jobs.incidents.rotas import ChannelNames, OnCall, Rota, as_list
from jobs.incidents.suppression.periods import PeriodDefinition
from jobs.incidents.suppression.spans import Periods, state_at, union_of
from jobs.incidents.suppression.windows import AlertSubject, SubjectSelector, SuppressionName
from jobs.incidents.values import Suppression, SuppressionKind
from jobs.model_base import FrozenModel
from jobs.schedules.exclusions import DAY_SECONDS, read_time_of_day
from jobs.schedules.parsing import SCHEDULE_SCHEMA, parse_schedule
from jobs.schedules.protocol import Schedule


@fast_frozen(frozen=True, slots=True)
class Digest:
    """`schedule`: when the messages since the last time are sent as one. `spec`: its form in a job file."""

    schedule: Schedule
    spec: Any

    def next_after(self, now: datetime) -> datetime | None:
        """Return when what happens now is sent; None if the schedule is never due again."""
        return self.schedule.next_after(now)


def read_digest(value: object) -> Digest:
    """Parse `08:00 Europe/Berlin`, `08:00` (UTC), or a schedule that is a mapping. Raises ScheduleError."""
    if isinstance(value, Digest):
        return value
    if not isinstance(value, str):
        return Digest(parse_schedule(value), value)
    time, _, zone = value.strip().partition(" ")
    second = read_time_of_day(time, "digest") % DAY_SECONDS
    cron = f"{second % 60} {second // 60 % 60} {second // 3600} * * *"
    schedule = parse_schedule({"cron": cron, **({"timezone": zone.strip()} if zone else {})})
    return Digest(schedule, value)


DigestField = Annotated[
    Digest,
    PlainValidator(read_digest),
    PlainSerializer(lambda digest: digest.spec, return_type=Any),
    WithJsonSchema({**SCHEDULE_SCHEMA, "examples": ["08:00 Europe/Berlin"]}),
]


MAX_ROUTES = 500
MAX_PERIODS_OF_ROUTE = 50


PeriodList = Annotated[
    tuple[PeriodDefinition, ...],
    BeforeValidator(as_list, json_schema_input_type=PeriodDefinition | tuple[PeriodDefinition, ...]),
    Field(max_length=MAX_PERIODS_OF_ROUTE),
]


class RouteTimes(FrozenModel):
    """When a route matches (`only`), and when its notifications are held back (`mute`)."""

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


@fast_frozen(frozen=True, slots=True)
class RoutedChannel:
    """`due_at`: when its digest is sent; None for at once. `held_until`: the end of the route's mute time, if known.

    `is_held`: the route is muted now, so the channel must not be notified yet.
    """

    channel: str
    route: str
    due_at: datetime | None = None
    is_held: bool = False
    held_until: datetime | None = None


@fast_frozen(frozen=True, slots=True)
class RouteVerdict:
    """Whether a route matched, and why: for the decisions of the incident."""

    route: str
    is_match: bool
    reason: str


@fast_frozen(frozen=True, slots=True)
class RoutingResult:
    """`channels`: each once, of the first route that names it without a hold. `verdicts`: of the routes in order, up to
    the one that ended the search. `changes_at`: when the result may differ although the incident does not."""

    channels: tuple[RoutedChannel, ...]
    verdicts: tuple[RouteVerdict, ...]
    changes_at: datetime | None = None

    @property
    def notified(self) -> tuple[RoutedChannel, ...]:
        return tuple(each for each in self.channels if not each.is_held)

    @property
    def mute(self) -> Suppression | None:
        """The mute time that holds back all channels; None if one is not held, or without any channel."""
        if not self.channels or self.notified:
            return None
        ends = [each.held_until for each in self.channels if each.held_until is not None]
        return Suppression(SuppressionKind.MUTE_TIME, self.channels[0].route, until=min(ends, default=None))

    @property
    def reason(self) -> str:
        """One sentence a route: `route 1: the severity is down, not degraded; night: matched`."""
        return "; ".join(f"{each.route}: {each.reason}" for each in self.verdicts)


@fast_frozen(frozen=True, slots=True)
class RoutingTable:
    """`rotas`: by name. A route whose rota is missing notifies its other channels, and its verdict reports that."""

    routes: Sequence[Route] = ()
    rotas: Mapping[str, Rota] = field(default_factory=dict)


def channels_of(incident: AlertSubject, table: RoutingTable, now: datetime) -> RoutingResult:
    """Return the channels for an incident: the subject of its lead, with the severity of the incident."""
    channels: dict[str, RoutedChannel] = {}
    verdicts: list[RouteVerdict] = []
    changes: list[datetime] = []
    for position, route in enumerate(table.routes):
        label = route.label(position)
        mismatch = route.match.find_mismatch(incident) or _time_mismatch(route, now, changes)
        if mismatch:
            verdicts.append(RouteVerdict(label, False, mismatch))
            continue
        found, reason = _channels_of_route(route, label, table.rotas, now, changes)
        for each in found:
            if each.channel not in channels or (channels[each.channel].is_held and not each.is_held):
                channels[each.channel] = each
        verdicts.append(RouteVerdict(label, True, reason))
        if not route.continue_:
            break
    return RoutingResult(tuple(channels.values()), tuple(verdicts), min(changes, default=None))


@fast_frozen(frozen=True, slots=True)
class UnmatchedRoute:
    """A route that no incident can reach. `position`: among the routes, from 0."""

    position: int
    label: str
    reason: str

    def __str__(self) -> str:
        return f"{self.label}: {self.reason}"


def find_unmatched_routes(table: RoutingTable, incidents: Sequence[AlertSubject]) -> Sequence[UnmatchedRoute]:
    """Return the routes that no incident can reach, such as `route 3: it matches no alert of any job or group`.

    `incidents`: every job and group with each of its severities. Times do not matter: a route that matches at certain
    times only lets the later ones be reached.
    """
    unmatched: list[UnmatchedRoute] = []
    remaining = list(incidents)
    for position, route in enumerate(table.routes):
        if not any(route.match.matches(each) for each in remaining):
            is_hidden = any(route.match.matches(each) for each in incidents)
            reason = "earlier routes match all that it matches" if is_hidden else "it matches no alert"
            unmatched.append(UnmatchedRoute(position, route.label(position), reason))
        if not route.continue_ and not route.time.only:
            remaining = [each for each in remaining if not route.match.matches(each)]
    return unmatched


def find_uncovered_since(table: RoutingTable, incident: AlertSubject, now: datetime) -> tuple[bool, datetime | None]:
    """Return whether there is a time at which no route matches, and its begin if some route matches at other times."""
    times: list[Periods] = []
    for route in table.routes:
        if route.match.matches(incident):
            if route.time.only_periods is None:
                return False, None
            times.append(route.time.only_periods)
    if not times:
        return True, None
    state = state_at(union_of(times), now)
    if not state.is_inside:
        return True, now
    return state.changes_at is not None, state.changes_at


def _time_mismatch(route: Route, now: datetime, changes: list[datetime]) -> str:
    """Return why the route does not match now; empty if it does. Add the instant at which that changes to `changes`."""
    periods = route.time.only_periods
    if periods is None:
        return ""
    state = state_at(periods, now)
    if state.changes_at is not None:
        changes.append(state.changes_at)
    if state.is_inside:
        return ""
    return f"its time begins at {format_instant(state.changes_at)}" if state.changes_at else "its time is over"


def _channels_of_route(
    route: Route, label: str, rotas: Mapping[str, Rota], now: datetime, changes: list[datetime]
) -> tuple[list[RoutedChannel], str]:
    """Return the channels of a route that matches, and its reason. Add instants of later changes to `changes`."""
    reasons = ["matched"]
    names = list(route.notify)
    if route.on_call is not None:
        rota = rotas.get(route.on_call)
        on_call = OnCall((), (), None) if rota is None else rota.on_call_at(now)
        names += on_call.channels
        reasons.append(_describe_on_call(route.on_call, rota, on_call))
        if on_call.changes_at is not None:
            changes.append(on_call.changes_at)
    held_until, is_held = None, False
    if route.time.mute_periods is not None:
        state = state_at(route.time.mute_periods, now)
        is_held, held_until = state.is_inside, state.changes_at if state.is_inside else None
        if state.changes_at is not None:
            changes.append(state.changes_at)
        if is_held:
            reasons.append(f"muted until {format_instant(held_until)}" if held_until else "muted")
    due_at = None if route.digest is None else route.digest.next_after(now)
    if due_at is not None:
        reasons.append(f"digest at {format_instant(due_at)}")
    if not names:
        reasons.append("it names no channel")
    return [RoutedChannel(each, label, due_at, is_held, held_until) for each in names], ", ".join(reasons)


def _describe_on_call(name: str, rota: Rota | None, on_call: OnCall) -> str:
    if rota is None:
        return f"there is no rota {name}"
    return f"on call by {name}: {', '.join(on_call.people) or 'without a person, so its fallback'}"

"""Finds what holds back the notifications of an alert, until when, and what selects nothing. Pure.

It answers for the facts of a pass of the engine (AlertFacts), and for explanations and backtests.

A window holds back notifications during its periods. A window with `only_then` does the opposite: its periods are the
only time at which the jobs notify. Being inside of one of several such windows is enough, so those of one subject are
merged to one source, which is active outside of all of them, before any time is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import takewhile

from jobs.fast_frozen import fast_frozen
from jobs.incidents.suppression.spans import AnyOf, Outside, Periods, Span, state_at, union_of
from jobs.incidents.suppression.windows import (
    AlertSubject,
    MaintenanceWindow,
    RequestedWindow,
    Silence,
    SubjectSelector,
    WindowEffect,
)
from jobs.incidents.values import Suppression, SuppressionKind

Tags = tuple[tuple[str, str], ...]

_NEVER = datetime.max.replace(tzinfo=UTC)

MAX_LOOKBACK = timedelta(days=32)
"""A window that began earlier counts as one that began then."""


@fast_frozen(frozen=True, slots=True)
class _Source:
    """A window or a silence. `select`: the subjects that it is for, of which it covers only those with one of the tags
    `limited_to`, if it has any. `window`: None for a silence. `scope`: what a silence selects, as text.
    """

    kind: SuppressionKind
    name: str
    reason: str
    periods: Periods
    select: SubjectSelector
    limited_to: Tags = ()
    window: MaintenanceWindow | None = None
    scope: str = ""

    def as_suppression(self, until: datetime | None = None, followed_by: str = "") -> Suppression:
        return Suppression(self.kind, self.name, self.reason, until, self.scope, followed_by)

    @property
    def is_only_then(self) -> bool:
        return self.window is not None and self.window.only_then

    def covers(self, subject: AlertSubject, *, any_severity: bool = False) -> bool:
        if self.limited_to and not any(subject.tags.get(key) == value for key, value in self.limited_to):
            return False
        return self.select.matches_any_severity_of(subject) if any_severity else self.select.matches(subject)


@dataclass(frozen=True)
class SuppressionSet:
    """All that may hold back notifications: `windows` of the job files, and what the store holds."""

    windows: tuple[MaintenanceWindow, ...] = ()
    requested: tuple[RequestedWindow, ...] = ()
    silences: tuple[Silence, ...] = ()
    _in_force: tuple[datetime, Sequence[_Source]] | None = field(default=None, init=False, repr=False, compare=False)

    @cached_property
    def sources(self) -> Sequence[_Source]:
        """Windows before silences, as SuppressionKind orders them."""
        return tuple(_list_sources(self))

    def sources_in_force(self, now: datetime) -> Sequence[_Source]:
        """Return those that may hold something back at an instant.

        A window with `only_then` always may: whether it does depends on the other such windows of the subject.
        """
        if self._in_force is None or self._in_force[0] != now:
            found = [each for each in self.sources if each.is_only_then or state_at(each.periods, now).is_inside]
            object.__setattr__(self, "_in_force", (now, found))
        return self._in_force[1] if self._in_force is not None else ()


def find_suppression(subject: AlertSubject, suppressions: SuppressionSet, now: datetime) -> Suppression | None:
    """Return the window or silence that holds back the notifications of an alert: of several the one that ends last.

    `until`: when notifications are possible again: the end of all windows and silences for the subject that adjoin or
    overlap. None: they never end, or not in sight.
    """
    # perf: few are in force at once, so that most subjects are compared with few.
    if not any(each.covers(subject) for each in suppressions.sources_in_force(now)):
        return None
    return _find_active([each for each in suppressions.sources if each.covers(subject)], now)


@fast_frozen(frozen=True, slots=True)
class WindowPause:
    """A window because of which a job does not run. `since`: its begin, at most MAX_LOOKBACK ago."""

    job: str
    since: datetime
    suppression: Suppression


def list_pauses(jobs: Iterable[AlertSubject], suppressions: SuppressionSet, now: datetime) -> Iterator[WindowPause]:
    """Yield the jobs that do not run now because of a window with `effect: pause`."""
    pausing = [each for each in suppressions.sources if each.window and each.window.effect is WindowEffect.PAUSE]
    pause_by_windows: dict[tuple[int, ...], tuple[Suppression | None, datetime]] = {}
    for job in jobs if pausing else ():
        covering = tuple(number for number, each in enumerate(pausing) if each.covers(job, any_severity=True))
        if covering and covering not in pause_by_windows:
            sources = [pausing[number] for number in covering]
            active = _find_active(sources, now)
            pause_by_windows[covering] = active, now if active is None else _begin_of(sources, now)
        suppression, since = pause_by_windows.get(covering, (None, now))
        if suppression is not None:
            yield WindowPause(job.name, since, suppression)


def find_pause_end(job: AlertSubject, suppressions: SuppressionSet, now: datetime) -> datetime | None:
    """Return when the latest pause of a job because of windows ended; None while one lasts, and without any in
    MAX_LOOKBACK.
    """
    sources = _windows_of(job, suppressions, pauses=True)
    if not sources:
        return None
    periods = union_of([each.periods for each in _merge_only_then(sources)])
    state = state_at(periods, now)
    if state.is_inside:
        return None
    # From change to change up to now: the last one that left the periods is the end.
    at, end = now - MAX_LOOKBACK, None
    while (change := state_at(periods, at).changes_at) is not None and change <= now:
        at = change
        end = change if not state_at(periods, change).is_inside else end
    return end


def counts_as_sample(job: AlertSubject, suppressions: SuppressionSet, at: datetime) -> bool:
    """Return whether a run at an instant counts for alert rules: false inside a window with `counts: false`."""
    sources = [each for each in _windows_of(job, suppressions) if each.window is not None and not each.window.counts]
    return not any(state_at(each.periods, at).is_inside for each in _merge_only_then(sources))


def list_window_times(
    job: AlertSubject, suppressions: SuppressionSet, since: datetime, until: datetime, *, pauses: bool
) -> Iterator[tuple[Suppression, Span]]:
    """Yield the times from `since` to `until` in which windows pause a job, or else in which its runs do not count."""
    window_sources = [
        each
        for each in _windows_of(job, suppressions, pauses=pauses)
        if pauses or (each.window is not None and not each.window.counts)
    ]
    for source in _merge_only_then(window_sources):
        suppression = source.as_suppression()
        for span in takewhile(lambda each: each.begin < until, source.periods.spans_from(since)):
            yield suppression, span


def next_change_after(suppressions: SuppressionSet, now: datetime) -> datetime | None:
    """Return when the next window or silence begins or ends, for whatever subject; None if none does in sight.

    A pass at each of these instants, and none between them for this reason, misses no change.
    """
    states = (state_at(each.periods, now) for each in suppressions.sources)
    return min((state.changes_at for state in states if state.changes_at is not None), default=None)


def find_unmatched(suppressions: SuppressionSet, subjects: Sequence[AlertSubject], now: datetime) -> Sequence[str]:
    """Return the windows and silences that select none of the subjects, such as `window patching`, without ended ones.

    `subjects`: every job and group; their severities do not matter.
    """
    return [
        each.as_suppression().title
        for each in suppressions.sources
        if not _is_over(each.periods, now) and not any(each.covers(subject, any_severity=True) for subject in subjects)
    ]


def _find_active(sources: Sequence[_Source], now: datetime) -> Suppression | None:
    """Return the suppression by the source that is active now and ends last; None if none is active.

    It is `until` the end of all sources that adjoin or overlap, and `followed_by` the one that is active at that end.
    """
    merged = _merge_only_then(sources)
    holding = [each for each in merged if state_at(each.periods, now).is_inside]
    if not holding:
        return None
    longest = max(holding, key=lambda each: state_at(each.periods, now).changes_at or _NEVER)
    until = state_at(union_of([each.periods for each in merged]), now).changes_at
    if until is None:
        return longest.as_suppression()
    last = [each for each in merged if state_at(each.periods, until - datetime.resolution).is_inside]
    return longest.as_suppression(until, "" if longest in last else last[0].as_suppression().title)


def _begin_of(sources: Sequence[_Source], now: datetime) -> datetime:
    """Return when the time began in which one of these sources is active."""
    periods = union_of([each.periods for each in _merge_only_then(sources)])
    at = now - MAX_LOOKBACK
    while (change := state_at(periods, at).changes_at) is not None and change <= now:
        at = change
    return at


def _is_over(periods: Periods, now: datetime) -> bool:
    """Return whether no span begins any more."""
    state = state_at(periods, now)
    return not state.is_inside and state.changes_at is None


def _list_sources(suppressions: SuppressionSet) -> Iterator[_Source]:
    for window in suppressions.windows:
        yield _source_of_window(window, window.periods)
    for requested in suppressions.requested:
        yield _source_of_window(requested.window, requested.periods, requested.limited_to)
    for silence in suppressions.silences:
        yield _Source(
            SuppressionKind.SILENCE,
            silence.id,
            silence.reason,
            silence.periods,
            silence.select,
            silence.limited_to,
            scope=silence.scope,
        )


def _source_of_window(window: MaintenanceWindow, periods: Periods, limited_to: Tags = ()) -> _Source:
    kind = SuppressionKind.WINDOW
    return _Source(kind, window.name, window.described_reason, periods, window.select, limited_to, window)


def _windows_of(job: AlertSubject, suppressions: SuppressionSet, *, pauses: bool = False) -> list[_Source]:
    """Return the windows for a job, whatever its severity. `pauses`: only those with `effect: pause`."""
    return [
        each
        for each in suppressions.sources
        if each.window is not None
        and (not pauses or each.window.effect is WindowEffect.PAUSE)
        and each.covers(job, any_severity=True)
    ]


def _merge_only_then(sources: Iterable[_Source]) -> list[_Source]:
    """Replace the windows with `only_then` by one source: the time outside of all of them."""
    merged: list[_Source] = []
    allowed: list[_Source] = []
    for source in sources:
        (allowed if source.is_only_then else merged).append(source)
    if not allowed:
        return merged
    names = ", ".join(source.name for source in allowed)
    periods = Outside(AnyOf(tuple(source.periods for source in allowed)))
    reason = "; ".join(filter(None, ("outside of the window", *(source.reason for source in allowed))))
    outside = _Source(SuppressionKind.WINDOW, names, reason, periods, allowed[0].select)
    # Windows before silences, as in SuppressionSet.sources.
    silences = [each for each in merged if each.kind is SuppressionKind.SILENCE]
    return [*(each for each in merged if each not in silences), outside, *silences]

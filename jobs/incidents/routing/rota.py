"""Who is on call at an instant. Pure; used by jobs.incidents.routing.

A rota is a table of handovers, which was made of a calendar for a limited time (jobs.incidents.routing.rota_calendar),
so that a lookup costs nothing and runs no foreign rule.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime, timedelta

from jobs.fast_frozen import fast_frozen

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

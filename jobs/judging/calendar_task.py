"""The task of evaluating the calendar of a rota. Made by scheduler.alerting.rotas and config.warnings. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.incidents.rota_calendar import EvaluatedCalendar, RotaError, evaluate_calendar
from jobs.incidents.rotas import OnCallTable, RotaDefinition
from jobs.judging.port import OnPartStarted
from jobs.redaction import Redact
from jobs.schedules.time_zones import load_time_zone


@dataclass(frozen=True, slots=True)
class CalendarTask:
    """Evaluate the calendar of a rota as a judging task. The result is the calendar, or why it cannot be used.

    `zone`: the name of that of times without one. `people`: the names of those who can be on call.
    """

    content: bytes
    zone: str
    people: tuple[str, ...]
    since: datetime
    until: datetime
    now: datetime

    @classmethod
    def of(
        cls, definition: RotaDefinition, content: bytes, since: datetime, until: datetime, now: datetime
    ) -> CalendarTask:
        return cls(content, definition.zone.name, tuple(definition.people), since, until, now)

    @property
    def size(self) -> int:
        return len(self.content)

    def is_brief(self) -> bool:
        return False

    def perform(self, redact: Redact, on_part_started: OnPartStarted) -> EvaluatedCalendar | str:
        zone = load_time_zone(self.zone)
        try:
            return evaluate_calendar(self.content, zone, self.people, self.since, self.until, now=self.now)
        except RotaError as error:
            return str(error)

    def pack(self, result: EvaluatedCalendar | str) -> Any:
        if isinstance(result, str):
            return result
        numbers = {person: number for number, person in enumerate(self.people)}
        table = result.table
        return [
            [instant.isoformat() for instant in table.instants],
            [[numbers[person] for person in people] for people in table.people],
            table.until.isoformat(),
            result.unknown_titles,
        ]

    def unpack(self, packed: Any, complete: Callable[[str], str]) -> EvaluatedCalendar | str:
        if isinstance(packed, str):
            return packed
        instants, people, until, titles = packed
        table = OnCallTable(
            tuple(map(datetime.fromisoformat, instants)),
            tuple(tuple(self.people[number] for number in numbers) for numbers in people),
            datetime.fromisoformat(until),
        )
        return EvaluatedCalendar(table, tuple(titles))

    def undecided(self, part: int, why: str) -> EvaluatedCalendar | str:
        return f"the calendar could not be evaluated: {why}; export fewer events, or simpler recurrences"

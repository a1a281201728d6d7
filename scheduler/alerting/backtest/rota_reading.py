"""The rotas of a backtest: the calendars as they are now. Used by scheduler.alerting.backtest.backtester."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from jobs.incidents.routes import Rota
from scheduler.catalog.catalog import JobSnapshot

LONGEST_READ = 12.0
"""Seconds for which a backtest waits for calendars that the process has not read yet."""


class RotaCalendars(Protocol):
    """Implemented by scheduler.alerting.rotas."""

    async def read(self, snapshot: JobSnapshot) -> Mapping[str, Rota]: ...

    async def read_for(
        self, snapshot: JobSnapshot, since: datetime, until: datetime
    ) -> tuple[Mapping[str, Rota], Mapping[str, str]]: ...

    async def prepare(self, snapshot: JobSnapshot, time_limit: float) -> None: ...

    def describe_problems(self) -> Mapping[str, str]: ...


async def read_rotas(
    calendars: RotaCalendars | None, snapshot: JobSnapshot, since: datetime, until: datetime
) -> tuple[Mapping[str, Rota], tuple[str, ...]]:
    """Return the known rotas, for this time, and a sentence for each that could not be read."""
    names = {entry.name for entry in snapshot.alerting.entries_of("on_call")}
    if calendars is None or not names:
        return {}, ()
    found = await calendars.read(snapshot)
    if not names <= found.keys():
        await calendars.prepare(snapshot, LONGEST_READ)
    found, errors = await calendars.read_for(snapshot, since, until)
    notes = dict.fromkeys(names - found.keys(), "the calendar could not be read in time; no channel is notified")
    notes |= {name: f"{error}; `otherwise` is notified" for name, error in errors.items()}
    notes |= calendars.describe_problems()
    return found, tuple(f"rota {name}: {text}" for name, text in sorted(notes.items()))

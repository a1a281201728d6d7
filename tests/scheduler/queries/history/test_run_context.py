"""The runs next to a run, the last good one, and its incident."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from jobs.incidents.values import AlertKey, Incident, IncidentStatus, Member
from jobs.runs import Outcome
from scheduler.catalog.catalog import Catalog
from scheduler.features.incidents.queries import IncidentFilter, IncidentList, IncidentQueries, IncidentView
from scheduler.features.runs.queries import RunContext, read_run_context
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import NOON, at, run_of, ticket

FAILED = Outcome.FAILED


class StoredIncidents(IncidentQueries):
    """Incidents that a test gives, newest first."""

    def __init__(self, *incidents: Incident) -> None:
        store = MemoryStore()
        super().__init__(Catalog([entry()]), Repositories(store).incident_log, Runs(store), VirtualClock())
        self.incidents = incidents

    async def list_incidents(self, criteria: IncidentFilter, *, limit: int, after: str = "") -> IncidentList:
        until = criteria.opened.until
        return IncidentList(
            tuple(IncidentView(one, "", "") for one in self.incidents if until is None or one.opened_at <= until), None
        )


async def read(
    runs: dict[float, Outcome], seconds: float, *incidents: Incident, now: datetime | None = None
) -> RunContext:
    """The context of the run that was due so many seconds after noon, among runs by their second."""
    async with ApiClient(jobs=[entry()]) as client:
        for second, outcome in runs.items():
            due = ticket("checkout", second)
            await client.store_finished(due, run_of(due, outcome))
        record = await client.services.queries.find_run(ticket("checkout", seconds).id)
        assert record is not None
        return await read_run_context(
            client.services.queries, StoredIncidents(*incidents), record, now or at(10 * 86400)
        )


def seconds_of(context: RunContext) -> tuple[float | None, float | None]:
    found = (context.previous, context.next)
    previous, following = (None if one is None else (one.ticket.due_at - NOON).total_seconds() for one in found)
    return previous, following


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ((0,), (None, None)),
        ((-10, 0, 10), (-10, 10)),
        ((-90000, 0, 90000), (-90000, 90000)),
        ((0, *range(1, 150)), (None, 1)),
        ((0, 700, 800, 900), (None, 700)),
    ],
)
async def test_the_runs_before_and_after_are_found(
    runs: tuple[float, ...], expected: tuple[float | None, float | None]
) -> None:
    assert seconds_of(await read(dict.fromkeys(runs, Outcome.SUCCEEDED), 0)) == expected


async def test_the_last_good_run_before_a_failing_one_is_found() -> None:
    found = await read(
        {-30: Outcome.SUCCEEDED, -20: Outcome.SUCCEEDED, -10: FAILED, 0: FAILED, 10: Outcome.SUCCEEDED}, 0
    )
    assert found.good is not None
    assert found.good.due_at == at(-20)


async def test_a_good_run_is_compared_with_none() -> None:
    found = await read({-10: Outcome.SUCCEEDED, 0: Outcome.SUCCEEDED}, 0, incident(-60, None))
    assert (found.good, found.incident) == (None, None)


def incident(failing: float, resolved: float | None, opened: float = 0.0) -> Incident:
    key = AlertKey("checkout", "failed")
    member = Member(key, 1, "critical", 3, at(opened), at(failing))
    status = IncidentStatus.OPEN if resolved is None else IncidentStatus.RESOLVED
    until = None if resolved is None else at(resolved)
    return Incident(f"{failing}", 1, status, at(opened), (member,), key, resolved_at=until)


@pytest.mark.parametrize(
    ("incidents", "expected"),
    [
        ([incident(-60, None)], "-60"),
        ([incident(0.01, None, opened=300)], "0.01"),
        ([incident(30, None, opened=60)], None),
        ([incident(-60, -30, opened=-50)], None),
        ([incident(500, None, opened=600), incident(-60, 20)], "-60"),
        ([replace(incident(-60, None), opened_at=NOON + timedelta(days=2))], None),
    ],
)
async def test_the_incident_of_a_failing_run_is_found(incidents: list[Incident], expected: str | None) -> None:
    found = (await read({0: FAILED}, 0, *incidents)).incident
    assert (None if found is None else found.id) == expected

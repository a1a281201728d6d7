"""Lists of incidents and alerts, and what a caller that is limited to tags sees of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

import scheduler.features.incidents.queries
from jobs.alerting.alert import AlertStatus
from jobs.incidents.values import IncidentStatus, Suppression, SuppressionKind
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import NotFound
from scheduler.features.alerts.queries import AlertFilter
from scheduler.features.incidents.queries import IncidentFilter, IncidentQueries
from scheduler.features.jobs.selection import parse_selection
from scheduler.features.statistics.periods import TimeRange
from scheduler.stores.rows import InvalidContinuation
from tests.scheduler.alerting.desk import WEB, WEB_CALLER, IncidentDesk, open_desk

ALL = IncidentFilter()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[IncidentDesk]:
    async with open_desk(tmp_path) as found:
        yield found


async def leads(queries: IncidentQueries, criteria: IncidentFilter = ALL, limit: int = 10) -> list[str]:
    """Return the leads of all pages."""
    found, after = list[str](), ""
    while True:
        page = await queries.list_incidents(criteria, limit=limit, after=after)
        found += [view.incident.lead.subject for view in page.views]
        if page.continuation is None:
            return found
        after = page.continuation


async def fail_apart(desk: IncidentDesk) -> None:
    """Four incidents, the first of which is resolved: router, checkout, search, frontend."""
    await desk.fail("router")
    await desk.recover("router")
    for subject in ("checkout", "search", "frontend"):
        await desk.fail(subject)
        desk.move(300)


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_incidents_are_listed_newest_first_page_by_page(
    desk: IncidentDesk, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler.features.incidents.queries, "_BATCH", 2)
    await fail_apart(desk)

    assert await leads(desk.queries(), limit=limit) == ["frontend", "search", "checkout", "router"]
    assert await leads(desk.queries(WEB), limit=limit) == ["frontend", "search"]


async def test_a_page_with_filters_ends_after_a_number_of_incidents_and_the_next_one_continues(
    desk: IncidentDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler.features.incidents.queries, "_BATCH", 1)
    monkeypatch.setattr(scheduler.features.incidents.queries, "MAX_INCIDENTS_SCANNED", 1)
    await fail_apart(desk)

    page = await desk.queries(WEB).list_incidents(IncidentFilter(severities=("info",)), limit=10)

    assert (page.views, page.continuation is None) == ((), False)
    assert await leads(desk.queries(WEB)) == ["frontend", "search"]


async def test_filters_select_by_status_severity_job_time_and_tag(desk: IncidentDesk) -> None:
    start = desk.clock.now()
    await fail_apart(desk)

    async def found(**filters: object) -> list[str]:
        return await leads(desk.queries(), IncidentFilter(**filters))  # type: ignore[arg-type]

    assert await found(status=IncidentStatus.RESOLVED) == ["router"]
    assert await found(status=IncidentStatus.OPEN, subject="checkout") == ["checkout"]
    assert await found(severities=("down",), subject="search") == ["search"]
    assert await found(severities=("degraded",)) == []
    assert await found(opened=TimeRange(until=start + timedelta(minutes=2))) == ["router"]
    assert await found(selection=parse_selection(tags=["team=web"])) == ["frontend", "search"]
    assert await found(selection=parse_selection(tags=["team=infra"])) == ["router"]


async def test_an_unknown_subject_is_an_error_and_one_without_incidents_is_not(desk: IncidentDesk) -> None:
    for subject in ("search", "frontend", "scheduler"):
        assert await leads(desk.queries(), IncidentFilter(subject)) == []
    with pytest.raises(UnknownJob, match="search"):
        await desk.queries().list_incidents(IncidentFilter("serch"), limit=1)
    with pytest.raises(InvalidContinuation):
        await desk.queries().list_incidents(ALL, limit=1, after="x")
    await desk.fail("removed")
    assert await leads(desk.queries(), IncidentFilter("removed")) == ["removed"]


async def test_incidents_of_others_do_not_exist_for_a_limited_caller(desk: IncidentDesk) -> None:
    incident = await desk.fail("checkout")

    queries = desk.queries(WEB)
    with pytest.raises(NotFound):
        await queries.find(incident.id)
    with pytest.raises(NotFound):
        await queries.list_transitions(incident.id, limit=1)
    with pytest.raises(NotFound):
        await queries.list_decisions(incident.id, limit=1)
    for subject in ("checkout", "scheduler", "removed"):
        with pytest.raises(UnknownJob):
            await queries.list_incidents(IncidentFilter(subject), limit=1)


async def test_a_limited_caller_learns_no_name_of_the_members_that_it_does_not_see(desk: IncidentDesk) -> None:
    desk.world.causes = {key: ["host of checkout"] for key in ("search", "checkout")}
    desk.world.parents = {"checkout": ["search"]}
    await desk.fail("search", "checkout")
    incident = await desk.fail("checkout")
    assert {each.key.subject for each in incident.members} == {"search", "checkout"}
    await desk.manager(WEB).add_note(incident.id, "ours", caller=WEB_CALLER)

    queries = desk.queries(WEB)
    details = await queries.find(incident.id)
    decisions = await queries.list_decisions(incident.id, limit=100)
    everything = repr((details, decisions))
    assert "checkout" not in everything
    assert [each.subject for each in details.members] == ["search"]
    whole = await desk.queries().find(incident.id)
    assert "checkout" in repr(whole)
    assert details.transitions[-1].text == whole.transitions[-1].text == "ours"


async def test_an_incident_shows_what_it_shares_to_callers_without_a_limit_alone(desk: IncidentDesk) -> None:
    desk.world.causes = {key: ["host api"] for key in ("search", "checkout", "router")}
    desk.world.checked["router"] = desk.world.now
    desk.world.fail("checkout")
    incident = await desk.fail("search")
    (shared,) = (await desk.queries().find(incident.id)).shared
    assert shared.model_dump() == {
        "cause": "host api",
        "failing": 2,
        "sharing": 3,
        "fine_count": 1,
        "fine": ["router"],
        "text": "2 of 3 jobs on api fail, fine: router",
    }
    assert (await desk.queries(WEB).find(incident.id)).shared == []


async def test_a_limited_caller_sees_why_notifications_are_held_back_without_the_name_of_a_parent(
    desk: IncidentDesk,
) -> None:
    desk.world.suppressions["search"] = Suppression(SuppressionKind.PARENT, "router", "router fails")
    incident = await desk.fail("search")

    seen = await desk.queries(WEB).find(incident.id)
    assert (await desk.queries().find(incident.id)).suppression == "held back by the parent router: router fails"
    assert seen.suppression == "held back by the parent another job: another job fails"


async def test_transitions_and_decisions_are_paged(desk: IncidentDesk) -> None:
    incident = await desk.fail("search")
    for number in range(3):
        await desk.manager().add_note(incident.id, f"note {number}", caller=WEB_CALLER)

    queries = desk.queries()
    first = await queries.list_transitions(incident.id, limit=3)
    rest = await queries.list_transitions(incident.id, limit=3, after=first.continuation or "")
    assert [each.number for each in (*first.transitions, *rest.transitions)] == [1, 2, 3, 4]
    assert rest.continuation is None
    decisions = await queries.list_decisions(incident.id, limit=10)
    assert [each.code for each in decisions.decisions] == ["announced"]


async def test_alerts_that_are_pending_or_firing_are_listed_by_subject(desk: IncidentDesk) -> None:
    await desk.fail("checkout", "search", "frontend")
    await desk.recover("checkout")

    async def found(criteria: AlertFilter = AlertFilter(), **more: object) -> list[str]:  # noqa: B008
        page = await desk.alerts(**more).list_alerts(criteria, limit=10)  # type: ignore[arg-type]
        return [each.subject for each in page.alerts]

    assert await found() == ["frontend", "search"]
    assert await found(AlertFilter("search", AlertStatus.FIRING)) == ["search"]
    assert await found(AlertFilter(status=AlertStatus.PENDING)) == []
    assert await found(AlertFilter("checkout")) == []
    with pytest.raises(UnknownJob):
        await found(AlertFilter("checkout"), principal=WEB)
    with pytest.raises(UnknownJob):
        await found(AlertFilter("serch"))
    page = await desk.alerts().list_alerts(AlertFilter(), limit=1)
    after = await desk.alerts().list_alerts(AlertFilter(), limit=1, after=page.continuation or "")
    assert ([each.subject for each in after.alerts], after.continuation) == (["search"], None)

"""Acknowledging, snoozing and resolving incidents, and adding notes, with the audit trail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobs.incidents.values import IncidentStatus
from scheduler.errors import Conflict, InvalidArgument, NotFound
from scheduler.stores.alerting.rows import OUTBOX_PREFIX
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.rows import end_of
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.scheduler.alerting.desk import WEB, WEB_CALLER, IncidentDesk, open_desk
from tests.scheduler.audit.memory_trail import API_CALLER, COMMAND_CALLER

HOUR = timedelta(hours=1)
ACTOR = API_CALLER.principal.id


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[IncidentDesk]:
    async with open_desk(tmp_path) as found:
        yield found


async def test_an_acknowledged_incident_names_who_did_it_and_its_channels_are_notified(desk: IncidentDesk) -> None:
    incident = await desk.fail("checkout")

    view = await desk.manager().acknowledge(incident.id, note="restarting it", caller=API_CALLER)

    assert view.handling == f"acknowledged by {ACTOR} at 2026-03-01 03:01:00Z"
    assert view.acknowledged_by == ACTOR
    assert (await desk.queries().find_view(incident.id)).incident.number == incident.number + 1
    transitions = (await desk.queries().find(incident.id)).transitions
    assert (transitions[-1].text, transitions[-1].actor) == (f"acknowledged by {ACTOR}: restarting it", ACTOR)
    assert desk.woken == ["mail"]


async def test_each_action_is_in_the_audit_trail_with_what_it_changes(desk: IncidentDesk) -> None:
    incident = await desk.fail("router", "checkout")
    manager = desk.manager()
    await manager.snooze(incident.id, seconds=3600, note="later", caller=API_CALLER)
    await manager.add_note(incident.id, " the switch is replaced ", caller=API_CALLER)
    await manager.acknowledge(incident.id, caller=COMMAND_CALLER)
    await manager.resolve(incident.id, note="planned", caller=API_CALLER)

    names = ["incident.snooze", "incident.note", "incident.acknowledge", "incident.resolve"]
    assert desk.audit.actions == [(name, incident.id) for name in names]
    snoozed, noted, acknowledged, _ = (change for _, change in desk.audit.changes)
    assert snoozed.jobs == ("checkout", "router")
    assert snoozed.summary == f"incident {incident.id} about router was snoozed until 2026-03-01 04:02:00Z"
    assert snoozed.after == {"snoozed_by": ACTOR, "snoozed_until": "2026-03-01T04:02:00Z", "note": "later"}
    assert noted.after == {"note": "the switch is replaced"}
    assert acknowledged.before == {
        "status": "open",
        "acknowledged_by": ACTOR,
        "snoozed_until": "2026-03-01T04:02:00Z",
    }
    assert (await desk.queries().find_view(incident.id)).incident.status is IncidentStatus.RESOLVED


async def test_an_acknowledgement_or_a_snooze_is_withdrawn_once(desk: IncidentDesk) -> None:
    incident = await desk.fail("checkout")
    manager = desk.manager()
    for handle in (manager.acknowledge, partial(manager.snooze, seconds=3600)):
        await handle(incident.id, caller=API_CALLER)
        for _ in range(2):
            view = await manager.unacknowledge(incident.id, note="wrong one", caller=COMMAND_CALLER)
            assert view.handling == ""

    names = ["incident.acknowledge", "incident.unacknowledge", "incident.snooze", "incident.unacknowledge"]
    assert desk.audit.actions == [(name, incident.id) for name in names]
    withdrawn = desk.audit.changes[1][1]
    assert withdrawn.before == {"status": "open", "acknowledged_by": ACTOR}
    assert withdrawn.after == {"note": "wrong one"}
    kinds = [each.kind for each in (await desk.queries().find(incident.id)).transitions]
    assert kinds == ["opened", "acknowledged", "unacknowledged", "snoozed", "unacknowledged"]
    await manager.resolve(incident.id, caller=API_CALLER)
    with pytest.raises(Conflict, match="only an open incident can be changed"):
        await manager.unacknowledge(incident.id, caller=API_CALLER)


async def test_of_two_that_withdraw_at_once_one_changes_the_incident(desk: IncidentDesk, tmp_path: Path) -> None:
    incident = await desk.fail("checkout")
    await desk.manager().acknowledge(incident.id, caller=API_CALLER)
    other = await open_sqlite(tmp_path / "state.db", StoreAccess.SHARED)
    try:
        theirs = desk.manager(changes=desk.open_changes(other))
        views = await asyncio.gather(
            desk.manager().unacknowledge(incident.id, caller=API_CALLER),
            theirs.unacknowledge(incident.id, caller=COMMAND_CALLER),
        )
    finally:
        await other.aclose()
    assert [each.handling for each in views] == ["", ""]
    assert len((await desk.queries().find(incident.id)).transitions) == 3


async def test_what_the_audit_trail_cannot_record_is_not_changed(desk: IncidentDesk) -> None:
    incident = await desk.fail("checkout")
    desk.audit.is_unavailable = True

    with pytest.raises(StoreUnavailable):
        await desk.manager().acknowledge(incident.id, caller=API_CALLER)
    assert (await desk.queries().find_view(incident.id)).incident == incident


async def test_a_snooze_ends_by_itself(desk: IncidentDesk) -> None:
    incident = await desk.fail("checkout")
    until = desk.clock.now() + HOUR
    view = await desk.manager().snooze(incident.id, until=until, caller=API_CALLER)
    assert view.handling == f"snoozed by {ACTOR} until 2026-03-01 04:01:00Z"

    desk.move(3600)
    assert (await desk.queries().find(incident.id)).handling.endswith("04:01:00Z (over)")


@pytest.mark.parametrize(
    ("end", "field", "message"),
    [
        ({}, "until", "one of until and for is required, but neither is given"),
        ({"seconds": 60, "until": HOUR}, "until", "one of until and for is required, but both are given"),
        ({"seconds": 0}, "for", "more than 0 s"),
        ({"seconds": 1e12}, "for", "at most 30 days"),
        ({"until": -HOUR}, "until", "is in the past"),
        ({"until": 1000 * HOUR}, "until", "acknowledge the incident instead"),
    ],
)
async def test_a_snooze_without_a_possible_end_is_refused(
    desk: IncidentDesk, end: dict[str, Any], field: str, message: str
) -> None:
    if "until" in end:
        end["until"] += desk.clock.now()
    with pytest.raises(InvalidArgument, match=message) as refused:
        await desk.manager().snooze("1795856400000-5f2c1d9b", **end, caller=API_CALLER)
    assert refused.value.field == field


@pytest.mark.parametrize("note", ["", "  ", "x" * 2001])
async def test_an_empty_or_too_long_note_is_refused(desk: IncidentDesk, note: str) -> None:
    with pytest.raises(InvalidArgument):
        await desk.manager().add_note("1795856400000-5f2c1d9b", note, caller=API_CALLER)


async def test_what_is_refused_is_not_in_the_audit_trail(desk: IncidentDesk) -> None:
    incident = await desk.fail("checkout")
    await desk.manager().acknowledge(incident.id, caller=API_CALLER)
    with pytest.raises(Conflict, match="was acknowledged by local:loopback before"):
        await desk.manager().acknowledge(incident.id, caller=API_CALLER)
    await desk.manager().resolve(incident.id, caller=API_CALLER)
    with pytest.raises(Conflict, match="only an open incident can be changed"):
        await desk.manager().add_note(incident.id, "late", caller=API_CALLER)
    for unknown in ("1795856400000-5f2c1d9b", "../h", ""):
        with pytest.raises(NotFound, match="the id is wrong"):
            await desk.manager().acknowledge(unknown, caller=API_CALLER)

    assert [action for action, _ in desk.audit.actions] == ["incident.acknowledge", "incident.resolve"]


async def test_of_two_processes_that_acknowledge_at_once_both_are_recorded(desk: IncidentDesk, tmp_path: Path) -> None:
    incident = await desk.fail("checkout")
    other = await open_sqlite(tmp_path / "state.db", StoreAccess.SHARED)
    try:
        theirs = desk.manager(changes=desk.open_changes(other))
        await asyncio.gather(
            desk.manager().acknowledge(incident.id, caller=API_CALLER),
            theirs.acknowledge(incident.id, caller=COMMAND_CALLER),
        )
    finally:
        await other.aclose()

    details = await desk.queries().find(incident.id)
    assert {each.actor for each in details.transitions} == {"", ACTOR, COMMAND_CALLER.principal.id}
    assert [each.number for each in details.transitions] == [1, 2, 3]
    rows = await desk.store.list_rows("alerting", "all", after=OUTBOX_PREFIX, until=end_of(OUTBOX_PREFIX), limit=10)
    assert len(rows) == 3, "the opening and two acknowledgements"


async def test_the_second_of_two_processes_that_resolve_is_refused(desk: IncidentDesk, tmp_path: Path) -> None:
    incident = await desk.fail("checkout")
    other = await open_sqlite(tmp_path / "state.db", StoreAccess.SHARED)
    try:
        theirs = desk.manager(changes=desk.open_changes(other))
        results = await asyncio.gather(
            desk.manager().resolve(incident.id, caller=API_CALLER),
            theirs.resolve(incident.id, caller=COMMAND_CALLER),
            return_exceptions=True,
        )
    finally:
        await other.aclose()

    assert sum(isinstance(each, Conflict) for each in results) == 1
    assert len((await desk.queries().find(incident.id)).transitions) == 2
    assert len(desk.audit.failures) == len(desk.audit.changes) - 1


async def test_a_limited_caller_changes_the_incidents_of_its_jobs_only(desk: IncidentDesk) -> None:
    theirs = await desk.fail("checkout")
    ours = await desk.fail("search")
    group = await desk.fail("frontend")
    manager = desk.manager(WEB)

    with pytest.raises(NotFound):
        await manager.acknowledge(theirs.id, caller=WEB_CALLER)
    for incident in (ours, group):
        view = await manager.acknowledge(incident.id, caller=WEB_CALLER)
        assert view.acknowledged_by == "api_key:web"


async def test_a_limited_caller_does_not_change_an_incident_that_its_job_is_behind(desk: IncidentDesk) -> None:
    incident = await desk.fail("router", "search")
    assert {each.key.subject for each in incident.members} == {"router", "search"}

    with pytest.raises(NotFound):
        await desk.manager(WEB).resolve(incident.id, caller=WEB_CALLER)

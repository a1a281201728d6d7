"""The stored incidents, on every store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import pytest

from jobs.alerting.alert import Alert, AlertStatus
from jobs.incidents.values import AlertKey, IncidentStatus
from scheduler.stores.alerting.engine import AlertRows, EngineMoved, EngineRows
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.rows import OUTBOX_PREFIX
from scheduler.stores.port import RowChanged, RowExists, Store, StoreUnavailable
from scheduler.stores.rows import InvalidContinuation
from tests.jobs.incidents.world import HOUR, MINUTE, RULE, START, World
from tests.scheduler.stores.alerting.passes import StoredPasses
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryData, MemoryStore


async def fail(passes: StoredPasses, *subjects: str) -> None:
    passes.world.fail(*subjects)
    await passes.write_alerts(*subjects)
    passes.world.now += MINUTE
    await passes.run()


async def recover(passes: StoredPasses, *subjects: str, confirmed: Sequence[str] = ()) -> None:
    """`confirmed`: jobs of which another run has failed since."""
    passes.world.recover(*subjects)
    passes.world.fail(*confirmed)
    await passes.write_alerts(*subjects)
    await passes.run()
    passes.world.now += 20 * MINUTE


async def test_an_alert_is_fenced_and_an_inactive_one_has_no_row(store: Store) -> None:
    alerts, key = AlertRows(store), AlertKey("checkout", RULE)
    pending = Alert("checkout", RULE, AlertStatus.PENDING, met_since=START, changed_at=START, evidence="3 of 5 failed")
    stored = await alerts.write(pending, "")
    assert await alerts.read(key) == stored
    assert await alerts.list_all() == await alerts.list_of("checkout") == [stored]
    with pytest.raises(RowExists):
        await alerts.write(pending, "")

    await alerts.write(Alert("checkout", RULE), stored.etag)
    assert (await alerts.read(key)).etag == ""
    with pytest.raises(RowChanged):
        await alerts.write(pending, stored.etag)


async def test_another_process_reads_what_a_pass_has_written(open_store: OpenStore) -> None:
    passes = StoredPasses(await open_store(), World())
    await fail(passes, "checkout")
    (incident,) = (await EngineRows(await open_store()).read()).open

    log = IncidentLog(await open_store())
    assert await log.find(incident.id) == incident
    assert incident.lead == AlertKey("checkout", RULE)
    assert incident.announced[0].channel == "mail"
    (opened,) = (await log.list_transitions(incident.id, limit=10)).entries
    assert (opened.number, opened.kind, opened.at) == (1, "opened", START + MINUTE)
    (decision,) = (await log.list_decisions(incident.id, limit=10)).entries
    assert (decision.code, decision.inputs) == ("announced", {"channels": "mail"})


async def test_of_two_processes_that_read_the_same_one_writes(open_store: OpenStore) -> None:
    one, two = [StoredPasses(await open_store(), World()) for _ in range(2)]
    one.world.fail("checkout")
    await one.write_alerts("checkout")
    one.world.now += MINUTE
    head = (await two.rows.read()).head
    result = await one.run()

    with pytest.raises(EngineMoved):
        await two.rows.write(head, one.world.now, result.steps)


async def test_incidents_are_listed_newest_first_by_state_subject_and_time(store: Store) -> None:
    passes = StoredPasses(store, World())
    for subject in ("a", "b", "a"):
        await fail(passes, subject)
        await recover(passes, subject)
    await fail(passes, "b", "c")
    log = IncidentLog(store)

    everything = (await log.list_page(limit=10)).incidents
    assert [each.lead.subject for each in everything[2:]] == ["a", "b", "a"]
    assert [each.is_open for each in everything] == [True, True, False, False, False]
    pages, after = [], ""
    while True:
        page = await log.list_page(limit=2, after=after)
        pages.append(page.incidents)
        after = page.continuation
        if not after:
            break
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sum(pages, ()) == everything
    assert (await log.list_page(status=IncidentStatus.OPEN, limit=10)).incidents == everything[:2]
    first_open = await log.list_page(status=IncidentStatus.OPEN, limit=1)
    rest = await log.list_page(status=IncidentStatus.OPEN, limit=1, after=first_open.continuation)
    assert first_open.incidents + rest.incidents == everything[:2]
    assert (await log.list_page(status=IncidentStatus.RESOLVED, limit=10)).incidents == everything[2:]
    of_b = (await log.list_page(subject="b", limit=10)).incidents
    assert [each.is_open for each in of_b] == [True, False]
    early = (await log.list_page(until=START + MINUTE, limit=10)).incidents
    assert early == everything[-1:]
    assert (await log.list_page(since=START + MINUTE, limit=10)).incidents == everything[:-1]
    with pytest.raises(InvalidContinuation):
        await log.list_page(limit=2, after="a~b")


async def test_old_incidents_are_deleted_with_all_of_their_rows(store: Store) -> None:
    passes = StoredPasses(store, World())
    await fail(passes, "a")
    await recover(passes, "a")
    state = await passes.rows.read()
    await passes.rows.write(state.head, passes.world.now, (), (), [each.id for each in state.incidents])
    await fail(passes, "b")
    log = IncidentLog(store)
    assert await log.prune(passes.world.now + HOUR, HOUR.total_seconds() / 2) == 1
    assert [each.lead.subject for each in (await log.list_page(limit=10)).incidents] == ["b"]
    assert not (await log.list_page(subject="a", limit=10)).incidents
    assert not (await log.list_decisions(state.incidents[0].id, limit=10)).entries


async def test_five_hundred_jobs_behind_one_parent_are_one_transaction_but_for_pointers() -> None:
    children = [f"child-{number:03d}" for number in range(499)]
    data = MemoryData()
    passes = StoredPasses(MemoryStore(data), World(parents={child: ["router"] for child in children}))
    await fail(passes, "router", *children)
    log = IncidentLog(MemoryStore(data))
    (incident,) = (await log.list_page(limit=10)).incidents
    assert len(incident.members) == 500
    assert (await log.list_page(subject="child-498", limit=10)).incidents == (incident,)
    codes, after = [], ""
    while True:
        page = await log.list_decisions(incident.id, limit=99, after=after)
        codes += [(each.code, each.key and each.key.subject) for each in page.entries]
        after = page.continuation
        if not after:
            break
    assert codes[:499] == [("held_back_parent", child) for child in children]
    assert len([key for _, _, key in data.rows if key.startswith(OUTBOX_PREFIX)]) == 1

    await recover(passes, "router", *children[3:], confirmed=children[:3])
    assert len((await passes.rows.read()).open) == 3
    assert [each.alert.subject for each in (await passes.rows.read()).alerts] == children[:3]


async def test_an_incident_with_more_members_than_a_row_has() -> None:
    children = [f"child-{number:04d}" for number in range(1100)]
    data = MemoryData()
    passes = StoredPasses(MemoryStore(data), World(parents={child: ["router"] for child in children}))
    await fail(passes, "router", *children)
    log = IncidentLog(MemoryStore(data))
    (incident,) = (await log.list_page(limit=10)).incidents
    assert [member.key.subject for member in incident.members] == ["router", *children]
    assert (await passes.rows.read()).open == [incident]

    await recover(passes, "router", confirmed=children)
    (resolved,) = (await log.list_page(status=IncidentStatus.RESOLVED, limit=10)).incidents
    assert len(resolved.members) == 1
    assert len((await passes.rows.read()).open) == 1100


@pytest.mark.parametrize("survived", range(0, 6))
async def test_a_pass_that_is_interrupted_between_transactions_is_completed_by_the_next_one(survived: int) -> None:
    """A parent recovers and 30 jobs behind it do not: more rows than a transaction has."""
    children = [f"child-{number:02d}" for number in range(30)]
    world = World(parents={child: ["router"] for child in children})
    data = MemoryData()
    await fail(StoredPasses(MemoryStore(data), world), "router", *children)
    world.recover("router")
    world.fail(*children)  # a run of each confirms that it still fails
    await StoredPasses(MemoryStore(data), world).write_alerts("router")
    broken = StoredPasses(MemoryStore(data, breaks_after=survived), world)
    with suppress(StoreUnavailable):
        await broken.run()
    world.now += timedelta(seconds=30)
    await StoredPasses(MemoryStore(data), world).run()

    assert not (await StoredPasses(MemoryStore(data), world).run()).steps
    outbox = [key.split("~")[2:] for _, _, key in sorted(data.rows) if key.startswith(OUTBOX_PREFIX)]
    assert [number for _, number in outbox].count("00000001") == 30
    assert len(outbox) == 32
    page = await IncidentLog(MemoryStore(data)).list_page(limit=100)
    assert sorted(each.lead.subject for each in page.incidents if each.is_open) == children


async def test_an_alert_that_fires_again_is_not_deleted_by_a_pass_that_has_not_read_it(open_store: OpenStore) -> None:
    passes = StoredPasses(await open_store(), World())
    passes.world.fail("checkout")
    passes.world.recover("checkout")
    await passes.write_alerts("checkout")
    state = await passes.rows.read()
    passes.world.fail("checkout")
    await StoredPasses(await open_store(), passes.world).write_alerts("checkout")

    with pytest.raises(EngineMoved):
        await passes.rows.write(state.head, passes.world.now, (), state.alerts)
    (alert,) = (await passes.rows.read()).alerts
    assert alert.alert.status is AlertStatus.FIRING

"""What a principal sees of the audit trail, page by page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.redaction import Redactor
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.audit.trail import AuditedChange, Refusal
from scheduler.catalog.catalog import Catalog, UnknownJob
from scheduler.features.audit import queries as module
from scheduler.features.audit.queries import AuditFilter, AuditQueries, AuditView
from scheduler.features.audit.verification import Damage
from scheduler.features.statistics.periods import TimeRange
from scheduler.identity.principal import Caller, ChangeSource, Principal, PrincipalKind, Role
from scheduler.stores.audit import AUDIT_TABLE, AuditLog
from scheduler.stores.port import Delete, Upsert
from scheduler.stores.rows import InvalidContinuation
from tests.scheduler.fakes import START, VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore

ADMIN = Principal(PrincipalKind.API_KEY, "root", Role.ADMIN)
VIEWER = Principal(PrincipalKind.API_KEY, "auditor", Role.VIEWER)
PAYMENTS = Principal(PrincipalKind.API_KEY, "payments", Role.ADMIN, (("team", "payments"),))
EVERYTHING = AuditFilter()
MINUTE = timedelta(minutes=1)


class Desk:
    def __init__(self) -> None:
        self.store, self.clock = MemoryStore(), VirtualClock()
        self.log = AuditLog(self.store)
        self.trail = StoredAuditTrail(self.log, self.clock, Redactor())
        jobs = [entry("pay", tags={"team": "payments"}), entry("ship", tags={"team": "logistics"})]
        self.queries = AuditQueries(Catalog(jobs), self.log)

    async def change(self, action: str, *jobs: str, principal: Principal = ADMIN) -> None:
        """One a minute."""
        caller = Caller(principal, ChangeSource.API)
        change = AuditedChange(action, "-".join(jobs), f"{action} of {jobs}", jobs, after={"jobs": list(jobs)})
        await self.trail.record(caller, change)
        self.clock.move(60)

    async def list(self, principal: Principal = ADMIN, criteria: AuditFilter = EVERYTHING) -> list[AuditView]:
        """All pages."""
        views: list[AuditView] = []
        continuation: str | None = None
        while True:
            page = await self.queries.list_views(principal, criteria, limit=2, continuation=continuation)
            views += page.entries
            if (continuation := page.continuation) is None:
                return views


async def _desk() -> Desk:
    desk = Desk()
    await desk.change("job.pause", "pay")
    await desk.change("job.pause", "ship")
    await desk.change("jobs.reload", "pay", "ship")
    await desk.change("api_key.create", principal=VIEWER)
    await desk.trail.record_refusal(Refusal("api_key", "GET /api/jobs", "the key has expired"))
    await desk.change("job.resume", "pay", principal=PAYMENTS)
    return desk


def numbers(views: list[AuditView]) -> list[int]:
    return [view.number for view in views]


async def test_an_admin_sees_every_entry_newest_first() -> None:
    desk = await _desk()

    assert numbers(await desk.list()) == [6, 5, 4, 3, 2, 1]


async def test_only_admins_see_entries_about_access() -> None:
    desk = await _desk()

    assert numbers(await desk.list(VIEWER)) == [6, 3, 2, 1]


async def test_a_limited_principal_sees_the_entries_of_its_jobs_without_what_concerns_others() -> None:
    desk = await _desk()

    views = await desk.list(PAYMENTS)

    assert [(view.number, view.is_partial) for view in views] == [(6, False), (3, True), (1, False)]
    partial = views[1]
    assert partial.fields["jobs"] == ["pay"]
    assert "ship" not in partial.line


async def test_a_limited_principal_does_not_see_jobs_that_no_longer_exist() -> None:
    desk = Desk()
    await desk.change("job.delete", "gone")

    assert not await desk.list(PAYMENTS)
    assert numbers(await desk.list(VIEWER)) == [1]


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (AuditFilter(action="job.pause"), [2, 1]),
        (AuditFilter(action="job"), [6, 2, 1]),
        (AuditFilter(job="pay"), [6, 3, 1]),
        (AuditFilter(principal="api_key:payments"), [6]),
        (AuditFilter(principal="payments"), [6]),
        (AuditFilter(principal="pay"), []),
        (AuditFilter(action="job", job="pay", principal="root"), [1]),
        (AuditFilter(at=TimeRange(START + MINUTE, START + 2 * MINUTE)), [3, 2]),
        (AuditFilter(at=TimeRange(since=START + 3 * MINUTE)), [6, 5, 4]),
        (AuditFilter(at=TimeRange(until=START)), [1]),
        (AuditFilter(at=TimeRange(until=START - MINUTE)), []),
    ],
)
async def test_entries_are_filtered(criteria: AuditFilter, expected: list[int]) -> None:
    desk = await _desk()

    assert numbers(await desk.list(criteria=criteria)) == expected


async def test_a_range_in_the_past_reads_few_entries() -> None:
    desk = Desk()
    for _ in range(300):
        await desk.change("job.pause", "pay")
        desk.clock.move(3600)
    reads = desk.store.reads

    views = await desk.list(criteria=AuditFilter(at=TimeRange(START, START + timedelta(hours=3))))

    assert numbers(views) == [3, 2, 1]
    assert desk.store.reads - reads < 25


async def test_a_page_reads_a_bounded_number_of_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SCANNED", 3)
    desk = await _desk()

    page = await desk.queries.list_views(ADMIN, AuditFilter(job="ship", action="job.pause"), limit=9)

    assert (page.entries, page.continuation) == ((), "4")
    assert numbers(await desk.list(criteria=AuditFilter(job="ship", action="job.pause"))) == [2]


async def test_pages_stay_apart_while_entries_are_appended() -> None:
    desk = await _desk()
    page = await desk.queries.list_views(ADMIN, EVERYTHING, limit=2)
    await desk.change("job.pause", "pay")

    following = await desk.queries.list_views(ADMIN, EVERYTHING, limit=2, continuation=page.continuation)

    assert [*numbers(list(page.entries)), *numbers(list(following.entries))] == [6, 5, 4, 3]


@pytest.mark.parametrize("continuation", ["x", "-1", "1" * 13, "٣", ""])
async def test_a_continuation_of_another_list_is_rejected(continuation: str) -> None:
    with pytest.raises(InvalidContinuation):
        await Desk().queries.list_views(ADMIN, EVERYTHING, limit=2, continuation=continuation)


async def test_a_job_without_entries_must_exist() -> None:
    desk = Desk()

    assert not await desk.list(criteria=AuditFilter(job="pay"))
    with pytest.raises(UnknownJob):
        await desk.list(criteria=AuditFilter(job="pya"))


async def test_a_damaged_entry_is_listed_as_damaged() -> None:
    desk = await _desk()
    await desk.store.apply(Upsert(AUDIT_TABLE, "chain", f"{2:012d}", "x"), Upsert(AUDIT_TABLE, "chain", "5x", "y"))

    views = await desk.list()

    assert [view.fields["kind"] for view in views if view.number == 2] == ["damaged"]
    assert numbers(views) == [6, 5, 4, 3, 2, 1]
    assert [finding.damage for finding in (await desk.queries.verify({})).findings] == [
        Damage.CHANGED,
        Damage.INSERTED,
    ]


@pytest.mark.parametrize("body", ["{", '{"seq":5,"hash":"00"}', '{"seq":6,"hash":"00"}'])
async def test_a_damaged_head_row_is_found(body: str) -> None:
    desk = await _desk()
    await desk.store.apply(Upsert(AUDIT_TABLE, "chain", "head", body))

    assert [finding.damage for finding in (await desk.queries.verify({})).findings] == [Damage.HEAD]


async def test_a_missing_head_row_is_found() -> None:
    desk = await _desk()
    assert not (await desk.queries.verify({})).findings
    await desk.store.apply(Delete(AUDIT_TABLE, "chain", "head"))

    assert [finding.damage for finding in (await desk.queries.verify({})).findings] == [Damage.HEAD]


async def test_the_export_of_an_admin_is_the_chain() -> None:
    desk = await _desk()

    lines = [line async for line in desk.queries.export(ADMIN)]

    assert lines == [row.body async for row in desk.log.stream_rows()]
    assert len([line async for line in desk.queries.export(PAYMENTS)]) == 3

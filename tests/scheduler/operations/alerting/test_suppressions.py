"""Creating, ending and deleting silences and maintenance windows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.definition.alerting_section import AlertingDefinitions, DefinedEntry, define_alerting
from jobs.incidents.suppression.finding import SuppressionSet, find_suppression
from jobs.incidents.suppression.windows import AlertSubject, ExplicitSelector, MaintenanceWindow
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.catalog.limited import LimitedCatalog
from scheduler.errors import Conflict, InvalidArgument, InvalidDefinition, NotFound
from scheduler.features.suppressions.queries import SuppressionQueries, SuppressionState
from scheduler.features.suppressions.service import NewSilence, SilenceManager, WindowManager
from scheduler.identity.principal import Caller, ChangeSource, Principal, PrincipalKind, Role
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.repositories import Repositories
from tests.jobs.incidents.world import find_pause
from tests.scheduler.audit.memory_trail import API_CALLER, MemoryAuditTrail
from tests.scheduler.fakes import START, VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore

HOUR = timedelta(hours=1)
WEB = Principal(PrincipalKind.API_KEY, "web", Role.OPERATOR, (("team", "web"),))
WEB_CALLER = Caller(WEB, ChangeSource.API)
CHECKOUT = AlertSubject("checkout", "http", "down", {"team": "payments"})
SEARCH = AlertSubject("search", "http", "down", {"team": "web"})
EVERYTHING = ExplicitSelector(all=True)
ROLLOUT: dict[str, Any] = {"name": "rollout", "for": "30m", "select": {"all": True}}


class Program:
    """The operations and queries of a caller, over one store."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.audit = MemoryAuditTrail()
        self.repositories = Repositories(MemoryStore())
        jobs = JobSnapshot([entry("checkout", tags={"team": "payments"}), entry("search", tags={"team": "web"})])
        self.whole = Catalog(jobs)
        self.limited = LimitedCatalog(jobs, WEB)
        self.passes = list[int]()

    def define(self, alerting: AlertingDefinitions) -> None:
        """Put the section `alerting` of the job files in force."""
        jobs = JobSnapshot(self.whole, alerting=alerting)
        self.whole.replace(jobs)
        self.limited = LimitedCatalog(jobs, WEB)

    def silences(self, catalog: Catalog | None = None) -> SilenceManager:
        stored = self.repositories.silences
        return SilenceManager(catalog or self.whole, stored, self.clock, self.audit, lambda: self.passes.append(1))

    def windows(self, catalog: Catalog | None = None) -> WindowManager:
        stored = self.repositories.requested_windows
        return WindowManager(catalog or self.whole, stored, self.clock, self.audit, lambda: self.passes.append(1))

    def queries(self, catalog: Catalog | None = None) -> SuppressionQueries:
        stored = self.repositories
        return SuppressionQueries(catalog or self.whole, stored.silences, stored.requested_windows, self.clock)

    async def in_force(self) -> SuppressionSet:
        return SuppressionSet(
            requested=await self.repositories.requested_windows.list_current(),
            silences=await self.repositories.silences.list_current(),
        )

    async def is_silent(self, subject: AlertSubject) -> bool:
        return find_suppression(subject, await self.in_force(), self.clock.now()) is not None


@pytest.fixture
def program() -> Program:
    return Program()


async def test_a_silence_holds_back_what_it_selects_until_its_end(program: Program) -> None:
    new = NewSilence(ExplicitSelector(jobs=("check*",)), START + HOUR, reason="deployment")
    created = await program.silences().create(new, API_CALLER)

    assert created.jobs == ["checkout"]
    assert await program.is_silent(CHECKOUT)
    assert not await program.is_silent(SEARCH)
    program.clock.move(3600)
    assert not await program.is_silent(CHECKOUT)


async def test_each_change_of_a_silence_is_in_the_audit_trail(program: Program) -> None:
    silences = program.silences()
    first = await silences.create(NewSilence(EVERYTHING, START + HOUR), API_CALLER)
    program.clock.move(60)
    await silences.end(first.id, API_CALLER)
    later = NewSilence(EVERYTHING, START + 3 * HOUR, START + 2 * HOUR)
    second = await silences.create(later, API_CALLER)
    await silences.delete(second.id, API_CALLER)

    assert program.audit.actions == [
        ("silence.create", first.id),
        ("silence.end", first.id),
        ("silence.create", second.id),
        ("silence.delete", second.id),
    ]
    assert program.audit.changes[0][1].jobs == ("checkout", "search")
    assert not await program.is_silent(CHECKOUT)


async def test_what_the_audit_trail_cannot_record_is_not_changed(program: Program) -> None:
    program.audit.is_unavailable = True

    with pytest.raises(StoreUnavailable):
        await program.silences().create(NewSilence(EVERYTHING, START + HOUR), API_CALLER)
    with pytest.raises(StoreUnavailable):
        await program.windows().create(ROLLOUT, API_CALLER)
    assert not await program.is_silent(CHECKOUT)


async def test_a_silence_of_a_limited_caller_concerns_only_its_jobs(program: Program) -> None:
    created = await program.silences(program.limited).create(NewSilence(EVERYTHING, START + HOUR), WEB_CALLER)

    assert created.jobs == ["search"]
    assert await program.is_silent(SEARCH)
    assert not await program.is_silent(CHECKOUT)


async def test_a_limited_caller_neither_sees_nor_ends_what_concerns_others(program: Program) -> None:
    silence = await program.silences().create(NewSilence(EVERYTHING, START + HOUR), API_CALLER)
    window = await program.windows().create(ROLLOUT, API_CALLER)
    program.clock.move(60)

    with pytest.raises(NotFound):
        await program.silences(program.limited).end(silence.id, WEB_CALLER)
    for reference in (window.id, window.name):
        with pytest.raises(NotFound):
            await program.windows(program.limited).end(reference, WEB_CALLER)
    with pytest.raises(NotFound):
        await program.queries().get_silence(WEB, silence.id)
    assert (await program.queries().list_silences(WEB)).items == []
    assert (await program.queries().list_windows(WEB)).items == []
    assert len((await program.queries().list_windows(API_CALLER.principal)).items) == 1


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [(0, 0, "ends_at"), (-60, 60, "starts_at"), (60, 30, "ends_at"), (0, 9000 * 60, "ends_at")],
)
async def test_a_silence_with_impossible_times_is_refused(program: Program, start: int, end: int, field: str) -> None:
    minute = timedelta(minutes=1)
    new = NewSilence(EVERYTHING, START + end * minute, START + start * minute)
    with pytest.raises(InvalidArgument) as refused:
        await program.silences().create(new, API_CALLER)
    assert refused.value.field == field


async def test_a_silence_is_ended_or_deleted_according_to_its_state(program: Program) -> None:
    silences = program.silences()
    planned = await silences.create(NewSilence(EVERYTHING, START + 3 * HOUR, START + 2 * HOUR), API_CALLER)
    active = await silences.create(NewSilence(EVERYTHING, START + HOUR), API_CALLER)
    program.clock.move(60)

    with pytest.raises(Conflict, match="delete it instead"):
        await silences.end(planned.id, API_CALLER)
    with pytest.raises(Conflict, match="end it instead"):
        await silences.delete(active.id, API_CALLER)
    await silences.end(active.id, API_CALLER)
    with pytest.raises(Conflict, match="ended at"):
        await silences.end(active.id, API_CALLER)
    with pytest.raises(Conflict, match="retained as part of the history"):
        await silences.delete(active.id, API_CALLER)
    views = (await program.queries().list_silences(API_CALLER.principal)).items
    states = {view.id: view.state for view in views}
    assert states == {planned.id: SuppressionState.PENDING, active.id: SuppressionState.ENDED}


async def test_a_window_of_a_pipeline_begins_now_and_ends_by_itself(program: Program) -> None:
    definition = {**ROLLOUT, "effect": "pause", "reason": "release 42", "change_id": "CHG0042"}
    created = await program.windows().create(definition, API_CALLER)

    found = find_pause(CHECKOUT, await program.in_force(), START)
    assert found is not None
    assert (found.name, found.reason, found.until) == ("rollout", "release 42 (CHG0042)", START + HOUR / 2)
    assert created.ends_at == START + HOUR / 2
    program.clock.move(1800)
    assert not await program.is_silent(CHECKOUT)


async def test_a_window_is_ended_by_its_name_and_the_name_is_free_again(program: Program) -> None:
    windows = program.windows()
    await windows.create(ROLLOUT, API_CALLER)
    with pytest.raises(Conflict, match="has not ended: end it, or choose another name"):
        await windows.create(ROLLOUT, API_CALLER)
    program.clock.move(60)
    await windows.end("rollout", API_CALLER)

    assert not await program.is_silent(CHECKOUT)
    with pytest.raises(Conflict, match="ended at"):
        await windows.end("rollout", API_CALLER)
    await windows.create(ROLLOUT, API_CALLER)
    assert [action for action, _ in program.audit.actions] == ["window.create", "window.end", "window.create"]


async def test_a_planned_window_is_deleted_and_not_ended(program: Program) -> None:
    windows = program.windows()
    await windows.create({**ROLLOUT, "from": (START + HOUR).isoformat()}, API_CALLER)

    with pytest.raises(Conflict, match="delete it instead"):
        await windows.end("rollout", API_CALLER)
    await windows.delete("rollout", API_CALLER)
    program.clock.move(3601)
    assert not await program.is_silent(CHECKOUT)
    with pytest.raises(NotFound):
        await windows.delete("rollout", API_CALLER)


async def test_a_recurring_window_does_not_begin_again_once_it_was_ended(program: Program) -> None:
    windows = program.windows()
    await windows.create({**ROLLOUT, "schedule": {"every": "1d"}}, API_CALLER)
    program.clock.move(12 * 3600 + 60)
    assert await program.is_silent(CHECKOUT)
    await windows.end("rollout", API_CALLER)

    program.clock.move(86_400)
    assert not await program.is_silent(CHECKOUT)


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ({"for": None}, InvalidDefinition, "from requires one of until and for"),
        ({"for": "soon"}, InvalidDefinition, "is not a duration"),
        ({"select": {}}, InvalidDefinition, "or all: true"),
        ({"name": "a b"}, InvalidDefinition, "name"),
        ({"efect": "pause"}, InvalidDefinition, "effect"),
        ({"from": "2020-01-01T00:00"}, InvalidArgument, "no time after now"),
    ],
)
async def test_an_invalid_window_is_refused(
    program: Program, keys: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await program.windows().create({**ROLLOUT, **keys}, API_CALLER)
    assert program.audit.changes == []


async def test_a_window_without_a_name_gets_that_of_its_change(program: Program) -> None:
    definition = {"for": "30m", "select": {"all": True}}
    first = await program.windows().create({**definition, "change_id": "CHG 42/b"}, API_CALLER)
    second = await program.windows().create(definition, API_CALLER)

    assert first.name == f"CHG-42-b-{first.id.rpartition('-')[2]}"
    assert second.name.startswith("window-")


def define_windows(program: Program) -> None:
    """Put a window of each team in force, on Sundays from 10:00 to 14:00. The test starts on a Sunday at 12:00."""
    weekly = {"weekly": {"from": "SUN 10:00", "to": "SUN 14:00"}}
    entries = tuple(
        DefinedEntry(
            "",
            MaintenanceWindow.model_validate({"name": f"patch-{team}", **weekly, "select": {"tags": {"team": team}}}),
            f"jobs.yaml:{line}",
        )
        for line, team in enumerate(("payments", "web"), 7)
    )
    program.define(define_alerting({"windows": entries}))


async def test_windows_of_job_files_are_listed_with_their_place_and_times(program: Program) -> None:
    define_windows(program)

    found = program.queries().list_defined_windows()

    assert [(each.name, each.origin, each.definition["select"]) for each in found] == [
        ("patch-payments", "jobs.yaml:7", {"tags": {"team": ["payments"]}}),
        ("patch-web", "jobs.yaml:8", {"tags": {"team": ["web"]}}),
    ]
    assert (found[0].state, found[0].ends_at) == (SuppressionState.ACTIVE, START + 2 * HOUR)
    assert found[0].begins_at == START + 7 * 24 * HOUR - 2 * HOUR
    (seen,) = program.queries(program.limited).list_defined_windows()
    assert (seen.name, seen.definition["select"]) == ("patch-web", {"jobs": ["search"]})
    with pytest.raises(NotFound):
        await program.queries(program.limited).get_window(WEB, "patch-payments")


async def test_a_window_of_a_job_file_is_neither_ended_nor_deleted(program: Program) -> None:
    define_windows(program)

    with pytest.raises(Conflict, match=r"patch-web is defined in jobs.yaml:8: change it there"):
        await program.windows().end("patch-web", API_CALLER)
    with pytest.raises(Conflict, match=r"jobs.yaml:8"):
        await program.windows().delete("patch-web", API_CALLER)
    with pytest.raises(NotFound):
        await program.windows(program.limited).end("patch-web", WEB_CALLER)


async def test_a_planned_period_shows_when_it_begins_and_ends(program: Program) -> None:
    await program.windows().create({**ROLLOUT, "from": (START + HOUR).isoformat()}, API_CALLER)

    (view,) = (await program.queries().list_windows(API_CALLER.principal)).items

    assert view.state == SuppressionState.PENDING
    assert (view.begins_at, view.ends_at) == (START + HOUR, START + HOUR + HOUR / 2)


async def test_a_pass_is_requested_after_each_change(program: Program) -> None:
    silence = await program.silences().create(NewSilence(EVERYTHING, START + HOUR), API_CALLER)
    await program.windows().create(ROLLOUT, API_CALLER)
    planned = {**ROLLOUT, "name": "later", "from": (START + HOUR).isoformat()}
    await program.windows().create(planned, API_CALLER)
    assert len(program.passes) == 3
    program.clock.move(60)
    await program.silences().end(silence.id, API_CALLER)
    await program.windows().end("rollout", API_CALLER)
    await program.windows().delete("later", API_CALLER)
    assert len(program.passes) == 6
    with pytest.raises(Conflict):
        await program.windows().end("rollout", API_CALLER)
    assert len(program.passes) == 6


async def test_a_reason_with_control_characters_is_refused(program: Program) -> None:
    with pytest.raises(InvalidArgument, match="control character") as refused:
        await program.silences().create(NewSilence(EVERYTHING, START + HOUR, reason="a\x00b"), API_CALLER)
    assert refused.value.field == "reason"

"""The pauses of maintenance windows: when they begin and end, also for a process that starts later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.definition.alerting_section import AlertingDefinitions, DefinedEntry, define_alerting
from jobs.incidents.suppression.windows import MaintenanceWindow, RequestedWindow
from scheduler.alerting.window_pauses import WindowPauses
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.stores.repositories import Repositories
from tests.scheduler.fakes import entry
from tests.scheduler.stores.memory import MemoryStore

SUNDAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
JOBS = [entry("checkout", tags={"team": "web"}), entry("search", tags={"team": "infra"})]


def window_of(**fields: Any) -> AlertingDefinitions:
    defaults = {"name": "patching", "weekly": {"from": "SUN 02:00", "to": "SUN 05:00"}, "effect": "pause"}
    window = MaintenanceWindow.model_validate(defaults | {"select": {"tags": {"team": "web"}}} | fields)
    return define_alerting({"windows": (DefinedEntry("", window),)})


def pauses_of(alerting: AlertingDefinitions) -> tuple[WindowPauses, Catalog, Repositories]:
    stored, catalog = Repositories(MemoryStore()), Catalog(JobSnapshot(JOBS, SUNDAY, alerting=alerting))
    return WindowPauses(catalog, stored.requested_windows), catalog, stored


def test_it_begins_and_ends_at_the_edges() -> None:
    pauses, _, _ = pauses_of(window_of())
    assert not pauses.list_active(SUNDAY + 2 * HOUR - timedelta(seconds=1))
    (pause,) = pauses.list_active(SUNDAY + 2 * HOUR).values()
    assert (pause.job, pause.since, pause.until) == ("checkout", SUNDAY + 2 * HOUR, SUNDAY + 5 * HOUR)
    assert pauses.list_active(SUNDAY + 5 * HOUR - timedelta(seconds=1))
    assert not pauses.list_active(SUNDAY + 5 * HOUR)


def test_a_process_that_starts_later_knows_when_it_ended() -> None:
    pauses, _, _ = pauses_of(window_of())
    ended = pauses.find_ended("checkout", SUNDAY + 30 * HOUR)
    assert ended is not None
    assert ended.until == SUNDAY + 5 * HOUR
    assert pauses.find_ended("search", SUNDAY + 30 * HOUR) is None


def test_while_it_lasts_it_has_not_ended() -> None:
    pauses, _, _ = pauses_of(window_of())
    assert pauses.find_ended("checkout", SUNDAY + 3 * HOUR) is None


def test_a_window_that_is_removed_ends_then() -> None:
    pauses, catalog, _ = pauses_of(window_of())
    assert pauses.list_active(SUNDAY + 3 * HOUR)
    catalog.replace(JobSnapshot(JOBS, SUNDAY))
    ended = pauses.find_ended("checkout", SUNDAY + 4 * HOUR)
    assert ended is not None
    assert ended.until == SUNDAY + 4 * HOUR


def test_a_window_that_silences_pauses_nothing() -> None:
    pauses, _, _ = pauses_of(window_of(effect="silence"))
    assert not pauses.list_active(SUNDAY + 3 * HOUR)


async def test_a_requested_window_pauses_until_it_is_ended() -> None:
    pauses, _, stored = pauses_of(define_alerting({}))
    now = SUNDAY + HOUR
    span = {"name": "deploy", "from": now.isoformat(), "for": "30m", "effect": "pause", "select": {"jobs": "search"}}
    requested = RequestedWindow.model_validate({"id": "1-a", "window": span, "author": "ci", "created_at": now})
    inserted = await stored.requested_windows.insert(requested)
    await pauses.refresh()
    assert list(pauses.list_active(now + timedelta(minutes=1))) == ["search"]

    early = now + timedelta(minutes=10)
    await stored.requested_windows.replace(inserted, requested.model_copy(update={"ended_at": early}))
    await pauses.refresh()
    assert not pauses.list_active(early)
    ended = pauses.find_ended("search", early)
    assert ended is not None
    assert ended.until == early

"""A backtest notifies those on call by the calendars that the program knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.rotas import RotaDefinition
from jobs.incidents.routes import Route
from scheduler.alerting.rotas import RotaReader
from scheduler.catalog.catalog import JobSnapshot
from scheduler.features.backtest.service import BacktestRequest, build_backtester
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from tests.config.clock import ManualClock
from tests.jobs.incidents.routing.calendars import calendar_of
from tests.parts.notifications import resources
from tests.scheduler.alerting.backtest.stored_time import StoredTime
from tests.scheduler.alerting.replay.live import MINUTE, START, definitions_of, history_of_letters

END = START + 40 * MINUTE


def time_with_rota(folder: str) -> StoredTime:
    definitions = definitions_of({"a": {"alerts": [{"open_after": 3}]}})
    rota = RotaDefinition.model_validate({"file": "rota.ics", "people": {"Anna": ["anna"]}, "otherwise": ["team"]})
    alerting = define_alerting(
        {
            "routes": (DefinedEntry("", Route.model_validate({"on_call": "primary"}), "jobs.yaml:9"),),
            "on_call": (DefinedEntry("primary", rota, "", folder),),
        }
    )
    snapshot = JobSnapshot(list(definitions.book.snapshot), START, alerting=alerting)
    return StoredTime(
        replace(definitions, book=type(definitions.book)(snapshot)), [history_of_letters("a", "SSSFFFFSSSS")]
    )


async def channels_of(time: StoredTime) -> tuple[list[str], tuple[str, ...]]:
    """The channels that would have been notified, and the notes."""
    await time.run(END)
    async with resources({}) as shared:
        reader = RotaReader(shared, ManualClock())
        try:
            backtester = build_backtester(Runs(time.store), Repositories(time.store), reader)
            report = await backtester.run(BacktestRequest(START, END), time.definitions.book.snapshot)
        finally:
            await reader.aclose()
    return [message.channel for each in report.would_be for message in each.messages], report.notes


async def test_those_on_call_are_notified(tmp_path: Path) -> None:
    (tmp_path / "rota.ics").write_bytes(calendar_of(("Anna", "20260101T000000Z", "P200D")))
    assert await channels_of(time_with_rota(str(tmp_path))) == (["anna", "anna"], ())


async def test_without_its_calendar_the_channels_of_otherwise_are_notified_and_a_note_names_the_rota(
    tmp_path: Path,
) -> None:
    channels, (note,) = await channels_of(time_with_rota(str(tmp_path)))
    assert channels == ["team", "team"]
    assert note.startswith("rota primary: the calendar could not be read since")

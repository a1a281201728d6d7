"""The calendars of rotas are read in the background, from files and URLs, and the last good one stays in force."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.definition.alerting_section import AlertingDefinitions, DefinedEntry, define_alerting
from jobs.incidents.rotas import RotaDefinition
from jobs.judging import InlineJudge, Judge, JudgingUnavailable
from jobs.judging.calendar_task import CalendarTask
from scheduler.alerting.rotas import FILE_INTERVAL, FIRST_READ, RETRY_INTERVAL, SLOW_READ, URL_INTERVAL, RotaReader
from scheduler.catalog.catalog import JobSnapshot
from tests.config.clock import ManualClock
from tests.jobs.incidents.routing.calendars import calendar_of
from tests.parts.http_server import Answer
from tests.parts.notifications import NotificationService, resources

ANNA = calendar_of(("Anna", "20260101T000000Z", "P30D"))
BEN = calendar_of(("Ben", "20260101T000000Z", "P30D"))


def snapshot(folder: str = "", **keys: Any) -> JobSnapshot:
    people = {"people": {"Anna": ["anna"], "Ben": ["ben"]}, "otherwise": ["team"]}
    definition = RotaDefinition.model_validate({**people, **keys})
    return JobSnapshot([], alerting=define_alerting({"on_call": (DefinedEntry("primary", definition, "", folder),)}))


class World:
    def __init__(self, reader: RotaReader, clock: ManualClock) -> None:
        self.reader = reader
        self.clock = clock

    async def channels(self, jobs: JobSnapshot, after: float = 0.0) -> tuple[str, ...] | None:
        """The channels once the reads that are due have ended; None while the rota is absent."""
        self.clock.passed += after
        await self.reader.prepare(jobs, 5.0)
        rotas = await self.reader.read(jobs)
        return rotas["primary"].on_call_at(self.clock.now()).channels if rotas else None


class CountingJudge(InlineJudge):
    """`gate`: evaluations wait for it. `is_busy`: judgements of jobs take too long."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, CalendarTask]] = []
        self.is_asked = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.is_busy = False

    async def perform(self, job: str, task: Any, redact: Any, **limits: float) -> Any:
        self.asked.append((job, task))
        self.is_asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.is_busy:
            raise JudgingUnavailable("too long")
        return await super().perform(job, task, redact, **limits)


@asynccontextmanager
async def world(judges: Judge | None = None, **secrets: str) -> AsyncIterator[World]:
    async with resources(secrets) as shared:
        clock = ManualClock()
        reader = RotaReader(shared, clock, judges)
        try:
            yield World(reader, clock)
        finally:
            await reader.aclose()


async def test_a_file_is_read_and_read_again_when_it_has_changed(tmp_path: Path) -> None:
    (tmp_path / "rota.ics").write_bytes(ANNA)
    jobs = snapshot(str(tmp_path), file="rota.ics")
    async with world() as here:
        assert await here.channels(jobs) == ("anna",)
        first = (await here.reader.read(jobs))["primary"]
        assert await here.channels(jobs, FILE_INTERVAL) == ("anna",)
        assert (await here.reader.read(jobs))["primary"] is first
        (tmp_path / "rota.ics").write_bytes(BEN)
        assert await here.channels(jobs, FILE_INTERVAL - 1) == ("anna",)
        assert await here.channels(jobs, 1) == ("ben",)


async def test_the_last_calendar_stays_in_force_while_the_file_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "rota.ics").write_bytes(ANNA)
    jobs = snapshot(str(tmp_path), file="rota.ics")
    async with world() as here:
        await here.channels(jobs)
        (tmp_path / "rota.ics").write_bytes(b"half of a text")
        assert await here.channels(jobs, FILE_INTERVAL) == ("anna",)
        assert await here.channels(jobs, FILE_INTERVAL) == ("anna",)
        (text,) = here.reader.describe_problems().values()
        assert text.startswith("the calendar could not be read since 2026-01-01 00:00:05Z: ")
        assert text.endswith("the last calendar stays in force")
        (tmp_path / "rota.ics").write_bytes(BEN)
        assert await here.channels(jobs, FILE_INTERVAL) == ("ben",)
        assert here.reader.describe_problems() == {}
    assert [record.levelno for record in caplog.records].count(logging.WARNING) == 1


@pytest.mark.parametrize(
    ("place", "reason"),
    [("missing.ics", "no such file"), ("link.ics", "outside the folder"), ("folder", "is a directory")],
)
async def test_a_file_that_cannot_be_read_has_its_reason(tmp_path: Path, place: str, reason: str) -> None:
    folder = tmp_path / "jobs"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "secret.ics").write_bytes(ANNA)
    os.symlink(tmp_path / "secret.ics", folder / "link.ics")
    jobs = snapshot(str(folder), file=place)
    async with world() as here:
        assert await here.channels(jobs) == ("team",)
        assert reason in here.reader.describe_problems()["primary"]


async def test_a_file_of_a_container_has_no_folder() -> None:
    async with world() as here:
        assert await here.channels(snapshot(file="rota.ics")) == ("team",)
        assert "use url" in here.reader.describe_problems()["primary"]


async def test_a_url_is_fetched_again_each_five_minutes() -> None:
    tagged = {"etag": '"1"'}
    answers = (Answer(200, tagged, body=ANNA), Answer(304), Answer(200, {}, body=BEN))
    async with NotificationService(*answers) as service, world(rota=service.url) as here:
        jobs = snapshot(url={"secret": "rota"})
        assert await here.channels(jobs) == ("anna",)
        assert await here.channels(jobs, URL_INTERVAL - 1) == ("anna",)
        assert len(service.requests) == 1
        assert await here.channels(jobs, 1) == ("anna",)
        assert service.requests[1].headers["if-none-match"] == '"1"'
        assert await here.channels(jobs, URL_INTERVAL) == ("ben",)


async def test_a_failed_fetch_is_repeated_and_the_last_calendar_stays_in_force() -> None:
    answers = (Answer(body=ANNA), Answer(503), Answer(200, body=b"<html>log in</html>"), Answer(body=BEN))
    async with NotificationService(*answers) as service, world(rota=service.url + "/private-key-0123456789") as here:
        jobs = snapshot(url={"secret": "rota"})
        await here.channels(jobs)
        assert await here.channels(jobs, URL_INTERVAL) == ("anna",)
        text = here.reader.describe_problems()["primary"]
        assert "responded with status 503" in text
        assert "private-key" not in text
        assert await here.channels(jobs, RETRY_INTERVAL) == ("anna",)
        assert "calendar" in here.reader.describe_problems()["primary"]
        assert await here.channels(jobs, RETRY_INTERVAL) == ("ben",)
        assert here.reader.describe_problems() == {}


async def test_a_missing_secret_is_a_reason() -> None:
    async with world() as here:
        assert await here.channels(snapshot(url={"secret": "rota"})) == ("team",)
        assert "the secret rota does not exist" in here.reader.describe_problems()["primary"]


async def test_a_read_does_not_wait_for_a_slow_server() -> None:
    gate = asyncio.Event()
    async with NotificationService(Answer(body=ANNA, gate=gate)) as service, world() as here:
        jobs = snapshot(url=service.url)
        assert await here.reader.read(jobs) == {}
        await service.wait_for_requests(1)
        assert await here.reader.read(jobs) == {}
        here.clock.passed += FIRST_READ
        rotas = await here.reader.read(jobs)
        assert rotas["primary"].on_call_at(here.clock.now()).channels == ("team",)
        gate.set()
        assert await here.channels(jobs) == ("anna",)
        assert len(service.requests) == 1


async def test_a_changed_definition_is_in_force_with_the_last_calendar() -> None:
    async with NotificationService(Answer(body=ANNA), Answer(503)) as service, world() as here:
        assert await here.channels(snapshot(url=service.url)) == ("anna",)
        changed = snapshot(url=service.url, people={"Anna": ["anna-new"]})
        assert await here.channels(changed) == ("anna-new",)
        assert await here.channels(JobSnapshot([], alerting=AlertingDefinitions())) is None
        assert here.reader.describe_problems() == {}


async def test_shifts_without_a_person_of_the_rota_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "rota.ics").write_bytes(calendar_of(("Zoe", "20260101T000000Z", "P30D")))
    async with world() as here:
        assert await here.channels(snapshot(str(tmp_path), file="rota.ics")) == ("team",)
        assert here.reader.describe_problems() == {"primary": "shifts name no person of the rota: Zoe"}


async def test_the_first_read_of_a_rota_is_waited_for_once() -> None:
    gate = asyncio.Event()
    async with NotificationService(Answer(body=ANNA), Answer(body=ANNA, gate=gate)) as service, resources() as shared:
        clock = ManualClock()
        reader = RotaReader(shared, clock, first_wait=5.0)
        try:
            assert list(await reader.read(snapshot(url=service.url))) == ["primary"]
            clock.passed += URL_INTERVAL
            assert list(await reader.read(snapshot(url=service.url))) == ["primary"]
            gate.set()
        finally:
            await reader.aclose()


def rota_file(folder: Path, content: bytes) -> JobSnapshot:
    (folder / "rota.ics").write_bytes(content)
    return snapshot(str(folder), file="rota.ics")


async def test_a_calendar_is_evaluated_again_each_day_before_its_table_ends(tmp_path: Path) -> None:
    judges, day = CountingJudge(), 86400.0
    jobs = rota_file(tmp_path, calendar_of(("Anna", "20260101T000000Z", "P1D"), more=["RRULE:FREQ=DAILY"]))
    async with world(judges) as here:
        assert await here.channels(jobs) == ("anna",)
        assert await here.channels(jobs, FILE_INTERVAL) == ("anna",)
        assert len(judges.asked) == 1
        for number in range(2, 101):
            assert await here.channels(jobs, day) == ("anna",)
            assert len(judges.asked) == number


async def test_a_calendar_that_cannot_be_used_is_not_evaluated_at_each_read(tmp_path: Path) -> None:
    judges = CountingJudge()
    jobs = rota_file(tmp_path, b"half of a text")
    async with world(judges) as here:
        for _ in range(5):
            assert await here.channels(jobs, FILE_INTERVAL) == ("team",)
        assert len(judges.asked) == 1
        assert "is not an iCalendar calendar" in here.reader.describe_problems()["primary"]
        rota_file(tmp_path, BEN)
        assert await here.channels(jobs, FILE_INTERVAL) == ("ben",)


async def test_the_last_calendar_is_renewed_while_a_new_one_cannot_be_used(tmp_path: Path) -> None:
    daily = calendar_of(("Anna", "20260101T000000Z", "P1D"), more=["RRULE:FREQ=DAILY"])
    jobs = rota_file(tmp_path, daily)
    async with world() as here:
        await here.channels(jobs)
        rota_file(tmp_path, b"half of a text")
        for _ in range(100):
            assert await here.channels(jobs, 86400) == ("anna",)
        assert "the last calendar stays in force" in here.reader.describe_problems()["primary"]


async def test_an_evaluation_without_an_end_degrades_health_and_the_last_calendar_stays(tmp_path: Path) -> None:
    judges = CountingJudge()
    jobs = rota_file(tmp_path, ANNA)
    async with world(judges) as here:
        await here.channels(jobs)
        judges.gate = asyncio.Event()
        rota_file(tmp_path, BEN)
        here.clock.passed += FILE_INTERVAL
        assert (await here.reader.read(jobs))["primary"].on_call_at(here.clock.now()).channels == ("anna",)
        here.clock.passed += SLOW_READ - 1
        assert here.reader.describe_problems() == {}
        here.clock.passed += 1
        assert here.reader.describe_problems() == {
            "primary": "the calendar is being read for 10 s; the last calendar stays in force"
        }
        judges.gate.set()
        assert await here.channels(jobs) == ("ben",)
        assert here.reader.describe_problems() == {}


async def test_an_evaluation_that_has_not_ended_is_repeated(tmp_path: Path) -> None:
    judges = CountingJudge()
    jobs = rota_file(tmp_path, ANNA)
    async with world(judges) as here:
        judges.is_busy = True
        assert await here.channels(jobs) == ("team",)
        assert "not ended within 30 s" in here.reader.describe_problems()["primary"]
        judges.is_busy = False
        assert await here.channels(jobs, FILE_INTERVAL) == ("team",)
        assert await here.channels(jobs, RETRY_INTERVAL) == ("anna",)


async def test_the_end_does_not_wait_for_an_evaluation(tmp_path: Path) -> None:
    judges = CountingJudge()
    judges.gate = asyncio.Event()
    async with world(judges) as here:
        assert await here.reader.read(rota_file(tmp_path, ANNA)) == {}
        async with asyncio.timeout(5):
            await judges.is_asked.wait()
            await here.reader.aclose()


async def test_a_rota_of_another_time_is_made_of_the_calendar_in_force(tmp_path: Path) -> None:
    year_ago = calendar_of(("Ben", "20250101T000000Z", "P30D"), ("Anna", "20260101T000000Z", "P30D"))
    jobs = rota_file(tmp_path, year_ago)
    async with world() as here:
        assert await here.channels(jobs) == ("anna",)
        then = here.clock.now() - timedelta(days=360)
        found, errors = await here.reader.read_for(jobs, then, then + timedelta(days=7))
        assert (found["primary"].on_call_at(then).channels, errors) == (("ben",), {})
        assert found["primary"].on_call_at(then).changes_at == datetime(2025, 1, 31, tzinfo=UTC)
        assert await here.channels(jobs) == ("anna",)

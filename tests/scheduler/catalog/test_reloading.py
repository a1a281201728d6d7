"""What becomes of changed job files: put in force as a whole, or told once and not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable

import pytest

from config.errors import ConfigurationError
from config.job_files.reader import JobSet
from jobs.definition import JobDefinition
from jobs.problems import Problem
from jobs.targets import Target
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.catalog.composition import build_snapshot
from scheduler.catalog.reloading import SLOW_READ_THRESHOLD, JobReloader
from scheduler.health import HealthStatus
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.audit.memory_trail import MemoryAuditTrail
from tests.scheduler.fakes import START, VirtualClock, compose, entry

WRONG = Problem("jobs.a.chek", "unknown key", "did you mean check?", "jobs/a.yaml", 3)


def job_set(digest: str, *entries: CatalogJob) -> JobSet:
    jobs = {one.job.name: one.job for one in entries}
    return JobSet(jobs, {one.job.name: one.origin for one in entries}, digest=digest)


class Place:
    """Implements config.job_files.sources.JobFileSource: what a test puts there."""

    def __init__(self, *then: JobSet | Exception) -> None:
        self.then = list(then)
        self.asked = 0

    async def has_changed(self) -> bool:
        self.asked += 1
        return bool(self.then)

    async def read(self) -> JobSet:
        found = self.then.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def change_hints(self) -> AsyncIterator[None]:
        while self.then:
            yield

    async def aclose(self) -> None:
        """Nothing is open."""


class Bench:
    def __init__(self, *then: JobSet | Exception) -> None:
        self.clock, self.audit = VirtualClock(), MemoryAuditTrail()
        self.a = entry("a")
        self.catalog = Catalog(build_snapshot(job_set("one", self.a), START))
        self.place = Place(*then)
        self.looked_at: list[str] = []
        self.loaded: list[tuple[set[str], str]] = []
        self.warned: list[str] = []
        self.composer = compose(self.catalog, self.clock)
        self.composer.check_jobs, self.composer.prepare = self._look_at, self._load
        self.reloading = JobReloader(self.place, self.composer, self.clock, self.audit, self._warn)

    def _look_at(self, jobs: Iterable[JobDefinition]) -> None:
        self.looked_at += [job.name for job in jobs]

    async def _warn(self, jobs: JobSet) -> None:
        self.warned.append(jobs.digest)

    def _load(self, targets: Iterable[Target]) -> None:
        self.loaded.append(({target.kind for target in targets}, self.catalog.snapshot.digest))


def wrong(*problems: Problem) -> ConfigurationError:
    return ConfigurationError(problems or (WRONG,))


async def test_a_whole_set_is_put_in_force_at_once_and_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench(job_set("two", entry("a", "every 5s"), entry("b")))
    bench.clock.move(60)

    assert await bench.reloading.reload()

    view = bench.catalog.snapshot
    assert (list(view.names()), view.digest, view.loaded_at) == (["a", "b"], "two", bench.clock.now())
    assert caplog.messages == [
        "job files: 1 added: b, 1 changed: a; jobs in force: 2",
        "job set one was replaced by two (1 added: b, 1 changed: a), requested by the job files",
    ]


async def test_the_targets_of_new_and_changed_jobs_are_looked_at() -> None:
    bench = Bench(job_set("two", entry("a"), entry("b")), job_set("three", entry("a"), entry("b", "every 5s")))
    await bench.reloading.reload()
    assert bench.looked_at == ["b"]
    await bench.reloading.reload()
    assert bench.looked_at == ["b", "b"]


async def test_what_new_kinds_of_checks_need_is_loaded_before_they_are_in_force() -> None:
    dns = entry("b", check={"kind": "dns", "name": "a.example"})
    bench = Bench(job_set("two", entry("a"), dns))

    await bench.reloading.reload()

    assert bench.loaded == [({"dns"}, "one")]


async def test_a_mistake_of_the_program_stays_in_health_and_ends_no_look_to_come(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    broken = ZeroDivisionError()
    bench.place.then = [broken, broken, job_set("two", entry("a"), entry("b"))]

    assert not await bench.reloading.reload()
    assert not await bench.reloading.reload()
    (health,) = await bench.reloading.health()
    assert await bench.reloading.reload()

    assert (health.status, "ZeroDivisionError" in health.message) == (HealthStatus.DEGRADED, True)
    assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_a_place_that_hangs_is_told_until_it_answers() -> None:
    bench, answers = Bench(), asyncio.Event()

    async def changed() -> bool:
        await answers.wait()
        return False

    bench.place.has_changed = changed  # type: ignore[method-assign]  # stands in for a share that hangs
    look = asyncio.create_task(bench.reloading.reload())
    await asyncio.sleep(0)
    (at_first,) = await bench.reloading.health()
    bench.clock.move(SLOW_READ_THRESHOLD + 1)
    (meanwhile,) = await bench.reloading.health()
    answers.set()
    await look
    (at_last,) = await bench.reloading.health()

    assert [each.status for each in (at_first, meanwhile, at_last)] == [
        HealthStatus.OK,
        HealthStatus.DEGRADED,
        HealthStatus.OK,
    ]
    assert "no response from the job files for 31 s" in meanwhile.message


async def test_what_stays_the_same_keeps_its_entry() -> None:
    bench = Bench()
    before = bench.catalog.snapshot
    bench.place.then = [job_set("two", entry("a"), entry("b"))]

    await bench.reloading.reload()

    assert bench.catalog.get_job("a") is before.get_job("a")


async def test_names_beyond_the_first_few_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench(job_set("two", *(entry(f"job-{number:02}") for number in range(20))))

    await bench.reloading.reload()

    assert caplog.messages[0] == (
        "job files: 20 added: job-00, job-01, job-02, job-03, job-04 and 15 more, 1 removed: a; jobs in force: 20"
    )


async def test_a_set_with_a_problem_leaves_the_last_one_in_force_and_health_says_where(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(wrong())
    before = bench.catalog.snapshot

    assert not await bench.reloading.reload()

    (part,) = await bench.reloading.health()
    assert bench.catalog.snapshot is before
    assert (part.name, part.status) == ("job_files", HealthStatus.DEGRADED)
    assert part.message == (
        "rejected since 2026-03-01 12:00:00Z, the previous jobs stay in force: "
        "jobs/a.yaml:3: jobs.a.chek: unknown key; did you mean check?"
    )
    assert caplog.messages == [
        f"the job files have a problem; the previous jobs stay in force:\n{WRONG}",
    ]


async def test_the_same_problems_are_told_once_and_others_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    other = Problem("jobs.b", "is no job")
    bench = Bench(wrong(), wrong(), wrong(WRONG, other), wrong(WRONG, other), job_set("one", entry("a")))

    for _ in range(5):
        await bench.reloading.reload()

    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert caplog.messages[1].endswith(f"2 problems; the previous jobs stay in force:\n{WRONG}\n{other}")
    assert caplog.messages[2] == "job files: valid again and unchanged; jobs in force: 1"
    assert [part.status for part in await bench.reloading.health()] == [HealthStatus.OK]


async def test_a_request_reads_unchanged_files_and_logs_known_problems_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench(wrong(), wrong(), job_set("one", entry("a")), job_set("one", entry("a")))

    for _ in range(4):
        assert not await bench.reloading.reload(is_requested=True)

    rejected = f"the job files have a problem; the previous jobs stay in force:\n{WRONG}"
    assert bench.place.asked == 0
    assert caplog.messages == [
        rejected,
        rejected,
        "job files: valid again and unchanged; jobs in force: 1",
        "job files: unchanged; jobs in force: 1",
    ]


async def test_a_request_without_a_place_is_answered_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench()
    reloading = JobReloader(None, bench.composer, bench.clock, bench.audit)

    assert not await reloading.reload(is_requested=True)
    assert caplog.messages == ["job files: the settings name none; nothing to read"]


async def test_of_many_problems_health_tells_the_first_ones() -> None:
    bench = Bench(wrong(*(Problem(f"jobs.j{number}", "is no job") for number in range(7))))

    await bench.reloading.reload()

    (part,) = await bench.reloading.health()
    assert "jobs.j4" in part.message
    assert part.message.endswith("; and 2 more, see the log")


async def test_a_place_that_is_empty_all_of_a_sudden_takes_no_job_away() -> None:
    bench = Bench(job_set("none"))

    assert not await bench.reloading.reload()

    (part,) = await bench.reloading.health()
    assert "no job files found, but jobs are in force" in part.message
    assert len(bench.catalog) == 1


async def test_a_look_within_a_time_counts() -> None:
    bench = Bench()

    for seconds in (0, 10, 10):
        bench.clock.move(seconds)
        await bench.reloading.reload(max_age=15)

    assert bench.place.asked == 2


async def test_the_host_hears_of_each_set_with_the_one_before() -> None:
    bench = Bench(job_set("two", entry("b")), wrong(), job_set("three", entry("c")))
    heard: list[JobSnapshot] = []

    bench.composer.listeners.append(heard.append)
    await bench.reloading.run()

    assert [view.digest for view in heard] == ["one", "two"]


async def test_without_a_place_nothing_is_looked_at() -> None:
    clock = VirtualClock()
    reloading = JobReloader(None, compose(Catalog([entry("a")]), clock), clock, MemoryAuditTrail())

    assert not await reloading.reload()
    await reloading.run()
    assert [part.status for part in await reloading.health()] == [HealthStatus.OK]


@virtual_time
async def test_a_place_that_hangs_holds_a_batch_up_once_and_for_a_moment() -> None:
    bench, loop = Bench(), asyncio.get_running_loop()
    back = asyncio.Event()

    async def hangs() -> bool:
        bench.place.asked += 1
        await back.wait()
        return False

    async def waited(unless_within: float = 15.0) -> float:
        began = loop.time()
        await bench.reloading.reload_within(unless_within, 1.0)
        bench.clock.move(1)
        return loop.time() - began

    bench.place.has_changed = hangs  # type: ignore[method-assign]
    first, second, third = await waited(), await waited(), await waited()
    back.set()
    await asyncio.sleep(0)
    fourth = await waited()
    bench.clock.move(15)
    fifth = await waited()
    await bench.reloading.aclose()

    assert (first, second, third, fourth, fifth) == (1.0, 0.0, 0.0, 0.0, 0.0)
    assert bench.place.asked == 2


@virtual_time
async def test_a_look_that_nobody_waits_for_any_more_ends_with_the_program() -> None:
    bench = Bench()
    hanging = asyncio.Event()

    async def hangs() -> bool:
        await hanging.wait()
        return False

    bench.place.has_changed = hangs  # type: ignore[method-assign]
    await bench.reloading.reload_within(0.0, 0.1)
    await bench.reloading.aclose()

    assert not bench.reloading._read_lock.locked()


async def test_warnings_are_looked_for_in_each_set_that_is_read_and_can_be_used() -> None:
    bench = Bench(job_set("two", entry("a"), entry("b")), wrong(), job_set("two", entry("a"), entry("b")), JobSet())
    for _ in range(4):
        await bench.reloading.reload()
    assert bench.warned == ["two", "two"]


async def test_a_reload_is_recorded_with_the_names_that_changed() -> None:
    bench = Bench(job_set("two", entry("a", tags={"team": "x"}), entry("b")))

    await bench.reloading.reload()

    ((caller, change),) = bench.audit.changes
    assert (caller.principal.id, change.action, change.object_id) == ("program:scheduler", "jobs.reload", "two")
    assert change.jobs == ("b", "a")
    assert change.after == {"digest": "two", "added": ["b"], "changed": ["a"], "removed": []}


async def test_a_reload_is_recorded_later_when_the_store_answers_again() -> None:
    bench = Bench(job_set("two", entry("a"), entry("b")))
    bench.audit.is_unavailable = True
    assert await bench.reloading.reload()
    assert not bench.audit.changes

    bench.audit.is_unavailable = False
    await bench.reloading.reload()

    assert bench.audit.actions == [("jobs.reload", "two")]


async def test_the_set_of_the_start_is_recorded_by_the_first_check(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.audit.is_unavailable = True
    bench.reloading.record_start()
    for _ in range(3):
        await bench.reloading.reload()
    assert [record.levelname for record in caplog.records] == ["WARNING"]

    bench.audit.is_unavailable = False
    await bench.reloading.reload()

    assert bench.audit.actions == [("jobs.load", "one")]

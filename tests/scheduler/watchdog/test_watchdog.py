"""What the watchdog finds: jobs that do not run, tickets that wait, and what it says of it, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.running.run_factories import skipped_run
from jobs.runs import Ticket
from jobs.runs.outcomes import Reason, ReasonCode
from jobs.schedules import parse_schedule
from scheduler.catalog.catalog import CatalogJob, JobSnapshot
from scheduler.dispatch.port import DispatchError, QueueDepth
from scheduler.health import HealthStatus
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.gates import Pause
from scheduler.stores.runs.repository import Claim, Runs
from scheduler.watchdog import (
    WATCHDOG_GAUGES,
    JobsReport,
    JobWatch,
    LateJob,
    Lateness,
    RunActivity,
    TrackedRuns,
    Watchdog,
    WatchdogReport,
)
from scheduler.watchdog.report import WatchdogGauge, read_gauges
from scheduler.watchdog.rules import (
    LATE_AFTER,
    MAX_QUEUE_AGE_S,
    MAX_QUEUE_LENGTH,
    describe_full_places,
    health_parts,
    judge_job,
    known_health_parts,
)
from scheduler.watchdog.watchdog import CHECK_INTERVAL, HEALTH_RECHECK_AFTER, MAX_HISTORY_READS
from scheduler.worker.places import JobPlaces, PlacesReport
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import LoopClock, virtual_time
from tests.scheduler.fakes import START, VirtualClock, WorkerHarness, entry
from tests.scheduler.stores.memory import MemoryStore

BOUND = LATE_AFTER.total_seconds()


class Reported:
    """Implements watching.Listener."""

    def __init__(self) -> None:
        self.numbers: list[Mapping[str, float]] = []
        self.said: list[tuple[str, bool]] = []

    def gauges(self, values: Iterable[tuple[WatchdogGauge, float]]) -> None:
        self.numbers.append({gauge.name: value for gauge, value in values})

    def watchdog(self, part: str, message: str, *, well: bool) -> None:
        self.said.append((part, well))


class Unavailable:
    """A queue that does not answer."""

    async def read_depth(self) -> QueueDepth:
        raise DispatchError("the queue is away")


class WatchdogHarness:
    """A watchdog over a memory store and a clock that a test moves."""

    def __init__(self, *jobs: CatalogJob, store: MemoryStore | None = None, shared: bool = False) -> None:
        self.clock = VirtualClock()
        self.store = store or MemoryStore()
        harness = WorkerHarness(jobs=jobs or [entry()])
        self.catalog = harness.catalog
        self.noted = RunActivity(self.clock)
        self.runs = TrackedRuns(self.store, self.noted, self.clock.monotonic)
        self.others = Runs(self.store, self.clock.monotonic)
        self.pauses = type(harness.pauses)(self.store, self.clock.monotonic)
        self.letters = type(harness.dead_letters)(self.store)
        self.told = Reported()
        self.jobs = JobWatch(self.catalog, self.runs, self.pauses, self.noted, self.clock)
        self.dog = Watchdog(self.jobs, self.noted, self.store, self.told, self.clock, is_shared=shared)

    async def begin(self, runs: Runs, job: str = "checkout", at: datetime | None = None) -> None:
        """A scheduled run is claimed: by this process (`self.runs`) or by another one (`self.others`)."""
        ticket = Ticket.scheduled(job, at or self.clock.now(), "g")
        now = self.clock.now()
        assert isinstance(await runs.claim(ticket, "me", now + timedelta(minutes=5), now), Claim)

    async def troubles(self, most: int = MAX_HISTORY_READS) -> dict[str, Lateness]:
        return {each.job: each.lateness for each in (await self.jobs.check_jobs(most)).late_jobs}


# --- The rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "since", "passed", "trouble"),
    [
        ("every 60s", 0, 60 + BOUND, None),
        ("every 60s", 0, 61 + BOUND, Lateness.LATE),
        ("every 60s", 0, 121 + BOUND, Lateness.SILENT),
        ("every 1h", 0, 3600 + BOUND, None),
        ("every 1h", 0, 3601 + BOUND, Lateness.LATE),
        ("every 1h", 0, 7201 + BOUND, Lateness.SILENT),
        ("every 1s", 0, BOUND, None),  # twice its interval is nothing yet: a tick may come that late
        ("every 1s", 0, BOUND + 2, Lateness.LATE),
        ("every 1s", 0, BOUND + 3, Lateness.SILENT),
    ],
)
def test_a_job_is_late_after_a_due_instant_and_silent_after_twice_its_interval(
    schedule: str, since: int, passed: float, trouble: Lateness | None
) -> None:
    began = START + timedelta(seconds=since)
    found = judge_job("checkout", parse_schedule(schedule), began, START + timedelta(seconds=passed))

    assert (found and found.lateness) == trouble


def test_a_night_without_due_instants_makes_no_job_silent() -> None:
    office_hours = parse_schedule("0 */5 9-16 * * 1-5")
    friday, monday = datetime(2026, 3, 6, 16, 55, tzinfo=UTC), datetime(2026, 3, 9, 9, 1, tzinfo=UTC)

    assert judge_job("checkout", office_hours, friday, monday) is None
    first_is_missing = judge_job("checkout", office_hours, friday, monday + timedelta(minutes=2))
    assert first_is_missing == LateJob("checkout", Lateness.LATE, datetime(2026, 3, 9, 9, 0, tzinfo=UTC))


def test_a_job_that_is_never_due_again_is_well() -> None:
    once = parse_schedule({"every": "1m", "end": "2026-03-01T12:00:30Z"})

    assert judge_job("checkout", once, START, START + timedelta(days=9)) is None


# --- Jobs -------------------------------------------------------------------------------------------------------------


async def test_a_job_that_this_process_runs_is_well_and_costs_no_query() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 60s"))
    for _ in range(5):
        watchdog_harness.clock.move(60)
        await watchdog_harness.begin(watchdog_harness.runs)
    watchdog_harness.clock.move(59)
    await watchdog_harness.pauses.list_active(watchdog_harness.clock.now())
    reads = watchdog_harness.store.reads

    assert await watchdog_harness.troubles() == {}
    assert watchdog_harness.store.reads == reads


async def test_a_job_that_another_process_runs_is_well() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 60s"))
    watchdog_harness.clock.move(600)
    await watchdog_harness.begin(watchdog_harness.others)

    assert await watchdog_harness.troubles() == {}


async def test_a_run_that_was_skipped_with_its_reason_is_recorded_and_so_well() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 60s"))
    watchdog_harness.clock.move(600)
    ticket = Ticket.scheduled("checkout", watchdog_harness.clock.now(), "g")
    await watchdog_harness.runs.insert_finished(
        ticket, skipped_run(None, ticket, watchdog_harness.clock, Reason(ReasonCode.MISSED, "it was missed"))
    )
    await watchdog_harness.pauses.list_active(watchdog_harness.clock.now())
    reads = watchdog_harness.store.reads

    assert await watchdog_harness.troubles() == {}
    assert watchdog_harness.store.reads == reads


async def test_a_job_without_runs_is_reported_with_its_first_instant_and_the_run_before_it() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 60s"))
    watchdog_harness.clock.move(60)
    await watchdog_harness.begin(watchdog_harness.runs)
    watchdog_harness.clock.move(400)

    (trouble,) = (await watchdog_harness.jobs.check_jobs(MAX_HISTORY_READS)).late_jobs

    last = START + timedelta(seconds=60)
    assert trouble == LateJob("checkout", Lateness.SILENT, last + timedelta(seconds=60), last)


async def test_a_run_that_a_user_requested_does_not_hide_that_the_schedule_stands_still() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 1h"))
    watchdog_harness.clock.move(4000)
    now = watchdog_harness.clock.now()
    await watchdog_harness.begin(watchdog_harness.others, at=START - timedelta(hours=1))
    await watchdog_harness.others.claim(Ticket.requested("checkout", now, "g"), "me", now, now)

    assert await watchdog_harness.troubles() == {"checkout": Lateness.LATE}


async def test_what_fell_due_before_the_process_began_is_not_reported() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 1h"))
    await watchdog_harness.begin(watchdog_harness.others, at=START - timedelta(days=9))
    watchdog_harness.clock.move(60)

    assert await watchdog_harness.troubles() == {}


async def test_a_job_that_came_later_is_not_late_for_what_fell_due_before_it_came() -> None:
    watchdog_harness = WatchdogHarness(entry("other", None))
    watchdog_harness.clock.move(3599)
    watchdog_harness.catalog.replace(JobSnapshot([entry("new", "every 1h")]))
    watchdog_harness.clock.move(2)
    await watchdog_harness.troubles()
    watchdog_harness.clock.move(BOUND + 60)

    assert await watchdog_harness.troubles() == {}


async def test_a_job_that_was_gone_for_a_while_is_not_late_for_what_fell_due_then() -> None:
    job = entry("new", "every 1m")
    watchdog_harness = WatchdogHarness(job)
    for view in (JobSnapshot([]), JobSnapshot([job])):
        await watchdog_harness.troubles()
        watchdog_harness.catalog.replace(view)
        watchdog_harness.clock.move(3600)
        await watchdog_harness.troubles()

    assert await watchdog_harness.troubles() == {}


async def test_jobs_that_no_schedule_starts_are_not_watched() -> None:
    watchdog_harness = WatchdogHarness(
        entry("off", enabled=False), entry("asked", None), entry("follows", None, depends_on=["asked"])
    )
    watchdog_harness.clock.move(1000)

    assert await watchdog_harness.jobs.check_jobs(MAX_HISTORY_READS) == JobsReport(0, ())


async def test_a_job_that_may_wait_for_others_is_late_after_that() -> None:
    watchdog_harness = WatchdogHarness(
        entry(schedule="every 1h", depends_on=[{"job": "other", "wait": "5m"}]), entry("other", None)
    )

    watchdog_harness.clock.move(3600 + 300 + BOUND)
    assert await watchdog_harness.troubles() == {}
    watchdog_harness.clock.move(1)
    assert await watchdog_harness.troubles() == {"checkout": Lateness.LATE}


async def test_a_paused_job_is_not_watched_and_afterwards_begins_anew() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 60s"))
    end = START + timedelta(seconds=1000)
    await watchdog_harness.pauses.set_pause(Pause("checkout", START, end))

    found = []
    for _ in range(42):
        watchdog_harness.clock.move(CHECK_INTERVAL)
        found.append(bool(await watchdog_harness.troubles()))

    # The first instant of the new beginning (at 1,020 s) is due at 1,080 s.
    assert found.index(True) == (1020 + 60 + BOUND) // CHECK_INTERVAL


async def test_very_many_jobs_are_queried_about_in_turn() -> None:
    jobs = [entry(f"job-{number}", "every 60s") for number in range(25)]
    watchdog_harness = WatchdogHarness(*jobs)
    watchdog_harness.clock.move(600)
    for job in jobs[:20]:
        await watchdog_harness.begin(watchdog_harness.others, job.job.name)

    reads_made = []
    for _ in range(3):
        reads = watchdog_harness.store.reads
        reads_made.append(await watchdog_harness.jobs.check_jobs(10))
        assert watchdog_harness.store.reads - reads <= 11
        watchdog_harness.clock.move(1)

    assert [look.pending_count for look in reads_made] == [15, 5, 0]
    assert {each.job for each in reads_made[-1].late_jobs} == {job.job.name for job in jobs[20:]}


async def test_a_verdict_holds_until_it_is_the_jobs_turn_again() -> None:
    jobs = [entry(f"job-{number}", "every 60s") for number in range(4)]
    watchdog_harness = WatchdogHarness(*jobs)
    watchdog_harness.clock.move(600)

    await watchdog_harness.jobs.check_jobs(2)
    watchdog_harness.clock.move(1)
    second = await watchdog_harness.jobs.check_jobs(2)

    assert (len(second.late_jobs), second.pending_count) == (4, 2)


# --- Tickets ----------------------------------------------------------------------------------------------------------


@virtual_time
async def test_a_ticket_waits_from_when_it_is_accepted_until_it_begins() -> None:
    noted = RunActivity(LoopClock())
    harness = WorkerHarness(
        Hang("body", 3.0),
        jobs=[entry("first"), entry("second")],
        places=1,
        submitted=noted.mark_submitted,
        began=noted.mark_started,
    )
    for job in ("first", "second"):
        harness.worker.submit(harness.ticket(-5, job))
    await harness.clock.sleep(2)

    assert await noted.read_depth() == QueueDepth(1, 2.0)

    await harness.clock.sleep(2)
    assert await noted.read_depth() == QueueDepth(0)
    await harness.worker.wait_until_idle()


@virtual_time
async def test_a_ticket_that_waits_for_what_its_job_depends_on_is_no_sign_of_a_long_queue() -> None:
    noted = RunActivity(LoopClock())
    gated = entry(depends_on=[{"job": "other", "wait": "5m"}])
    harness = WorkerHarness(
        jobs=[gated, entry("other", None)], submitted=noted.mark_submitted, began=noted.mark_started
    )
    harness.worker.submit(harness.ticket())

    await harness.clock.sleep(100)

    assert harness.worker.in_flight_count == 1
    assert await noted.read_depth() == QueueDepth(0)
    await harness.worker.drain(0)


async def test_a_ticket_does_not_wait_before_its_instant() -> None:
    watchdog_harness = WatchdogHarness()
    watchdog_harness.noted.mark_submitted(Ticket.scheduled("checkout", START + timedelta(seconds=60), "g"))

    assert await watchdog_harness.noted.read_depth() == QueueDepth(0)
    watchdog_harness.clock.move(61)
    assert await watchdog_harness.noted.read_depth() == QueueDepth(1, 1.0)


# --- The whole --------------------------------------------------------------------------------------------------------


async def test_a_read_reports_everything() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 60s"))
    last_tick = START + timedelta(seconds=500)

    async def ticked() -> datetime:
        return last_tick

    watchdog_harness.dog.set_tick_source(ticked)
    await watchdog_harness.begin(watchdog_harness.others, at=START)
    await watchdog_harness.letters.add(DeadLetter.from_message("?", "not a batch", START))
    watchdog_harness.noted.mark_submitted(Ticket.scheduled("checkout", START, "g"))
    watchdog_harness.clock.move(510)

    report = await watchdog_harness.dog.make_report()

    assert (report.at, report.last_tick, report.unknown) == (watchdog_harness.clock.now(), last_tick, {})
    assert report.jobs is not None
    assert [each.lateness for each in report.jobs.late_jobs] == [Lateness.SILENT]
    assert report.open_runs is not None
    assert (report.open_runs.count, report.open_runs.oldest_due_at) == (1, START)
    assert report.queue == QueueDepth(1, 510.0)
    assert {gauge.name: value for gauge, value in read_gauges(report)} == {
        "tick_gap": 10.0,
        "late_jobs": 0.0,
        "silent_jobs": 1.0,
        "queue_depth": 1.0,
        "queue_age": 510.0,
        "poison_depth": 0.0,
        "dead_letters": 1.0,
        "open_runs": 1.0,
        "oldest_run": 510.0,
        "store_time": 0.0,
    }


async def test_every_gauge_has_a_value() -> None:
    watchdog_harness = WatchdogHarness()
    dog = Watchdog(
        watchdog_harness.jobs,
        watchdog_harness.noted,
        watchdog_harness.store,
        watchdog_harness.told,
        watchdog_harness.clock,
        places=lambda: PlacesReport(200, 3, 0),
    )
    found = {gauge.name for gauge, _ in read_gauges(await dog.make_report())}
    assert found | {"tick_gap"} == {gauge.name for gauge in WATCHDOG_GAUGES}


def full(seconds: float) -> PlacesReport:
    slow = JobPlaces("slow", "one.internal:80", 20, 25.2)
    others = [JobPlaces(f"j{number}", "two.internal:80", 1, 3.0) for number in range(180)]
    return PlacesReport(200, 200, 48, seconds, (slow, *others))


async def test_the_queue_is_degraded_at_once_when_no_place_was_free_for_ten_seconds_and_names_who_holds_them() -> None:
    watchdog_harness, places = WatchdogHarness(), full(9.9)
    dog = Watchdog(
        watchdog_harness.jobs,
        watchdog_harness.noted,
        watchdog_harness.store,
        watchdog_harness.told,
        watchdog_harness.clock,
        places=lambda: places,
    )
    assert {part.status for part in await dog.health()} == {HealthStatus.OK}

    places = full(10.0)

    (queue,) = [part for part in await dog.health() if part.name == "queue"]
    assert queue.status is HealthStatus.DEGRADED
    assert queue.message == (
        "none of 200 places was free for 10 s, 48 runs wait: job slow holds 20 of them at one.internal:80 for 25 s, "
        "180 jobs at two.internal:80 hold 180; lower the timeout of these jobs, or raise the setting concurrency"
    )


async def test_places_that_many_jobs_hold_are_named_by_the_oldest_of_them() -> None:
    holders = tuple(JobPlaces(f"j{n}", f"host{n}.internal:80", 1, 30.0 - n) for n in range(4))
    message = describe_full_places(PlacesReport(4, 4, 0, 12.0, holders))
    assert message.startswith(
        "none of 4 places was free for 12 s: job j0 holds one of them at host0.internal:80 for 30 s"
    )
    assert "j3" not in message


async def test_a_queue_that_is_old_reports_whose_share_it_waits_for() -> None:
    watchdog_harness = WatchdogHarness()
    held_back = PlacesReport(200, 20, 48, held_back=(("job slow", 48),))
    dog = Watchdog(
        watchdog_harness.jobs,
        watchdog_harness.noted,
        watchdog_harness.store,
        watchdog_harness.told,
        watchdog_harness.clock,
        places=lambda: held_back,
    )
    watchdog_harness.noted.mark_submitted(Ticket.scheduled("slow", START, "g"))
    watchdog_harness.clock.move(61)
    (queue,) = [part for part in await dog.health() if part.name == "queue"]
    assert "their share of places (settings shares.job, shares.host) is used up by job slow (48 wait)" in queue.message


async def test_what_is_unavailable_is_reported_as_not_known_and_stops_nothing() -> None:
    watchdog_harness = WatchdogHarness()
    watchdog_harness.dog = Watchdog(
        watchdog_harness.jobs, Unavailable(), watchdog_harness.store, watchdog_harness.told, watchdog_harness.clock
    )

    report = await watchdog_harness.dog.make_report()

    assert (report.queue, report.unknown) == (None, {"queue": "the queue is away"})
    assert [(part.name, part.status) for part in health_parts(report)] == [
        ("jobs", HealthStatus.OK),
        ("queue", HealthStatus.DEGRADED),
    ]
    assert health_parts(report)[1].message == "not known: the queue is away"


async def test_a_store_that_is_unavailable_makes_no_job_well_again() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 60s"))
    watchdog_harness.clock.move(600)
    await watchdog_harness.dog.make_report()
    watchdog_harness.store.breaks_after = 0

    report = await watchdog_harness.dog.make_report()

    assert report.jobs is None
    assert all(
        part.status is HealthStatus.DEGRADED for part in await watchdog_harness.dog.health() if part.name == "jobs"
    )
    assert watchdog_harness.told.said == [("jobs", False)]


async def test_health_reads_again_for_what_could_not_be_requested() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 60s"))
    watchdog_harness.clock.move(600)
    watchdog_harness.store.breaks_after = 0
    await watchdog_harness.dog.make_report()
    watchdog_harness.store.breaks_after = None

    soon, _ = await watchdog_harness.dog.health()
    watchdog_harness.clock.move(HEALTH_RECHECK_AFTER.total_seconds())
    later, _ = await watchdog_harness.dog.health()

    assert soon.message.startswith("not known: ")
    assert later.message.startswith("1 job is silent")


async def test_trouble_is_logged_when_it_begins_and_when_it_ends() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 60s"))
    watchdog_harness.clock.move(600)
    for _ in range(3):
        await watchdog_harness.dog.make_report()
    await watchdog_harness.begin(watchdog_harness.runs)
    for _ in range(3):
        await watchdog_harness.dog.make_report()

    assert watchdog_harness.told.said == [("jobs", False), ("jobs", True)]


async def test_numbers_go_out_once_a_minute() -> None:
    watchdog_harness = WatchdogHarness()
    for _ in range(6):
        watchdog_harness.clock.move(CHECK_INTERVAL)
        await watchdog_harness.dog.make_report()

    assert len(watchdog_harness.told.numbers) == 3


async def test_the_newest_look_is_stored_and_only_the_tick_is_requested_anew() -> None:
    watchdog_harness = WatchdogHarness()

    async def ticked() -> datetime:
        return watchdog_harness.clock.now()

    watchdog_harness.dog.set_tick_source(ticked)
    first = await watchdog_harness.dog.latest_report()
    watchdog_harness.clock.move(7)
    second = await watchdog_harness.dog.latest_report()

    assert second == replace(first, last_tick=START + timedelta(seconds=7))


async def test_one_instance_reads_and_all_of_them_report() -> None:
    watchdog_harness = WatchdogHarness(entry(schedule="every 60s"), shared=True)
    watchdog_harness.clock.move(600)
    made = await watchdog_harness.dog.make_report()
    other = WatchdogHarness(entry(schedule="every 60s"), store=watchdog_harness.store, shared=True)

    assert await other.dog.latest_report() == made
    assert other.told.numbers == []


async def test_a_report_that_another_version_wrote_is_made_anew() -> None:
    watchdog_harness = WatchdogHarness(shared=True)
    await watchdog_harness.dog.make_report()
    ((place, row),) = (
        (place, row) for place, row in watchdog_harness.store.data.rows.items() if place[0] == "watchdog"
    )
    watchdog_harness.store.data.rows[place] = replace(row, body='{"at": "then"}')

    assert (await watchdog_harness.dog.latest_report()).at == START


@virtual_time
async def test_it_reads_each_half_minute() -> None:
    harness = WorkerHarness()
    noted, told = RunActivity(harness.clock), Reported()
    jobs = JobWatch(harness.catalog, harness.runs, harness.pauses, noted, harness.clock)
    dog = Watchdog(jobs, noted, harness.store, told, harness.clock)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(305):
            await dog.run()

    assert len(told.numbers) == 5
    assert (await dog.latest_report()).at == START + timedelta(seconds=300)


# --- Health -----------------------------------------------------------------------------------------------------------


def report_of(**parts: Any) -> WatchdogReport:
    return WatchdogReport(START, **({"jobs": JobsReport(3, ()), "queue": QueueDepth(0)} | parts))


def late(*jobs: str, trouble: Lateness = Lateness.LATE) -> Sequence[LateJob]:
    return [LateJob(job, trouble, START) for job in jobs]


def test_health_names_the_first_jobs_and_where_to_look() -> None:
    troubles = (*late(*"abcdefg"), *late("z", trouble=Lateness.SILENT))
    jobs, queue = health_parts(report_of(jobs=JobsReport(9, troubles)))

    assert queue.status is HealthStatus.OK
    assert jobs.status is HealthStatus.DEGRADED
    assert jobs.message == (
        "1 job is silent: z (due 2026-03-01 12:00:00Z); 7 jobs are late: a (due 2026-03-01 12:00:00Z), "
        "b (due 2026-03-01 12:00:00Z), c (due 2026-03-01 12:00:00Z), d (due 2026-03-01 12:00:00Z), "
        "e (due 2026-03-01 12:00:00Z), ...; see GET /api/watchdog, the health parts ticker or ticks and queue, and "
        "the log"
    )


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        (QueueDepth(MAX_QUEUE_LENGTH, MAX_QUEUE_AGE_S), ""),
        (QueueDepth(MAX_QUEUE_LENGTH + 1), "5001 wait: check"),
        (QueueDepth(7, MAX_QUEUE_AGE_S + 1), "the oldest of 7 waits for 61 s"),
        (QueueDepth(0, None, 2), "2 messages on the poison queue are not dead letters yet"),
    ],
)
def test_health_reports_what_is_wrong_with_the_queue(depth: QueueDepth, said: str) -> None:
    _, queue = health_parts(report_of(queue=depth))

    assert queue.status is (HealthStatus.DEGRADED if said else HealthStatus.OK)
    assert queue.message.startswith(said)


def test_nothing_is_reported_of_what_is_not_known() -> None:
    assert [part.name for part in known_health_parts(report_of(jobs=None))] == ["queue"]


async def test_health_is_never_down_because_of_the_watchdog() -> None:
    watchdog_harness = WatchdogHarness(shared=True)
    watchdog_harness.store.breaks_after = 0

    assert {part.status for part in await watchdog_harness.dog.health()} == {HealthStatus.DEGRADED}

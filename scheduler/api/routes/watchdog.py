"""What the watchdog sees: jobs that do not run, the queue, open runs, dead letters, the store."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends

from scheduler.api.dependencies import ServicesDep, reject_unknown_query
from scheduler.api.models.base import ResponseModel
from scheduler.api.problems import PROBLEM_RESPONSES
from scheduler.dispatch.port import QueueDepth
from scheduler.stores.key_counts import OpenRunCount
from scheduler.watchdog import JobsReport, LateJob, Lateness, WatchdogReport
from scheduler.worker.concurrency.fifo_semaphore import PlacesReport

MAX_LISTED_JOBS = 200
"""Jobs in trouble that are listed; of all others only their number."""

MAX_LISTED_HOLDERS = 20
"""Jobs with places that are listed."""

router = APIRouter(
    prefix="/api/watchdog",
    tags=["health"],
    responses=PROBLEM_RESPONSES,
    dependencies=[Depends(reject_unknown_query)],
)


class OverdueJobModel(ResponseModel):
    """`since`: the first due instant without a run; `last`: the newest one with a run, null if none is known."""

    job: str
    trouble: Lateness
    since: datetime
    last: datetime | None
    url: str

    @classmethod
    def from_finding(cls, found: LateJob) -> OverdueJobModel:
        return cls(
            job=found.job, trouble=found.lateness, since=found.since, last=found.last, url=f"/api/jobs/{found.job}"
        )


class WatchedJobsModel(ResponseModel):
    """`watched`: jobs with a schedule that are neither disabled nor paused. `late` and `silent`: how many of them.

    `waiting`: jobs of which an earlier verdict is told, as a look reads a bounded number of histories. `troubles`: the
    oldest first, at most 200.
    """

    watched: int
    late: int
    silent: int
    waiting: int
    troubles: list[OverdueJobModel]

    @classmethod
    def from_findings(cls, found: JobsReport) -> WatchedJobsModel:
        return cls(
            watched=found.watched,
            late=len(found.with_lateness(Lateness.LATE)),
            silent=len(found.with_lateness(Lateness.SILENT)),
            waiting=found.pending_count,
            troubles=[OverdueJobModel.from_finding(each) for each in found.late_jobs[:MAX_LISTED_JOBS]],
        )


class QueueModel(ResponseModel):
    """`waiting`: tickets (embedded) or messages (Functions, hidden ones too). `oldest_s`: seconds for which the oldest
    that could be worked on has not been; null if none is. `poison`: messages given up and not yet dead letters."""

    waiting: int
    oldest_s: float | None
    poison: int

    @classmethod
    def from_depth(cls, found: QueueDepth) -> QueueModel:
        return cls(waiting=found.waiting_count, oldest_s=found.oldest_s, poison=found.poison_count)


class SlotHolderModel(ResponseModel):
    """A job that holds places, and for how many seconds it has held the oldest of them."""

    job: str
    host: str
    places: int
    held_s: float


class ConcurrencyModel(ResponseModel):
    """The places of the setting `concurrency` in the process that answers. `waiting`: runs that wait for one.

    `full_s`: seconds for which none was free. `holders`: the jobs with the most places, at most 20. `held_back`: how
    many runs wait for a job or a host that has as many places as its share, such as `job slow`.
    """

    total: int
    used: int
    waiting: int
    full_s: float
    holders: list[SlotHolderModel]
    held_back: dict[str, int]

    @classmethod
    def from_report(cls, found: PlacesReport) -> ConcurrencyModel:
        return cls(
            total=found.total,
            used=found.used,
            waiting=found.waiting,
            full_s=round(found.full_s, 3),
            holders=[
                SlotHolderModel(job=one.job, host=one.host, places=one.places, held_s=round(one.held_s, 3))
                for one in found.holders[:MAX_LISTED_HOLDERS]
            ],
            held_back=dict(found.held_back[:MAX_LISTED_HOLDERS]),
        )


class OpenRunsModel(ResponseModel):
    """Runs that are queued or running. `oldest`: the earliest due instant among them; null if there are none."""

    number: int
    oldest: datetime | None

    @classmethod
    def from_open_runs(cls, found: OpenRunCount) -> OpenRunsModel:
        return cls(number=found.count, oldest=found.oldest_due_at)


class WatchdogModel(ResponseModel):
    """What a look found. A part that could not be asked is null, and `unknown` has a sentence about it.

    `at`: when the look was made. `places` and `last_tick` are as of now, the latter null before the first tick;
    `tick_gap_s`: seconds since.
    """

    at: datetime
    last_tick: datetime | None
    tick_gap_s: float | None
    jobs: WatchedJobsModel | None
    queue: QueueModel | None
    open_runs: OpenRunsModel | None
    dead_letters: int | None
    store_ms: float | None
    places: ConcurrencyModel | None
    unknown: list[str]

    @classmethod
    def from_watchdog_report(cls, report: WatchdogReport, now: datetime) -> WatchdogModel:
        gap = None if report.last_tick is None else max(0.0, (now - report.last_tick).total_seconds())
        return cls(
            at=report.at,
            last_tick=report.last_tick,
            tick_gap_s=gap,
            jobs=None if report.jobs is None else WatchedJobsModel.from_findings(report.jobs),
            queue=None if report.queue is None else QueueModel.from_depth(report.queue),
            open_runs=None if report.open_runs is None else OpenRunsModel.from_open_runs(report.open_runs),
            dead_letters=report.dead_letters,
            store_ms=report.store_ms,
            places=None if report.places is None else ConcurrencyModel.from_report(report.places),
            unknown=[f"{part}: {cause}" for part, cause in report.unknown.items()],
        )


@router.get("")
async def get_watchdog(uses: ServicesDep) -> WatchdogModel:
    """The newest look at everything that must move by itself. It is made each half minute, on Azure at each tick."""
    return WatchdogModel.from_watchdog_report(await uses.watchdog.latest_report(), uses.clock.now())

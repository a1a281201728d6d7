"""What the watchdog sees: jobs that do not run, the queue, open runs, dead letters, the store."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends

from scheduler.api.answer import Answer
from scheduler.api.parameters import Uses, only_known_parameters
from scheduler.api.problems import PROBLEM_RESPONSES
from scheduler.dispatch.port import Depth
from scheduler.stores.counts import OpenRuns
from scheduler.watchdog import JobsFound, JobTrouble, Report, Trouble
from scheduler.work.places import PlacesReport

TOLD = 200
"""Jobs in trouble that are listed; of all others only their number."""

MOST_HOLDERS = 20
"""Jobs with places that are listed."""

router = APIRouter(
    prefix="/api/watchdog",
    tags=["health"],
    responses=PROBLEM_RESPONSES,
    dependencies=[Depends(only_known_parameters)],
)


class JobTroubleModel(Answer):
    """`since`: the first due instant without a run; `last`: the newest one with a run, null if none is known."""

    job: str
    trouble: Trouble
    since: datetime
    last: datetime | None
    url: str

    @classmethod
    def of(cls, found: JobTrouble) -> JobTroubleModel:
        return cls(
            job=found.job, trouble=found.trouble, since=found.since, last=found.last, url=f"/api/jobs/{found.job}"
        )


class WatchedJobsModel(Answer):
    """`watched`: jobs with a schedule that are neither disabled nor paused. `late` and `silent`: how many of them.

    `waiting`: jobs of which an earlier verdict is told, as a look reads a bounded number of histories. `troubles`: the
    oldest first, at most 200.
    """

    watched: int
    late: int
    silent: int
    waiting: int
    troubles: list[JobTroubleModel]

    @classmethod
    def of(cls, found: JobsFound) -> WatchedJobsModel:
        return cls(
            watched=found.watched,
            late=len(found.of(Trouble.LATE)),
            silent=len(found.of(Trouble.SILENT)),
            waiting=found.waiting,
            troubles=[JobTroubleModel.of(each) for each in found.troubles[:TOLD]],
        )


class QueueModel(Answer):
    """`waiting`: tickets (embedded) or messages (Functions, hidden ones too). `oldest_s`: seconds for which the oldest
    that could be worked on has not been; null if none is. `poison`: messages given up and not yet dead letters."""

    waiting: int
    oldest_s: float | None
    poison: int

    @classmethod
    def of(cls, found: Depth) -> QueueModel:
        return cls(waiting=found.waiting, oldest_s=found.oldest_s, poison=found.poison)


class HolderModel(Answer):
    """A job that holds places, and for how many seconds it has held the oldest of them."""

    job: str
    host: str
    places: int
    held_s: float


class PlacesModel(Answer):
    """The places of the setting `concurrency` in the process that answers. `waiting`: runs that wait for one.

    `full_s`: seconds for which none was free. `holders`: the jobs with the most places, at most 20. `held_back`: how
    many runs wait for a job or a host that has as many places as its share, such as `job slow`.
    """

    total: int
    used: int
    waiting: int
    full_s: float
    holders: list[HolderModel]
    held_back: dict[str, int]

    @classmethod
    def of(cls, found: PlacesReport) -> PlacesModel:
        return cls(
            total=found.total,
            used=found.used,
            waiting=found.waiting,
            full_s=round(found.full_s, 3),
            holders=[
                HolderModel(job=one.job, host=one.host, places=one.places, held_s=round(one.held_s, 3))
                for one in found.holders[:MOST_HOLDERS]
            ],
            held_back=dict(found.held_back[:MOST_HOLDERS]),
        )


class OpenRunsModel(Answer):
    """Runs that are queued or running. `oldest`: the earliest due instant among them; null if there are none."""

    number: int
    oldest: datetime | None

    @classmethod
    def of(cls, found: OpenRuns) -> OpenRunsModel:
        return cls(number=found.number, oldest=found.oldest)


class WatchdogModel(Answer):
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
    places: PlacesModel | None
    unknown: list[str]

    @classmethod
    def of(cls, report: Report, now: datetime) -> WatchdogModel:
        gap = None if report.last_tick is None else max(0.0, (now - report.last_tick).total_seconds())
        return cls(
            at=report.at,
            last_tick=report.last_tick,
            tick_gap_s=gap,
            jobs=None if report.jobs is None else WatchedJobsModel.of(report.jobs),
            queue=None if report.queue is None else QueueModel.of(report.queue),
            open_runs=None if report.open_runs is None else OpenRunsModel.of(report.open_runs),
            dead_letters=report.dead_letters,
            store_ms=report.store_ms,
            places=None if report.places is None else PlacesModel.of(report.places),
            unknown=[f"{part}: {cause}" for part, cause in report.unknown.items()],
        )


@router.get("")
async def watchdog(uses: Uses) -> WatchdogModel:
    """The newest look at everything that must move by itself. It is made each half minute, on Azure at each tick."""
    return WatchdogModel.of(await uses.watchdog.report(), uses.clock.now())

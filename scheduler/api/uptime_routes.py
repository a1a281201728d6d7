"""How much of the time a job was up."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends

from scheduler.api.answer import Answer
from scheduler.api.parameters import JobName, Uses, only_known_parameters
from scheduler.api.problems import PROBLEM_RESPONSES
from scheduler.uptimes import JobUptime

router = APIRouter(prefix="/api", responses=PROBLEM_RESPONSES, dependencies=[Depends(only_known_parameters)])


class WindowModel(Answer):
    """The time before now. `ratio` (0 to 1) is null without a run, `mean_ms` of the runs that succeeded.

    `whole`: runs are kept for as long, so that none of them was missed.
    """

    name: str
    ratio: float | None
    up: int
    down: int
    mean_ms: float | None
    whole: bool


class MonthModel(Answer):
    """A calendar month in UTC. Seconds of downtime and outages that touch it; null where nothing is known."""

    month: str
    down_seconds: float | None
    outages: int | None


class UptimeModel(Answer):
    """From the runs of the job, and what is left of those that were too many. Those that were skipped or cancelled, and
    backfills, say nothing.

    `since`: the first run that something is known of.
    """

    job: str
    since: datetime | None
    runs: int
    windows: list[WindowModel]
    months: list[MonthModel]

    @classmethod
    def of(cls, found: JobUptime) -> UptimeModel:
        windows = [
            WindowModel(
                name=window.name,
                ratio=round(window.uptime.ratio, 6) if window.uptime.looks else None,
                up=window.uptime.up,
                down=window.uptime.down,
                mean_ms=None if window.uptime.mean_ms is None else round(window.uptime.mean_ms, 3),
                whole=window.whole,
            )
            for window in found.windows
        ]
        months = [MonthModel(month=one.name, down_seconds=one.seconds, outages=one.outages) for one in found.months]
        return cls(job=found.job, since=found.since, runs=found.runs, windows=windows, months=months)


@router.get("/jobs/{name}/uptime", tags=["jobs"])
async def get_uptime(uses: Uses, name: JobName) -> UptimeModel:
    """The share of good runs and their mean time in the last 24 h to 365 days, and the downtime of three months."""
    return UptimeModel.of(await uses.uptimes.of(name))

"""The routes for the scheduler's own health: for probes, pipelines, monitors, operators and Prometheus.

The health routes need no caller. Where the API is not on loopback, they omit the messages of parts, which can name
hosts, accounts, paths and jobs, unless a caller is authenticated. /api/status, which needs a caller, includes them.
The report of the watchdog has overdue jobs, the queue, open runs, dead letters and the store.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import Request, Response

from scheduler.api.health import HealthModel, LiveModel, create_health_response, shows_messages
from scheduler.api.negotiation import accepts_gzip, compress, find_best
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.metrics.families import ExpositionFormat
from scheduler.model_base import ResponseModel, example_values
from scheduler.watchdog import JobsReport, Lateness, WatchdogReport
from scheduler.worker.places import PlacesReport

# Unknown query parameters are accepted: some probes add one to bypass caches.
health_router = ApiRouter("health", accepts_unknown_query=True)

_UNREADY: dict[int | str, dict[str, Any]] = {503: {"model": HealthModel, "description": "A part is down"}}


@health_router.public("/api/health/live")
async def live() -> LiveModel:
    """Report that the process responds. No part is checked, so that a failed part does not restart the container."""
    return LiveModel()


@health_router.public("/api/health", responses=_UNREADY)
async def health(request: Request, services: ServicesDep, response: Response) -> HealthModel:
    """Report the health of every part: 200 if all work or are degraded, 503 if one is down.

    The messages of parts are empty for a caller that is not authenticated, unless the API is on loopback.
    """
    return await _report(services, response, with_messages=shows_messages(services, request))


@health_router.public("/api/health/ready", responses=_UNREADY)
async def ready(request: Request, services: ServicesDep, response: Response) -> HealthModel:
    """Report whether the scheduler can run jobs. Deployment pipelines wait for it."""
    return await health(request, services, response)


@health_router.read("/api/status", responses=_UNREADY)
async def status(services: ServicesDep, response: Response) -> HealthModel:
    """Report the health of every part with its message."""
    return await _report(services, response, with_messages=True)


async def _report(services: ServicesDep, response: Response, *, with_messages: bool) -> HealthModel:
    model, response.status_code, headers = await create_health_response(services, with_messages=with_messages)
    response.headers.update(headers)
    return model


MAX_LISTED_JOBS = 200
"""Overdue jobs that are listed. Further ones are only counted."""


MAX_LISTED_HOLDERS = 20
"""Holders of slots that are listed."""


class OverdueJobModel(ResponseModel):
    """A job that is overdue.

    `since`: the first due instant without a run. `last`: the latest one with a run, or null.
    """

    job: str
    state: Lateness
    since: datetime
    last: datetime | None
    url: str


class WatchedJobsModel(ResponseModel):
    """`watched`: jobs with a schedule that are neither disabled nor paused. `late`, `silent`: how many of them are.

    `stale`: jobs with the result of an earlier check, as a check reads a bounded number of histories.
    `overdue`: at most 200, oldest first.
    """

    model_config = example_values(watched=42, late=1, silent=0, stale=0)

    watched: int
    late: int
    silent: int
    stale: int
    overdue: list[OverdueJobModel]


class QueueModel(ResponseModel):
    """`waiting`: tickets (embedded) or messages (Functions, including invisible ones). `oldest_s`: seconds since the
    oldest one could be processed, or null. `poison`: messages in the poison queue that are not dead letters yet.
    """

    model_config = example_values(waiting=0, poison=0)

    waiting: int
    oldest_s: float | None
    poison: int


class SlotHolderModel(ResponseModel):
    """A job that holds slots. `held_s`: seconds since it acquired the oldest of them."""

    job: str
    host: str
    slots: int
    held_s: float


class ConcurrencyModel(ResponseModel):
    """The slots of the setting `concurrency` in the process that responds. `waiting`: runs that wait for a slot.

    `full_s`: seconds since the last slot was free. `holders`: the jobs with the most slots, at most 20. `held_back`:
    number of runs that wait because a job or a host, such as `job slow`, holds its full share.
    """

    model_config = example_values(total=100, used=3, waiting=0, full_s=0.0, holders=[], held_back={})

    total: int
    used: int
    waiting: int
    full_s: float
    holders: list[SlotHolderModel]
    held_back: dict[str, int]


class OpenRunsModel(ResponseModel):
    """Queued and running runs. `oldest`: the earliest due instant among them, or null."""

    model_config = example_values(count=3)

    count: int
    oldest: datetime | None


class WatchdogModel(ResponseModel):
    """The latest check of the watchdog, made at `at`. A part that could not be checked is null and has an entry in
    `errors`.

    `concurrency` and `last_tick` are current; `last_tick` is null before the first tick. `tick_gap_s`: seconds since
    then.
    """

    model_config = example_values(tick_gap_s=0.4, dead_letters=0, store_ms=1.8, errors=[])

    at: datetime
    last_tick: datetime | None
    tick_gap_s: float | None
    jobs: WatchedJobsModel | None
    queue: QueueModel | None
    open_runs: OpenRunsModel | None
    dead_letters: int | None
    store_ms: float | None
    concurrency: ConcurrencyModel | None
    errors: list[str]


def view_watchdog(report: WatchdogReport, now: datetime) -> WatchdogModel:
    """Return a check of the watchdog as the API shows it."""
    queue, open_runs = report.queue, report.open_runs
    return WatchdogModel.from_object(
        report,
        tick_gap_s=None if report.last_tick is None else max(0.0, (now - report.last_tick).total_seconds()),
        jobs=None if report.jobs is None else _view_jobs(report.jobs),
        queue=None
        if queue is None
        else QueueModel.from_object(queue, waiting=queue.waiting_count, poison=queue.poison_count),
        open_runs=None if open_runs is None else OpenRunsModel.from_object(open_runs, oldest=open_runs.oldest_due_at),
        concurrency=None if report.places is None else _view_slots(report.places),
        errors=[f"{part}: {cause}" for part, cause in report.unknown.items()],
    )


def _view_jobs(jobs: JobsReport) -> WatchedJobsModel:
    return WatchedJobsModel.from_object(
        jobs,
        late=len(jobs.with_lateness(Lateness.LATE)),
        silent=len(jobs.with_lateness(Lateness.SILENT)),
        stale=jobs.pending_count,
        overdue=[
            OverdueJobModel.from_object(late, state=late.lateness, url=f"/api/jobs/{late.job}")
            for late in jobs.late_jobs[:MAX_LISTED_JOBS]
        ],
    )


def _view_slots(places: PlacesReport) -> ConcurrencyModel:
    return ConcurrencyModel.from_object(
        places,
        full_s=round(places.full_s, 3),
        holders=[
            SlotHolderModel.from_object(holder, slots=holder.places, held_s=round(holder.held_s, 3))
            for holder in places.holders[:MAX_LISTED_HOLDERS]
        ],
        held_back=dict(places.held_back[:MAX_LISTED_HOLDERS]),
    )


watchdog_router = ApiRouter("health")


@watchdog_router.read("/api/watchdog")
async def get_watchdog(services: ServicesDep) -> WatchdogModel:
    """Return the latest check of the watchdog, made every 30 s, in the Functions host at each tick."""
    return view_watchdog(await services.watchdog.latest_report(), services.clock.now())


metrics_router = ApiRouter("metrics", by_tag=True)

_OPEN_METRICS = ("application/openmetrics-text;version=1.0.0",)
_CLASSIC = ("text/plain;version=0.0.4", "text/*", "*/*")
_RESPONSES = {
    200: {
        "description": "The samples, in the format that the header Accept prefers",
        "content": {each.value: {"schema": {"type": "string"}} for each in ExpositionFormat},
    }
}


@metrics_router.metrics("/api/metrics", response_class=Response, responses=_RESPONSES)
async def get_metrics(services: ServicesDep, request: Request) -> Response:
    """Return the metrics of all jobs and of the scheduler for Prometheus: OpenMetrics 1.0, or the classic text format.

    Every instance returns the same values, because they are read from the store. A caller that is limited to tags gets
    the series of its jobs only.
    """
    text_format = _choose_format(request.headers.get("accept", ""))
    is_compressed = accepts_gzip(request.headers.get("accept-encoding", ""))
    page = await services.metrics.write(
        services.catalog, text_format, is_limited=services.is_limited, encode=compress if is_compressed else None
    )
    headers = {"Content-Type": text_format.value, "Vary": "Accept, Accept-Encoding"}
    if is_compressed:
        headers["Content-Encoding"] = "gzip"
    return Response(page, headers=headers)


def _choose_format(accept: str) -> ExpositionFormat:
    """Return OpenMetrics where the client prefers it, or accepts it as much."""
    weight = find_best(accept, _OPEN_METRICS)
    return (
        ExpositionFormat.OPEN_METRICS if weight and weight >= find_best(accept, _CLASSIC) else ExpositionFormat.CLASSIC
    )

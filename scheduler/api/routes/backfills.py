"""The route that backfills a job."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import Field

from scheduler.api.model_base import Instant, RequestModel, example
from scheduler.api.models.backfills import BackfillModel
from scheduler.api.routing import ApiRouter, CallerDep, JobName, ServicesDep

router = ApiRouter("jobs", by_tag=True)


class BackfillRequest(RequestModel):
    """The range with both ends inclusive; `to` defaults to now. An instant without an offset is UTC.

    `leave_skipped`: do not run instants whose run was skipped. `before_first_version`: also run instants before the job
    existed; without it, a range with such instants is rejected.
    """

    model_config = example(
        {"from": "2026-11-27T00:00:00Z", "to": "2026-11-27T00:10:00Z", "before_first_version": True, "dry_run": True}
    )

    since: Instant = Field(alias="from")
    until: Instant | None = Field(default=None, alias="to")
    limit: int = Field(default=100, ge=1, le=1000)
    leave_skipped: bool = False
    before_first_version: bool = False
    dry_run: bool = False


@router.operate("/api/jobs/{name}/backfill", status_code=HTTPStatus.ACCEPTED, problems=(HTTPStatus.CONFLICT,))
async def backfill_job(services: ServicesDep, caller: CallerDep, name: JobName, body: BackfillRequest) -> BackfillModel:
    """Queue a run for each due instant of a past range that has not run or was skipped. They execute one by one.

    The runs check the target now. They have the trigger `backfill` and count neither in uptime nor as the job's latest
    run. A repeated request creates no second run. 400 if more than `limit` runs are needed.
    """
    done = await services.operations.backfills.backfill(
        name,
        body.since,
        body.until,
        limit=body.limit,
        leave_skipped=body.leave_skipped,
        before_first_version=body.before_first_version,
        dry_run=body.dry_run,
        caller=caller,
    )
    return BackfillModel.from_result(name, done, dry_run=body.dry_run)

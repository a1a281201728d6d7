"""The route for the heartbeat of a job."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Path

from scheduler.api.models.heartbeats import HeartbeatModel
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.stores.heartbeats import PINGS_PER_JOB

router = ApiRouter("heartbeats", by_tag=True)

HeartbeatName = Annotated[str, Path(description="The job's name", examples=["nightly-backup"])]


@router.read("/api/jobs/{name}/heartbeat", problems=(HTTPStatus.CONFLICT,))
async def get_heartbeat(services: ServicesDep, name: HeartbeatName) -> HeartbeatModel:
    """Return the state of a job's heartbeat, when it goes down, and its last 100 pings."""
    return HeartbeatModel.from_view(await services.heartbeats.view_heartbeat(name, PINGS_PER_JOB))

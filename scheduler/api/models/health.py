"""Response models of the scheduler's own health."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from scheduler.api.models.base import ResponseModel, example_values
from scheduler.catalog.catalog import JobSnapshot
from scheduler.health import HealthReport, HealthStatus, PartHealth
from scheduler.version import VERSION


class PartModel(ResponseModel):
    model_config = example_values(name="store", message="SQLite")

    name: str
    status: HealthStatus
    message: str


class JobSetModel(ResponseModel):
    """The current jobs: when they were loaded, the digest of their files (`generation`), and their number."""

    model_config = example_values(count=42)

    generation: str
    loaded_at: datetime
    count: int

    @classmethod
    def from_snapshot(cls, view: JobSnapshot) -> JobSetModel:
        return cls(generation=view.digest, loaded_at=view.loaded_at, count=len(view))


class HealthModel(ResponseModel):
    """The health of the scheduler itself. `status` is the worst status of its parts."""

    model_config = example_values(environment="prod", version=VERSION)

    status: HealthStatus
    environment: str
    version: str
    jobs: JobSetModel
    parts: list[PartModel]

    @classmethod
    def from_report(
        cls, report: HealthReport, jobs: JobSnapshot, *, environment: str, version: str, with_messages: bool = True
    ) -> HealthModel:
        """Create the model. `with_messages`: include the message of each part."""
        parts = [
            PartModel(
                name=part.name, status=part.status, message=part.message if with_messages else _message_withheld(part)
            )
            for part in report.parts
        ]
        in_force = JobSetModel.from_snapshot(jobs)
        return cls(status=report.status, environment=environment, version=version, jobs=in_force, parts=parts)


def _message_withheld(part: PartHealth) -> str:
    return "" if part.status is HealthStatus.OK else "see GET /api/status, which requires a key"


class LiveModel(ResponseModel):
    status: Literal["ok"] = "ok"

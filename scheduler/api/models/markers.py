"""Response models of marked deployments."""

from __future__ import annotations

from datetime import datetime

from scheduler.api.model_base import ResponseModel, example_values
from scheduler.identity.principal import format_tag_limits
from scheduler.operations.markers import CreatedMarker
from scheduler.stores.markers import DeploymentMarker


class MarkerModel(ResponseModel):
    """A deployment. `tags`: it concerns the jobs that have all of them; none: all jobs. `author`: a principal.

    `limited_to`: and only jobs with one of these tags, because its author is limited to them.
    """

    model_config = example_values(
        id="1795856400000-5f2c1d9b",
        at="2026-11-28T09:00:00Z",
        text="checkout 4ebecbce",
        tags={"team": "payments"},
        author="api_key:deploy",
        limited_to=[],
    )

    id: str
    at: datetime
    text: str
    tags: dict[str, str]
    author: str
    limited_to: list[str]

    @classmethod
    def from_marker(cls, marker: DeploymentMarker) -> MarkerModel:
        return cls(
            id=marker.id,
            at=marker.at,
            text=marker.text,
            tags=dict(marker.tags),
            author=marker.author,
            limited_to=format_tag_limits(marker.limited_to),
        )


class CreatedMarkerModel(MarkerModel):
    """A new marker. `jobs`: those that it concerns now. None: no job has its tags."""

    jobs: list[str]

    @classmethod
    def from_created(cls, created: CreatedMarker) -> CreatedMarkerModel:
        return cls(**MarkerModel.from_marker(created.marker).model_dump(), jobs=list(created.jobs))


class MarkerListModel(ResponseModel):
    """Marked deployments, newest first. `continuation` fetches the next page; null on the last."""

    markers: list[MarkerModel]
    continuation: str | None

"""The settings group `prometheus`: the page GET /api/metrics. Used by config.settings.model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from config.settings.target_lists import split_list
from jobs.model_base import FrozenModel
from jobs.policies.telemetry import find_label_collision, label_of_tag


def _check_labels(tags: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(tags)) < len(tags):
        raise ValueError("a tag is listed twice")
    if found := find_label_collision(tags):
        raise ValueError(
            f"the tags {found[0]!r} and {found[1]!r} have the same label {label_of_tag(found[0])}: list one of them"
        )
    return tags


TagName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class PrometheusSettings(FrozenModel):
    """`tags`: the tags of jobs that are labels of scheduler_job_info; see scheduler.metrics."""

    tags: Annotated[tuple[TagName, ...], BeforeValidator(split_list), AfterValidator(_check_labels)] = ()
    histograms: Literal["auto", "job", "none"] = "auto"
    max_jobs: int = Field(default=10_000, ge=0, le=1_000_000)

"""The trend of a measure of a job: when its level changed, and what happened near that."""

from __future__ import annotations

from datetime import datetime

from jobs.trends import MeasureName
from scheduler.model_base import ResponseModel, example_values


class LevelModel(ResponseModel):
    """The runs of the hours of one level. `success_rate` (0 to 1): of the success rate alone; quantiles, in
    milliseconds: of the other measures.
    """

    model_config = example_values(runs=20160, success_rate=None, p50_ms=121.4, p95_ms=180.2, p99_ms=264.1)

    runs: int
    success_rate: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class NearbyEventModel(ResponseModel):
    """A deployment, or a change of the definition. `minutes_before`: negative for one after the change."""

    model_config = example_values(
        at="2026-11-24T14:08:00Z", kind="deployment", text="checkout 4ebecbce", by="api_key:deploy", minutes_before=2.0
    )

    at: datetime
    kind: str
    text: str
    by: str
    minutes_before: float


class LevelChangeModel(ResponseModel):
    """`at`: the begin of the first hour of the new level. `ratio`: of times, that of the levels without daily and
    weekly repetition, of lateness with a second added to both; else that of the success rates, None if it was 0.
    `nearby`: what happened from six hours before it to its end, the nearest first.
    """

    model_config = example_values(
        measure="response_time",
        at="2026-11-24T14:00:00Z",
        ratio=1.78,
        is_worse=True,
        text="p95 was 180 ms until 2026-11-24 14:00 UTC, 320 ms since",
    )

    measure: MeasureName
    at: datetime
    ratio: float | None
    is_worse: bool
    text: str
    before: LevelModel
    after: LevelModel
    nearby: list[NearbyEventModel]


class LevelTrendModel(ResponseModel):
    """The changes of the level of a measure in a period, the oldest first.

    `hours`: those with enough runs to be considered. `summary`: a sentence for people.
    """

    model_config = example_values(
        job="checkout-api",
        measure="response_time",
        hours=670,
        summary="p95 was 180 ms until 2026-11-24 14:00 UTC, 320 ms since: checkout 4ebecbce was deployed 2 min before",
    )

    job: str
    measure: MeasureName
    since: datetime
    until: datetime
    hours: int
    summary: str
    changes: list[LevelChangeModel]

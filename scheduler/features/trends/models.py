"""The trend of a job's response times: when its level changed, and what happened near it."""

from __future__ import annotations

from datetime import datetime

from scheduler.model_base import ResponseModel, example_values


class LevelModel(ResponseModel):
    """The response times of the hours of one level, in milliseconds."""

    model_config = example_values(runs=20160, p50_ms=121.4, p95_ms=180.2, p99_ms=264.1)

    runs: int
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
    """`at`: the begin of the first hour of the new level. `ratio`: of the levels, without daily and weekly repetition;
    above 1 the job got slower. `nearby`: what happened from six hours before it to its end, the nearest first.
    """

    model_config = example_values(
        at="2026-11-24T14:00:00Z", ratio=1.78, text="p95 was 180 ms until 2026-11-24 14:00 UTC, 320 ms since"
    )

    at: datetime
    ratio: float
    text: str
    before: LevelModel
    after: LevelModel
    nearby: list[NearbyEventModel]


class LevelTrendModel(ResponseModel):
    """The changes of the level of a job's response times in a period, the oldest first.

    `hours`: those with enough runs to be considered. `summary`: a sentence for people.
    """

    model_config = example_values(
        job="checkout-api",
        hours=670,
        summary="p95 was 180 ms until 2026-11-24 14:00 UTC, 320 ms since: checkout 4ebecbce was deployed 2 min before",
    )

    job: str
    since: datetime
    until: datetime
    hours: int
    summary: str
    changes: list[LevelChangeModel]

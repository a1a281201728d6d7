"""The played intake, fed by Datadog's own client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException
from datadog_api_client.v1.api.service_checks_api import ServiceChecksApi
from datadog_api_client.v1.model.service_check import ServiceCheck
from datadog_api_client.v1.model.service_check_status import ServiceCheckStatus
from datadog_api_client.v1.model.service_checks import ServiceChecks
from datadog_api_client.v2.api.logs_api import LogsApi
from datadog_api_client.v2.api.metrics_api import MetricsApi
from datadog_api_client.v2.model.http_log import HTTPLog
from datadog_api_client.v2.model.http_log_item import HTTPLogItem
from datadog_api_client.v2.model.metric_content_encoding import MetricContentEncoding
from datadog_api_client.v2.model.metric_intake_type import MetricIntakeType
from datadog_api_client.v2.model.metric_payload import MetricPayload
from datadog_api_client.v2.model.metric_point import MetricPoint
from datadog_api_client.v2.model.metric_series import MetricSeries

from tests.parts.ingestion import DatadogIntake


@pytest.fixture
async def intake() -> AsyncIterator[DatadogIntake]:
    async with DatadogIntake() as intake:
        yield intake


async def send(intake: DatadogIntake, call: Callable[[ApiClient], Any], api_key: str | None = None) -> Any:
    configuration = Configuration(host=intake.url, api_key={"apiKeyAuth": api_key or intake.api_key})

    def work() -> Any:
        with ApiClient(configuration) as client:
            return call(client)

    return await asyncio.to_thread(work)


def count(age: float = 0, **fields: Any) -> MetricPayload:
    point = MetricPoint(timestamp=int(time.time() - age), value=2.0)
    series = MetricSeries(metric="runs", type=MetricIntakeType.COUNT, points=[point], tags=["job:x"], **fields)
    return MetricPayload(series=[series])


async def test_a_series_is_stored(intake: DatadogIntake) -> None:
    await send(intake, lambda client: MetricsApi(client).submit_metrics(body=count(interval=10)))
    assert [(each["metric"], each["type"], each["tags"]) for each in intake.series] == [("runs", 1, ["job:x"])]


async def test_a_compressed_series_is_stored(intake: DatadogIntake) -> None:
    encoding = MetricContentEncoding.GZIP
    await send(
        intake, lambda client: MetricsApi(client).submit_metrics(body=count(interval=10), content_encoding=encoding)
    )
    assert len(intake.series) == 1


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (count(), "needs an interval"),
        (count(age=2 * 3600, interval=10), "out of the window"),
        (count(age=-3600, interval=10), "out of the window"),
    ],
)
async def test_a_wrong_series_is_refused(intake: DatadogIntake, payload: MetricPayload, reason: str) -> None:
    with pytest.raises(ApiException) as caught:
        await send(intake, lambda client: MetricsApi(client).submit_metrics(body=payload))
    assert (caught.value.status, intake.series) == (400, [])
    assert reason in intake.refused[0]


async def test_a_log_is_stored(intake: DatadogIntake) -> None:
    log = HTTPLog([HTTPLogItem(message="run failed", ddsource="scheduler", ddtags="env:test", service="scheduler")])
    await send(intake, lambda client: LogsApi(client).submit_log(body=log))
    assert intake.logs[0]["message"] == "run failed"


async def test_a_check_run_is_stored(intake: DatadogIntake) -> None:
    check = ServiceCheck(check="job", host_name="here", status=ServiceCheckStatus.CRITICAL, tags=["job:x"])
    await send(intake, lambda client: ServiceChecksApi(client).submit_service_check(body=ServiceChecks([check])))
    assert [(each["check"], each["status"]) for each in intake.checks] == [("job", 2)]


async def test_a_wrong_key_is_forbidden(intake: DatadogIntake) -> None:
    with pytest.raises(ApiException) as caught:
        await send(intake, lambda client: MetricsApi(client).submit_metrics(body=count(interval=10)), api_key="wrong")
    assert caught.value.status == 403


async def test_a_refusing_intake_recovers(intake: DatadogIntake) -> None:
    intake.refuse_with(503, times=1)
    with pytest.raises(ApiException):
        await send(intake, lambda client: MetricsApi(client).submit_metrics(body=count(interval=10)))
    await send(intake, lambda client: MetricsApi(client).submit_metrics(body=count(interval=10)))
    assert len(intake.series) == 1

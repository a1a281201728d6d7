"""Sends to Datadog: metrics, distributions, a service check a job, and the log's lines.

The client is synchronous and does not retry: the outbox does. Its modules are imported in the exporter's thread, one by
one (all its models take more than a second).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from config.outbound import build_outbound
from jobs.checks.outbound import DIRECT, Outbound
from observability.events import TelemetryEvent
from observability.exporters.background import DATADOG, BackgroundExporter, DeliveryCounts, Pace, ShutdownSignal
from observability.exporters.bounded_urllib3 import limit_responses
from observability.exporters.datadog_payloads import (
    RETRY_WINDOW,
    DatadogSource,
    IntakeEntry,
    IntakeKind,
    build_payloads,
)
from observability.exporters.outbox import HttpIntake, Outbox, RequestIntake, SendResult, split_list, unpack_list
from observability.exporters.spool import Spool
from observability.exporters.spool_folder import SpooledRequest
from observability.service_name import find_datadog_service

if TYPE_CHECKING:
    from config.settings.model import Settings
    from jobs.redaction import Redactor

_MAX_RESPONSE_BYTES = 64 * 1024


class DatadogClient:
    """Datadog's client for single calls, without retries, within a timeout."""

    def __init__(self, api_key: str, site: str, url: str | None, outbound: Outbound = DIRECT) -> None:
        from datadog_api_client import ApiClient, Configuration
        from datadog_api_client.v1.api.events_api import EventsApi
        from datadog_api_client.v1.api.metrics_api import MetricsApi as MetricsApiV1
        from datadog_api_client.v1.api.service_checks_api import ServiceChecksApi
        from datadog_api_client.v1.model.distribution_points_content_encoding import DistributionPointsContentEncoding
        from datadog_api_client.v2.api.logs_api import LogsApi
        from datadog_api_client.v2.api.metrics_api import MetricsApi
        from datadog_api_client.v2.model.content_encoding import ContentEncoding
        from datadog_api_client.v2.model.metric_content_encoding import MetricContentEncoding

        # The client's constructors have no types, and its methods only those of the models that we do without.
        make: Mapping[str, Any] = {
            "configuration": Configuration,
            "series": MetricsApi,
            "distributions": MetricsApiV1,
            "checks": ServiceChecksApi,
            "logs": LogsApi,
            "events": EventsApi,
        }
        self._configuration = make["configuration"](
            api_key={"apiKeyAuth": api_key},
            host=url.rstrip("/") if url else None,
            check_input_type=False,
            check_return_type=False,
            preload_content=False,  # the status is enough
            retry_policy=False,  # urllib3 would retry three times, each with the whole timeout
        )
        if not url:
            self._configuration.server_variables["site"] = site
        self._client = client = ApiClient(self._configuration)
        limit_responses(client, _MAX_RESPONSE_BYTES, outbound)
        series, distributions = make["series"](client), make["distributions"](client)
        checks, logs, events = make["checks"](client), make["logs"](client), make["events"](client)
        self._calls: Mapping[IntakeKind, Callable[[list[IntakeEntry]], object]] = {
            "series": lambda entries: series.submit_metrics(
                {"series": entries}, content_encoding=MetricContentEncoding.GZIP
            ),
            "distributions": lambda entries: distributions.submit_distribution_points(
                {"series": entries}, content_encoding=DistributionPointsContentEncoding.DEFLATE
            ),
            "checks": checks.submit_service_check,
            "logs": lambda entries: logs.submit_log(entries, content_encoding=ContentEncoding.GZIP),
            "events": lambda entries: events.create_event(entries[0]),  # it takes one a call
        }

    def submit(self, kind: IntakeKind, entries: list[IntakeEntry], timeout: float) -> None:
        """Raises ApiException, urllib3's HTTPError and OSError."""
        self._configuration.request_timeout = timeout
        self._calls[kind](entries)

    def close(self) -> None:
        self._client.close()


class DatadogIntake(HttpIntake):
    """One intake of Datadog. Its client ignores the standard header of a wait; Datadog has another one."""

    retried_statuses = frozenset({None, 0, 408, 425, 429, 500, 502, 503, 504})
    wait_headers = ("x-ratelimit-reset",)

    def __init__(self, kind: IntakeKind, client: DatadogClient, pace: Pace) -> None:
        self._pace = pace
        self._kind = kind
        self._client = client

    def post(self, request: SpooledRequest, timeout: float) -> SendResult:
        from datadog_api_client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            self._client.submit(self._kind, unpack_list(request.body), timeout)
        except ApiException as error:
            reason = f"answered {error.status} {error.reason}"
            return self.describe_error(request, error.status, error.headers or {}, reason)
        except (HTTPError, OSError) as error:
            return SendResult(reason=f"{type(error).__name__}: {error}", is_temporary=True)
        return SendResult(request.items)

    def split(self, request: SpooledRequest) -> Sequence[SpooledRequest]:
        return split_list(request, self._pace)


_GATHER_SECONDS = 10.0
_URGENT_QUEUE_SIZE = 2_000


def build_datadog_exporter(
    settings: Settings,
    api_key: str,
    redactor: Redactor,
    spool: Spool | None = None,
    *,
    gather_seconds: float = _GATHER_SECONDS,
) -> BackgroundExporter:
    """`spool`: None retains requests in memory. `gather_seconds`: seconds between deliveries."""
    options = settings.datadog
    identity = DatadogSource(
        env=settings.datadog_env,
        service=find_datadog_service(settings, os.environ),
        version=options.version or settings.version or "unknown",
        host=socket.gethostname(),
    )
    outbound = build_outbound(settings)
    delivery = DatadogDelivery(identity, api_key, options.site, options.url, redactor, spool or Spool(), outbound)
    return BackgroundExporter(
        DATADOG, delivery, redactor, gather_seconds=gather_seconds, urgent_size=_URGENT_QUEUE_SIZE
    )


class DatadogDelivery:
    """Blocking; see background.Delivery. Each intake has its requests, so that none delays the others."""

    def __init__(
        self,
        source: DatadogSource,
        api_key: str,
        site: str,
        url: str | None,
        redactor: Redactor,
        spool: Spool,
        outbound: Outbound = DIRECT,
    ) -> None:
        self._outbound = outbound
        self._source = source
        self._api_key = api_key
        self._site = site
        self._url = url
        self._redactor = redactor
        self._spool = spool
        self._last_at = 0

    def open(self, counts: DeliveryCounts, closing: ShutdownSignal, pace: Pace) -> None:
        self._pace = pace
        self._client = DatadogClient(self._api_key, self._site, self._url, self._outbound)
        intakes: dict[str, RequestIntake] = {kind: DatadogIntake(kind, self._client, pace) for kind in RETRY_WINDOW}
        self._outbox = Outbox(intakes, self._spool, counts, closing)

    def deliver(self, events: list[TelemetryEvent]) -> None:
        # Points of the same second replace each other: two deliveries never share a second.
        self._last_at = max(int(time.time()), self._last_at + 1)
        for payload in build_payloads(events, self._source, self._last_at, self._redactor, self._pace):
            self._outbox.put(payload.to_request(self._pace))
        self._outbox.send_due()

    def next_delivery_in(self) -> float | None:
        return self._outbox.next_send_in()

    def close(self) -> None:
        self._outbox.close()
        self._client.close()

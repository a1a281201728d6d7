"""Datadog's client for single calls of its intakes. Used by observability.exporters.datadog.delivery."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from observability.exporters.datadog.intakes import (
    IntakeEntry,
    IntakeKind,
    IntakePayload,
)

if TYPE_CHECKING:
    pass


_MIN_TIMEOUT_S = 0.05


_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class IntakeRejection:
    """Why the intake rejected a payload.

    `is_temporary`: it can accept it later, after `retry_after_s` seconds if given.
    """

    def __init__(self, reason: str, status: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.reason = reason
        self.status = status
        self.is_temporary = status is None or status in _RETRIED_STATUSES
        self.retry_after_s = _read_retry_after(headers or {})


class DatadogIntake:
    """Datadog's client for single calls, without retries, within a timeout."""

    def __init__(self, api_key: str, site: str, url: str | None) -> None:
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
            retry_policy=False,  # urllib3 would retry three times, each with the whole timeout
        )
        if not url:
            self._configuration.server_variables["site"] = site
        self._client = client = ApiClient(self._configuration)
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

    def submit(self, payload: IntakePayload, timeout: float) -> IntakeRejection | None:
        from datadog_api_client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        if timeout < _MIN_TIMEOUT_S:
            return IntakeRejection("the program stops before it could be sent")
        self._configuration.request_timeout = timeout
        try:
            self._calls[payload.kind](list(payload.entries))
        except ApiException as error:
            return IntakeRejection(f"answered {error.status} {error.reason}", error.status or None, error.headers)
        except (HTTPError, OSError) as error:
            return IntakeRejection(f"{type(error).__name__}: {error}")
        return None

    def close(self) -> None:
        self._client.close()


def _read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds: Datadog's own header first, which its client knows as well; then the standard one, which it ignores."""
    lower = {name.lower(): value for name, value in headers.items()}
    text = lower.get("x-ratelimit-reset") or lower.get("retry-after")
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        return _seconds_until(text)


def _seconds_until(http_date: str) -> float | None:
    try:
        return max(0.0, email.utils.parsedate_to_datetime(http_date).timestamp() - time.time())
    except ValueError:
        return None

"""Configures OpenTelemetry's SDK for Application Insights, by Azure Monitor's distro, takes its requests into the
spool, and sends them.

The SDK sends requests to the ingestion endpoint only, samples every trace, and stops when our exporter does.

Each row of the SDK repeats columns that Application Insights does not show, or that are empty (a trace id of zeros);
and a row of the log cannot contain the number of runs that it represents. The SDK has no option for either, so the
conversion of its exporters is wrapped: with other names in a new version, the SDK's rows are unchanged. Tests check the
requests.

The SDK has its own storage, which drops what is too old or too much without a count, sends at most ten files after
each success, and locks a file by its name for a minute, so that two processes can send it. So the last step of
its exporters is replaced: they hand over their rows. With other names in a new version of the SDK nothing is replaced,
and its own storage is used.
"""

from __future__ import annotations

import atexit
import io
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from jobs.checks.outbound import DIRECT, Outbound
from observability import names
from observability.exporters.background import DeliveryCounts, Pace, ShutdownSignal, encode_list
from observability.exporters.bounded_urllib3 import open_bounded_session
from observability.exporters.outbox import HttpIntake, Outbox, SendResult, pack_list, split_list, unpack_list
from observability.exporters.spool import Spool
from observability.exporters.spool_folder import SpooledRequest

SAMPLE_RATE: Final = "_MS.sampleRate"
"""The attribute with the percentage of a row that represents several; the SDK supports it for spans only."""

_CONVERSIONS = ("_log_to_envelope", "_span_to_envelope", "_point_to_envelope")
_UNUSED_TAGS = ("ai.device.id", "ai.device.locale", "ai.device.type", "ai.device.osVersion", "ai.internal.nodeName")
_TRACE_ID_TAGS = ("ai.operation.id", "ai.operation.parentId")
_UNUSED_PROPERTIES = ("logger_name",)


def compute_sample_rate(runs: int) -> float:
    """Return the percentage from which Application Insights makes an itemCount of so many runs."""
    return 100.0 / runs


def trim_envelopes(pace: Pace, *providers: Any) -> None:
    """Trim all that the exporters of these OpenTelemetry providers convert from now on, with pauses between rows."""
    for exporter in find_exporters(*providers):
        for name in _CONVERSIONS:
            convert = getattr(exporter, name, None)
            if convert is not None:
                setattr(exporter, name, _trim_result(convert, pace))


def _trim_result(convert: Callable[..., Any], pace: Pace) -> Callable[..., Any]:
    def converted(*args: Any, **options: Any) -> Any:
        pace.pause()
        envelope = convert(*args, **options)
        if envelope is not None:
            trim_envelope(envelope)
        return envelope

    return converted


def trim_envelope(envelope: Any) -> None:
    """Trim one TelemetryItem in place."""
    tags = dict(envelope.tags or {})
    for name in _UNUSED_TAGS:
        tags.pop(name, None)
    for name in _TRACE_ID_TAGS:
        if not str(tags.get(name, "")).strip("0"):
            tags.pop(name, None)
    envelope.tags = tags
    data = envelope.data.base_data
    properties = dict(getattr(data, "properties", None) or {})
    for name in _UNUSED_PROPERTIES:
        properties.pop(name, None)
    if (rate := properties.pop(SAMPLE_RATE, None)) is not None:
        envelope.sample_rate = float(rate)
    if hasattr(data, "properties"):
        data.properties = properties


def find_exporters(*providers: Any) -> list[Any]:
    """Find the exporters of Azure Monitor behind the SDK's processors and readers."""
    exporters: list[Any] = []
    waiting, seen = list(providers), set[int]()
    while waiting:
        at = waiting.pop()
        if id(at) in seen:
            continue
        seen.add(id(at))
        if any(hasattr(at, name) for name in _CONVERSIONS):
            exporters.append(at)
            continue
        for name in _EXPORTER_ATTRIBUTES:
            value = getattr(at, name, None)
            waiting += value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    return exporters


_EXPORTER_ATTRIBUTES = (
    "_multi_log_record_processor",
    "_log_record_processors",
    "_active_span_processor",
    "_span_processors",
    "_metric_readers",
    "_batch_processor",
    "_exporter",
    "span_exporter",
)
"""Attributes that lead from a provider to its exporters."""


SDK_REQUEST_TIMEOUT_S = 5.0
_MAX_RECEIPT_BYTES = 1024 * 1024
"""A receipt has an error for each rejected row."""

# Calls elsewhere off (usage statistics of the SDK, its remote control, the metadata address of virtual machines),
# every trace sampled, and only our spans: instrumentations would record URLs with their query.
_SDK_VARIABLES = {
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
    "APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED": "true",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "azure_app_service",
}
_SAMPLER_VARIABLES = {"OTEL_TRACES_SAMPLER": "microsoft.fixed_percentage", "OTEL_TRACES_SAMPLER_ARG": "1.0"}
INSTRUMENTATIONS = (
    "azure_sdk",
    "django",
    "fastapi",
    "flask",
    "httpx",
    "httpx2",
    "psycopg2",
    "requests",
    "urllib",
    "urllib3",
)

STATUSES_RETRIED_BY_SDK: Final[frozenset[int | None]] = frozenset({401, 403, 408, 429, 500, 502, 503, 504})
"""Answers after which the SDK repeats the request itself."""


def is_configured_by_host() -> bool:
    """Return whether this process has configured OpenTelemetry, as the Functions worker does by its setting."""
    if os.environ.get("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", "").lower() in ("true", "1"):
        return True
    if "opentelemetry.sdk.trace" not in sys.modules:
        return False
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    return isinstance(trace.get_tracer_provider(), TracerProvider)


def describe_resource(role: str, version: str, environment: str) -> dict[str, str]:
    """Return what OpenTelemetry calls the resource: this program on this machine."""
    return {
        "service.name": role,
        "service.version": version,
        "service.instance.id": socket.gethostname(),
        "deployment.environment.name": environment,
    }


def configure_sdk(
    connection_string: str,
    resource: dict[str, str],
    counts: DeliveryCounts,
    closing: ShutdownSignal,
    pace: Pace,
    *,
    stores_requests: bool = True,
    outbound: Outbound = DIRECT,
) -> list[Any]:
    """Configure the providers of the process. Return the exporters of the SDK.

    `stores_requests`: whether they send and retry themselves. Then `counts` has the results.
    """
    for key, value in _SDK_VARIABLES.items():
        os.environ.setdefault(key, value)
    if "OTEL_TRACES_SAMPLER" not in os.environ:
        os.environ.update(_SAMPLER_VARIABLES)
    from azure.monitor.opentelemetry import configure_azure_monitor
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.sdk.resources import Resource

    configure_azure_monitor(
        connection_string=connection_string,
        # The distro adds a handler to this logger; our exporter sends log lines itself.
        logger_name="observability.unused",
        resource=Resource(resource),
        views=_make_views(),
        instrumentation_options={name: {"enabled": False} for name in INSTRUMENTATIONS},
        enable_live_metrics=False,
        enable_performance_counters=False,
        custom_hook_policy=_make_request_policy(counts, closing) if stores_requests else None,
        disable_offline_storage=not stores_requests,
        # Failed requests go to disk immediately instead of blocking the thread with retries.
        retry_total=0,
        timeout=SDK_REQUEST_TIMEOUT_S,
        read_timeout=SDK_REQUEST_TIMEOUT_S,
        session=open_bounded_session(_MAX_RECEIPT_BYTES, outbound),
    )
    providers = (_logs.get_logger_provider(), trace.get_tracer_provider(), metrics.get_meter_provider())
    trim_envelopes(pace, *providers)
    _remove_exit_handlers(providers)
    return find_exporters(*providers)


def _remove_exit_handlers(providers: tuple[Any, ...]) -> None:
    """Remove what the SDK would do when the process exits: wait for the network, longer than our limit."""
    for provider in providers:
        atexit.unregister(provider.shutdown)
    logging.getLogger("observability.unused").handlers.clear()


def _make_views() -> list[Any]:
    """Each instrument with its tags only, and without buckets, which Application Insights does not keep."""
    from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

    return [
        View(
            instrument_name=metric.name,
            attribute_keys=set(metric.tags),
            aggregation=ExplicitBucketHistogramAggregation(()) if metric.kind == "distribution" else None,
        )
        for metric in names.METRICS
    ]


def _make_request_policy(tally: DeliveryCounts, closing: ShutdownSignal) -> Any:
    """Return a policy for the pipeline of the SDK's clients, which do not report results otherwise."""
    from azure.core.exceptions import ServiceRequestError
    from azure.core.pipeline import PipelineRequest, PipelineResponse
    from azure.core.pipeline.policies import SansIOHTTPPolicy

    class Watch(SansIOHTTPPolicy[Any, Any]):
        def on_request(self, request: PipelineRequest[Any]) -> None:
            left = closing.remaining_seconds(SDK_REQUEST_TIMEOUT_S)
            if left <= 0:
                raise ServiceRequestError("the program stops, stored on disk")
            request.context.options.update(connection_timeout=left, read_timeout=left)

        def on_response(self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]) -> None:
            _count_response(tally, response.http_response.status_code, response.http_response.text())

        def on_exception(self, request: PipelineRequest[Any]) -> None:
            tally.record_failure(f"cannot be reached: {sys.exc_info()[1]}")

    return Watch()


def _count_response(tally: DeliveryCounts, status: int, body: str) -> None:
    received, accepted = _read_receipt(body)
    if status in (200, 206):
        tally.record_success(accepted)
        tally.record_drop(received - accepted)
    elif status not in (307, 308):
        tally.record_failure(f"answered {status}")
        if status not in STATUSES_RETRIED_BY_SDK:
            tally.record_drop(max(received, 1))


def _read_receipt(body: str) -> tuple[int, int]:
    try:
        reply = json.loads(body)
        return int(reply["itemsReceived"]), int(reply["itemsAccepted"])
    except (ValueError, KeyError, TypeError):
        return 0, 0


INTAKE: Final = "track"

_MAX_REDIRECTS: Final = 3

Row = dict[str, Any]


def can_take_over() -> bool:
    """Return whether the exporters of this version of the SDK have the step that is replaced."""
    from azure.monitor.opentelemetry.exporter.export._base import BaseExporter

    return all(hasattr(BaseExporter, name) for name in ("_transmit", "_is_same_registered_domain"))


def open_outbox(
    exporters: Sequence[Any], spool: Spool, max_age: float, counts: DeliveryCounts, closing: ShutdownSignal, pace: Pace
) -> Outbox:
    """Let the SDK's exporters hand over their rows. `max_age`: seconds after which a request that waits is dropped.

    They do it for metrics in a thread of the SDK. Raises RuntimeError without exporters.
    """
    from azure.monitor.opentelemetry.exporter.export._base import ExportResult

    if not exporters:
        raise RuntimeError("the SDK has no exporters where this version of the program expects them")
    outbox = Outbox({INTAKE: TrackIntake(exporters[0], pace)}, spool, counts, closing)
    own_thread = threading.get_ident()

    def transmit(envelopes: Sequence[Any], *_: object, **__: object) -> Any:
        if envelopes:
            now = time.time()
            body = encode_rows((envelope.as_dict() for envelope in envelopes), pace)
            outbox.put(SpooledRequest(INTAKE, body, len(envelopes), now, now + max_age))
            if threading.get_ident() != own_thread:
                closing.wake()
        return ExportResult.SUCCESS

    for exporter in exporters:
        exporter._transmit = transmit
    return outbox


def encode_rows(rows: Iterable[Row], pace: Pace) -> bytes:
    """Return the body that waits: compressed JSON, without the key of the destination."""
    return pack_list(({**row, "iKey": ""} for row in rows), pace)


class TrackIntake(HttpIntake):
    """The ingestion endpoint. `exporter`: of the SDK, whose client is used.

    The statuses, of a request or of a row, are those after which the SDK would send again. 439, the daily quota, is
    final.
    """

    retried_statuses = STATUSES_RETRIED_BY_SDK

    def __init__(self, exporter: Any, pace: Pace) -> None:
        self._exporter = exporter
        self._pace = pace
        self._client = exporter.client
        self._key = exporter._instrumentation_key

    def post(self, request: SpooledRequest, timeout: float) -> SendResult:
        from azure.core.exceptions import AzureError, HttpResponseError

        rows = unpack_list(request.body)
        try:
            return read_receipt(request, rows, self._track(rows, timeout), self._pace)
        except HttpResponseError as error:
            headers = getattr(error.response, "headers", None) or {}
            return self.describe_error(request, error.status_code or 0, headers)
        except AzureError as error:
            return SendResult(reason=f"cannot be reached: {error}", is_temporary=True)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:  # of the SDK: no receipt
            return SendResult(reason=f"answered without a receipt: {type(error).__name__}", is_temporary=True)

    def split(self, request: SpooledRequest) -> Sequence[SpooledRequest]:
        return split_list(request, self._pace)

    def _track(self, rows: list[Row], timeout: float) -> Any:
        """Send once, following redirects to the same service. Return the receipt. Raises AzureError."""
        from azure.core.exceptions import HttpResponseError

        body = encode_list(({**row, "iKey": self._key} for row in rows), self._pace)
        for _ in range(_MAX_REDIRECTS):
            try:
                return self._client.track(io.BytesIO(body), connection_timeout=timeout, read_timeout=timeout)
            except HttpResponseError as error:
                if error.status_code not in (307, 308) or not self._follow_redirect(error):
                    raise
        return self._client.track(io.BytesIO(body), connection_timeout=timeout, read_timeout=timeout)

    def _follow_redirect(self, error: Any) -> bool:
        """Use the endpoint of the answer from now on. Return False if it is another service."""
        location = urlsplit(error.response.headers.get("location") or "")
        current = urlsplit(self._client._config.host)
        is_same = self._exporter._is_same_registered_domain(current.netloc, location.netloc)
        if location.scheme != current.scheme or not location.netloc or not is_same:
            return False
        self._client._config.host = f"{location.scheme}://{location.netloc}"
        return True


def read_receipt(request: SpooledRequest, rows: list[Row], receipt: Any, pace: Pace) -> SendResult:
    """Return the result of an accepted request. Rows with a temporary error are sent again, others are rejected."""
    errors = {error.index: error for error in receipt.errors or ()}
    again = [row for index, row in enumerate(rows) if index in errors and _is_temporary(errors[index])]
    accepted = min(int(receipt.items_accepted or 0), len(rows))
    rejected = max(0, len(rows) - accepted - len(again))
    reason = f"rejected {len(errors)} of {len(rows)} rows: {next(iter(errors.values())).message}" if errors else ""
    remainder = replace(request, body=encode_rows(again, pace), items=len(again)) if again else None
    return SendResult(accepted, rejected, reason, remainder=remainder)


def _is_temporary(error: Any) -> bool:
    return error.status_code in STATUSES_RETRIED_BY_SDK

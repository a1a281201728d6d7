"""Makes the rows of the Azure Monitor SDK smaller and more precise. Called by application_insights once the SDK is set
up.

Each row of the SDK repeats columns that Application Insights does not show, or that are empty (a trace id of zeros);
and a row of the log cannot contain the number of runs that it represents. The SDK has no option for either, so the
conversion of its exporters is wrapped: with other names in a new version, the SDK's rows are unchanged. Tests check the
requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from observability.exporters.pacing import Pace

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
    found: list[Any] = []
    waiting, seen = list(providers), set[int]()
    while waiting:
        at = waiting.pop()
        if id(at) in seen:
            continue
        seen.add(id(at))
        if any(hasattr(at, name) for name in _CONVERSIONS):
            found.append(at)
            continue
        for name in _EXPORTER_ATTRIBUTES:
            value = getattr(at, name, None)
            waiting += value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    return found


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

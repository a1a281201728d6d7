"""Writes samples in the text formats of Prometheus. Pure. Called by all modules of scheduler.metrics.

Both formats have the same lines of samples; the comments before a family differ:
https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/ (1.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from observability.names.catalogue import MetricSeries

END = "# EOF\n"
"""The last line of OpenMetrics."""
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


class ExpositionFormat(Enum):
    """The values are media types."""

    CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
    OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def write_comments(series: MetricSeries, text_format: ExpositionFormat) -> str:
    """Return the lines before the samples of a series. OpenMetrics names a family without the suffix of its samples."""
    name, kind = series.name, series.kind
    if text_format is ExpositionFormat.CLASSIC:
        description = series.description.translate(_HELP_ESCAPES)
        return f"# HELP {name} {description}\n# TYPE {name} {'gauge' if kind == 'info' else kind}\n"
    family = name.removesuffix("_total") if kind == "counter" else name.removesuffix("_info")
    unit = f"# UNIT {family} {series.unit}\n" if series.unit else ""
    return f"# TYPE {family} {kind}\n{unit}# HELP {family} {series.description.translate(_ESCAPES)}\n"


def escape_label(value: str) -> str:
    """Return the value of a label between its quotation marks."""
    return value.translate(_ESCAPES)


def write_number(value: float) -> str:
    """Return a number that every reader understands: 3, 0.25, 1e-05."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def write_samples(series: MetricSeries, samples: Iterable[tuple[Mapping[str, str], float]]) -> str:
    """Return the lines of a gauge, a counter or an info: its labels and the value of each sample."""
    return "".join(f"{series.name}{_write_labels(labels)} {write_number(value)}\n" for labels, value in samples)


def _write_labels(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{escape_label(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""

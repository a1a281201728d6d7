"""The settings of the exporters of telemetry, and of the requests that they retain. Used by config.settings.model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, SecretStr, model_validator

from config.settings.fields import LOOPBACK_HOSTS, PositiveDuration, ServiceUrl, split_list, to_lower
from jobs.model_base import Duration, FrozenModel
from jobs.policies.execution import Reporting
from jobs.problems.findings import strip_url_secrets

_HEADER_PAIR = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=[\x20-\x7e]+")


ServiceEventName = Literal[
    "SERVICE_STARTED",
    "SERVICE_ADDRESS",
    "SERVICE_FAILED",
    "SERVICE_STOPPED",
    "AUDIT_HEAD",
    "WATCHDOG",
    "INCIDENT_OPENED",
    "INCIDENT_REOPENED",
    "INCIDENT_ACKNOWLEDGED",
    "INCIDENT_RESOLVED",
    "NOTIFICATION_UNDELIVERED",
    "JOB_SET_CHANGED",
    "DEPLOYMENT",
]
"""Events of runs are selected by `telemetry.events`; observability.names has the meaning of each."""


def _split_events(value: object) -> object:
    """Accept a list in a variable, and names in any case."""
    if value in ("all", "none"):
        return value
    names = split_list(value)
    return [name.upper() if isinstance(name, str) else name for name in names] if isinstance(names, list) else names


ServiceEventNames = Annotated[
    Literal["all", "none"] | tuple[ServiceEventName, ...],
    BeforeValidator(_split_events),
]


class SpoolSettings(FrozenModel):
    """Requests that a destination has not accepted yet; see observability.exporters.spool."""

    folder: Path | None = None
    """None: `telemetry` next to the SQLite file; with store `azure` a folder below the temporary one."""
    max_size: Annotated[ByteSize, Field(ge=1024 * 1024)] = ByteSize(64 * 1024 * 1024)
    """Bytes of the requests of one exporter."""
    max_age: PositiveDuration = 2 * 86400.0
    """For destinations that accept data of any age."""


class TelemetrySettings(Reporting):
    """How much is reported about runs, and what happens while a destination is unavailable."""

    spool: SpoolSettings = SpoolSettings.model_construct()


class ApplicationInsightsSettings(FrozenModel):
    """Off without a connection string."""

    connection_string: SecretStr | None = None
    events: ServiceEventNames = "all"
    """Of the scheduler itself."""


class DatadogSettings(FrozenModel):
    """Off without an API key. `url` replaces the address made of `site`."""

    api_key: SecretStr | None = None
    site: str = Field(default="datadoghq.com", pattern=r"^[a-z0-9.-]+$", description="a host such as datadoghq.eu")
    url: ServiceUrl | None = None
    env: str | None = None
    """None: the environment's name."""
    service: str | None = Field(default=None, min_length=1)
    """None: `service_name`."""
    version: str | None = None
    """None: the program's version."""
    events: ServiceEventNames = "all"
    """Of the scheduler itself."""


def _check_collector_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{strip_url_secrets(text)!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(
            f"{strip_url_secrets(text)!r} is not the address of a collector: write it like https://collector:4318"
        )
    if parts.username or parts.password:
        raise ValueError("must not contain a user or a password: use otlp.headers")
    return text


def _check_headers(value: SecretStr) -> SecretStr:
    pairs = [pair.strip() for pair in value.get_secret_value().split(",") if pair.strip()]
    if not pairs or not all(_HEADER_PAIR.fullmatch(unquote(pair)) for pair in pairs):
        raise ValueError("is not a list of headers: write name=value,name=value with percent-encoded values")
    return value


CollectorUrl = Annotated[str, AfterValidator(_check_collector_url)]
"""http or https: a collector in the same network is usually reached without TLS."""

OtlpSignal = Literal["traces", "metrics", "logs"]


class OtlpSettings(FrozenModel):
    """Off without an endpoint. The endpoint of a signal is the whole URL; `endpoint` gets the path of the signal."""

    endpoint: CollectorUrl | None = None
    traces_endpoint: CollectorUrl | None = None
    metrics_endpoint: CollectorUrl | None = None
    logs_endpoint: CollectorUrl | None = None
    headers: Annotated[SecretStr, AfterValidator(_check_headers)] | None = None
    signals: Annotated[tuple[OtlpSignal, ...], BeforeValidator(split_list)] = ("traces", "metrics", "logs")
    temporality: Annotated[Literal["cumulative", "delta", "lowmemory"], BeforeValidator(to_lower)] = "cumulative"
    """Of counters and histograms. `lowmemory`, a value of the standard variable, is as `delta` here."""
    histograms: Annotated[
        Literal["explicit_bucket_histogram", "base2_exponential_bucket_histogram"], BeforeValidator(to_lower)
    ] = "explicit_bucket_histogram"
    compression: Annotated[Literal["gzip", "none"], BeforeValidator(to_lower)] = "gzip"
    ca_file: Path | None = None
    """The authorities that sign the certificate of the endpoint, in PEM. None: the public ones."""
    interval: Annotated[Duration, Field(ge=1, le=3600)] = 60.0
    """Seconds between two exports of the metrics."""
    events: ServiceEventNames = "all"
    """Of the scheduler itself."""

    @model_validator(mode="after")
    def _protect_headers(self) -> Self:
        plain = [url for url in self._configured_urls() if _is_plain_beyond_loopback(url)]
        if self.headers is not None and plain:
            raise ValueError(
                f"headers would be sent without TLS to {plain[0]}: use an https endpoint, or remove otlp.headers"
            )
        return self

    def endpoints(self) -> dict[str, str]:
        """Return the URL of each signal that is sent; empty: the exporter is off."""
        own: dict[str, str | None] = {
            "traces": self.traces_endpoint,
            "metrics": self.metrics_endpoint,
            "logs": self.logs_endpoint,
        }
        base = self.endpoint.rstrip("/") if self.endpoint else None
        urls = {signal: url or (f"{base}/v1/{signal}" if base else None) for signal, url in own.items()}
        return {signal: url for signal, url in urls.items() if url is not None and signal in self.signals}

    def header_values(self) -> dict[str, str]:
        """Return the headers by name, decoded; empty without any."""
        text = "" if self.headers is None else self.headers.get_secret_value()
        pairs = (pair.partition("=") for pair in text.split(",") if pair.strip())
        return {name.strip().lower(): unquote(value).strip() for name, _, value in pairs}

    def _configured_urls(self) -> list[str]:
        urls: list[Any] = [self.endpoint, self.traces_endpoint, self.metrics_endpoint, self.logs_endpoint]
        return [url for url in urls if url]


def _is_plain_beyond_loopback(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS

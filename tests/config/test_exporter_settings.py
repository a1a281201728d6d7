"""Settings of the exporters: endpoints and headers of OTLP, and the variables of OpenTelemetry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config.secrets.chain import find_settings_secrets
from config.settings.exporter_settings import OtlpSettings
from config.settings.loading import load_settings
from config.settings.model import Settings

BASE = "https://collector.internal:4318"


def otlp(**values: Any) -> OtlpSettings:
    return OtlpSettings.model_validate(values)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config" / "environments").mkdir(parents=True)
    for name in ("base", "dev"):
        (tmp_path / "config" / "environments" / f"{name}.yaml").touch()
    return tmp_path


def test_without_an_endpoint_it_is_off() -> None:
    assert otlp().endpoints() == {}


def test_an_endpoint_has_a_path_for_each_signal() -> None:
    assert otlp(endpoint=f"{BASE}/").endpoints() == {
        "traces": f"{BASE}/v1/traces",
        "metrics": f"{BASE}/v1/metrics",
        "logs": f"{BASE}/v1/logs",
    }


def test_the_endpoint_of_a_signal_is_used_as_it_is() -> None:
    made = otlp(endpoint=BASE, logs_endpoint="https://logs.example.com/otlp", signals=["logs", "traces"])
    assert made.endpoints() == {"traces": f"{BASE}/v1/traces", "logs": "https://logs.example.com/otlp"}
    assert otlp(traces_endpoint=f"{BASE}/x").endpoints() == {"traces": f"{BASE}/x"}


@pytest.mark.parametrize(
    "url", ["collector:4318", "ftp://collector", "https://", "https://user:pw@collector", "https://collector?key=1"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        otlp(endpoint=url)
    assert "pw" not in str(caught.value)


def test_headers_are_decoded() -> None:
    made = otlp(endpoint=BASE, headers="Authorization=Basic%20abc%3D, x-scope = team-1")
    assert made.header_values() == {"authorization": "Basic abc=", "x-scope": "team-1"}


@pytest.mark.parametrize("headers", ["", "no pair", "a b=c", "a=", "a=b%0d%0aevil:1"])
def test_headers_of_another_form_are_refused_without_showing_them(headers: str) -> None:
    with pytest.raises(ValidationError, match="write name=value"):
        otlp(endpoint=BASE, headers=headers)


def test_headers_are_not_sent_without_tls_beyond_this_machine() -> None:
    with pytest.raises(ValidationError, match="without TLS to http://collector:4318"):
        otlp(endpoint="http://collector:4318", headers="x-key=abcdefgh")
    assert otlp(endpoint="http://collector:4318").endpoints()
    assert otlp(endpoint="http://127.0.0.1:4318", headers="x-key=abcdefgh").endpoints()


def test_the_variables_of_opentelemetry_are_known(root: Path) -> None:
    read = load_settings(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": BASE,
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{BASE}/otlp/metrics",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20token-of-mine",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "DELTA",
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem",
            "SCHEDULER_OTLP__SIGNALS": "metrics,logs",
        },
        root=root,
    ).settings
    assert read.otlp.endpoints() == {"metrics": f"{BASE}/otlp/metrics", "logs": f"{BASE}/v1/logs"}
    assert (read.otlp.temporality, read.otlp.histograms) == ("delta", "base2_exponential_bucket_histogram")
    assert read.otlp.ca_file == Path.cwd() / "ca.pem"
    assert "token-of-mine" in list(find_settings_secrets(read))
    assert "token-of-mine" not in repr(read)


def test_a_relative_folder_of_a_file_starts_from_the_root(root: Path) -> None:
    (root / "config" / "environments" / "base.yaml").write_text("telemetry: {spool: {folder: waiting}}")
    assert load_settings({}, root=root).settings.telemetry.spool.folder == root / "waiting"


def test_a_spool_has_at_least_one_mebibyte() -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"telemetry": {"spool": {"max_size": "10KiB"}}})

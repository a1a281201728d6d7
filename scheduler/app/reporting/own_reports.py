"""Builds what the program reports about itself: exporters and settings. Called by scheduler.app.program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

from config.effective_settings import EffectiveSetting, list_settings, read_descriptions
from config.settings.loading import LoadedSettings
from jobs.redaction import Redactor
from observability.telemetry import Telemetry
from scheduler.health.own_reports import ExporterReport, OwnReports, SettingReport


def build_own_reports(telemetry: Telemetry, loaded: LoadedSettings, redactor: Redactor) -> OwnReports:
    """Return functions that read the current values."""
    return OwnReports(_exporter_lister(telemetry), _setting_lister(loaded, redactor))


def _exporter_lister(telemetry: Telemetry) -> Callable[[], Sequence[ExporterReport]]:
    def list_exporters() -> Sequence[ExporterReport]:
        return [_to_report(each) for each in telemetry.health()]

    return list_exporters


def _to_report(values: Mapping[str, Any]) -> ExporterReport:
    return ExporterReport(
        name=values["exporter"],
        state=values["state"],
        last_error=values["last_error"] or "",
        sent=values["sent"],
        dropped=values["dropped"],
        waiting=values["waiting"],
        waiting_bytes=values["waiting_bytes"],
        oldest=values["oldest"] or "",
        spool_problem=values["spool_problem"],
    )


def _setting_lister(loaded: LoadedSettings, redactor: Redactor) -> Callable[[], Sequence[SettingReport]]:
    """Settings do not change while the program runs, so they are listed once."""

    @cache
    def list_reports() -> Sequence[SettingReport]:
        descriptions = dict(read_descriptions())
        return [
            SettingReport(
                ".".join(each.path),
                redactor.redact(each.value),
                each.origin,
                _find_source(each),
                each.is_secret,
                descriptions.pop(each.path[0], ""),
            )
            for each in list_settings(loaded)
        ]

    return list_reports


def _find_source(setting: EffectiveSetting) -> Literal["default", "file", "variable"]:
    if setting.is_default:
        return "default"
    return "file" if ":" in setting.origin else "variable"

"""Where requests are retained, by the settings and by what the machine allows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from config.settings.model import Settings
from observability.exporters.spool import find_spool_folder, open_spool
from observability.exporters.spool_folder import SpooledRequest


def settings(**values: object) -> Settings:
    return Settings.model_validate(values)


def test_the_folder_is_next_to_the_store(tmp_path: Path) -> None:
    assert find_spool_folder(settings(store=f"sqlite:///{tmp_path}/data/x.db")) == tmp_path / "data" / "telemetry"


def test_the_folder_of_the_settings_wins(tmp_path: Path) -> None:
    assert find_spool_folder(settings(telemetry={"spool": {"folder": tmp_path}})) == tmp_path


def test_without_a_file_of_a_store_it_is_below_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert find_spool_folder(settings(store="azure")).parent == tmp_path


def test_each_destination_has_its_own_folder(tmp_path: Path) -> None:
    made = settings(telemetry={"spool": {"folder": tmp_path}})
    for exporter, destination in (("otlp", "https://a"), ("otlp", "https://b"), ("datadog", "https://a")):
        open_spool(made, exporter, destination)
    folders = sorted(folder.name.partition("-")[0] for folder in tmp_path.iterdir())
    assert folders == ["datadog", "otlp", "otlp"]
    assert not any("https" in folder.name for folder in tmp_path.iterdir())


def test_without_a_writable_folder_requests_are_retained_in_memory_and_health_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spool = open_spool(settings(telemetry={"spool": {"folder": tmp_path / "file" / "below"}}), "otlp", "https://a")
    spool.put(SpooledRequest("logs", b"1", 1, time.time(), time.time() + 60))
    assert spool.state().requests == 1
    assert "NotADirectoryError" in spool.state().problem

"""The JSON backup of 1.x, whose keys are those of its API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config.importers.errors import UnreadableSource
from config.importers.running import detect_source
from tests.config.importers.importing import import_text, leaf_paths, outcomes, read_jobs, text_file
from tests.config.importers.kuma.database import DATA

TEXT = (DATA / "backup-1.23.json").read_text()


def test_a_monitor_of_a_backup() -> None:
    report = import_text("uptime-kuma", TEXT)
    job: Any = report.definitions["shop"]
    assert job["check"]["auth"] == {"kind": "basic", "username": "probe", "password": {"secret": "shop-password"}}
    assert job["check"]["redirects"] == 5
    assert job["expect"] == [{"status": ["200-299", 304]}, {"body_contains": "Welcome"}]
    assert job["alerts"][0] == {"open_after": 2, "notify": ["team-teams"]}
    assert job["tags"] == {"tier": "gold"}
    read_jobs(report)


def test_each_leaf_of_a_backup_is_reported_and_none_is_unknown() -> None:
    report = import_text("uptime-kuma", TEXT)
    assert {entry.path for entry in report.entries} == leaf_paths(json.loads(TEXT))
    assert [entry.key for entry in report.entries if "does not know this key" in entry.detail] == []


def test_a_ping_of_a_backup_is_not_carried_over() -> None:
    assert outcomes(import_text("uptime-kuma", TEXT))["monitorList[1].hostname"] == "not carried over"


def test_no_secret_of_a_backup_is_shown() -> None:
    report = import_text("uptime-kuma", TEXT)
    written = f"{report.text}{report.to_json()}"
    assert "passw0rd" not in written
    assert "secret-of-the-workflow" not in written


def test_a_backup_is_detected() -> None:
    assert detect_source([text_file(TEXT)]) == "uptime-kuma"


def test_json_of_another_program() -> None:
    with pytest.raises(UnreadableSource, match="is not a backup of Uptime Kuma"):
        import_text("uptime-kuma", '{"monitors": []}')

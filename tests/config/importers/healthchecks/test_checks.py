"""Checks of Healthchecks as heartbeats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from importers.running import detect_source
from importers.source_tree import UnreadableSource
from tests.config.importers.importing import details, import_text, leaf_paths, outcomes, read_jobs, text_file

DATA = Path(__file__).parents[3] / "data/importers/healthchecks"
TEXT = (DATA / "checks-v3.json").read_text()
CHANNELS = (DATA / "channels-v3.json").read_text()
UUID = "c1b1d7a2-58b3-4c3e-9f2a-0123456789ab"


def _import_one(**changes: Any) -> Any:
    check = {"name": "backup", "uuid": UUID, "ping_url": f"https://hc.example/{UUID}", "grace": 60, "timeout": 600}
    return import_text("healthchecks", json.dumps({"checks": [{**check, **changes}]}))


def _job(**changes: Any) -> Any:
    (job,) = _import_one(**changes).definitions.values()
    return job


def test_a_check_by_period() -> None:
    job = _job()
    assert job["check"]["kind"] == "heartbeat"
    assert (job["check"]["period"], job["check"]["grace"]) == ("10m", "1m")
    assert job["alerts"] == [{"open_after": 1}]


def test_the_uuid_is_the_token_so_that_only_the_host_of_pings_changes() -> None:
    report = _import_one()
    assert report.definitions["backup"]["check"]["token"] == {"secret": "backup-token"}
    assert UUID not in f"{report.text}{report.to_json()}"
    assert "uuid of the check" in report.secrets[0].purpose


def test_a_read_only_key_shows_no_uuid_so_that_a_new_token_is_needed() -> None:
    report = import_text(
        "healthchecks", json.dumps([{"name": "a", "unique_key": "ab" * 20, "grace": 60, "timeout": 60}])
    )
    assert "openssl rand" in report.secrets[0].purpose
    read_jobs(report)


def test_each_leaf_of_all_files_is_reported_and_none_is_unknown() -> None:
    report = import_text("healthchecks", TEXT, text_file(CHANNELS, "channels.json"))
    assert {entry.path for entry in report.entries if entry.file == "source.yaml"} == leaf_paths(json.loads(TEXT))
    assert {entry.path for entry in report.entries if entry.file == "channels.json"} == leaf_paths(json.loads(CHANNELS))
    assert [entry.key for entry in report.entries if "does not know this key" in entry.detail] == []


def test_the_written_jobs_are_valid() -> None:
    assert list(read_jobs(import_text("healthchecks", TEXT))) == ["nightly-backup", "mail-sync", "report"]


def test_integrations_are_named_if_their_list_is_given() -> None:
    report = import_text("healthchecks", TEXT, text_file(CHANNELS, "channels.json"))
    assert "slack (Ops room)" in details(report)["checks[0].channels"]


def test_restricted_days_are_two_schedules() -> None:
    job = import_text("healthchecks", TEXT).definitions["nightly-backup"]
    assert [one["cron"] for one in job["check"]["schedule"]] == ["0 3 1 * *", "0 3 * * 1"]
    assert {one["timezone"] for one in job["check"]["schedule"]} == {"Europe/Riga"}


def test_lines_of_on_calendar_are_schedules() -> None:
    job = import_text("healthchecks", TEXT).definitions["report"]
    assert job["check"]["schedule"] == [
        {"cron": "0 30 8,18 * * 1-5"},
        {"monthly": {"day": "last", "at": "06:00"}},
    ]


def test_a_paused_check_is_disabled() -> None:
    assert _job(status="paused")["enabled"] is False


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"methods": "POST"}, "methods"),
        ({"filter_subject": True}, "filter_subject"),
        ({"filter_http_body": True}, "filter_http_body"),
        ({"failure_kw": "ERROR"}, "failure_kw"),
        ({"channels": "4ec5a071-2d08-4baa-898a-eb4eb3cd6941"}, "channels"),
    ],
)
def test_what_a_heartbeat_does_not_have(changes: dict[str, Any], key: str) -> None:
    assert outcomes(_import_one(**changes))[f"checks[0].{key}"] == "not carried over"


def test_the_same_keys_without_a_value_are_no_loss() -> None:
    report = _import_one(methods="", filter_subject=False, failure_kw="", channels="", subject="")
    assert "not carried over" not in outcomes(report).values()


def test_state_of_the_other_service_begins_anew() -> None:
    report = _import_one(
        n_pings=3, last_ping="2026-11-28T03:04:12+00:00", status="up", badge_url="https://hc.example/b"
    )
    assert {outcomes(report)[f"checks[0].{key}"] for key in ("n_pings", "last_ping", "status", "badge_url")} == {
        "changed"
    }


def test_a_description_that_is_too_long_is_shortened() -> None:
    report = _import_one(desc="x" * 600)
    assert len(report.definitions["backup"]["description"]) == 500
    assert outcomes(report)["checks[0].desc"] == "changed"


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("*/5 * * * *", "*/5 * * * *"),
        ("30 0 */2 * * *", {"cron": "30 0 */2 * * *"}),
        ("@daily", "0 0 * * *"),
        ("0 2 L * *", {"monthly": {"day": "last", "at": "02:00"}}),
        ("0 2 LW 1,7 *", {"monthly": {"day": "last-weekday", "at": "02:00", "months": [1, 7]}}),
        ("0,30 2 * * MON#2", {"monthly": {"day": "second-monday", "at": ["02:00", "02:30"]}}),
        ("0 2 * * 5L", {"monthly": {"day": "last-friday", "at": "02:00"}}),
        ("0 2 15,L * *", [{"monthly": {"day": "last", "at": "02:00"}}, "0 2 15 * *"]),
        ("daily", {"cron": "0 0 0 * * *"}),
        ("Mon,Wed *-*-* 12:00", {"cron": "0 0 12 * * 1,3"}),
        ("Fri..Mon 18:00", {"cron": "0 0 18 * * 0,1,5,6"}),
        ("*-01,07-01..07 00/6:00", {"cron": "0 0 */6 1-7 1,7 *"}),
        ("*:0/15", {"cron": "0 */15 * * * *"}),
        ("Sun *-*~07/1 03:00", {"monthly": {"day": "last-sunday", "at": "03:00"}}),
        ("*-02~03 10:15", {"monthly": {"day": "last-2", "at": "10:15", "months": [2]}}),
        ("12:00 Asia/Tokyo", {"cron": "0 0 12 * * *", "timezone": "Asia/Tokyo"}),
    ],
)
def test_schedules(schedule: str, expected: Any) -> None:
    report = _import_one(timeout=None, schedule=schedule, tz="UTC")
    assert report.definitions["backup"]["check"]["schedule"] == expected
    read_jobs(report)


@pytest.mark.parametrize(
    "schedule",
    ["2027-*-* 12:00", "*-*-* 25:00", "Someday 12:00", "not a schedule", "* * L * *", "61 * * * *", "a b c d e"],
)
def test_a_schedule_without_an_equivalent_leaves_no_job(schedule: str) -> None:
    report = _import_one(timeout=None, schedule=schedule, tz="UTC")
    assert report.definitions == {}
    assert outcomes(report)["checks[0].schedule"] == "not carried over"


def test_an_answer_is_detected() -> None:
    assert detect_source([text_file(TEXT)]) == "healthchecks"


def test_json_without_checks() -> None:
    with pytest.raises(UnreadableSource, match="has neither checks nor channels"):
        import_text("healthchecks", '{"detail": "missing api key"}')


def test_an_entry_that_is_no_check_is_reported() -> None:
    report = import_text("healthchecks", '{"checks": [7, {"name": "x"}, []]}')
    assert set(outcomes(report).values()) == {"not carried over"}

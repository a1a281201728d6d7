"""The JSON backup of 1.x, whose keys are those of its API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from importers.running import detect_source
from importers.source_tree import UnreadableSource
from tests.config.importers.importing import details, import_text, leaf_paths, outcomes, read_jobs, text_file
from tests.config.importers.kuma.backups import SECRETS, backup, mixed_backup, read_backup_text
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
    assert {entry.path for entry in report.entries} == leaf_paths(read_backup_text(TEXT))
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


SHOP = {"name": "shop", "type": "http", "url": "https://shop.example/"}


def _check(**keys: Any) -> Any:
    report = import_text("uptime-kuma", backup({**SHOP, **keys}))
    return report.definitions["shop"]["check"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Probe": "yes", "X-Empty": ""}, {"headers": {"X-Probe": "yes", "X-Empty": ""}}),
        ({"X-Api-Key": "k3y-of-the-shop"}, {"headers": {"X-Api-Key": {"secret": "shop-x-api-key"}}}),
        ({"Authorization": "Bearer t0ken-of-the-shop"},
         {"auth": {"kind": "bearer", "token": {"secret": "shop-token"}}}),
        ({"authorization": "Basic cHJvYmU6cGFzc3dvcmQx"},
         {"auth": {"kind": "basic", "username": "probe", "password": {"secret": "shop-password"}}}),
    ],
)  # fmt: skip
def test_the_text_of_headers_is_read(headers: dict[str, str], expected: dict[str, Any]) -> None:
    check = _check(headers=json.dumps(headers, indent=4))
    assert {key: check.get(key) for key in expected} == expected


@pytest.mark.parametrize("method", ["", None])
def test_credentials_that_uptime_kuma_does_not_send_are_not_sent(method: str | None) -> None:
    assert "auth" not in _check(authMethod=method, basic_auth_user="probe", basic_auth_pass="passw0rd-of-old")


def test_a_backup_of_a_version_without_authentication_methods_has_basic_credentials() -> None:
    monitor = {"id": 1, **SHOP, "basic_auth_user": "probe", "basic_auth_pass": "passw0rd-of-old"}
    report = import_text("uptime-kuma", json.dumps({"version": "1.10.0", "monitorList": [monitor]}))
    assert report.definitions["shop"]["check"]["auth"]["username"] == "probe"


def test_a_text_that_is_not_json_is_reported_as_such() -> None:
    report = import_text("uptime-kuma", backup({**SHOP, "headers": "X: y"}))
    assert "is not a JSON object of headers" in details(report)["monitorList[0].headers"]


def test_keys_without_a_value_are_not_reported() -> None:
    found = outcomes(import_text("uptime-kuma", backup(SHOP)))
    empty = ("headers", "parent", "proxyId", "tags", "childrenIDs")
    assert not found.keys() & {f"monitorList[0].{key}" for key in empty}


def test_a_monitor_with_defaults_alone_loses_nothing() -> None:
    report = import_text("uptime-kuma", backup(SHOP))
    assert set(outcomes(report).values()) == {"imported"}


def test_a_mixed_backup_is_imported() -> None:
    report = import_text("uptime-kuma", mixed_backup())
    assert {entry.path for entry in report.entries} == leaf_paths(read_backup_text(mixed_backup()))
    jobs = read_jobs(report)
    assert list(jobs) == ["shop-front-page", "shop-api", "orders", "intranet", "partner", "search", "mail-server",
                          "name-server", "database", "backup", "old-shop"]  # fmt: skip
    written = f"{report.text}{report.to_json()}"
    assert [secret for secret in SECRETS if secret in written] == []


@pytest.mark.parametrize("key", ["headers", "accepted_statuscodes", "conditions"])
def test_json_in_a_backup_that_is_nested_too_deeply_is_refused(key: str) -> None:
    text = backup({**SHOP, key: "[" * 100_000})
    with pytest.raises(UnreadableSource, match=rf"monitorList\[0\]\.{key} is nested more deeply than 50 levels"):
        import_text("uptime-kuma", text)

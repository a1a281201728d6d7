"""Real documents of each framework are read into the same entries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.expectations.health.document import HealthDocument
from jobs.expectations.health.formats import HealthFormat, read_document, recognize_format
from jobs.runs.details import EntryStatus

DATA = Path(__file__).parents[3] / "data" / "health"
UP, DEGRADED, DOWN, UNKNOWN = EntryStatus.UP, EntryStatus.DEGRADED, EntryStatus.DOWN, EntryStatus.UNKNOWN

_ORDERS = {"cosmosdb": (DOWN, "timeout"), "redis": (DEGRADED, "slow replica"), "self": (UP, "")}
EXPECTED: dict[str, tuple[HealthFormat, EntryStatus, dict[str, tuple[EntryStatus, str]]]] = {
    "aspnet-ui-client": (HealthFormat.ASPNET, DOWN, _ORDERS),
    "aspnet-documented-writer": (HealthFormat.ASPNET, DOWN, _ORDERS),
    "aspnet-serialized-report": (HealthFormat.ASPNET, DOWN, _ORDERS),
    "aspnet-own-writer": (HealthFormat.ASPNET, DOWN, _ORDERS),
    "spring-components": (
        HealthFormat.SPRING,
        DOWN,
        {
            "broker": (UP, ""),
            "db/primary": (DOWN, "java.sql.SQLTransientConnectionException: no connection within 30000ms"),
            "db/replica": (UP, ""),
            "diskSpace": (UP, ""),
            "mail": (UNKNOWN, ""),
        },
    ),
    "spring-2.0-details": (
        HealthFormat.SPRING,
        DOWN,
        {"broker": (UP, ""), "db/primary": (DOWN, "no connection within 30000ms")},
    ),
    "spring-1.x": (
        HealthFormat.SPRING,
        DOWN,
        {"diskSpace": (UP, ""), "db": (DOWN, "no connection within 30000ms")},
    ),
    "spring-hidden": (HealthFormat.SPRING, DOWN, {}),
    "microprofile-4": (
        HealthFormat.MICROPROFILE,
        DOWN,
        {
            "Database connections health check": (
                DOWN,
                "<default>: Acquisition timeout while waiting for new connection",
            ),
            "orders-stream": (UP, ""),
        },
    ),
    "microprofile-1": (HealthFormat.MICROPROFILE, DOWN, {"orders-db": (DOWN, "refused"), "orders-stream": (UP, "")}),
    "health-json": (
        HealthFormat.HEALTH_JSON,
        DEGRADED,
        {
            "cassandra:responseTime/node-a": (DEGRADED, "slower than 1000 ms"),
            "cassandra:responseTime/node-b": (UP, ""),
            "cassandra:connections": (DOWN, "no free connection"),
            "uptime": (UP, ""),
        },
    ),
}


def load(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def read(name: str, expected: HealthFormat) -> HealthDocument:
    return read_document(load(name), "application/json", expected)


def test_every_document_of_the_folder_is_read() -> None:
    assert EXPECTED.keys() == {file.stem for file in DATA.glob("*.json")}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_document_has_its_status_and_entries(name: str) -> None:
    expected, status, entries = EXPECTED[name]
    document = read(name, expected)
    assert (document.status, {entry.name: (entry.status, entry.text) for entry in document.entries}) == (
        status,
        entries,
    )


@pytest.mark.parametrize("name", EXPECTED)
def test_a_format_is_recognised_by_its_shape(name: str) -> None:
    assert recognize_format(load(name), "application/json") is EXPECTED[name][0]
    assert read(name, HealthFormat.AUTO) == read(name, EXPECTED[name][0])


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/health+json; charset=utf-8", HealthFormat.HEALTH_JSON),
        ("application/vnd.spring-boot.actuator.v3+json", HealthFormat.SPRING),
        ("application/json", HealthFormat.SPRING),
    ],
)
def test_a_media_type_decides_where_the_shape_does_not(media_type: str, expected: HealthFormat) -> None:
    assert recognize_format({"status": "UP"}, media_type) is expected


def test_durations_and_measured_values_are_read() -> None:
    durations = {entry.name: entry.duration_ms for entry in read("aspnet-ui-client", HealthFormat.ASPNET).entries}
    assert durations["cosmosdb"] == 23_100
    assert durations["redis"] == 12
    measured = {
        entry.name: (entry.duration_ms, entry.observed) for entry in read("health-json", HealthFormat.AUTO).entries
    }
    assert measured["cassandra:responseTime/node-a"] == (1250, "1250 ms")
    assert measured["cassandra:connections"] == (None, "75")


@pytest.mark.parametrize("value", [None, [], "up", {"a": 1}, {"status": {}}, {"status": "orders"}, {"checks": 1}])
def test_other_json_is_no_health_document(value: Any) -> None:
    assert recognize_format(value, "application/json") is None

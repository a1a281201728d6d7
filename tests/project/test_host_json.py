"""host.json says what the design relies on: one entry here is one promise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.project import ROOT


@pytest.fixture(scope="module")
def host() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((ROOT / "host.json").read_text())
    return parsed


def test_the_schema_is_the_second(host: dict[str, Any]) -> None:
    assert host["version"] == "2.0"


def test_queue_triggers_come_from_the_fourth_extension_bundle(host: dict[str, Any]) -> None:
    assert host["extensionBundle"] == {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"}


def test_routes_begin_with_api(host: dict[str, Any]) -> None:
    assert host["extensions"]["http"]["routePrefix"] == "api"


def test_an_idle_queue_is_queried_often_enough_for_a_batch_to_arrive_before_its_slice(host: dict[str, Any]) -> None:
    assert host["extensions"]["queues"]["maxPollingInterval"] == "00:00:02"


def test_one_instance_takes_no_more_messages_than_the_service_hands_out_at_once(host: dict[str, Any]) -> None:
    queues = host["extensions"]["queues"]
    assert 0 < queues["newBatchThreshold"] < queues["batchSize"] <= 32


def test_a_message_that_cannot_succeed_is_poisoned_after_five_tries(host: dict[str, Any]) -> None:
    queues = host["extensions"]["queues"]
    assert (queues["maxDequeueCount"], queues["visibilityTimeout"]) == (5, "00:00:30")


def test_messages_are_base64_as_the_program_writes_them(host: dict[str, Any]) -> None:
    assert host["extensions"]["queues"]["messageEncoding"] == "base64"


def test_the_host_speaks_opentelemetry(host: dict[str, Any]) -> None:
    assert host["telemetryMode"] == "OpenTelemetry"


def test_an_invocation_may_take_ten_minutes(host: dict[str, Any]) -> None:
    assert host["functionTimeout"] == "00:10:00"


def test_settings_of_the_other_telemetry_mode_are_absent(host: dict[str, Any]) -> None:
    assert "applicationInsights" not in host["logging"]

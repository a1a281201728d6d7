"""Requests of the Azure Monitor SDK as they wait, and what their answers mean."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from observability.exporters.application_insights_sdk import (
    TrackIntake,
    can_take_over,
    encode_rows,
    read_receipt,
)
from observability.exporters.background import Pace
from observability.exporters.outbox import unpack_list
from observability.exporters.spool_folder import SpooledRequest

KEY = "00000000-1111-2222-3333-444444444444"
ROWS: list[dict[str, Any]] = [{"name": str(number), "iKey": KEY} for number in range(4)]


def request(rows: list[dict[str, Any]] = ROWS) -> SpooledRequest:
    return SpooledRequest("track", encode_rows(rows, Pace()), len(rows), 1.0, 2.0)


def receipt(accepted: int, **errors: int) -> Any:
    found = [
        SimpleNamespace(index=int(index.removeprefix("row_")), status_code=status, message="no")
        for index, status in errors.items()
    ]
    return SimpleNamespace(items_received=len(ROWS), items_accepted=accepted, errors=found)


def test_the_key_of_the_destination_does_not_wait_on_disk() -> None:
    assert unpack_list(request().body) == [{**row, "iKey": ""} for row in ROWS]


def test_this_version_of_the_sdk_lets_its_requests_be_taken_over() -> None:
    assert can_take_over()


def test_rows_with_a_temporary_error_are_sent_again_and_others_are_counted() -> None:
    result = read_receipt(request(), ROWS, receipt(2, row_1=500, row_3=400), Pace())
    assert (result.accepted, result.rejected) == (2, 1)
    assert result.remainder is not None
    assert [row["name"] for row in unpack_list(result.remainder.body)] == ["1"]
    assert result.remainder.items == 1


def test_an_accepted_request_has_no_reason() -> None:
    result = read_receipt(request(), ROWS, receipt(4), Pace())
    assert (result.accepted, result.rejected, result.reason, result.remainder) == (4, 0, "", None)


@pytest.mark.parametrize(
    ("status", "is_temporary", "rejected"),
    [(401, True, 0), (408, True, 0), (429, True, 0), (503, True, 0), (400, False, 4), (413, False, 4), (439, False, 4)],
)
def test_answers_with_an_error_are_temporary_or_final(status: int, is_temporary: bool, rejected: int) -> None:
    result = TrackIntake(PlayedSdk(""), Pace()).describe_error(request(), status, {"Retry-After": "3"})
    assert (result.is_temporary, result.rejected) == (is_temporary, rejected)
    assert result.retry_after_s == (3.0 if is_temporary else None)


class PlayedSdk:
    """An exporter of the SDK whose client answers with a redirect, then accepts."""

    def __init__(self, location: str) -> None:
        self._instrumentation_key = KEY
        self.client = self
        self._config = SimpleNamespace(host="https://a.in.example.com")
        self.location = location
        self.hosts: list[str] = []

    def _is_same_registered_domain(self, current: str, other: str) -> bool:
        return current.split(".", 1)[1] == other.partition(".")[2]

    def track(self, body: Any, **options: object) -> Any:
        from azure.core.exceptions import HttpResponseError

        self.hosts.append(self._config.host)
        assert f'"iKey": "{KEY}"'.encode() in body.read()
        if self._config.host in self.location:
            return receipt(4)
        error = HttpResponseError("moved")
        error.status_code, error.response = 308, SimpleNamespace(headers={"location": self.location})  # type: ignore
        raise error


def test_a_redirect_to_the_same_service_is_followed_and_remembered() -> None:
    sdk = PlayedSdk("https://b.in.example.com/v2.1/track")
    intake = TrackIntake(sdk, Pace())
    assert intake.send(request(), 5.0).accepted == 4
    assert intake.send(request(), 5.0).accepted == 4
    assert sdk.hosts == ["https://a.in.example.com", "https://b.in.example.com", "https://b.in.example.com"]


@pytest.mark.parametrize("location", ["https://evil.test/track", "http://b.in.example.com/track", "", "/track"])
def test_a_redirect_elsewhere_is_not_followed(location: str) -> None:
    sdk = PlayedSdk(location)
    result = TrackIntake(sdk, Pace()).send(request(), 5.0)
    assert (result.accepted, result.rejected, result.reason) == (0, 4, "answered 308")
    assert sdk.hosts == ["https://a.in.example.com"]


def test_a_request_is_halved_and_a_single_row_is_not() -> None:
    intake = TrackIntake(PlayedSdk(""), Pace())
    assert [half.items for half in intake.split(request())] == [2, 2]
    assert intake.split(request(ROWS[:1])) == []

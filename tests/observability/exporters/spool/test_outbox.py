"""When requests are sent, again or not at all, and what is counted of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobs.redaction import Redactor
from observability.exporters.background import DeliveryCounts, ShutdownSignal
from observability.exporters.outbox import Outbox, SendResult
from observability.exporters.spool import Spool
from observability.exporters.spool_folder import SpooledRequest, SpoolFolder

BUSY = SendResult(reason="busy", is_temporary=True)


class PlayedIntake:
    """Answers in turn; then accepts."""

    def __init__(self, *answers: SendResult) -> None:
        self.answers = list(answers)
        self.accepted: list[bytes] = []
        self.timeouts: list[float] = []

    def send(self, request: SpooledRequest, timeout: float) -> SendResult:
        self.timeouts.append(timeout)
        if self.answers:
            return self.answers.pop(0)
        self.accepted.append(request.body)
        return SendResult(request.items)

    def split(self, request: SpooledRequest) -> Sequence[SpooledRequest]:
        middle = len(request.body) // 2
        parts = (request.body[:middle], request.body[middle:]) if middle else ()
        return [SpooledRequest(request.intake, part, len(part), request.made_at, request.expires_at) for part in parts]


def request(body: bytes = b"x", *, expires_in: float = 3600.0, intake: str = "logs") -> SpooledRequest:
    now = time.time()
    return SpooledRequest(intake, body, len(body), now, now + expires_in)


class Played:
    """An outbox with its parts. `spool`: in memory by default."""

    def __init__(self, *answers: SendResult, spool: Spool | None = None) -> None:
        self.intake, self.series = PlayedIntake(*answers), PlayedIntake()
        self.counts, self.closing = DeliveryCounts("played", Redactor()), ShutdownSignal()
        self.spool = spool or Spool()
        self.outbox = Outbox({"logs": self.intake, "series": self.series}, self.spool, self.counts, self.closing)

    def send(self, *requests: SpooledRequest) -> None:
        for each in requests:
            self.outbox.put(each)
        self.outbox.send_due()


def test_an_empty_outbox_requires_nothing() -> None:
    assert Played().outbox.next_send_in() is None


def test_what_is_refused_for_a_while_is_sent_in_order() -> None:
    played = Played(SendResult(reason="busy", is_temporary=True, retry_after_s=0.0))
    played.send(request(b"1"), request(b"22"))
    played.outbox.send_due()
    health = played.counts.health()
    assert played.intake.accepted == [b"1", b"22"]
    assert (health.state, health.sent, health.dropped, health.last_error) == ("on", 3, 0, "logs: busy")


def test_nothing_is_sent_before_the_intake_requires_it() -> None:
    played = Played(SendResult(reason="slow down", is_temporary=True, retry_after_s=30.0))
    played.send(request())
    played.outbox.send_due()
    assert len(played.intake.timeouts) == 1
    assert 29 < (played.outbox.next_send_in() or 0) <= 30


def test_a_wait_that_an_intake_requires_is_bounded() -> None:
    played = Played(SendResult(reason="slow down", is_temporary=True, retry_after_s=1e9))
    played.send(request())
    assert (played.outbox.next_send_in() or 0) <= 3600


def test_without_a_wish_the_wait_grows() -> None:
    played = Played(BUSY, BUSY, BUSY)
    played.outbox.put(request())
    waits = []
    for _ in range(3):
        played.outbox.send_due()
        waits.append(played.outbox.next_send_in() or 0.0)
        for lane in played.outbox._lanes:
            lane._not_before = 0.0
    assert 0.4 < waits[0] <= 1.0 < waits[2] <= 4.0


def test_an_intake_that_fails_does_not_delay_another_one() -> None:
    played = Played(BUSY)
    played.send(request(b"1"), request(b"2", intake="series"))
    assert (played.intake.accepted, played.series.accepted) == ([], [b"2"])
    assert played.counts.health().state == "degraded"


def test_what_is_refused_for_good_is_dropped_and_counted() -> None:
    played = Played(SendResult(rejected=3, reason="answered 400"))
    played.send(request(b"123"), request(b"4"))
    assert played.intake.accepted == [b"4"]
    assert played.counts.health().dropped == 3


def test_a_part_that_is_rejected_is_counted() -> None:
    played = Played(SendResult(accepted=2, rejected=1, reason="one is too old"))
    played.send(request(b"123"))
    health = played.counts.health()
    assert (health.sent, health.dropped, health.last_error) == (2, 1, "logs: one is too old")


def test_what_is_too_large_is_halved() -> None:
    too_large = SendResult(reason="answered 413", is_too_large=True)
    played = Played(too_large, too_large)
    played.send(request(b"12345"))
    assert sorted(map(len, played.intake.accepted)) == [1, 1, 3]
    assert played.counts.health().dropped == 0


def test_a_single_item_that_is_too_large_is_dropped() -> None:
    played = Played(SendResult(rejected=1, reason="answered 413", is_too_large=True))
    played.send(request(b"1"))
    assert (played.counts.health().dropped, played.outbox.next_send_in()) == (1, None)


def test_what_the_intake_would_not_take_any_more_is_not_sent() -> None:
    played = Played()
    played.send(request(b"12", expires_in=-1.0))
    assert (played.intake.timeouts, played.counts.health().dropped) == ([], 2)


def test_at_the_shutdown_what_waits_gets_one_more_chance() -> None:
    played = Played(BUSY)
    played.send(request(b"1"), request(b"2"))
    played.closing.start(5)
    played.outbox.send_due()
    assert played.intake.accepted == [b"1", b"2"]
    assert all(0 < timeout <= 5 for timeout in played.intake.timeouts)


def test_what_is_in_memory_at_the_end_is_counted_and_what_is_on_disk_stays(tmp_path: Path) -> None:
    for spool, lost in ((Spool(), 3), (Spool(SpoolFolder(tmp_path, 2**20)), 0)):
        played = Played(BUSY, BUSY, spool=spool)
        played.send(request(b"123"))
        played.closing.start(5)
        played.outbox.send_due()
        played.outbox.close()
        assert (len(played.intake.timeouts), played.counts.health().dropped) == (2, lost)
    again = Played(spool=Spool(SpoolFolder(tmp_path, 2**20)))
    again.outbox.send_due()
    assert again.intake.accepted == [b"123"]


def test_the_oldest_gives_way_when_memory_is_full() -> None:
    played = Played(BUSY)
    body = bytes(5 * 1024 * 1024)
    played.send(*[request(body) for _ in range(4)])
    assert played.counts.health().dropped == len(body)
    assert played.counts.health().spool.requests == 3


def test_a_disk_that_is_full_leaves_requests_in_memory_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = SpoolFolder(tmp_path / "spool", 2**20)
    played = Played(BUSY, spool=Spool(folder))
    (tmp_path / "spool").rmdir()
    played.send(request(b"1"), request(b"2"))
    state = played.counts.health().spool
    assert (state.requests, state.size) == (2, 2)
    assert "FileNotFoundError" in state.problem
    assert [record.levelno for record in caplog.records if "to disk" in record.getMessage()] == [logging.WARNING]


def test_health_has_what_waits_and_since_when() -> None:
    played = Played(BUSY)
    first = request(b"123")
    played.send(first, request(b"4"))
    state = played.counts.health().spool
    assert (state.requests, state.size) == (2, 4)
    assert state.oldest is not None
    assert state.oldest.timestamp() == pytest.approx(first.made_at, abs=0.001)

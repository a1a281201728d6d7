"""Who is closed when there is no room, and what health and log say of it."""

from __future__ import annotations

import logging

import pytest

from scheduler.connections.register import (
    CLOSE_LOG_INTERVAL,
    MAX_UNSENT_BYTES,
    RESERVED_CONNECTIONS,
    SHORTAGE_REMEMBERED_S,
    CloseReason,
    ConnectionAdmission,
    ConnectionRegister,
)


class FakeConnection:
    """A connection that remembers what was done to it."""

    def __init__(self, peer: str = "a", unsent: int = 0) -> None:
        self.peer, self.size = peer, unsent
        self.closed = ""

    def evict(self) -> None:
        self.closed = "evicted"

    def check_timeouts(self, now: float) -> None:
        pass

    def unsent_bytes(self) -> int:
        return self.size

    def abort(self) -> None:
        self.closed = "dropped"
        self.size = 0


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def filled(*peers: str, clock: Time | None = None) -> tuple[ConnectionRegister, list[FakeConnection]]:
    """A register that is full with connections that wait, the first one for longest."""
    register = ConnectionRegister(len(peers), clock or Time())
    held = [FakeConnection(peer) for peer in peers]
    for each in held:
        assert register.admit(each) is ConnectionAdmission.FREE
    return register, held


def closed(held: list[FakeConnection]) -> list[int]:
    return [number for number, each in enumerate(held) if each.closed]


def test_the_one_that_waits_longest_makes_room() -> None:
    register, held = filled("a", "a", "a")

    assert register.admit(FakeConnection("a")) is ConnectionAdmission.FREE
    assert (closed(held), len(register)) == ([0], 3)


def test_one_of_the_address_with_most_connections_makes_room_for_others() -> None:
    register, held = filled("quiet", "flood", "flood", "quiet", "flood")

    register.admit(FakeConnection("new"))

    assert closed(held) == [1]


def test_one_that_is_answered_makes_no_room_and_one_that_waits_again_is_last() -> None:
    register, held = filled("a", "a", "a")
    register.mark_working(held[0])
    register.mark_working(held[1])
    register.mark_waiting(held[1])

    register.admit(FakeConnection("a"))
    register.admit(FakeConnection("a"))

    assert closed(held) == [1, 2]


def test_where_all_are_answered_a_few_more_are_admitted_and_then_none() -> None:
    register, held = filled("a", "b")
    for each in held:
        register.mark_working(each)
    reserve = [FakeConnection("c") for _ in range(RESERVED_CONNECTIONS)]

    assert {register.admit(each) for each in reserve} == {ConnectionAdmission.RESERVE}
    assert closed(reserve) == []
    last = FakeConnection("d")
    assert register.admit(last) is ConnectionAdmission.RESERVE
    assert closed(reserve) == [0]
    for each in (*reserve[1:], last):
        register.mark_working(each)
    assert register.admit(FakeConnection("d")) is ConnectionAdmission.NONE
    assert closed(held) == []


def test_a_connection_that_left_counts_no_more_and_twice_does_no_harm() -> None:
    register, held = filled("a", "a")
    register.remove(held[0])
    register.remove(held[0])
    register.mark_waiting(held[0])

    assert register.admit(FakeConnection("a")) is ConnectionAdmission.FREE
    assert closed(held) == []


def test_health_speaks_of_a_shortage_for_a_minute_and_names_who_holds_the_connections() -> None:
    clock = Time()
    register, _ = filled("10.0.0.9", "10.0.0.9", "10.0.0.7", clock=clock)
    assert register.describe_shortage() == ""

    register.admit(FakeConnection("10.0.0.9"))

    assert register.describe_shortage().startswith(
        "the API rejected or closed 1 connection at its limit in 60 s: "
        "3 of at most 3 are open, 2 of them from 10.0.0.9; stop the program"
    )
    clock.now = SHORTAGE_REMEMBERED_S + 1
    assert register.describe_shortage() == ""


def test_slow_requests_alone_are_no_shortage() -> None:
    register, _ = filled("a")
    register.count_closed(CloseReason.SLOW_REQUEST)

    assert register.describe_shortage() == ""


def test_what_was_closed_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Time()
    register, _ = filled("a", clock=clock)
    with caplog.at_level(logging.WARNING, "scheduler.connections"):
        for _ in range(300):
            register.admit(FakeConnection("a"))
            register.count_closed(CloseReason.MALFORMED)
            register.check_all()
        clock.now = CLOSE_LOG_INTERVAL
        register.check_all()
        register.check_all()

    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(
        "connections of the API: 1 closed for new connections, 1 closed because the request was malf"
    )
    assert "299 closed for new connections" in second


def test_the_largest_unread_answers_are_dropped_once_all_together_are_too_many() -> None:
    register = ConnectionRegister(10, Time())
    held = [FakeConnection(unsent=size) for size in (1000, MAX_UNSENT_BYTES // 2, MAX_UNSENT_BYTES // 2 + 1, 2000)]
    for each in held:
        register.admit(each)

    register.drop_slow_readers()

    assert closed(held) == [2]

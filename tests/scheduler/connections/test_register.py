"""Who is closed when there is no room, and what health and log say of it."""

from __future__ import annotations

import logging

import pytest

from scheduler.connections.register import LOG_EVERY, MOST_UNSENT, RECENT, RESERVE, Reason, Register, Room


class Held:
    """A connection that remembers what was done to it."""

    def __init__(self, peer: str = "a", unsent: int = 0) -> None:
        self.peer, self.size = peer, unsent
        self.closed = ""

    def make_room(self) -> None:
        self.closed = "evicted"

    def check(self, now: float) -> None:
        pass

    def unsent(self) -> int:
        return self.size

    def drop(self) -> None:
        self.closed = "dropped"
        self.size = 0


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def filled(*peers: str, clock: Time | None = None) -> tuple[Register, list[Held]]:
    """A register that is full with connections that wait, the first one for longest."""
    register = Register(len(peers), clock or Time())
    held = [Held(peer) for peer in peers]
    for each in held:
        assert register.admit(each) is Room.FREE
    return register, held


def closed(held: list[Held]) -> list[int]:
    return [number for number, each in enumerate(held) if each.closed]


def test_the_one_that_waits_longest_makes_room() -> None:
    register, held = filled("a", "a", "a")

    assert register.admit(Held("a")) is Room.FREE
    assert (closed(held), len(register)) == ([0], 3)


def test_one_of_the_address_with_most_connections_makes_room_for_others() -> None:
    register, held = filled("quiet", "flood", "flood", "quiet", "flood")

    register.admit(Held("new"))

    assert closed(held) == [1]


def test_one_that_is_answered_makes_no_room_and_one_that_waits_again_is_last() -> None:
    register, held = filled("a", "a", "a")
    register.work(held[0])
    register.work(held[1])
    register.wait(held[1])

    register.admit(Held("a"))
    register.admit(Held("a"))

    assert closed(held) == [1, 2]


def test_where_all_are_answered_a_few_more_are_let_in_and_then_none() -> None:
    register, held = filled("a", "b")
    for each in held:
        register.work(each)
    reserve = [Held("c") for _ in range(RESERVE)]

    assert {register.admit(each) for each in reserve} == {Room.RESERVE}
    assert closed(reserve) == []
    last = Held("d")
    assert register.admit(last) is Room.RESERVE
    assert closed(reserve) == [0]
    for each in (*reserve[1:], last):
        register.work(each)
    assert register.admit(Held("d")) is Room.NONE
    assert closed(held) == []


def test_a_connection_that_left_counts_no_more_and_twice_does_no_harm() -> None:
    register, held = filled("a", "a")
    register.leave(held[0])
    register.leave(held[0])
    register.wait(held[0])

    assert register.admit(Held("a")) is Room.FREE
    assert closed(held) == []


def test_health_speaks_of_a_shortage_for_a_minute_and_names_who_holds_the_connections() -> None:
    clock = Time()
    register, _ = filled("10.0.0.9", "10.0.0.9", "10.0.0.7", clock=clock)
    assert register.shortage() == ""

    register.admit(Held("10.0.0.9"))

    assert register.shortage().startswith(
        "the API refused a connection, or closed one to make room, 1 times in 60 s: "
        "3 of at most 3 are open, 2 of them from 10.0.0.9; end the program"
    )
    clock.now = RECENT + 1
    assert register.shortage() == ""


def test_slow_requests_alone_are_no_shortage() -> None:
    register, _ = filled("a")
    register.count(Reason.SLOW_REQUEST)

    assert register.shortage() == ""


def test_what_was_closed_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Time()
    register, _ = filled("a", clock=clock)
    with caplog.at_level(logging.WARNING, "scheduler.connections"):
        for _ in range(300):
            register.admit(Held("a"))
            register.count(Reason.MALFORMED)
            register.sweep()
        clock.now = LOG_EVERY
        register.sweep()
        register.sweep()

    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(
        "connections of the API: 1 closed to make room for others, 1 closed, as the request was malf"
    )
    assert "299 closed to make room for others" in second


def test_the_largest_unread_answers_are_dropped_once_all_together_are_too_many() -> None:
    register = Register(10, Time())
    held = [Held(unsent=size) for size in (1000, MOST_UNSENT // 2, MOST_UNSENT // 2 + 1, 2000)]
    for each in held:
        register.admit(each)

    register.limit_unsent()

    assert closed(held) == [2]

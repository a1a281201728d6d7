"""Batches: what travels in a queue message, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs import Ticket
from scheduler.dispatch.batches import LARGEST_MESSAGE, LEAD, BadMessage, Batch, decode, encode, in_batches

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def ticket(seconds: float, job: str = "checkout") -> Ticket:
    return Ticket.scheduled(job, START + timedelta(seconds=seconds), "abc123")


def test_a_batch_comes_out_of_its_message_as_it_went_in() -> None:
    batch = Batch((ticket(1), Ticket.requested("search", START, "def456")))

    assert decode(encode(batch)) == batch
    assert decode(encode(batch).encode()) == batch


def test_tickets_of_one_slice_travel_together_and_others_apart() -> None:
    batches = list(in_batches([ticket(12), ticket(1), ticket(9.9), ticket(10)], START))

    assert [[found.due_at.second for found in batch.tickets] for batch in batches] == [[1, 9], [10, 12]]


def test_tickets_that_are_due_already_travel_together() -> None:
    batches = list(in_batches([ticket(-3600), ticket(1), ticket(-100)], START))

    assert [[(found.due_at - START).total_seconds() for found in batch.tickets] for batch in batches] == [
        [-3600, -100, 1]
    ]


def test_a_batch_becomes_visible_shortly_before_its_first_instant() -> None:
    batch = Batch((ticket(40), ticket(38)))

    assert batch.delay(START) == 38 - LEAD.total_seconds()
    assert batch.delay(START + timedelta(seconds=37)) == 0


def test_a_slice_with_many_tickets_is_cut_into_messages_that_fit() -> None:
    tickets = [ticket(1, f"{'n' * 90}-{number}") for number in range(1000)]

    batches = list(in_batches(tickets, START))

    assert len(batches) > 1
    assert all(len(encode(batch).encode()) <= LARGEST_MESSAGE for batch in batches)
    assert [found for batch in batches for found in batch.tickets] == tickets


def test_many_tickets_of_one_instant_are_shared_out_evenly_over_messages() -> None:
    batches = list(in_batches([ticket(1, f"job-{number}") for number in range(250)], START))

    assert [len(batch.tickets) for batch in batches] == [83, 83, 84]


def test_a_message_of_a_busy_slice_becomes_visible_shortly_before_its_own_first_instant() -> None:
    batches = list(in_batches([ticket(10 + number / 20, f"job-{number}") for number in range(200)], START))

    assert [batch.delay(START) for batch in batches] == [5, 10]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "message"),
        ("nonsense", "message"),
        ("[]", "message"),
        ('{"version": 2, "tickets": []}', "version"),
        ('{"version": 1}', "tickets"),
        ('{"version": 1, "tickets": []}', "without tickets"),
        ('{"version": 1, "tickets": [{"id": "x"}]}', "tickets.0"),
        ('{"version": 1, "tickets": [], "more": 1}', "more"),
        ("x" * (3 * LARGEST_MESSAGE), "characters"),
    ],
)
def test_what_is_no_batch_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(BadMessage, match=says):
        decode(text)


@given(st.text() | st.binary())
def test_arbitrary_input_is_refused_and_nothing_else_happens(body: str | bytes) -> None:
    with pytest.raises(BadMessage):
        decode(body)

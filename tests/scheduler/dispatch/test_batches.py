"""Batches: what travels in a queue message, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs import Ticket
from scheduler.dispatch.batches import (
    MAX_MESSAGE_BYTES,
    MAX_TICKETS_PER_MESSAGE,
    MAX_VERBOSE_TICKETS,
    VISIBLE_BEFORE,
    InvalidBatchMessage,
    TicketBatch,
    decode_batch,
    encode_batch,
    split_into_batches,
)

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def ticket(seconds: float, job: str = "checkout") -> Ticket:
    return Ticket.scheduled(job, START + timedelta(seconds=seconds), "abc123")


def test_a_batch_comes_out_of_its_message_as_it_went_in() -> None:
    batch = TicketBatch((ticket(1), Ticket.requested("search", START, "def456")))

    assert decode_batch(encode_batch(batch)) == batch
    assert decode_batch(encode_batch(batch).encode()) == batch


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b-2", "c"]), st.integers(0, 10_000_000), st.sampled_from(["g1", "g2"])),
        min_size=MAX_VERBOSE_TICKETS + 1,
        max_size=MAX_VERBOSE_TICKETS + 50,
    )
)
def test_many_scheduled_tickets_come_out_of_their_message_as_they_went_in(
    planned: list[tuple[str, int, str]],
) -> None:
    batch = TicketBatch(tuple(Ticket.scheduled(job, START + timedelta(microseconds=us), of) for job, us, of in planned))

    assert decode_batch(encode_batch(batch)) == batch


def test_a_ticket_of_many_scheduled_ones_takes_a_fifth_of_the_room() -> None:
    tickets = [ticket(number / 50, f"checkout-api-health-{number:03d}") for number in range(MAX_TICKETS_PER_MESSAGE)]

    assert len(encode_batch(TicketBatch(tuple(tickets)))) / len(tickets) < 50
    assert len(encode_batch(TicketBatch(tuple(tickets[:100])))) / 100 > 200


def test_few_tickets_are_written_as_earlier_versions_read_them() -> None:
    few = TicketBatch(tuple(ticket(1, f"job-{number}") for number in range(MAX_VERBOSE_TICKETS)))
    requested_for = TicketBatch(tuple(Ticket.requested(f"job-{number}", START, "def456") for number in range(150)))

    for batch in (few, requested_for):
        assert json.loads(encode_batch(batch))["version"] == 1
        assert decode_batch(encode_batch(batch)) == batch


@pytest.mark.parametrize(
    ("jobs", "every", "messages"), [(300, 10, 8), (1000, 10, 16), (10_000, 10, 160), (10_000, 60, 32)]
)
def test_a_tick_puts_so_many_messages_on_the_queue(jobs: int, every: int, messages: int) -> None:
    """The figures of docs/deploying.md: 80 s, spread evenly."""
    planned = [
        ticket(start + every * number / jobs, f"checkout-api-health-{number:05d}")
        for number in range(jobs)
        for start in range(0, 80, every)
        if start + every * number / jobs < 80
    ]

    assert len(list(split_into_batches(planned, START))) == messages


def test_tickets_of_one_slice_travel_together_and_others_apart() -> None:
    batches = list(split_into_batches([ticket(12), ticket(1), ticket(9.9), ticket(10)], START))

    assert [[found.due_at.second for found in batch.tickets] for batch in batches] == [[1, 9], [10, 12]]


def test_tickets_that_are_due_already_travel_together() -> None:
    batches = list(split_into_batches([ticket(-3600), ticket(1), ticket(-100)], START))

    assert [[(found.due_at - START).total_seconds() for found in batch.tickets] for batch in batches] == [
        [-3600, -100, 1]
    ]


def test_a_batch_becomes_visible_shortly_before_its_first_instant() -> None:
    batch = TicketBatch((ticket(40), ticket(38)))

    assert batch.visibility_timeout(START) == 38 - VISIBLE_BEFORE.total_seconds()
    assert batch.visibility_timeout(START + timedelta(seconds=37)) == 0


def test_a_slice_with_many_tickets_is_cut_into_messages_that_fit() -> None:
    tickets = [ticket(1, f"{'n' * 90}-{number}") for number in range(1000)]

    batches = list(split_into_batches(tickets, START))

    assert len(batches) > 1
    assert all(len(encode_batch(batch).encode()) <= MAX_MESSAGE_BYTES for batch in batches)
    assert [found for batch in batches for found in batch.tickets] == tickets


def test_many_tickets_of_one_instant_are_shared_out_evenly_over_messages() -> None:
    batches = list(split_into_batches([ticket(1, f"job-{number}") for number in range(1250)], START))

    assert [len(batch.tickets) for batch in batches] == [416, 417, 417]


def test_a_message_of_a_busy_slice_becomes_visible_shortly_before_its_own_first_instant() -> None:
    batches = list(split_into_batches([ticket(10 + number / 100, f"job-{number}") for number in range(1000)], START))

    assert [batch.visibility_timeout(START) for batch in batches] == [5, 10]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "message"),
        ("nonsense", "message"),
        ("[]", "message"),
        ('{"version": 3, "tickets": []}', "version"),
        ('{"version": 2, "tickets": []}', "start"),
        ('{"version": 2, "start": 1, "generations": [], "tickets": []}', "without tickets"),
        ('{"version": 2, "start": 1, "generations": [], "tickets": [["a", 1, 0]]}', "index"),
        ('{"version": 2, "start": 1, "generations": ["g"], "tickets": [["a", 1]]}', "tickets.0"),
        ('{"version": 2, "start": 1e30, "generations": ["g"], "tickets": [["a", 1, 0]]}', "start"),
        ('{"version": 1}', "tickets"),
        ('{"version": 1, "tickets": []}', "without tickets"),
        ('{"version": 1, "tickets": [{"id": "x"}]}', "tickets.0"),
        ('{"version": 1, "tickets": [], "more": 1}', "more"),
        ("x" * (3 * MAX_MESSAGE_BYTES), "characters"),
    ],
)
def test_what_is_no_batch_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(InvalidBatchMessage, match=message):
        decode_batch(text)


@given(st.text() | st.binary())
def test_arbitrary_input_is_refused_and_nothing_else_happens(body: str | bytes) -> None:
    with pytest.raises(InvalidBatchMessage):
        decode_batch(body)

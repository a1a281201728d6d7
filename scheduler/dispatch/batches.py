"""Batches: tickets that travel in one queue message. Made by the tick, read by the queue function.

Tickets whose instants fall into the same short slice share a message, which becomes visible shortly before the slice;
the worker waits inside it for each instant. So lateness does not hang on how often the queue is polled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.runs import Ticket

SLICE = timedelta(seconds=10)
LEAD = timedelta(seconds=5)
"""How long before its slice a message becomes visible: longer than the host's queue polling interval."""
MOST_TICKETS = 100
"""Tickets of a message: enough to make what a message costs small, and few enough for several workers to share what is
due at one instant. A worker takes 16 messages at a time (host.json) and works on all of their tickets at once."""
LARGEST_MESSAGE = 48 * 1024
"""Bytes. Azure takes 64 KiB, and the Functions host reads base64, which is a third longer."""


class BadMessage(ValueError):
    """A queue message is not a batch."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version: Literal[1]
    tickets: list[Ticket]


@dataclass(frozen=True, slots=True)
class Batch:
    tickets: tuple[Ticket, ...]

    def delay(self, now: datetime) -> float:
        """Seconds for which the message stays invisible."""
        first = min(ticket.due_at for ticket in self.tickets)
        return max(0.0, (first - LEAD - now).total_seconds())


def encode(batch: Batch) -> str:
    return _Message(version=1, tickets=list(batch.tickets)).model_dump_json()


def decode(text: str | bytes) -> Batch:
    """Raises BadMessage: not JSON, another version, a field that is missing or wrong."""
    if len(text) > 2 * LARGEST_MESSAGE:
        raise BadMessage(f"the message has {len(text)} characters, a batch at most {LARGEST_MESSAGE}")
    try:
        message = _Message.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "message"
        raise BadMessage(f"not a batch of tickets: {where}: {first['msg']}") from None
    if not message.tickets:
        raise BadMessage("a batch without tickets")
    return Batch(tuple(message.tickets))


def in_batches(tickets: Iterable[Ticket], now: datetime) -> Iterator[Batch]:
    """Tickets grouped by slice, soonest first, each batch small enough for one message; those of a slice are about
    equally large. What is due already is in the present slice.
    """

    def slice_of(ticket: Ticket) -> int:
        return int(max(now, ticket.due_at).timestamp() // SLICE.total_seconds())

    for _, together in groupby(sorted(tickets, key=lambda ticket: ticket.due_at), key=slice_of):
        found = list(together)
        parts = math.ceil(len(found) / MOST_TICKETS)
        for part in range(parts):
            yield from _fitting(found[part * len(found) // parts : (part + 1) * len(found) // parts])


def _fitting(tickets: list[Ticket]) -> Iterator[Batch]:
    """Halve until a batch fits; a single ticket always does, as names are bounded."""
    batch = Batch(tuple(tickets))
    if len(tickets) == 1 or len(encode(batch).encode()) <= LARGEST_MESSAGE:
        yield batch
        return
    middle = len(tickets) // 2
    yield from _fitting(tickets[:middle])
    yield from _fitting(tickets[middle:])

"""Batches of tickets in one queue message. Encoded by the tick, decoded by the queue function.

Tickets of the same short slice share a message, which becomes visible shortly before the slice; the worker waits for
each instant. So lateness does not depend on the polling interval of the queue.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from jobs.runs import Ticket

BATCH_SLICE = timedelta(seconds=10)
VISIBLE_BEFORE = timedelta(seconds=5)
"""How long before its slice a message becomes visible: more than the host's polling interval."""
MAX_TICKETS_PER_MESSAGE = 500
"""Tickets of a message. The platform's scaler adds an instance for every 24 messages on the queue, hidden ones included
(host.json: batchSize + newBatchThreshold), and a tick adds messages for 75 s. So 500 tickets of 10 s a message add an
instance for each 150 runs a second, about what one instance can execute. Larger messages would add too few instances;
100 tickets added five times as many. See docs/deploying.md."""
MAX_MESSAGE_BYTES = 48 * 1024
"""Bytes. Azure accepts 64 KiB, and the Functions host reads base64, which is a third longer."""
MAX_VERBOSE_TICKETS = 100
"""Tickets of a message of version 1, which earlier versions of the program read too. Only large deployments have more
tickets in a few seconds."""


class InvalidBatchMessage(ValueError):
    """A queue message is not a batch."""


class _VerboseMessage(BaseModel):
    """Version 1: full tickets."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version: Literal[1]
    tickets: list[Ticket]


_CompactTicket = Annotated[tuple[str, int, int], Field(strict=True)]
"""A scheduled ticket: job, microseconds from the message's `start`, index of its generation in `generations`."""


class _CompactMessage(BaseModel):
    """Version 2: scheduled tickets without the fields derived from job and instant: a fifth of the size."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version: Literal[2]
    start: int
    """Microseconds since 1970 of the first instant."""
    generations: list[str]
    tickets: list[_CompactTicket]

    def expand(self) -> list[Ticket]:
        """Return the tickets. Raises IndexError, OverflowError, ValueError."""
        return [
            Ticket.scheduled(job, _EPOCH + (self.start + after) * _MICROSECOND, self.generations[place])
            for job, after, place in self.tickets
        ]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TicketBatch:
    tickets: tuple[Ticket, ...]

    def visibility_timeout(self, now: datetime) -> float:
        """Seconds for which the message stays invisible."""
        first = min(ticket.due_at for ticket in self.tickets)
        return max(0.0, (first - VISIBLE_BEFORE - now).total_seconds())


def encode_batch(batch: TicketBatch) -> str:
    """Return the text of the batch's message: version 1 where older programs may have to read it, else the compact one.

    The compact form has only what a scheduled ticket is derived from, so a batch with another ticket has version 1.
    """
    if len(batch.tickets) <= MAX_VERBOSE_TICKETS or not all(map(_is_scheduled_only, batch.tickets)):
        return _VerboseMessage(version=1, tickets=list(batch.tickets)).model_dump_json()
    start = min(ticket.due_at for ticket in batch.tickets)
    places: dict[str, int] = {}
    tickets = [
        (ticket.job, (ticket.due_at - start) // _MICROSECOND, places.setdefault(ticket.generation, len(places)))
        for ticket in batch.tickets
    ]
    dense = _CompactMessage(
        version=2, start=(start - _EPOCH) // _MICROSECOND, generations=list(places), tickets=tickets
    )
    return dense.model_dump_json()


def decode_batch(text: str | bytes) -> TicketBatch:
    """Decode a message. Raises InvalidBatchMessage: not JSON, another version, a missing or wrong field."""
    if len(text) > 2 * MAX_MESSAGE_BYTES:
        raise InvalidBatchMessage(f"the message has {len(text)} characters, a batch at most {MAX_MESSAGE_BYTES}")
    try:
        message = _MESSAGES.validate_json(text)
    except ValidationError as error:
        raise InvalidBatchMessage(f"not a batch of tickets: {_first_problem(error)}") from None
    try:
        tickets = message.tickets if isinstance(message, _VerboseMessage) else message.expand()
    except (IndexError, OverflowError, ValueError) as error:
        raise InvalidBatchMessage(f"not a batch of tickets: {error}") from None
    if not tickets:
        raise InvalidBatchMessage("a batch without tickets")
    return TicketBatch(tuple(tickets))


_MESSAGES: TypeAdapter[_VerboseMessage | _CompactMessage] = TypeAdapter(
    Annotated[_VerboseMessage | _CompactMessage, Field(discriminator="version")]
)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "message"
    return f"{where}: {first['msg']}"


def _is_scheduled_only(ticket: Ticket) -> bool:
    """Return whether the ticket is derived from job, instant and generation."""
    return ticket == Ticket.scheduled(ticket.job, ticket.due_at, ticket.generation)


def split_into_batches(tickets: Iterable[Ticket], now: datetime) -> Iterator[TicketBatch]:
    """Group tickets by slice, earliest first, into batches that fit one message and have about equal size.

    Tickets that are due already belong to the current slice.
    """

    def slice_of(ticket: Ticket) -> int:
        return int(max(now, ticket.due_at).timestamp() // BATCH_SLICE.total_seconds())

    for _, together in groupby(sorted(tickets, key=lambda ticket: ticket.due_at), key=slice_of):
        of_slice = list(together)
        # Parts of about equal size, not full messages and a rest: several instances share the work of a slice.
        parts = math.ceil(len(of_slice) / MAX_TICKETS_PER_MESSAGE)
        for part in range(parts):
            yield from _split_to_fit(of_slice[part * len(of_slice) // parts : (part + 1) * len(of_slice) // parts])


def _split_to_fit(tickets: list[Ticket]) -> Iterator[TicketBatch]:
    """Halve until a batch fits; a single ticket always fits, because names are bounded."""
    batch = TicketBatch(tuple(tickets))
    if len(tickets) == 1 or len(encode_batch(batch).encode()) <= MAX_MESSAGE_BYTES:
        yield batch
        return
    middle = len(tickets) // 2
    yield from _split_to_fit(tickets[:middle])
    yield from _split_to_fit(tickets[middle:])

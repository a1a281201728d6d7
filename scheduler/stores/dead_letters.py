"""Dead letters: what was given up, with its reason and all that is needed to look into it. Used by queue_work.

One row each, in one partition, newest first; they are few. The id says where the row is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pydantic import TypeAdapter

from jobs.runs import Ticket, instant_text, read_instant
from scheduler.stores.port import Delete, Put, Store
from scheduler.stores.run_keys import before, reverse_ms

TABLE = "dead_letters"
_PARTITION = "letters"
LONGEST_MESSAGE = 100_000
"""Characters of a message that are kept; a queue takes 64 KiB."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`ticket`, or else the text of a `message` that is no batch of tickets. `attempts`: deliveries, 0 if not known."""

    id: str
    reason: str
    at: datetime
    ticket: Ticket | None = None
    message: str = ""
    attempts: int = 0

    @staticmethod
    def of_ticket(ticket: Ticket, reason: str, at: datetime, attempts: int = 0) -> DeadLetter:
        return DeadLetter(_id(at, ticket.id), reason, at, ticket=ticket, attempts=attempts)

    @staticmethod
    def of_message(text: str, reason: str, at: datetime, attempts: int = 0) -> DeadLetter:
        return DeadLetter(_id(at, text), reason, at, message=text[:LONGEST_MESSAGE], attempts=attempts)


class DeadLetters:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def _json(self) -> TypeAdapter[DeadLetter]:
        return TypeAdapter(DeadLetter)

    async def add(self, letter: DeadLetter) -> None:
        """Keep it; adding the same one again changes nothing."""
        body = self._json.dump_json(letter, exclude_defaults=True).decode()
        await self._store.apply(Put(TABLE, _PARTITION, _key(letter.id), body))

    async def list(self, *, limit: int = 50, after: str = "") -> Sequence[DeadLetter]:
        """Newest first, those older than the letter with the id `after`. Raises ValueError if that is no such id."""
        rows = await self._store.list(TABLE, _PARTITION, after=_key(after) if after else "", limit=limit)
        return [self._json.validate_json(row.body) for row in rows]

    async def get(self, letter_id: str) -> DeadLetter | None:
        try:
            key = _key(letter_id)
        except ValueError:
            return None
        row = await self._store.get(TABLE, _PARTITION, key)
        return None if row is None else self._json.validate_json(row.body)

    async def prune(self, now: datetime, age_s: float) -> int:
        """Delete those older than `age_s` seconds. Returns how many."""
        deleted = 0
        after = reverse_ms(before(now, age_s))
        while rows := await self._store.list(TABLE, _PARTITION, after=after, limit=100, bodies=False):
            await self._store.apply(*(Delete(TABLE, _PARTITION, row.key) for row in rows))
            deleted += len(rows)
            after = rows[-1].key
        return deleted


def _id(at: datetime, content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{instant_text(at)}.{digest}"


def _key(letter_id: str) -> str:
    """Raises ValueError."""
    stamp, _, digest = letter_id.partition("Z.")
    if not digest.isalnum():
        raise ValueError(f"{letter_id!r} is not the id of a dead letter")
    return f"{reverse_ms(read_instant(stamp + 'Z'))}.{digest}"

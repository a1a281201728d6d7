"""Dead letters: runs, tickets and messages that were given up, with all that is needed to replay them.

One row each, in one partition, newest first; there are few. The row is found by the id. The watchdog counts letters and
open runs by their keys alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from jobs.formats import format_run_instant, parse_run_instant
from jobs.runs import Attempt, ErrorClass, Run, Ticket
from scheduler.stores.port import MAX_PAGE, Insert, Row, RowExists, Store, StoreError
from scheduler.stores.rows import PREFIX_END, InvalidContinuation
from scheduler.stores.runs.keys import HISTORY_TABLE, OPEN_PREFIX, SHARD_NAMES, RunKey, instant_before, reverse_ms
from scheduler.stores.runs.size_limits import shrink_letter_to_fit
from scheduler.stores.table import Table

if TYPE_CHECKING:
    from jobs.definition import JobDefinition

_log = logging.getLogger("scheduler.stores")

MAX_LETTER_MESSAGE = 100_000
"""Characters that are stored of a message, and of a traceback. A queue accepts 64 KiB."""
MAX_LETTER_DEFINITION = 200_000
"""Characters of a definition as JSON. A larger one is omitted, because the row would be too large."""


@dataclass(frozen=True, slots=True)
class LetterReplay:
    """A started replay. Its ticket is final, so that starting again after a crash makes no second run.

    `done`: its run is stored and dispatched.
    """

    ticket: Ticket
    at: datetime
    done: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A ticket that was given up, or the text of a `message` that is not a batch of tickets.

    `attempts`: how often it was tried (a message: delivered), 0 if unknown. `tried`: each attempt of the run. `error`:
    that of the last one. `definition`: the job at that time. `traceback`: of a bug in the scheduler.
    """

    id: str
    reason: str
    at: datetime
    ticket: Ticket | None = None
    message: str = ""
    attempts: int = 0
    tried: tuple[Attempt, ...] = ()
    error: ErrorClass | None = None
    definition: Mapping[str, Any] | None = None
    traceback: str = ""
    replay: LetterReplay | None = None

    @staticmethod
    def from_run(run: Run, ticket: Ticket, job: JobDefinition, traceback: str = "") -> DeadLetter:
        """Return the letter of a run that is down after its last attempt."""
        return DeadLetter(
            DeadLetter.id_for_run(run),
            run.message,
            run.finished_at,
            ticket=ticket,
            attempts=len(run.attempts),
            tried=run.attempts,
            error=run.error,
            definition=_definition_to_store(job),
            traceback=traceback[-MAX_LETTER_MESSAGE:],
        )

    @staticmethod
    def id_for_run(run: Run) -> str:
        """Return the id of the letter that `from_run` makes: the same for each process that finishes the run."""
        return _letter_id(run.due_at, run.id)

    @staticmethod
    def from_ticket(
        ticket: Ticket, reason: str, at: datetime, attempts: int = 0, job: JobDefinition | None = None
    ) -> DeadLetter:
        """Return the letter of a ticket. `job` None: no such job exists now."""
        definition = None if job is None else _definition_to_store(job)
        return DeadLetter(
            _letter_id(at, ticket.id), reason, at, ticket=ticket, attempts=attempts, definition=definition
        )

    @staticmethod
    def from_message(text: str, reason: str, at: datetime, attempts: int = 0) -> DeadLetter:
        return DeadLetter(_letter_id(at, text), reason, at, message=text[:MAX_LETTER_MESSAGE], attempts=attempts)

    @property
    def job(self) -> str | None:
        return None if self.ticket is None else self.ticket.job


@dataclass(frozen=True, slots=True)
class LetterPage:
    """`continuation` is the id after which the next page begins; None on the last one."""

    letters: tuple[DeadLetter, ...]
    continuation: str | None


def _definition_to_store(job: JobDefinition) -> Mapping[str, Any] | None:
    if len(job.model_dump_json(by_alias=True)) > MAX_LETTER_DEFINITION:
        return None
    return job.to_json()


def _letter_id(at: datetime, content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{format_run_instant(at)}.{digest}"


DEAD_LETTERS_TABLE = "dead_letters"
LETTERS_PARTITION = "letters"
LETTER_PAGE_SCAN_LIMIT = 1000
"""Rows that one page reads, approximately: a filter that matches little must not read everything at once."""
_SCAN_BATCH = 200


@cache
def _type_adapter() -> TypeAdapter[DeadLetter]:
    """Built once, because that takes 13 ms, and only when it is needed."""
    return TypeAdapter(DeadLetter)


class DeadLetters:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = Table(store, DEAD_LETTERS_TABLE, LETTERS_PARTITION, _encode, _decode)

    async def add(self, letter: DeadLetter) -> None:
        """Store the letter; adding it again changes nothing. One that is too large for a row is stored in part."""
        text, cut = shrink_letter_to_fit(letter, _encode)
        if cut:
            _log.warning("could not store dead letter %s completely: it is too large for a row; %s", letter.id, cut)
        try:
            await self._store.apply(Insert(DEAD_LETTERS_TABLE, LETTERS_PARTITION, _row_key(letter.id), text))
        except RowExists:
            return

    def measure_row(self, letter: DeadLetter) -> int:
        """Return the characters of its row."""
        return len(_encode(letter))

    async def add_all(self, letters: Sequence[DeadLetter]) -> None:
        """`add` each of them, many together."""
        inserts = [[self._rows.put(_row_key(letter.id), letter, None)] for letter in letters]
        for answer in await self._store.apply_each(inserts) if inserts else ():
            if isinstance(answer, StoreError) and not isinstance(answer, RowExists):
                raise answer

    async def list_letters(self, *, limit: int = 50, after: str = "") -> Sequence[DeadLetter]:
        """List newest first, those older than the letter with the id `after`.

        Raises InvalidContinuation if `after` is not an id.
        """
        return await self._rows.list_values(after=_key_of_continuation(after) if after else "", limit=limit)

    async def read_page(self, *, job: str | None = None, limit: int = 50, after: str = "") -> LetterPage:
        """List letters newest first, those of one job or of all, from the one after the id `after` on.

        Reads a limited number of letters, so a page may have fewer than `limit` (even none) and still have a
        continuation.
        """
        page: list[DeadLetter] = []
        scanned = 0
        while scanned < LETTER_PAGE_SCAN_LIMIT:
            letters = await self.list_letters(limit=_SCAN_BATCH, after=after)
            for letter in letters:
                if job in (None, letter.job):
                    if len(page) == limit:
                        return LetterPage(tuple(page), after)
                    page.append(letter)
                after = letter.id
            if len(letters) < _SCAN_BATCH:
                return LetterPage(tuple(page), None)
            scanned += len(letters)
        return LetterPage(tuple(page), after)

    async def find(self, letter_id: str) -> DeadLetter | None:
        key = _find_row_key(letter_id)
        return None if key is None else await self._rows.find(key)

    async def start_replay(self, letter_id: str, ticket: Ticket, now: datetime) -> DeadLetter | None:
        """Decide by which ticket the letter is replayed, unless that is decided.

        Of any number of concurrent callers one decides; all get the letter with its replay. None: the letter does not
        exist.
        """
        return await self._change(
            letter_id, lambda letter: letter if letter.replay else replace(letter, replay=LetterReplay(ticket, now))
        )

    async def finish_replay(self, letter_id: str) -> DeadLetter | None:
        """Record that the run of the replay is stored and dispatched."""
        return await self._change(
            letter_id,
            lambda letter: replace(letter, replay=replace(letter.replay, done=True)) if letter.replay else letter,
        )

    async def discard(self, letter_id: str) -> bool:
        """Delete it; return False if it does not exist."""
        if await self.find(letter_id) is None:
            return False
        await self._rows.remove(_row_key(letter_id))
        return True

    async def prune(self, now: datetime, age_s: float) -> int:
        """Delete those older than `age_s` seconds. Return how many."""
        return await self._rows.remove_range(after=reverse_ms(instant_before(now, age_s)))

    async def _change(self, letter_id: str, change: Callable[[DeadLetter], DeadLetter]) -> DeadLetter | None:
        key = _find_row_key(letter_id)
        if key is None:
            return None
        _, letter = await self._rows.update(key, lambda letter: None if letter is None else change(letter))
        return letter


def _encode(letter: DeadLetter) -> str:
    try:
        return _type_adapter().dump_json(letter, exclude_defaults=True).decode()
    except PydanticSerializationError:
        # Half of a surrogate pair in a message from outside: no store takes it.
        body = _type_adapter().dump_python(letter, mode="json", exclude_defaults=True)
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace").decode()


def _decode(row: Row) -> DeadLetter:
    return _type_adapter().validate_json(row.body)


def _find_row_key(letter_id: str) -> str | None:
    """Return the key of a letter's row; None if this is not an id."""
    with suppress(ValueError):
        return _row_key(letter_id)
    return None


def _key_of_continuation(continuation: str) -> str:
    key = _find_row_key(continuation)
    if key is None:
        raise InvalidContinuation(continuation)
    return key


def _row_key(letter_id: str) -> str:
    """Raises ValueError."""
    stamp, _, digest = letter_id.partition("Z.")
    if not (digest.isascii() and digest.isalnum()) or len(digest) > 64:
        raise ValueError(f"{letter_id!r} is not the id of a dead letter")
    return f"{reverse_ms(parse_run_instant(stamp + 'Z'))}.{digest}"


MAX_COUNTED_PAGES = 5
"""Pages of a partition that are counted: 6,000 letters are reported as 5,000, and so are 6,000 open runs of one shard.
"""


@dataclass(frozen=True, slots=True)
class OpenRunCount:
    """Runs that are queued or running, of any process. `oldest_due_at`: the earliest due instant of those counted."""

    count: int
    oldest_due_at: datetime | None


async def count_open_runs(store: Store) -> OpenRunCount:
    """Count open runs; finished ones that are not acknowledged count as well. Raises StoreUnavailable."""
    shards = await asyncio.gather(*(_list_due_instants(store, name) for name in SHARD_NAMES))
    instants = [due_at for shard in shards for due_at in shard]
    return OpenRunCount(len(instants), min(instants, default=None))


async def _list_due_instants(store: Store, shard: str) -> Sequence[datetime]:
    return [
        RunKey.from_row_key(row.key).due_at
        async for row in _iterate_keys(store, HISTORY_TABLE, shard, OPEN_PREFIX, OPEN_PREFIX + PREFIX_END)
    ]


async def count_dead_letters(store: Store) -> int:
    """Count dead letters. Raises StoreUnavailable."""
    return sum([1 async for _ in _iterate_keys(store, DEAD_LETTERS_TABLE, LETTERS_PARTITION)])


async def _iterate_keys(
    store: Store, table: str, partition: str, after: str = "", until: str = ""
) -> AsyncIterator[Row]:
    for _ in range(MAX_COUNTED_PAGES):
        rows = await store.list_rows(table, partition, after=after, until=until, limit=MAX_PAGE, bodies=False)
        for row in rows:
            yield row
        if len(rows) < MAX_PAGE:
            return
        after = rows[-1].key

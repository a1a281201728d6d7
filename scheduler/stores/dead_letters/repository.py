"""Dead letters: what was given up, with its reason and all that is needed to look into it and to replay it.

Written by worker and queue_work, replayed and discarded by operations, read by queries.

One row each, in one partition, newest first; they are few. The id says where the row is.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from jobs.formats.instants import format_run_instant, parse_run_instant
from jobs.runs import Attempt, ErrorClass, Run, Ticket
from scheduler.stores.port import Delete, Insert, Replace, RowChanged, RowExists, Store, StoreError
from scheduler.stores.rows.size_limits import shrink_letter_to_fit
from scheduler.stores.runs.keys import instant_before, reverse_ms

if TYPE_CHECKING:
    from jobs.definition import JobDefinition

_log = logging.getLogger("scheduler.stores")

DEAD_LETTERS_TABLE = "dead_letters"
LETTERS_PARTITION = "letters"
LONGEST_LETTER_MESSAGE = 100_000
"""Characters of a message, and of a traceback, that are kept; a queue takes 64 KiB."""
LARGEST_LETTER_DEFINITION = 200_000
"""Characters of a definition as JSON; a larger one is left out, as the row would be too large for a store."""
LETTER_PAGE_SCAN_LIMIT = 1000
"""Rows that one page looks at, more or less: a filter that matches little must not read everything at once."""
_SCAN_BATCH = 200


@dataclass(frozen=True, slots=True)
class LetterReplay:
    """Begun: its ticket is decided for good, so that beginning again after a crash makes no second run.

    `done`: its run is stored and handed over.
    """

    ticket: Ticket
    at: datetime
    done: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`ticket`, or else the text of a `message` that is no batch of tickets.

    `attempts`: how often it was tried (of a message: delivered), 0 if that is not known; `tried`: each attempt of the
    run, `error` its last one's. `definition`: the job as it was then. `traceback`: of a mistake of the program itself.
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
        """A run that is down after its last attempt."""
        return DeadLetter(
            DeadLetter.id_for_run(run),
            run.message,
            run.finished_at,
            ticket=ticket,
            attempts=len(run.attempts),
            tried=run.attempts,
            error=run.error,
            definition=_definition_to_store(job),
            traceback=traceback[-LONGEST_LETTER_MESSAGE:],
        )

    @staticmethod
    def id_for_run(run: Run) -> str:
        """Return the id of the letter that `from_run` makes: the same again for whoever takes the run over."""
        return _letter_id(run.due_at, run.id)

    @staticmethod
    def from_ticket(
        ticket: Ticket, reason: str, at: datetime, attempts: int = 0, job: JobDefinition | None = None
    ) -> DeadLetter:
        """`job` None: there is no such job now."""
        definition = None if job is None else _definition_to_store(job)
        return DeadLetter(
            _letter_id(at, ticket.id), reason, at, ticket=ticket, attempts=attempts, definition=definition
        )

    @staticmethod
    def from_message(text: str, reason: str, at: datetime, attempts: int = 0) -> DeadLetter:
        return DeadLetter(_letter_id(at, text), reason, at, message=text[:LONGEST_LETTER_MESSAGE], attempts=attempts)

    @property
    def job(self) -> str | None:
        return None if self.ticket is None else self.ticket.job


@dataclass(frozen=True, slots=True)
class LetterPage:
    """`continuation` is the id after which the next page begins; None on the last one."""

    letters: tuple[DeadLetter, ...]
    continuation: str | None


LetterChange = Callable[[DeadLetter], DeadLetter]


@cache
def _type_adapter() -> TypeAdapter[DeadLetter]:
    """Made once, as that takes 13 ms, and not before it is needed."""
    return TypeAdapter(DeadLetter)


class DeadLetters:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, letter: DeadLetter) -> None:
        """Keep it; adding the same one again changes nothing. Of one that is too large for a row a part is left out."""
        text, cut = shrink_letter_to_fit(letter, self._encode)
        if cut:
            _log.warning("dead letter %s is too large for the store: %s", letter.id, cut)
        try:
            await self._store.apply(Insert(DEAD_LETTERS_TABLE, LETTERS_PARTITION, _row_key(letter.id), text))
        except RowExists:
            return

    def measure_row(self, letter: DeadLetter) -> int:
        """Characters of its row."""
        return len(self._encode(letter))

    async def add_all(self, letters: Sequence[DeadLetter]) -> None:
        """`add` for each of them, many together."""
        inserts = [
            [Insert(DEAD_LETTERS_TABLE, LETTERS_PARTITION, _row_key(letter.id), self._encode(letter))]
            for letter in letters
        ]
        for answer in await self._store.apply_each(inserts) if inserts else ():
            if isinstance(answer, StoreError) and not isinstance(answer, RowExists):
                raise answer

    async def list_letters(self, *, limit: int = 50, after: str = "") -> Sequence[DeadLetter]:
        """Newest first, those older than the letter with the id `after`. Raises ValueError if that is no such id."""
        rows = await self._store.list_rows(
            DEAD_LETTERS_TABLE, LETTERS_PARTITION, after=_row_key(after) if after else "", limit=limit
        )
        return [_type_adapter().validate_json(row.body) for row in rows]

    async def read_page(self, *, job: str | None = None, limit: int = 50, after: str = "") -> LetterPage:
        """The same, those of one job. Looks at a bounded number of letters, so a page may hold fewer than `limit`
        (even none) and yet have a continuation."""
        found: list[DeadLetter] = []
        looked = 0
        while looked < LETTER_PAGE_SCAN_LIMIT:
            letters = await self.list_letters(limit=_SCAN_BATCH, after=after)
            for letter in letters:
                if job in (None, letter.job):
                    if len(found) == limit:
                        return LetterPage(tuple(found), after)
                    found.append(letter)
                after = letter.id
            if len(letters) < _SCAN_BATCH:
                return LetterPage(tuple(found), None)
            looked += len(letters)
        return LetterPage(tuple(found), after)

    async def find(self, letter_id: str) -> DeadLetter | None:
        found = await self._read(letter_id)
        return None if found is None else found[0]

    async def start_replay(self, letter_id: str, ticket: Ticket, now: datetime) -> DeadLetter | None:
        """Decide by which ticket the letter is replayed, unless that is decided already.

        Of any number of callers at a time one decides; all get the letter with its replay. None: there is no letter.
        """
        return await self._change(
            letter_id, lambda letter: letter if letter.replay else replace(letter, replay=LetterReplay(ticket, now))
        )

    async def finish_replay(self, letter_id: str) -> DeadLetter | None:
        """The run of the replay is stored and handed over."""
        return await self._change(
            letter_id,
            lambda letter: replace(letter, replay=replace(letter.replay, done=True)) if letter.replay else letter,
        )

    async def discard(self, letter_id: str) -> bool:
        """Delete it; False if there is none."""
        if await self._read(letter_id) is None:
            return False
        await self._store.apply(Delete(DEAD_LETTERS_TABLE, LETTERS_PARTITION, _row_key(letter_id)))
        return True

    async def prune(self, now: datetime, age_s: float) -> int:
        """Delete those older than `age_s` seconds. Returns how many."""
        deleted = 0
        after = reverse_ms(instant_before(now, age_s))
        while rows := await self._store.list_rows(
            DEAD_LETTERS_TABLE, LETTERS_PARTITION, after=after, limit=100, bodies=False
        ):
            await self._store.apply(*(Delete(DEAD_LETTERS_TABLE, LETTERS_PARTITION, row.key) for row in rows))
            deleted += len(rows)
            after = rows[-1].key
        return deleted

    async def _read(self, letter_id: str) -> tuple[DeadLetter, str] | None:
        """The letter and its etag."""
        try:
            key = _row_key(letter_id)
        except ValueError:
            return None
        row = await self._store.get_row(DEAD_LETTERS_TABLE, LETTERS_PARTITION, key)
        return None if row is None else (_type_adapter().validate_json(row.body), row.etag)

    async def _change(self, letter_id: str, change: LetterChange) -> DeadLetter | None:
        while found := await self._read(letter_id):
            letter, etag = found
            changed = change(letter)
            if changed == letter:
                return letter
            try:
                await self._store.apply(
                    Replace(DEAD_LETTERS_TABLE, LETTERS_PARTITION, _row_key(letter_id), self._encode(changed), etag)
                )
            except RowChanged:
                continue  # somebody else was quicker: look again
            return changed
        return None

    def _encode(self, letter: DeadLetter) -> str:
        try:
            return _type_adapter().dump_json(letter, exclude_defaults=True).decode()
        except PydanticSerializationError:
            # Half of a surrogate pair in a message from outside: no store takes it.
            body = _type_adapter().dump_python(letter, mode="json", exclude_defaults=True)
            return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace").decode()


def _definition_to_store(job: JobDefinition) -> Mapping[str, Any] | None:
    if len(job.model_dump_json(by_alias=True)) > LARGEST_LETTER_DEFINITION:
        return None
    return job.model_dump(mode="json", by_alias=True)


def _letter_id(at: datetime, content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{format_run_instant(at)}.{digest}"


def _row_key(letter_id: str) -> str:
    """Raises ValueError."""
    stamp, _, digest = letter_id.partition("Z.")
    if not (digest.isascii() and digest.isalnum()) or len(digest) > 64:
        raise ValueError(f"{letter_id!r} is not the id of a dead letter")
    return f"{reverse_ms(parse_run_instant(stamp + 'Z'))}.{digest}"

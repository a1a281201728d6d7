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

from jobs.runs import Attempt, ErrorClass, Run, Ticket, instant_text, read_instant
from scheduler.stores.fitting import letter_that_fits
from scheduler.stores.port import Delete, Insert, Replace, RowChanged, RowExists, Store, StoreError
from scheduler.stores.run_keys import before, reverse_ms

if TYPE_CHECKING:
    from jobs.definition import JobDefinition

_log = logging.getLogger("scheduler.stores")

TABLE = "dead_letters"
_PARTITION = "letters"
LONGEST_MESSAGE = 100_000
"""Characters of a message, and of a traceback, that are kept; a queue takes 64 KiB."""
LARGEST_DEFINITION = 200_000
"""Characters of a definition as JSON; a larger one is left out, as the row would be too large for a store."""
LOOKED_AT = 1000
"""Rows that one page looks at, more or less: a filter that matches little must not read everything at once."""
_STEP = 200


@dataclass(frozen=True, slots=True)
class Replay:
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
    replay: Replay | None = None

    @staticmethod
    def of_run(run: Run, ticket: Ticket, job: JobDefinition, traceback: str = "") -> DeadLetter:
        """A run that is down after its last attempt."""
        return DeadLetter(
            DeadLetter.id_of(run),
            run.message,
            run.finished_at,
            ticket=ticket,
            attempts=len(run.attempts),
            tried=run.attempts,
            error=run.error,
            definition=_definition(job),
            traceback=traceback[-LONGEST_MESSAGE:],
        )

    @staticmethod
    def id_of(run: Run) -> str:
        """Return the id of the letter that `of_run` makes: the same again for whoever takes the run over."""
        return _id(run.due_at, run.id)

    @staticmethod
    def of_ticket(
        ticket: Ticket, reason: str, at: datetime, attempts: int = 0, job: JobDefinition | None = None
    ) -> DeadLetter:
        """`job` None: there is no such job now."""
        definition = None if job is None else _definition(job)
        return DeadLetter(_id(at, ticket.id), reason, at, ticket=ticket, attempts=attempts, definition=definition)

    @staticmethod
    def of_message(text: str, reason: str, at: datetime, attempts: int = 0) -> DeadLetter:
        return DeadLetter(_id(at, text), reason, at, message=text[:LONGEST_MESSAGE], attempts=attempts)

    @property
    def job(self) -> str | None:
        return None if self.ticket is None else self.ticket.job


@dataclass(frozen=True, slots=True)
class LetterPage:
    """`continuation` is the id after which the next page begins; None on the last one."""

    letters: tuple[DeadLetter, ...]
    continuation: str | None


Change = Callable[[DeadLetter], DeadLetter]


@cache
def _json() -> TypeAdapter[DeadLetter]:
    """Made once, as that takes 13 ms, and not before it is needed."""
    return TypeAdapter(DeadLetter)


class DeadLetters:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, letter: DeadLetter) -> None:
        """Keep it; adding the same one again changes nothing. Of one that is too large for a row a part is left out."""
        text, cut = letter_that_fits(letter, self._text)
        if cut:
            _log.warning("dead letter %s is too large for the store: %s", letter.id, cut)
        try:
            await self._store.apply(Insert(TABLE, _PARTITION, _key(letter.id), text))
        except RowExists:
            return

    def size(self, letter: DeadLetter) -> int:
        """Characters of its row."""
        return len(self._text(letter))

    async def add_all(self, letters: Sequence[DeadLetter]) -> None:
        """`add` for each of them, many together."""
        inserts = [[Insert(TABLE, _PARTITION, _key(letter.id), self._text(letter))] for letter in letters]
        for answer in await self._store.apply_each(inserts) if inserts else ():
            if isinstance(answer, StoreError) and not isinstance(answer, RowExists):
                raise answer

    async def list(self, *, limit: int = 50, after: str = "") -> Sequence[DeadLetter]:
        """Newest first, those older than the letter with the id `after`. Raises ValueError if that is no such id."""
        rows = await self._store.list(TABLE, _PARTITION, after=_key(after) if after else "", limit=limit)
        return [_json().validate_json(row.body) for row in rows]

    async def page(self, *, job: str | None = None, limit: int = 50, after: str = "") -> LetterPage:
        """The same, those of one job. Looks at a bounded number of letters, so a page may hold fewer than `limit`
        (even none) and yet have a continuation."""
        found: list[DeadLetter] = []
        looked = 0
        while looked < LOOKED_AT:
            letters = await self.list(limit=_STEP, after=after)
            for letter in letters:
                if job in (None, letter.job):
                    if len(found) == limit:
                        return LetterPage(tuple(found), after)
                    found.append(letter)
                after = letter.id
            if len(letters) < _STEP:
                return LetterPage(tuple(found), None)
            looked += len(letters)
        return LetterPage(tuple(found), after)

    async def get(self, letter_id: str) -> DeadLetter | None:
        found = await self._find(letter_id)
        return None if found is None else found[0]

    async def begin_replay(self, letter_id: str, ticket: Ticket, now: datetime) -> DeadLetter | None:
        """Decide by which ticket the letter is replayed, unless that is decided already.

        Of any number of callers at a time one decides; all get the letter with its replay. None: there is no letter.
        """
        return await self._change(
            letter_id, lambda letter: letter if letter.replay else replace(letter, replay=Replay(ticket, now))
        )

    async def end_replay(self, letter_id: str) -> DeadLetter | None:
        """The run of the replay is stored and handed over."""
        return await self._change(
            letter_id,
            lambda letter: replace(letter, replay=replace(letter.replay, done=True)) if letter.replay else letter,
        )

    async def discard(self, letter_id: str) -> bool:
        """Delete it; False if there is none."""
        if await self._find(letter_id) is None:
            return False
        await self._store.apply(Delete(TABLE, _PARTITION, _key(letter_id)))
        return True

    async def prune(self, now: datetime, age_s: float) -> int:
        """Delete those older than `age_s` seconds. Returns how many."""
        deleted = 0
        after = reverse_ms(before(now, age_s))
        while rows := await self._store.list(TABLE, _PARTITION, after=after, limit=100, bodies=False):
            await self._store.apply(*(Delete(TABLE, _PARTITION, row.key) for row in rows))
            deleted += len(rows)
            after = rows[-1].key
        return deleted

    async def _find(self, letter_id: str) -> tuple[DeadLetter, str] | None:
        """The letter and its etag."""
        try:
            key = _key(letter_id)
        except ValueError:
            return None
        row = await self._store.get(TABLE, _PARTITION, key)
        return None if row is None else (_json().validate_json(row.body), row.etag)

    async def _change(self, letter_id: str, change: Change) -> DeadLetter | None:
        while found := await self._find(letter_id):
            letter, etag = found
            changed = change(letter)
            if changed == letter:
                return letter
            try:
                await self._store.apply(Replace(TABLE, _PARTITION, _key(letter_id), self._text(changed), etag))
            except RowChanged:
                continue  # somebody else was quicker: look again
            return changed
        return None

    def _text(self, letter: DeadLetter) -> str:
        try:
            return _json().dump_json(letter, exclude_defaults=True).decode()
        except PydanticSerializationError:
            # Half of a surrogate pair in a message from outside: no store takes it.
            body = _json().dump_python(letter, mode="json", exclude_defaults=True)
            return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace").decode()


def _definition(job: JobDefinition) -> Mapping[str, Any] | None:
    if len(job.model_dump_json(by_alias=True)) > LARGEST_DEFINITION:
        return None
    return job.model_dump(mode="json", by_alias=True)


def _id(at: datetime, content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{instant_text(at)}.{digest}"


def _key(letter_id: str) -> str:
    """Raises ValueError."""
    stamp, _, digest = letter_id.partition("Z.")
    if not (digest.isascii() and digest.isalnum()) or len(digest) > 64:
        raise ValueError(f"{letter_id!r} is not the id of a dead letter")
    return f"{reverse_ms(read_instant(stamp + 'Z'))}.{digest}"

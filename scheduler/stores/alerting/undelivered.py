"""Reads, retries and discards notifications that no channel could deliver. Used by scheduler.features.channels.

The delivery inserts them (scheduler.stores.alerting.outbox). One belongs to the channel that the rules or routes name.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.incidents.values import AlertDecision
from jobs.notifications.outbox import UndeliveredNotification
from scheduler.stores.alerting.codec import DECISIONS, NOTIFICATIONS, Codec
from scheduler.stores.alerting.keys import (
    ALERTING_PARTITION,
    ALERTING_TABLE,
    UNDELIVERED_PREFIX,
    delivery_decision_key,
    end_of,
    is_incident_id,
    outbox_key,
    undelivered_key,
)
from scheduler.stores.port import Change, Delete, Insert, Row, RowExists, Store
from scheduler.stores.rows.continuations import InvalidContinuation
from scheduler.stores.rows.paging import list_all_rows

_PLACE = (ALERTING_TABLE, ALERTING_PARTITION)
_LETTERS: Codec[UndeliveredNotification] = Codec(UndeliveredNotification)
_ID = re.compile(r"([0-9a-f-]{15,46})\.([0-9]{1,8})")


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A notification that could not be delivered, with the etag of its row."""

    letter: UndeliveredNotification
    etag: str

    @property
    def id(self) -> str:
        """`{incident}.{number of the transition}`: unique within the channel."""
        notification = self.letter.notification
        return f"{notification.incident}.{notification.number}"

    @property
    def position(self) -> tuple[str, int]:
        """Orders those of a channel."""
        return self.letter.notification.incident, self.letter.notification.number

    @property
    def channel(self) -> str:
        """The channel that should have received it first."""
        return self.letter.channels[0]

    @property
    def key(self) -> str:
        notification = self.letter.notification
        return undelivered_key(notification.incident, notification.number, self.channel)


class UndeliveredRows:
    """All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list_of(self, channel: str, after: str = "") -> list[StoredLetter]:
        """Return those of a channel that follow an id, oldest incident first. Raises InvalidContinuation."""
        start = _parse_id(after) if after else ("", 0)
        if start is None:
            raise InvalidContinuation(after)
        rows = await list_all_rows(self._store, *_PLACE, after=UNDELIVERED_PREFIX, until=end_of(UNDELIVERED_PREFIX))
        end = f"~{channel}"
        found = (_read(row) for row in rows if row.key.endswith(end))
        return sorted((each for each in found if each.position > start), key=lambda each: each.position)

    async def find(self, channel: str, letter_id: str) -> StoredLetter | None:
        parts = _parse_id(letter_id)
        if parts is None:
            return None
        row = await self._store.get_row(*_PLACE, undelivered_key(*parts, channel))
        return None if row is None else _read(row)

    async def count(self) -> Mapping[str, int]:
        """Return their number by channel; channels without any are absent."""
        rows = await list_all_rows(
            self._store, *_PLACE, after=UNDELIVERED_PREFIX, until=end_of(UNDELIVERED_PREFIX), bodies=False
        )
        return Counter(row.key.rpartition("~")[2] for row in rows)

    async def list_channels_by_incident(self) -> Mapping[str, frozenset[str]]:
        """Return the channels that could not deliver something, by incident; incidents without any are absent."""
        rows = await list_all_rows(
            self._store, *_PLACE, after=UNDELIVERED_PREFIX, until=end_of(UNDELIVERED_PREFIX), bodies=False
        )
        found: defaultdict[str, set[str]] = defaultdict(set)
        for row in rows:
            incident, _, channel = row.key[len(UNDELIVERED_PREFIX) :].split("~", 2)
            found[incident].add(channel)
        return {incident: frozenset(channels) for incident, channels in found.items()}

    async def retry(self, stored: StoredLetter, now: datetime, actor: str) -> None:
        """Put it into the outbox of its channel again, unless that contains it.

        Raises RowChanged: another process has retried or discarded it.
        """
        said = replace(stored.letter.notification, channel=stored.channel, due_at=now)
        row = Insert(*_PLACE, outbox_key(said.channel, said.incident, said.number), NOTIFICATIONS.encode(said))
        text = f"is sent to {stored.channel} again, as {actor} has requested"
        try:
            await self._store.apply(_delete(stored), row, _decide(stored, "retried", text, now))
        except RowExists:
            await self._store.apply(_delete(stored))

    async def discard(self, stored: StoredLetter, now: datetime, actor: str) -> None:
        """Delete it. Raises RowChanged, as `retry`."""
        text = f"is not sent to {stored.channel}: discarded by {actor}"
        await self._store.apply(_delete(stored), _decide(stored, "discarded", text, now))


def _parse_id(text: str) -> tuple[str, int] | None:
    """Return incident and number; None for another text."""
    matched = _ID.fullmatch(text)
    return (matched[1], int(matched[2])) if matched is not None and is_incident_id(matched[1]) else None


def _delete(stored: StoredLetter) -> Change:
    return Delete(*_PLACE, stored.key, stored.etag)


def _decide(stored: StoredLetter, code: str, text: str, now: datetime) -> Change:
    said = stored.letter.notification
    inputs = {"channel": stored.channel, "number": str(said.number), "error": stored.letter.error}
    key = delivery_decision_key(said.incident, round(now.timestamp() * 1_000_000), secrets.randbelow(10**10))
    return Insert(*_PLACE, key, DECISIONS.encode([AlertDecision(said.incident, now, code, text, inputs=inputs)]))


def _read(row: Row) -> StoredLetter:
    return StoredLetter(_LETTERS.decode(row.body), row.etag)

"""Stores the outbox, the state of channels, and notifications that could not be delivered.

Implements scheduler.alerting.delivery.port.OutboxStore. The engine inserts rows of the outbox in the transaction of
their transition (scheduler.stores.alerting.engine); the delivery replaces and deletes them. It inserts what no channel
could deliver: one such notification belongs to the channel that the rules or routes name, and people retry or discard
it.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.incidents.values import AlertDecision
from jobs.notifications.port import ChannelState, ChannelThread, OutboxChanges, OutboxRow, UndeliveredNotification
from scheduler.stores.alerting.rows import (
    ALERTING_PLACE,
    CHANNEL_PREFIX,
    DECISIONS,
    NOTIFICATIONS,
    OUTBOX_PREFIX,
    UNDELIVERED_PREFIX,
    Codec,
    channel_key,
    delivery_decision_key,
    is_incident_id,
    list_prefix,
    outbox_key,
    outbox_prefix,
    thread_key,
    undelivered_key,
)
from scheduler.stores.port import Change, Delete, Insert, Replace, Row, RowChanged, RowExists, Store, Upsert, put_row
from scheduler.stores.rows import InvalidContinuation, end_of

_ATTEMPTED = '{"key":'
"""The start of a row that the delivery has written. A row of the engine is the notification alone."""
_ROWS: Codec[OutboxRow] = Codec(OutboxRow)
_CHANNELS: Codec[ChannelState] = Codec(ChannelState)
_THREADS: Codec[ChannelThread] = Codec(ChannelThread)
_UNDELIVERED: Codec[UndeliveredNotification] = Codec(UndeliveredNotification)


class OutboxRows:
    """All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list_channels(self) -> Sequence[str]:
        """Return the channels that have rows, with one request a channel and one more."""
        channels: list[str] = []
        after, end = OUTBOX_PREFIX, end_of(OUTBOX_PREFIX)
        while rows := await self._store.list_rows(*ALERTING_PLACE, after=after, until=end, limit=1, bodies=False):
            channels.append(rows[0].key.split("~", 2)[1])
            after = end_of(outbox_prefix(channels[-1]))
        return channels

    async def count_waiting(self) -> Mapping[str, int]:
        """Return the number of rows that wait, by channel; channels without rows are absent."""
        rows = await list_prefix(self._store, OUTBOX_PREFIX, bodies=False)
        return Counter(row.key.split("~", 2)[1] for row in rows)

    async def list_rows(self, channel: str, limit: int) -> Sequence[OutboxRow]:
        prefix = outbox_prefix(channel)
        rows = await self._store.list_rows(*ALERTING_PLACE, after=prefix, until=end_of(prefix), limit=limit)
        return [_read_outbox_row(row) for row in rows]

    async def read_channel(self, channel: str) -> ChannelState:
        row = await self._store.get_row(*ALERTING_PLACE, channel_key(channel))
        return ChannelState(channel) if row is None else _read_channel(row)

    async def list_channel_states(self) -> list[ChannelState]:
        """Return the states of all channels that messages were sent to, or should have been."""
        rows = await list_prefix(self._store, CHANNEL_PREFIX)
        return [_read_channel(row) for row in rows]

    async def list_undelivered(self) -> list[UndeliveredNotification]:
        """Return the dead letters, oldest incident first. They are deleted with their incidents."""
        rows = await list_prefix(self._store, UNDELIVERED_PREFIX)
        return [_UNDELIVERED.decode(row.body) for row in rows]

    async def read_thread(self, channel: str, incident: str) -> ChannelThread | None:
        row = await self._store.get_row(*ALERTING_PLACE, thread_key(incident, channel))
        return None if row is None else _THREADS.decode(row.body)

    async def commit(self, changes: OutboxChanges) -> ChannelState:
        """Store all of the changes or nothing. Return the channel's state with its new etag.

        Raises:
            RowChanged: another process has changed the channel or a row.
        """
        state = changes.channel
        body = _CHANNELS.encode(replace(state, etag=None))
        fence = put_row(*ALERTING_PLACE, channel_key(state.channel), body, state.etag)
        try:
            etags = await self._store.apply(fence, *_list_changes(changes))
        except RowExists as error:
            raise RowChanged(*ALERTING_PLACE, error.key) from error
        return replace(state, etag=etags[0])


def _list_changes(changes: OutboxChanges) -> Iterator[Change]:
    for row in changes.deleted:
        yield Delete(*ALERTING_PLACE, row.key, row.etag)
    for row in changes.replaced:
        yield Replace(*ALERTING_PLACE, row.key, _encode(row), row.etag)
    for row in changes.inserted:
        yield Insert(*ALERTING_PLACE, _key_of(row), _encode(row))
    for thread in changes.threads:
        yield Upsert(*ALERTING_PLACE, thread_key(thread.incident, thread.channel), _THREADS.encode(thread))
    for incident, decisions in _by_incident(changes.decisions).items():
        microseconds = round(decisions[0].at.timestamp() * 1_000_000)
        key = delivery_decision_key(incident, microseconds, secrets.randbelow(10**10))
        yield Insert(*ALERTING_PLACE, key, DECISIONS.encode(decisions))
    for letter in changes.dead_letters:
        said = letter.notification
        key = undelivered_key(said.incident, said.number, letter.channels[0])
        yield Upsert(*ALERTING_PLACE, key, _UNDELIVERED.encode(letter))


def _by_incident(decisions: Sequence[AlertDecision]) -> dict[str, list[AlertDecision]]:
    decisions_of: defaultdict[str, list[AlertDecision]] = defaultdict(list)
    for decision in decisions:
        decisions_of[decision.incident].append(decision)
    return decisions_of


def _key_of(row: OutboxRow) -> str:
    said = row.notification
    return "~for~".join((outbox_key(said.channel, said.incident, said.number), *row.instead_of))


def _encode(row: OutboxRow) -> str:
    return _ROWS.encode(replace(row, key="", etag=""))


def _read_outbox_row(row: Row) -> OutboxRow:
    if row.body.startswith(_ATTEMPTED):
        return replace(_ROWS.decode(row.body), key=row.key, etag=row.etag)
    return OutboxRow(row.key, NOTIFICATIONS.decode(row.body), etag=row.etag)


def _read_channel(row: Row) -> ChannelState:
    return replace(_CHANNELS.decode(row.body), etag=row.etag)


_LETTER_ID = re.compile(r"([0-9a-f-]{15,46})\.([0-9]{1,8})")


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
        rows = await list_prefix(self._store, UNDELIVERED_PREFIX)
        end = f"~{channel}"
        letters = (_read_letter(row) for row in rows if row.key.endswith(end))
        return sorted((letter for letter in letters if letter.position > start), key=lambda letter: letter.position)

    async def find(self, channel: str, letter_id: str) -> StoredLetter | None:
        parts = _parse_id(letter_id)
        if parts is None:
            return None
        row = await self._store.get_row(*ALERTING_PLACE, undelivered_key(*parts, channel))
        return None if row is None else _read_letter(row)

    async def count(self) -> Mapping[str, int]:
        """Return their number by channel; channels without any are absent."""
        rows = await list_prefix(self._store, UNDELIVERED_PREFIX, bodies=False)
        return Counter(row.key.rpartition("~")[2] for row in rows)

    async def list_channels_by_incident(self) -> Mapping[str, frozenset[str]]:
        """Return the channels that could not deliver something, by incident; incidents without any are absent."""
        rows = await list_prefix(self._store, UNDELIVERED_PREFIX, bodies=False)
        channels_of: defaultdict[str, set[str]] = defaultdict(set)
        for row in rows:
            incident, _, channel = row.key[len(UNDELIVERED_PREFIX) :].split("~", 2)
            channels_of[incident].add(channel)
        return {incident: frozenset(channels) for incident, channels in channels_of.items()}

    async def retry(self, stored: StoredLetter, now: datetime, actor: str) -> None:
        """Put it into the outbox of its channel again, unless that contains it.

        Raises RowChanged: another process has retried or discarded it.
        """
        said = replace(stored.letter.notification, channel=stored.channel, due_at=now)
        row = Insert(*ALERTING_PLACE, outbox_key(said.channel, said.incident, said.number), NOTIFICATIONS.encode(said))
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
    matched = _LETTER_ID.fullmatch(text)
    return (matched[1], int(matched[2])) if matched is not None and is_incident_id(matched[1]) else None


def _delete(stored: StoredLetter) -> Change:
    return Delete(*ALERTING_PLACE, stored.key, stored.etag)


def _decide(stored: StoredLetter, code: str, text: str, now: datetime) -> Change:
    said = stored.letter.notification
    inputs = {"channel": stored.channel, "number": str(said.number), "error": stored.letter.error}
    key = delivery_decision_key(said.incident, round(now.timestamp() * 1_000_000), secrets.randbelow(10**10))
    decision = AlertDecision(said.incident, now, code, text, inputs=inputs)
    return Insert(*ALERTING_PLACE, key, DECISIONS.encode([decision]))


def _read_letter(row: Row) -> StoredLetter:
    return StoredLetter(_UNDELIVERED.decode(row.body), row.etag)

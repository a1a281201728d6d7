"""Heartbeats: the state of each job's pings, and the latest of them. Written by operations, read by checks.

A partition a job: the row `state`, which only a writer that has read the latest one replaces, and a ring of the last
pings, whose rows are overwritten in turn, so that their number is limited. Both change in one atomic group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from jobs.heartbeat import HeartbeatRecord, HeartbeatState, Ping, PingSchedule, PingSignal, apply_ping
from scheduler.stores.port import Row, RowChanged, RowExists, Store, StoreUnavailable, Upsert
from scheduler.stores.rows import decode_json, encode_json, instant_text, read_instant
from scheduler.stores.table import Table

HEARTBEATS_TABLE = "heartbeats"
PINGS_PER_JOB = 100
"""Pings that are stored of a job."""
_STATE_KEY = "state"
_MAX_TRIES = 50
"""Other writers may come first: each time, one of them has stored its ping."""


class Heartbeats:
    """Implements jobs.ports.HeartbeatSource. All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def beat(self, job: str) -> HeartbeatRecord:
        """What is remembered; that of a new one if there was no ping."""
        return await self._states(job).find(_STATE_KEY) or HeartbeatRecord()

    async def add(
        self,
        job: str,
        make_ping: Callable[[HeartbeatRecord], Ping],
        rhythm: PingSchedule | None = None,
        enrich: Callable[[HeartbeatRecord], HeartbeatRecord] = lambda beat: beat,
    ) -> tuple[HeartbeatRecord, HeartbeatRecord]:
        """Store the ping that `make_ping` returns for the stored state. Return the state before and after it.

        `make_ping` is called again if another process was faster. `rhythm`: see jobs.heartbeat. `enrich` adds to the
        state what other repositories know, see scheduler.features.heartbeats.queries.
        """
        states = self._states(job)
        for _ in range(_MAX_TRIES):
            stored = await states.get(_STATE_KEY)
            before = enrich(HeartbeatRecord() if stored is None else stored.value)
            ping = make_ping(before)
            after = apply_ping(before, ping, rhythm)
            body = encode_json(_ping_body(ping, after.number))
            try:
                await self._store.apply(
                    states.put(_STATE_KEY, after, None if stored is None else stored.etag),
                    Upsert(HEARTBEATS_TABLE, job, _ping_key(after.number), body),
                )
            except (RowExists, RowChanged):
                continue
            return before, after
        raise StoreUnavailable(f"too many pings of {job} at the same time: send them less often")

    async def list_pings(self, job: str, limit: int = PINGS_PER_JOB) -> Sequence[Ping]:
        """Return the last pings, newest first."""
        rows = await self._store.list_rows(HEARTBEATS_TABLE, job, after="ping-", until="ping.", limit=PINGS_PER_JOB)
        return sorted(map(_read_ping, rows), key=lambda ping: ping.number, reverse=True)[:limit]

    def _states(self, job: str) -> Table[HeartbeatRecord]:
        return Table(self._store, HEARTBEATS_TABLE, job, _encode_beat, _read_beat)


def _ping_key(number: int) -> str:
    return f"ping-{number % PINGS_PER_JOB:02d}"


def _encode_beat(beat: HeartbeatRecord) -> str:
    return encode_json(
        {
            "state": beat.state,
            "last_ping": instant_text(beat.last_ping),
            "last_success": instant_text(beat.last_success),
            "last_fail": instant_text(beat.last_fail),
            "last_start": instant_text(beat.last_start),
            "run": beat.run,
            "exit_code": beat.exit_code,
            "duration_s": beat.duration_s,
            "number": beat.number,
            "source": beat.source,
            "agent": beat.agent,
            "body": beat.body,
            "overran": beat.overran,
        }
    )


def _read_beat(row: Row) -> HeartbeatRecord:
    body = decode_json(row.body)
    return HeartbeatRecord(
        state=HeartbeatState(body["state"]),
        last_ping=read_instant(body["last_ping"]),
        last_success=read_instant(body["last_success"]),
        last_fail=read_instant(body["last_fail"]),
        last_start=read_instant(body["last_start"]),
        run=body["run"],
        exit_code=body["exit_code"],
        duration_s=body["duration_s"],
        number=body["number"],
        source=body["source"],
        agent=body["agent"],
        body=body["body"],
        overran=body.get("overran", False),
    )


def _ping_body(ping: Ping, number: int) -> dict[str, Any]:
    return {
        "at": instant_text(ping.at),
        "signal": ping.signal,
        "exit_code": ping.exit_code,
        "run": ping.run,
        "source": ping.source,
        "agent": ping.agent,
        "body": ping.body,
        "number": number,
    }


def _read_ping(row: Row) -> Ping:
    body = decode_json(row.body)
    return Ping(
        at=datetime.fromisoformat(body["at"]),
        signal=PingSignal(body["signal"]),
        exit_code=body["exit_code"],
        run=body["run"],
        source=body["source"],
        agent=body["agent"],
        body=body["body"],
        number=body["number"],
    )

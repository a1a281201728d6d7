"""What remains of pruned runs: a row for each hour of a job, with the sum of their uptime samples.

Written by runs.retention in the transaction that deletes the runs, so that each of them is counted once; read by
runs.repository.

    h~{job}~{hour}    such as h~checkout~2026112503
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from operator import itemgetter

from jobs.runs.uptime import Uptime, UptimeSegment
from scheduler.stores.port import Delete, Insert, Replace, Row, Store
from scheduler.stores.rows.json_text import decode_json, encode_json
from scheduler.stores.runs.codec import read_uptime_sample
from scheduler.stores.runs.keys import HISTORY_TABLE, PREFIX_END, job_prefix, reverse_ms, shard_of_job
from scheduler.stores.runs.open_index import list_history_between

HOUR_PREFIX = "h~"


class HourlyRollups:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list_of_job(self, job: str) -> Sequence[UptimeSegment]:
        """Return all segments of the job, oldest first."""
        first = job_prefix(HOUR_PREFIX, job)
        rows = await list_history_between(self._store, shard_of_job(job), first, first + PREFIX_END)
        return [_decode_stretch(row.body) for row in rows]

    async def find_row(self, job: str, hour: str) -> Row | None:
        return await self._store.get_row(HISTORY_TABLE, shard_of_job(job), job_prefix(HOUR_PREFIX, job) + hour)

    def build_change(self, job: str, hour: str, row: Row | None, runs: Iterable[Row]) -> Insert | Replace | None:
        """Return the change that adds finished runs of this hour, the oldest first, to its row; None if none has a
        sample.

        Read the row before the runs. RowExists or RowChanged: another process changed it meanwhile.
        """
        looks = [look for run in runs if (look := read_uptime_sample(run)) is not None]
        if not looks:
            return None
        stretch = UptimeSegment.from_samples(sorted(looks, key=itemgetter(0)))
        if row is not None:
            return Replace(
                HISTORY_TABLE, row.partition, row.key, _encode_stretch(_decode_stretch(row.body) + stretch), row.etag
            )
        return Insert(HISTORY_TABLE, shard_of_job(job), job_prefix(HOUR_PREFIX, job) + hour, _encode_stretch(stretch))

    async def build_deletes_before(self, job: str, oldest: datetime) -> Sequence[Delete]:
        """Return deletes of some hours before `oldest`: with each new hour, more than one expires."""
        first = job_prefix(HOUR_PREFIX, job)
        rows = await self._store.list_rows(
            HISTORY_TABLE, shard_of_job(job), after=first, until=first + hour_of(oldest), limit=2, bodies=False
        )
        return [Delete(HISTORY_TABLE, row.partition, row.key) for row in rows]


def hour_of(instant: datetime) -> str:
    """Return the hour as keys have it, in UTC."""
    return f"{instant:%Y%m%d%H}"


def end_of_hour(hour: str) -> str:
    """Return a key after those of its runs, without their prefix."""
    return reverse_ms(datetime.strptime(hour, "%Y%m%d%H").replace(tzinfo=UTC)) + PREFIX_END


def _encode_stretch(stretch: UptimeSegment) -> str:
    *times, began, ended, seconds, outages, uptime = astuple(stretch)
    first, last = (instant.isoformat() for instant in times)
    return encode_json([first, last, began, ended, round(seconds, 6), outages, *uptime[:3], round(uptime[3], 3)])


def _decode_stretch(body: str) -> UptimeSegment:
    first, last, began, ended, seconds, outages, *uptime = decode_json(body)
    return UptimeSegment(
        datetime.fromisoformat(first), datetime.fromisoformat(last), began, ended, seconds, outages, Uptime(*uptime)
    )

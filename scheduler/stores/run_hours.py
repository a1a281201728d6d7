"""What is left of runs that were too many: a row for each hour of a job, with what they said summed up.

Written by run_retention in the step that deletes the runs, so that each of them is counted once; read by runs.

    h~{job}~{hour}    such as h~checkout~2026112503
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from operator import itemgetter

from jobs.uptime import Stretch, Uptime
from scheduler.stores.port import Delete, Insert, Replace, Row, Store
from scheduler.stores.run_codec import read_look
from scheduler.stores.run_keys import END, HISTORY, of_job, reverse_ms, shard
from scheduler.stores.run_open import rows_between

HOUR = "h~"


class RunHours:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, job: str) -> Sequence[Stretch]:
        """All that is kept of the job, oldest first."""
        first = of_job(HOUR, job)
        rows = await rows_between(self._store, shard(job), first, first + END)
        return [_read(row.body) for row in rows]

    async def row(self, job: str, hour: str) -> Row | None:
        return await self._store.get(HISTORY, shard(job), of_job(HOUR, job) + hour)

    def adding(self, job: str, hour: str, row: Row | None, runs: Iterable[Row]) -> Insert | Replace | None:
        """What adds finished runs of this hour, the oldest first, to its row; None if none of them says anything.

        The row was read before the runs. RowExists or RowChanged: another process was at it meanwhile.
        """
        looks = [look for run in runs if (look := read_look(run)) is not None]
        if not looks:
            return None
        stretch = Stretch.of(sorted(looks, key=itemgetter(0)))
        if row is not None:
            return Replace(HISTORY, row.partition, row.key, _body(_read(row.body) + stretch), row.etag)
        return Insert(HISTORY, shard(job), of_job(HOUR, job) + hour, _body(stretch))

    async def older(self, job: str, oldest: datetime) -> Sequence[Delete]:
        """What takes away some hours of before `oldest`: more than come, if it is made with each new one."""
        first = of_job(HOUR, job)
        rows = await self._store.list(
            HISTORY, shard(job), after=first, until=first + hour_of(oldest), limit=2, bodies=False
        )
        return [Delete(HISTORY, row.partition, row.key) for row in rows]


def hour_of(instant: datetime) -> str:
    """As keys have it. In UTC."""
    return f"{instant:%Y%m%d%H}"


def end_of(hour: str) -> str:
    """What is behind the keys of its runs, without what they begin with."""
    return reverse_ms(datetime.strptime(hour, "%Y%m%d%H").replace(tzinfo=UTC)) + END


def _body(stretch: Stretch) -> str:
    *times, began, ended, seconds, outages, uptime = astuple(stretch)
    first, last = (instant.isoformat() for instant in times)
    return json.dumps([first, last, began, ended, round(seconds, 6), outages, *uptime[:3], round(uptime[3], 3)])


def _read(body: str) -> Stretch:
    first, last, began, ended, seconds, outages, *uptime = json.loads(body)
    return Stretch(
        datetime.fromisoformat(first), datetime.fromisoformat(last), began, ended, seconds, outages, Uptime(*uptime)
    )

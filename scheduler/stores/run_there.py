"""Finds which of many runs that are due close together are in the history already, by a few lists. Used by run_steps.

Runs of different jobs are no neighbours, but the pointers to those that are finished are, by their instants, and so are
those to the open ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from scheduler.stores.port import Store
from scheduler.stores.run_codec import Record, finished_elsewhere
from scheduler.stores.run_keys import DONE, END, OPEN, RunKey, reverse_ms
from scheduler.stores.run_open import rows_between, unfinished_records

LONGEST = timedelta(minutes=1)
"""Between the first and the last due instant: of a longer time too much else may have finished."""


async def find_there(store: Store, keys: Sequence[RunKey]) -> Mapping[RunKey, Record]:
    """What is known of those runs that are there. A finished one's record has no run: it would cost a read of its own.

    Some that are there may be missing: their instants lie too far apart.
    """
    wanted = set(keys)
    instants = [key.due_at for key in wanted]
    if not wanted or max(instants) - min(instants) > LONGEST:
        return {}
    newest, oldest = reverse_ms(max(instants)), reverse_ms(min(instants))
    shards = sorted({key.shard for key in wanted})
    done, open_ = await asyncio.gather(
        asyncio.gather(
            *(rows_between(store, shard, DONE + newest, DONE + oldest + END, bodies=False) for shard in shards)
        ),
        asyncio.gather(*(rows_between(store, shard, OPEN, OPEN + END) for shard in shards)),
    )
    found = {RunKey.of(record.ticket): record for rows in open_ for record in unfinished_records(rows)}
    # What was open a moment ago may be finished by now, but not the other way round.
    found |= {key: finished_elsewhere(key) for rows in done for key in (RunKey.read(row.key) for row in rows)}
    return {key: record for key, record in found.items() if key in wanted}

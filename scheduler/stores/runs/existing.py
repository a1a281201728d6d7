"""Finds which of many runs that are due close together exist in the history, by a few lists. Used by runs.transitions.

Runs of different jobs are not neighbours, but the pointers to the finished ones are, ordered by their instants, and so
are the pointers to the open ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from scheduler.stores.port import Store
from scheduler.stores.runs.codec import RunRecord, finished_record
from scheduler.stores.runs.keys import DONE_PREFIX, OPEN_PREFIX, PREFIX_END, RunKey, reverse_ms
from scheduler.stores.runs.open_index import decode_unfinished, list_history_between

LONGEST_DUE_SPAN = timedelta(minutes=1)
"""Between the first and the last due instant: in a longer time, too many other runs may have finished."""


async def find_existing(store: Store, keys: Sequence[RunKey]) -> Mapping[RunKey, RunRecord]:
    """Return the records of those runs that exist. The record of a finished one has no run, which would cost a read.

    Existing runs may be missing if their instants are too far apart.
    """
    requested = set(keys)
    instants = [key.due_at for key in requested]
    if not requested or max(instants) - min(instants) > LONGEST_DUE_SPAN:
        return {}
    newest, oldest = reverse_ms(max(instants)), reverse_ms(min(instants))
    shards = sorted({key.shard for key in requested})
    done, open_ = await asyncio.gather(
        asyncio.gather(
            *(
                list_history_between(
                    store, shard, DONE_PREFIX + newest, DONE_PREFIX + oldest + PREFIX_END, bodies=False
                )
                for shard in shards
            )
        ),
        asyncio.gather(
            *(list_history_between(store, shard, OPEN_PREFIX, OPEN_PREFIX + PREFIX_END) for shard in shards)
        ),
    )
    found = {RunKey.for_ticket(record.ticket): record for rows in open_ for record in decode_unfinished(rows)}
    # A run that was open a moment ago may be finished now, but not the reverse.
    found |= {key: finished_record(key) for rows in done for key in (RunKey.from_row_key(row.key) for row in rows)}
    return {key: record for key, record in found.items() if key in requested}

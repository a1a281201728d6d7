"""Changes of a run's rows. Used by the modules of scheduler.stores.runs that write them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jobs.runs import Run
from scheduler.stores.port import Change, Insert, Replace, Row, Store, StoreError, Upsert
from scheduler.stores.runs.codec import encode_finished
from scheduler.stores.runs.keys import HISTORY_TABLE, RunKey
from scheduler.stores.runs.size_limits import shrink_run_to_fit

_log = logging.getLogger("scheduler.stores")


def insert_open_changes(key: RunKey, body: str) -> Sequence[Change]:
    """Return the changes for a new run that is not finished."""
    shard = key.shard
    return [Insert(HISTORY_TABLE, shard, key.run_key, body), Upsert(HISTORY_TABLE, shard, key.open_key, body)]


def encode_to_fit(run: Run) -> str:
    """Return the body of a finished run's row. A run that is too large is stored in part, which its message reports."""
    text, cut = shrink_run_to_fit(run, encode_finished)
    if cut:
        _log.warning("could not store run %s completely: it is too large for a row; %s", run.id, cut)
    return text


def done_pointer(key: RunKey, run: Run) -> Change:
    """Return the pointer that lists a finished run among those of all jobs."""
    return Upsert(HISTORY_TABLE, key.shard, key.done_key, f'"{run.outcome}"')


def replace_open_changes(key: RunKey, body: str, etag: str) -> Sequence[Change]:
    """Return the changes for an open run that still has this etag."""
    return [
        Replace(HISTORY_TABLE, key.shard, key.run_key, body, etag),
        Upsert(HISTORY_TABLE, key.shard, key.open_key, body),
    ]


async def read_run_row(store: Store, key: RunKey) -> Row | StoreError | None:
    """Return the run's row, None if it does not exist, or the error."""
    try:
        return await store.get_row(HISTORY_TABLE, key.shard, key.run_key)
    except StoreError as error:
        return error

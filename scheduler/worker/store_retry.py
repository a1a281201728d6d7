"""Retries a request of the store over a short outage.

Called by scheduler.worker.claims.claimer, scheduler.worker.results.recorder and scheduler.worker.skipping.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from jobs.ports import Clock
from scheduler.stores.port import StoreError
from scheduler.stores.runs.open_runs import ClaimLost

T = TypeVar("T")


async def retry_store(
    request: Callable[[], Awaitable[T]],
    backoff: Iterable[float],
    clock: Clock,
    on_retry: Callable[[StoreError], None] = lambda _: None,
) -> T:
    """Return the answer of the request, repeated after each pause in `backoff` (seconds) while it fails.

    Raises:
        ClaimLost: at once, as no later request can succeed.
        StoreError: the request failed after the last pause.
    """
    pauses = iter(backoff)
    while True:
        try:
            return await request()
        except ClaimLost:
            raise
        except StoreError as error:
            pause = next(pauses, None)
            if pause is None:
                raise
            on_retry(error)
        await clock.sleep(pause)

"""The places of a process: a FIFO semaphore limits the runs in-flight in total, of one job and of one host.

A free place goes to the run that has waited longest, of those whose job and host are below their limits. A run that
waits for the share of its job never blocks the runs behind it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import chain, count
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of all places, above 0 and at most 1. A job never has more; a host has more while half of all are free."""

    job: float = 1.0
    host: float = 1.0


@dataclass(eq=False, slots=True)
class HeldPlace:
    """A place that a run holds. `since`: monotonic seconds."""

    job: str
    host: str
    since: float


@dataclass(frozen=True, slots=True)
class JobPlaces:
    """The places that a job holds. `held_s`: seconds for which it has held the oldest of them."""

    job: str
    host: str
    places: int
    held_s: float


@dataclass(frozen=True, slots=True)
class PlacesReport:
    """`waiting`: runs without a place. `full_s`: seconds for which no place was free; 0 while one is.

    `holders`: the jobs with the most places first. `held_back`: the number of waiting runs for each job and host that
    has reached its share, such as `job slow` or `host one.internal:80`.
    """

    total: int
    used: int
    waiting: int
    full_s: float = 0.0
    holders: tuple[JobPlaces, ...] = ()
    held_back: tuple[tuple[str, int], ...] = ()


OTHERS_START_FIRST = "the process starts other runs first"
MIN_PLACES_PER_SHARE = 2
"""Places that one job or host has at least: its next run is judged while the previous run is in-flight."""

_Key = tuple[Literal["job", "host"], str]


class _PlaceWaiter(NamedTuple):
    """Waiters are ordered by `arrival`, which is unique."""

    arrival: int
    job: str
    host: str
    granted: asyncio.Future[HeldPlace]


@dataclass(slots=True)
class _WaitQueues:
    """Waiting runs. `held_back`: heaps of those that a limit excluded from a free place, by that limit."""

    ready: deque[_PlaceWaiter] = field(default_factory=deque)
    held_back: dict[_Key, list[_PlaceWaiter]] = field(default_factory=dict)

    def hold_back(self, waiter: _PlaceWaiter, key: _Key) -> None:
        heappush(self.held_back.setdefault(key, []), waiter)

    def pop_first(self, key: _Key) -> None:
        line = self.held_back[key]
        heappop(line)
        if not line:
            del self.held_back[key]


class FifoSemaphore:
    """Grants a free place to the next waiter, to at most `starts_per_turn` in a turn of the event loop.

    Where hundreds are due together, what arrives for those in-flight is read between two starts. Otherwise their
    response times would include the starts of the others.

    asyncio.Semaphore only wakes a waiter, and scans all waiters that were woken and had no turn yet: a hundred for each
    place when many runs end together.
    """

    def __init__(
        self,
        size: int,
        shares: Shares | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        starts_per_turn: float = math.inf,
    ) -> None:
        shares = shares or Shares()
        self._size = size
        self._job_limit, self._host_limit = _limit(size, shares.job), _limit(size, shares.host)
        self._monotonic = monotonic
        self._free = size
        self._full_since: float | None = None
        self._held_by_job: dict[str, int] = {}
        self._held_by_host: dict[str, int] = {}
        self._places: dict[HeldPlace, None] = {}
        self._waiting: dict[str, int] = {}
        self._queues = _WaitQueues()
        self._arrival_numbers = count()
        self._starts_per_turn = self._starts_left = starts_per_turn
        self._turn: asyncio.Handle | None = None

    @property
    def is_full(self) -> bool:
        """Return whether no place is free."""
        return not self._free

    def waiting_count(self, job: str) -> int:
        """Return the number of runs of the job that wait for a place."""
        return self._waiting.get(job, 0)

    def try_acquire(self, job: str, host: str) -> HeldPlace | None:
        """Return a place if one is free for this job on this host and a run may start in this turn of the loop."""
        if not self._free or not self._starts_left or self._limit_that_blocks(job, host):
            return None
        return self._grant(job, host)

    async def acquire(self, job: str, host: str) -> HeldPlace:
        """Return a place, as soon as one is free for this job on this host."""
        return self.try_acquire(job, host) or await self.wait(job, host)

    async def wait(self, job: str, host: str) -> HeldPlace:
        """Wait for a place after `try_acquire` returned none. A cancelled waiter holds none."""
        waiter = _PlaceWaiter(next(self._arrival_numbers), job, host, asyncio.get_running_loop().create_future())
        self._queues.ready.append(waiter)
        self._waiting[job] = self._waiting.get(job, 0) + 1
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if not waiter.granted.cancelled():
                self.release(waiter.granted.result())  # granted in the same moment
            raise
        finally:
            _decrement(self._waiting, job)

    def release(self, place: HeldPlace) -> None:
        """Release a place, and grant free places to waiters."""
        del self._places[place]
        _decrement(self._held_by_job, place.job)
        _decrement(self._held_by_host, place.host)
        self._free += 1
        self._full_since = None
        self._grant_to_waiters()

    def _grant_to_waiters(self) -> None:
        queues = self._queues
        while self._free and self._starts_left and (queues.ready or queues.held_back):
            if (waiter := self._pop_next_waiter()) is None:
                return
            waiter.granted.set_result(self._grant(waiter.job, waiter.host))

    def _begin_turn(self) -> None:
        self._turn, self._starts_left = None, self._starts_per_turn
        self._grant_to_waiters()

    def denial_reason(self, job: str, host: str) -> str:
        """Return why this job on this host has to wait, without a full stop."""
        match self._limit_that_blocks(job, host):
            case "job", _:
                return f"its job holds {self._job_limit} of {self._size} places, the share of a job"
            case "host", _:
                return f"the jobs of {host} hold {self._host_limit} of {self._size} places, the share of a host"
        return f"all {self._size} places are in use" if not self._free else OTHERS_START_FIRST

    def usage(self) -> PlacesReport:
        now = self._monotonic()
        by_job: dict[str, list[HeldPlace]] = {}
        for place in self._places:
            by_job.setdefault(place.job, []).append(place)
        holders = [JobPlaces(job, held[0].host, len(held), now - held[0].since) for job, held in by_job.items()]
        holders.sort(key=lambda holder: (-holder.places, -holder.held_s))
        return PlacesReport(
            self._size,
            self._size - self._free,
            sum(self._waiting.values()),
            0.0 if self._full_since is None else now - self._full_since,
            tuple(holders),
            tuple(self._count_held_back()),
        )

    def _grant(self, job: str, host: str) -> HeldPlace:
        place = HeldPlace(job, host, self._monotonic())
        self._places[place] = None
        self._held_by_job[job] = self._held_by_job.get(job, 0) + 1
        self._held_by_host[host] = self._held_by_host.get(host, 0) + 1
        self._free -= 1
        self._starts_left -= 1
        if self._turn is None and self._starts_left < math.inf:
            self._turn = asyncio.get_running_loop().call_soon(self._begin_turn)
        if not self._free and self._full_since is None:
            self._full_since = place.since
        return place

    def _limit_that_blocks(self, job: str, host: str) -> _Key | None:
        """Return the limit that excludes this job on this host from a free place; None: no limit does."""
        # perf: run-cost, several times for each run that waits
        if self._held_by_job.get(job, 0) >= self._job_limit:
            return "job", job
        if self._free * 2 <= self._size and self._held_by_host.get(host, 0) >= self._host_limit:
            return "host", host
        return None

    def _is_reached(self, key: _Key) -> bool:
        if key[0] == "job":
            return self._held_by_job.get(key[1], 0) >= self._job_limit
        return self._free * 2 <= self._size and self._held_by_host.get(key[1], 0) >= self._host_limit

    def _pop_next_waiter(self) -> _PlaceWaiter | None:
        """Remove and return the first waiter that may have a place."""
        lines, first, of = self._queues, None, None
        for key in [key for key in lines.held_back if not self._is_reached(key)]:
            waiter = self._first_eligible(key)
            if waiter is not None and (first is None or waiter < first):
                first, of = waiter, key
        while lines.ready and (first is None or lines.ready[0] < first):
            waiter = lines.ready.popleft()
            if waiter.granted.done():
                continue
            if (reached := self._limit_that_blocks(waiter.job, waiter.host)) is None:
                return waiter
            lines.hold_back(waiter, reached)
        if of is not None:
            lines.pop_first(of)
        return first

    def _first_eligible(self, key: _Key) -> _PlaceWaiter | None:
        """Return the first waiter that this limit held back, unless the other limit holds it back now."""
        lines = self._queues
        while key in lines.held_back:
            waiter = lines.held_back[key][0]
            reached = None if waiter.granted.done() else self._limit_that_blocks(waiter.job, waiter.host)
            if reached is None and not waiter.granted.done():
                return waiter
            if reached is not None and reached[0] == "host":
                return None  # all runs of a job have one host
            lines.pop_first(key)
            if reached is not None:
                lines.hold_back(waiter, reached)
        return None

    def _count_held_back(self) -> Iterator[tuple[str, int]]:
        number: Counter[_Key] = Counter()
        for waiter in chain(self._queues.ready, *self._queues.held_back.values()):
            reached = None if waiter.granted.done() else self._limit_that_blocks(waiter.job, waiter.host)
            if reached is not None:
                number[reached] += 1
        for (kind, name), waiting in number.most_common():
            yield f"{kind} {name}", waiting


def _decrement(counts: dict[str, int], key: str) -> None:
    """Count one less, and forget a key with none."""
    if (left := counts[key] - 1) > 0:
        counts[key] = left
    else:
        del counts[key]


def _limit(number: int, share: float) -> int:
    return min(number, max(MIN_PLACES_PER_SHARE, math.ceil(number * share)))

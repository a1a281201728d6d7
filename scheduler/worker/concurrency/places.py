"""Places of the FIFO semaphore as values: shares, a held place, and the report for health.

Made by scheduler.worker.concurrency.fifo_semaphore; read by scheduler.watchdog.place_messages.
"""

from __future__ import annotations

from dataclasses import dataclass


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

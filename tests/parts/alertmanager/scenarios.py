"""Seeded scenarios of failures, silences, inhibition and mute times, in seconds since their start.

A job of a scenario is `parent` or a child. Times of events lie half a second apart from those of timers, so that
their order does not depend on a race. A failure is longer than the group wait, and the next one follows seconds later.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

LENGTH = 16
"""Seconds."""
PARENT, CHILDREN = "parent", ("a", "b")


@dataclass(frozen=True)
class Failure:
    """A job fails from one time until another, or to the end."""

    job: str
    start: float
    end: float | None


@dataclass(frozen=True)
class Silence:
    job: str
    start: float
    end: float


@dataclass(frozen=True)
class Scenario:
    """`is_inhibited`: whether a failing parent holds its children back. `is_muted`: notifications are always muted."""

    number: int
    group_wait: int
    repeat_interval: int | None
    failures: tuple[Failure, ...]
    silences: tuple[Silence, ...]
    is_inhibited: bool
    is_muted: bool


def make_scenario(seed: int) -> Scenario:
    """Return the scenario of a seed, always the same."""
    source = random.Random(seed)
    jobs = [PARENT, *CHILDREN] if source.random() < 0.7 else [CHILDREN[0]]
    failures: list[Failure] = []
    for job in jobs:
        # At no instant at which the group wait of a child can end.
        at = source.randrange(0, 6) + (0.75 if job == PARENT else 0.5)
        for _ in range(source.randrange(1, 3)):
            end = at + source.randrange(4, 9)
            failures.append(Failure(job, at, end if end < LENGTH - 1 else None))
            at = end + source.randrange(4, 6)
            if at > LENGTH - 5:
                break
    silences = []
    if source.random() < 0.5:
        start = source.randrange(0, LENGTH - 4) + 0.25
        silences.append(Silence(source.choice(jobs), start, start + source.randrange(2, 8)))
    return Scenario(
        number=seed,
        group_wait=source.choice([1, 2]),
        repeat_interval=source.choice([None, 4, 6]),
        failures=tuple(failures),
        silences=tuple(silences),
        is_inhibited=source.random() < 0.6,
        is_muted=source.random() < 0.1,
    )

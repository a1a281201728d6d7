"""The jobs of a simulation, drawn from its luck: schedules, policies, and chains of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

from jobs.definition import JobDefinition
from scheduler.catalog.catalog import Catalog, CatalogJob

_SCHEDULES = (
    "*/30 * * * * *",
    "0 * * * * *",
    "15 */2 * * * *",
    "every 3m",
    "0 */5 * * * *",
    "every 7m",
    "every 10m",
    "30 */15 * * * *",
    "every 20m",
    "0 0 * * * *",
)
_WEIGHTS = (1, 2, 2, 4, 12, 12, 24, 24, 24, 12)
_OVERLAPS = ("skip", "allow", "buffer_one", "buffer_all", "cancel_previous")
_CONDITIONS = ("succeeded", "finished", "failed")
_CHAINED = 0.2
"""Share of the jobs that depend on others, or on which others depend."""


def simulated_catalog(luck: random.Random, jobs: int) -> Catalog:
    """So many jobs, the same ones for the same luck."""
    # Runs that wait are asked again and again, which takes time: in one of eight seeds there are some.
    waits = luck.random() < 0.125
    definitions = list(islice(_definitions(luck, jobs, waits=waits), jobs))
    return Catalog(CatalogJob(JobDefinition.model_validate(one), "jobs.yaml:1") for one in definitions)


def _definitions(luck: random.Random, jobs: int, *, waits: bool) -> Iterator[dict[str, Any]]:
    for number in range(int(jobs * _CHAINED / 6)):
        yield from _chain(luck, f"chain-{number:02d}")
    number = 0
    while True:
        yield _plain(luck, f"job-{number:02d}") | (
            _waiting(luck, jobs) if waits else {"overlap": luck.choice(("skip", "allow"))}
        )
        number += 1


def _chain(luck: random.Random, name: str) -> Iterator[dict[str, Any]]:
    """A diamond below a scheduled job, one more job below that, and a scheduled job that is gated by the first one."""

    def depends_on(*others: str) -> dict[str, Any]:
        conditions = luck.choices(_CONDITIONS, (4, 3, 1), k=len(others))
        pairs = zip(others, conditions, strict=True)
        return {"depends_on": [{"job": f"{name}-{other}", "condition": condition} for other, condition in pairs]}

    def started(last: str, *others: str) -> dict[str, Any]:
        definition = _plain(luck, f"{name}-{last}") | depends_on(*others)
        del definition["schedule"], definition["catch_up"]
        return definition

    yield _plain(luck, f"{name}-root")
    yield started("left", "root")
    yield started("right", "root")
    yield started("join", "left", "right")
    yield started("after", "join")
    gate = {"job": f"{name}-root", "condition": "finished", "within": luck.choice(("5m", "1h")), "wait": "20s"}
    yield _plain(luck, f"{name}-gated") | {"depends_on": [gate]}


def _plain(luck: random.Random, name: str) -> dict[str, Any]:
    (schedule,) = luck.choices(_SCHEDULES, _WEIGHTS)
    definition: dict[str, Any] = {
        "name": name,
        "schedule": schedule,
        "check": {"kind": "http", "url": "http://127.0.0.1:9/"},
        "expect": [{"status": 200}],
        "catch_up": {
            "policy": luck.choice(("none", "last", "all")),
            "within": luck.choice(("5m", "1h")),
        },
        "overlap": "allow",
        "effect": "once" if luck.random() < 0.2 else "repeatable",
        "dead_letter": luck.random() < 0.3,
        "retry": {"attempts": luck.choice((1, 3))},
    }
    if luck.random() < 0.2:
        definition["circuit"] = {"consecutive_failures": 2, "open_for": "2m"}
    return definition


def _waiting(luck: random.Random, jobs: int) -> dict[str, Any]:
    """What makes runs wait for each other."""
    shared: dict[str, Any] = {"overlap": luck.choices(_OVERLAPS, (4, 2, 1, 1, 1))[0]}
    if luck.random() < 0.2:
        group = luck.randrange(2 + jobs // 25)
        shared["concurrency_group"] = {
            "name": f"group-{group}",
            "limit": 1 + group % 2,
            "wait": luck.choice(("5s", "2m")),
        }
    return shared

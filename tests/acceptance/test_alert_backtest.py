"""A backtest with unchanged rules reports exactly what the program has notified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.incidents.suppression.windows import Silence
from jobs.runs import Ticket
from scheduler.features.backtest.service import BacktestReport, BacktestRequest, build_backtester
from scheduler.stores.alerting.suppressions import create_suppression_id
from scheduler.stores.repositories import Repositories
from tests.parts.alerting_program import START, Scene, alerting_program, job_of

CHANNELS = {name: {"kind": "webhook", "url": f"http://127.0.0.1:9/{name}"} for name in ("team", "net", "night", "boss")}
ROUTES = [
    {"name": "network", "match": {"tags": {"area": "net"}}, "notify": ["net"]},
    {"name": "morning", "match": {"tags": {"area": "slow"}}, "notify": ["night"], "digest": "05:00"},
    {"name": "rest", "notify": ["team"]},
]
WINDOWS = [
    {"name": "patching", "from": "2026-03-01 03:40", "until": "2026-03-01 04:00", "select": {"jobs": "search"}},
    {
        "name": "move",
        "from": "2026-03-01 04:20",
        "until": "2026-03-01 04:30",
        "select": {"jobs": "gate-0"},
        "effect": "pause",
    },
    {
        "name": "uncounted",
        "from": "2026-03-01 04:40",
        "until": "2026-03-01 04:50",
        "select": {"jobs": "mail"},
        "counts": False,
    },
]
GROUPS = {"gates": {"jobs": {"tags": {"role": "gate"}}, "down_when": {"at_least": 2}}}
SHARED = {"check": {"kind": "http", "url": "http://shared.shop.example/"}}


def jobs() -> dict[str, Any]:
    every = {"schedule": {"every": "2m"}}
    gates = {f"gate-{each}": job_of(f"gate-{each}", alerts=[], tags={"role": "gate"}, **every) for each in range(3)}
    return {
        "router": job_of("router", tags={"area": "net"}, **every),
        "behind-0": job_of("behind-0", alert_parent="router", **every),
        "behind-1": job_of("behind-1", alert_parent="router", **every),
        "checkout": job_of(
            "checkout",
            alerts=[
                {
                    "open_after": "2 of 3",
                    "close_after": 2,
                    "remind_every": "20m",
                    "escalate": [{"after": "30m", "notify": ["boss"]}],
                }
            ],
            **every,
        ),
        "search": job_of("search", alerts=[{"open_after": 2, "for": "3m", "remind_every": "15m"}], **every),
        "mail": job_of("mail", alerts=[{"open_after": 3}], tags={"area": "slow"}, **every),
        "api-0": job_of("api-0", **every) | SHARED,
        "api-1": job_of("api-1", alerts=[{"open_after": 1, "for": "30s", "notify": ["boss"]}], **every) | SHARED,
        "flapper": job_of("flapper", alerts=[{"open_after": 1, "flapping": {"changes": 4, "within": "30m"}}], **every),
        "probed": job_of("probed", alerts=[{"open_after": 2, "triggers": ["manual"]}], **every),
        **gates,
    }


DOWN: Mapping[str, list[tuple[int, int]]] = {
    "router": [(10, 20), (100, 104)],
    "behind-0": [(8, 26), (101, 120)],
    "behind-1": [(10, 19)],
    "checkout": [(20, 70), (90, 92), (140, 150)],
    "search": [(30, 50), (70, 75), (110, 150)],
    "mail": [(94, 112), (120, 140)],
    "shared": [(60, 80), (84, 86)],
    "flapper": [(40, 42), (44, 46), (48, 50), (52, 54)],
    "probed": [(30, 31), (90, 95)],
    "gate-0": [(76, 96)],
    "gate-1": [(78, 84), (92, 100)],
    "gate-2": [(130, 134)],
}
"""By target, the minutes in which it is down."""


PROBED = [30, 36, 60, 90, 94, 100]
"""The minutes with a run on demand of `probed`, in addition to the scheduled ones."""


async def probe(scene: Scene, job: str) -> None:
    generation = scene.program.catalog.snapshot.generations[job]
    scene.clock.move(1)
    scene.program.worker.submit_batch([Ticket.requested(job, scene.clock.now(), generation)])
    await scene.program.worker.wait_until_idle()


async def live(scene: Scene, names: list[str], minutes: int) -> None:
    """Runs each two minutes, a tick each ten seconds."""
    for minute in range(0, minutes, 2):
        for target, times in DOWN.items():
            is_down = any(begin <= minute < end for begin, end in times)
            (scene.network.down if is_down else scene.network.up)(target)
        await scene.run(*names)
        if minute in PROBED:
            await probe(scene, "probed")
        for _ in range(12):
            scene.clock.move(10)
            await scene.program.state_upkeep.tick()
            await scene.tick()


async def backtest(scene: Scene) -> BacktestReport:
    stored = Repositories(scene.program.store)
    backtester = build_backtester(scene.program.runs, stored, scene.program.alerting.rotas)
    return await backtester.run(BacktestRequest(START, scene.clock.now()), scene.program.catalog.snapshot)


def silence(begin: int, end: int, job: str) -> Silence:
    return Silence.model_validate(
        {
            "id": create_suppression_id(START),
            "select": {"jobs": job},
            "author": "ada",
            "created_at": START,
            "starts_at": START + timedelta(minutes=begin),
            "ends_at": START + timedelta(minutes=end),
        }
    )


async def test_every_message_of_some_hours_is_the_same(tmp_path: Path) -> None:
    alerting = {"channels": CHANNELS, "routes": ROUTES, "windows": WINDOWS, "groups": GROUPS}
    async with alerting_program(tmp_path, jobs(), alerting) as scene:
        await scene.program.alerting.silences.insert(silence(58, 76, "api-1"))
        await scene.program.alerting.silences.insert(silence(138, 146, "checkout"))
        await live(scene, list(jobs()), 170)
        report = await backtest(scene)
        sent = Counter(each for each in scene.sent if each[0] != "night")
    lines = [
        f"{each.subject} {each.channel} {each.kind} {each.difference} {each.was} {each.would_be}"
        for each in report.comparison.messages
    ]
    assert report.comparison.is_same, "\n".join(lines)
    # Messages of a digest are sent as one.
    immediate = Counter(
        (each.channel, each.kind, each.subject) for each in report.comparison.messages if each.channel != "night"
    )
    assert immediate == sent
    kinds = {kind for _, kind, _ in sent}
    assert kinds == {"opened", "resolved", "reminded", "escalated", "flapping", "joined", "reopened"}

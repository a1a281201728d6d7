"""What happened to a name while it had other tags changes no answer to a caller that is limited to the present ones.

Each route is read with and without such a past, whose runs failed, and the answers are compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jobs.heartbeat import Ping, PingSignal
from jobs.runs import Observation, Outcome, Phases
from jobs.runs.states import Cause, JobStatus, enter_state
from scheduler.api.app import ROUTERS
from scheduler.identity.principal import Role
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.gates import Pause
from tests.jobs.running.virtual_time import START, LoopClock
from tests.scheduler.api.access.test_limited_changes import OURS, THEIRS, Team, definition
from tests.scheduler.api.access.test_tag_limits import PAYMENTS
from tests.scheduler.api.routes.test_trends import count_each, failures_of, times_of
from tests.scheduler.stores.samples import run_of

JOB, BEAT = "checkout", "backup"
MARK = "a secret project"
CIRCUIT = {"failure_rate": 0.9, "minimum_calls": 500, "window": "1h"}
SLO = {"target": 99.0, "window": "30d"}
MORE: dict[str, dict[str, Any]] = {
    JOB: {
        "circuit": CIRCUIT,
        "slo": SLO,
        "expect": [{"health": "aspnet"}],
        "retry": {"attempts": 1},
    },
    BEAT: {"check": {"kind": "heartbeat", "token": {"secret": "backup-token"}, "period": "7d"}, "schedule": "every 7d"},
}
DAY = timedelta(days=1)
PATHS = [route.path for router in ROUTERS for route in router.declared if route.method == "GET"]
QUERIES = [
    "/api/jobs?outcome=failed",
    "/api/jobs?outcome=succeeded",
    *(f"/api/jobs/{JOB}/stats?window={window}" for window in ("24h", "7d", "90d", "365d")),
    f"/api/jobs/{JOB}/stats?from=50d&to=1d",
    f"/api/jobs/{JOB}/trend?measure=success_rate",
    "/api/stats?tag=team&window=90d",
    "/api/stats/slowest?window=90d",
    "/api/stats/slowest?window=7d&sort=slower",
    f"/api/stats/comparison?job={JOB}&window=90d",
    f"/api/stats/comparison?job={JOB}&window=7d&preset=trend",
    "/api/dashboard?sort=slower",
    f"/api/dashboard/compare?job={JOB}&window=30d",
    "/api/exports/stats?window=90d",
    f"/api/exports/stats?format=csv&window=7d&name={JOB}",
    f"/api/jobs/{JOB}/downtime?window=90d",
    f"/api/objectives/{JOB}/statement?month=2026-03",
    f"/api/runs?job={JOB}&outcome=failed",
    f"/api/jobs/{BEAT}",
    f"/api/jobs/{BEAT}/heartbeat",
    f"/api/jobs/{BEAT}/uptime",
    f"/api/dashboard/jobs/{BEAT}",
    *(f"/api/dashboard?span={window}&sort=latency" for window in ("1h", "3h", "24h", "7d", "90d")),
    *(f"/api/dashboard/jobs/{JOB}?period={window}" for window in ("1h", "24h", "7d", "30d", "90d")),
    f"/api/dashboard/runs?job={JOB}",
]
NOT_OF_JOBS = re.compile(r"/ping/|/static/|/health/live|openapi|/docs$|/schema/")


class HeldTime:
    """The clock of a shop, which stands still but for `pass_by`. A loop with virtual time has no threads, which read
    definitions.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = 0.0
        monkeypatch.setattr(LoopClock, "now", lambda _: START + timedelta(seconds=self.passed))
        monkeypatch.setattr(LoopClock, "monotonic", lambda _: self.passed)

    def pass_by(self, seconds: float) -> None:
        self.passed += seconds


def report(status: str) -> Observation:
    body = {"status": status, "entries": {"db": {"status": status, "description": MARK}}}
    return Observation(Phases(total_ms=90.0), 200 if status == "Healthy" else 503, body=json.dumps(body).encode())


async def leave_past(team: Team, time: HeldTime) -> None:
    """Runs of long ago, of yesterday and of this hour fail, and got slower; pings arrive, a pause is set and ended."""
    shop = team.client.shop
    quick, slow = failures_of(0), failures_of(4)
    quick.histograms, slow.histograms = times_of(1, 180).histograms, times_of(1, 320).histograms
    await count_each(team.client, (quick, 100), (slow, 50))
    now = shop.clock.now()
    for age in (40 * DAY, 3 * DAY, DAY, timedelta(hours=2)):
        for number in range(20):
            ticket = shop.ticket(number * 30 - age.total_seconds(), JOB)
            await team.client.store_finished(ticket, run_of(ticket, Outcome.FAILED))
    shop.check.steps = [report("Unhealthy")]
    for _ in range(20):
        time.pass_by(10)
        await team.client.perform(JOB)
    letter = DeadLetter("20260301T120000.000Z.000000000009", MARK, shop.clock.now(), shop.ticket(0, JOB))
    await shop.dead_letters.add(letter)
    for signal in (PingSignal.START, PingSignal.FAIL):
        ping = Ping(shop.clock.now(), signal, source="192.0.2.7", agent=MARK, body=MARK)
        await shop.heartbeats.add(BEAT, lambda _, ping=ping: ping)  # type: ignore[misc]
    paused = Pause(JOB, now, shop.clock.now(), MARK)
    await shop.pauses.set_pause(paused)
    await shop.states.record(
        JOB, lambda state: enter_state(state, JOB, JobStatus.PAUSED, shop.clock.now(), Cause("job_paused", MARK))
    )
    await shop.states.record(
        JOB, lambda state: enter_state(state, JOB, JobStatus.UNKNOWN, shop.clock.now(), Cause("pause_ended", MARK))
    )


async def leave_nothing(team: Team, time: HeldTime) -> None:
    time.pass_by(200)


async def create_again(team: Team) -> None:
    for name in MORE:
        await team.as_root("DELETE", f"/api/jobs/{name}", If_Match="*")
        await team.as_root("POST", "/api/jobs", definition(name, OURS, **MORE[name]))


async def change_tags(team: Team) -> None:
    for name in MORE:
        await team.as_root("PATCH", f"/api/jobs/{name}", {"tags": OURS}, If_Match="*")


Leave = Callable[[Team, HeldTime], Awaitable[None]]
HandOver = Callable[[Team], Awaitable[None]]


async def read_everything(time: HeldTime, leave: Leave, hand_over: HandOver, later: timedelta) -> dict[str, str]:
    """Return all answers by path, after one good run of the present tags, and later."""
    time.passed = 0.0
    team = Team()
    async with team.client:
        shop = team.client.shop
        shop.tokens.values = {"backup-token": "t" * 32}
        time.pass_by(17 * 60)
        for name in MORE:
            await team.as_root("POST", "/api/jobs", definition(name, THEIRS, **MORE[name]))
        await leave(team, time)
        time.pass_by(1)
        await hand_over(team)
        # Another reader has everything in the caches.
        for path in (
            "/api/dashboard",
            f"/api/dashboard/jobs/{JOB}",
            "/api/stats?window=90d",
            "/api/stats/slowest?window=90d",
            "/api/dashboard/schedule",
        ):
            await team.as_root("GET", path)
        time.pass_by(60)
        shop.check.steps = [report("Healthy")]
        run = await team.client.perform(JOB)
        await shop.heartbeats.add(BEAT, lambda _: Ping(shop.clock.now(), PingSignal.SUCCESS))
        time.pass_by(60 + later.total_seconds())
        await shop.runs.prune(shop.clock.now(), 400 * 86400.0, 10_000)
        team.fixed.principal = replace(PAYMENTS, role=Role.VIEWER)
        found = {}
        for path in (*(fill(path, run) for path in PATHS if not NOT_OF_JOBS.search(path)), *QUERIES):
            response = await team.send("GET", path)
            found[path] = normalize(f"{response.status_code} {response.text}")
        return found


def fill(path: str, run: str) -> str:
    values = {"name": JOB, "run_id": run, "key": JOB, "number": "1"}
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def normalize(text: str) -> str:
    """Without what differs between two processes, and the numbers of changes and pings, which count on."""
    text = re.sub(r'"(number|ping_count)":\d+', r'"\1":0', text)
    return re.sub(r'nonce="[^"]*"|"request_id":"[^"]*"|"generation":"[^"]*"|v\d-\d+-[0-9a-f]+', "", text)


@pytest.mark.parametrize("later", [timedelta(), timedelta(hours=2), timedelta(days=2)], ids=["now", "hours", "days"])
@pytest.mark.parametrize("hand_over", [create_again, change_tags])
async def test_the_past_of_other_tags_changes_no_answer(
    hand_over: HandOver, later: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = HeldTime(monkeypatch)
    with_past = await read_everything(time, leave_past, hand_over, later)
    without = await read_everything(time, leave_nothing, hand_over, later)

    assert [path for path, text in with_past.items() if MARK in text] == []
    assert {path: text for path, text in with_past.items() if text != without[path]} == {}
    assert [path for path in QUERIES if not without[path].startswith("200")] == []
    assert sum(text.startswith("200") for text in without.values()) > 60
